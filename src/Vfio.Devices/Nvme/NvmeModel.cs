using System.Globalization;

namespace Vfio.Devices.Nvme;

/// <summary>The options of <c>model:nvme</c>: <c>size=64M</c> for a disk in memory, or <c>image=PATH</c> for a raw image or a block device,
/// with <c>readonly=1</c> for a read-only disk.</summary>
internal static class NvmeModel
{
    private const string Otherwise = "64M";
    private const int BlockBytes = 512;

    internal static NvmeFunction Create(ModelOptions options)
    {
        string? image = options.Take("image");
        string? size = options.Take("size");
        bool isReadOnly = options.Take("readonly") switch
        {
            null or "0" => false,
            "1" => true,
            string other => throw Refuse(options, $"'{other}' is neither 0 nor 1: write readonly=1"),
        };
        if (image is not null && size is not null)
            throw Refuse(options, "give image or size: a file has its own size");
        if (isReadOnly && image is null)
            throw Refuse(options, "readonly=1 goes with image=PATH: a disk in memory would stay empty");
        return image is not null
            ? NvmeFunction.OnImage(image, isReadOnly, options.IsSuccessor)
            : NvmeFunction.InMemory(ParseSize(options, size ?? Otherwise));
    }

    private static long ParseSize(ModelOptions options, string text)
    {
        int shift = text is [.., char unit] ? "KMGT".IndexOf(char.ToUpperInvariant(unit), StringComparison.Ordinal) + 1 : 0;
        string digits = shift > 0 ? text[..^1] : text;
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && number is > 0 and <= long.MaxValue >> 40
            && (number << (10 * shift)) % BlockBytes == 0
            ? number << (10 * shift)
            : throw Refuse(options, $"'{text}' is no size: write 64M, or bytes as a multiple of {BlockBytes}");
    }

    private static VfioException Refuse(ModelOptions options, string reason) =>
        new("open", $"model:{options.Model}", Errno.InvalidArgument, reason);
}
