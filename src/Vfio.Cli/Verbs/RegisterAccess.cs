using System.Buffers.Binary;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>One region of a device, open for single accesses.</summary>
internal sealed class RegisterAccess : IDisposable
{
    private readonly IVfioDevice? _device;
    private readonly ConfigSpace? _config;
    private readonly RegionIndex _region;
    private readonly string _name;

    private RegisterAccess(string name, RegionIndex region, IVfioDevice? device, ConfigSpace? config)
    {
        _name = name;
        _region = region;
        _device = device;
        _config = config;
    }

    /// <summary>Opens it. The config space of a function of this machine can be read without assigning the function.</summary>
    internal static RegisterAccess Open(string address, RegionIndex region, VfioDeviceOptions options)
    {
        DeviceAddress parsed = DeviceAddress.Parse(address);
        if (parsed is { Scheme: AddressScheme.Pci, IsGuarded: false } && region == RegionIndex.Config)
            return new RegisterAccess(parsed.Text, region, null, new PciTopology().Find(parsed.Function).ReadConfig());
        IVfioDevice device = VfioDevice.Open(address, options);
        if (device.Info.Flags.HasFlag(DeviceFlags.Pci) && (region.IsBar || region == RegionIndex.Rom))
            TurnDecodingOn(device);
        return new RegisterAccess(parsed.Text, region, device, null);
    }

    internal ulong Read(ulong offset, int width)
    {
        if (_config is not null)
            return ReadConfig(offset, width);
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bytes.Clear();
        _device!.ReadRegion(_region, offset, bytes[..width]);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes);
    }

    internal void Write(ulong offset, int width, ulong value)
    {
        if (_device is null)
            throw new VfioException($"write of {_region} at 0x{offset:x}", _name, Errno.OperationNotPermitted, "only an assigned function can be written");
        if (width < sizeof(ulong) && value >> (8 * width) != 0)
            throw new VfioException($"write of 0x{value:x}", _name, Errno.InvalidArgument, $"it does not fit {width} bytes");
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _device.WriteRegion(_region, offset, bytes[..width]);
    }

    /// <inheritdoc/>
    public void Dispose() => _device?.Dispose();

    // A newly opened device has memory decoding off: its BARs do not answer.
    private static void TurnDecodingOn(IVfioDevice device)
    {
        const int Command = 4, IoAndMemory = 3;
        Span<byte> command = stackalloc byte[sizeof(ushort)];
        device.ReadRegion(RegionIndex.Config, Command, command);
        command[0] |= IoAndMemory;
        device.WriteRegion(RegionIndex.Config, Command, command);
    }

    private ulong ReadConfig(ulong offset, int width)
    {
        if (width > 4 || offset > ConfigSpace.ExtendedLength || !_config!.Knows((int)offset, width))
        {
            throw new VfioException(
                $"{width}-byte read of config at 0x{offset:x}", _name, Errno.InvalidArgument, $"{_config!.Length} bytes are readable, 1, 2 or 4 at a time");
        }

        return _config.Read((int)offset, width);
    }
}
