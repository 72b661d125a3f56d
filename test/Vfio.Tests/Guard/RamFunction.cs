using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Tests.Guard;

/// <summary>Hardware at its most trusting: every bit of config space takes what is written, but for status bits, which a 1 clears.
/// A write that the guard should have stopped shows. Writes are logged.</summary>
internal sealed class RamFunction : IPciFunction
{
    private readonly byte[] _config;
    private readonly byte[] _status;
    private readonly ulong[] _lengths;
    private byte[]? _afterReset;

    /// <param name="config">Its config space.</param>
    /// <param name="lengths">Sizes of BAR0 to BAR5 and the ROM.</param>
    /// <param name="status">The bits that a written 1 clears.</param>
    public RamFunction(byte[] config, ulong[] lengths, byte[] status)
    {
        _config = config;
        _lengths = lengths;
        _status = status;
    }

    public string Name => "ram";

    public int ConfigLength => _config.Length;

    public IReadOnlyList<ResetMethod> ResetMethods { get; init; } =
        [ResetMethod.DeviceSpecific, ResetMethod.Flr, ResetMethod.AfFlr, ResetMethod.PowerManagement];

    public VirtualFunctionIds? VirtualIds { get; init; }

    public ReadOnlySpan<byte> Config => _config;

    public List<ResetMethod> Resets { get; } = [];

    public List<(bool IsWrite, int Offset, int Width, uint Value)> Log { get; } = [];

    public Errno ResetResult { get; set; }

    /// <summary>From now on a reset brings back what is there now.</summary>
    public void KeepAsReset() => _afterReset = [.. _config];

    /// <summary>Changes config space as the function itself.</summary>
    public void Poke(int offset, byte value) => _config[offset] = value;

    public void Connect(IPciSlot slot)
    {
    }

    public uint ReadConfig(int offset, int width)
    {
        Assert(offset, width);
        uint value = new ConfigSpace(_config).Read(offset, width);
        Log.Add((false, offset, width, value));
        return value;
    }

    public void WriteConfig(int offset, int width, uint value)
    {
        Assert(offset, width);
        Log.Add((true, offset, width, value));
        for (int i = 0; i < width; i++)
        {
            byte written = (byte)(value >> (8 * i));
            int at = offset + i;
            _config[at] = (byte)((_config[at] & _status[at] & ~written) | (written & ~_status[at]));
        }
    }

    public ulong GetLength(RegionIndex region) => region.Value < 7 ? _lengths[region.Value] : 0;

    public SharedMemory? GetMemory(RegionIndex region) => null;

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => destination.Clear();

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
    }

    public Errno Reset(ResetMethod method)
    {
        Resets.Add(method);
        _afterReset?.CopyTo(_config, 0);
        return ResetResult;
    }

    public void Dispose()
    {
    }

    private void Assert(int offset, int width) =>
        Xunit.Assert.True(width is 1 or 2 or 4 && offset >= 0 && offset % width == 0 && offset + width <= _config.Length);
}
