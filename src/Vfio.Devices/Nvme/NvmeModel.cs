using System.Globalization;

namespace Vfio.Devices.Nvme;

/// <summary>The options of <c>model:nvme</c>: <c>size=64M</c> for a disk in memory, or <c>image=PATH</c> for a raw image or a block device,
/// with <c>readonly=1</c> for a read-only disk; <c>serial=</c> and <c>nqn=</c> for names of its own, <c>namespaces=N</c> for several
/// namespaces that share its blocks equally, <c>block=4096</c> for larger blocks.</summary>
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
        string? serial = options.Take("serial");
        if (serial is not null && !NvmeNames.IsSerial(serial))
            throw Refuse(options, $"serial= is 1 to {NvmeNames.LongestSerial} printable ASCII characters without spaces around them");
        string? subsystem = options.Take("nqn");
        if (subsystem is not null && !NvmeNames.IsSubsystem(subsystem))
        {
            throw Refuse(options, $"nqn= is an NVMe Qualified Name of at most {NvmeNames.LongestSubsystem} characters, as "
                + "nqn.2014-08.org.example:disk1");
        }

        int namespaces = ParseNamespaces(options, options.Take("namespaces") ?? "1");
        int block = options.Take("block") switch
        {
            null => 0,
            "512" => 512,
            "4096" or "4K" or "4k" => 4096,
            string other => throw Refuse(options, $"block= is 512 or 4096, not '{other}'"),
        };
        NvmeNames names = image is null ? NvmeNames.OfMemory(serial, subsystem) : NvmeNames.OfImage(image, serial, subsystem);
        NvmeStorage storage = image is null
            ? new MemoryStorage(ParseSize(options, size ?? Otherwise))
            : new FileStorage(image, isReadOnly, options.IsSuccessor);
        return new NvmeFunction(storage, new NvmeSettings(names, namespaces, block), clock: null, options.IsSuccessor);
    }

    private static int ParseNamespaces(ModelOptions options, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number is >= 1 and <= NvmeSettings.MaxNamespaces
            ? number
            : throw Refuse(options, $"namespaces= is a number from 1 to {NvmeSettings.MaxNamespaces}, not '{text}'");

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
