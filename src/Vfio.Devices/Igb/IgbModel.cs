using System.Globalization;
using Vfio.Devices.Network;

namespace Vfio.Devices.Igb;

/// <summary>The options of <c>model:igb</c>: <c>net=…</c> for the other end of the cable, <c>mac=02:00:00:00:00:01</c> for the station's
/// address, <c>vfs=2</c> for virtual functions, <c>record=PATH</c> for a pcapng file of what goes over the cable.</summary>
internal static class IgbModel
{
    private const int AddressBytes = 6;
    private static int _made;

    internal static IgbFunction Create(ModelOptions options)
    {
        string network = options.Take("net") ?? "none";
        return Create(options.Model, network, options.Take("mac"), ParseCount(options.Model, options.Take("vfs")), options.Take("record"));
    }

    internal static IgbFunction Create(string model, string network, string? address, int virtualFunctions = 0, string? record = null)
    {
        if (virtualFunctions is < 0 or > IgbRegisters.Pools)
            throw WrongCount(model, $"{virtualFunctions}");
        byte[] octets = address is null ? NextAddress() : Parse(model, address);
        return new IgbFunction(NetAddress.Open(model, network, record), octets, virtualFunctions: virtualFunctions);
    }

    private static int ParseCount(string model, string? text)
    {
        if (text is null)
            return 0;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : throw WrongCount(model, text);
    }

    private static VfioException WrongCount(string model, string text) =>
        new("open", $"model:{model}", Errno.InvalidArgument, $"'{text}' is no number of virtual functions: write vfs=0 to vfs={IgbRegisters.Pools}");

    private static byte[] Parse(string model, string text)
    {
        string[] parts = text.Split(':', '-');
        byte[] octets = new byte[AddressBytes];
        bool isValid = parts.Length == AddressBytes;
        for (int i = 0; isValid && i < AddressBytes; i++)
        {
            isValid = parts[i].Length == 2
                && byte.TryParse(parts[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out octets[i]);
        }

        if (isValid && (octets[0] & 1) == 0 && octets.AsSpan().ContainsAnyExcept((byte)0))
            return octets;
        throw new VfioException(
            "open", $"model:{model}", Errno.InvalidArgument, $"'{text}' is no station's address: write mac=02:00:00:00:00:01");
    }

    // Locally administered; the process and a count make it different from others of this machine.
    private static byte[] NextAddress()
    {
        int process = Environment.ProcessId;
        int number = Interlocked.Increment(ref _made);
        return [0x02, (byte)(process >> 16), (byte)(process >> 8), (byte)process, (byte)(number >> 8), (byte)number];
    }
}
