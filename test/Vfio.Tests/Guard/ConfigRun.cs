using Vfio.Guard;
using Vfio.Pci;
using Vfio.Pci.Rules;

namespace Vfio.Tests.Guard;

/// <summary>A guarded function and the model of it, side by side: the same writes, and the first difference in words.</summary>
internal sealed class ConfigRun : IDisposable
{
    private readonly RamFunction _hardware;
    private readonly GuardedFunction _function;
    private readonly IVfioDevice _device;
    private readonly ConfigModel _model;
    private readonly int _resets;

    /// <param name="config">Its config space.</param>
    /// <param name="lengths">Sizes of BAR0 to BAR5 and the ROM.</param>
    /// <param name="change">Spoils the guard's rules.</param>
    public ConfigRun(byte[] config, ulong[] lengths, Action<ConfigRules>? change = null)
    {
        ConfigModel facts = new(new ConfigSpace(config), lengths);
        _hardware = new RamFunction([.. config], lengths, facts.StatusBits);
        _function = new GuardedFunction(_hardware);
        _device = _function.Open();
        change?.Invoke(_function.Rules);
        _hardware.KeepAsReset();
        _model = facts.Assign(_hardware.Config);
        _resets = _hardware.Resets.Count;
    }

    /// <summary>Writes to both, and compares the whole of the hardware, and what is read there.</summary>
    /// <returns>The first difference; null for none.</returns>
    public string? Write(int offset, byte[] bytes)
    {
        _hardware.Log.Clear();
        _device.WriteRegion(RegionIndex.Config, (ulong)offset, bytes);
        WriteByParts(offset, bytes);
        if (!_hardware.Config.SequenceEqual(_model.Hardware))
        {
            int at = _hardware.Config.CommonPrefixLength(_model.Hardware);
            string log = string.Join(", ", _hardware.Log.Select(
                entry => $"{(entry.IsWrite ? 'W' : 'R')}{entry.Width}@{entry.Offset:x}={entry.Value:x}"));
            return $"0x{at:x} of the hardware is {_hardware.Config[at]:x2}, not {_model.Hardware[at]:x2}; {log}";
        }

        int resets = _hardware.Resets.Count - _resets;
        return _model.Resets != resets ? $"{resets} resets, not {_model.Resets}" : Read(offset, bytes.Length);
    }

    /// <summary>Reads both.</summary>
    /// <returns>The first difference; null for none.</returns>
    public string? Read(int offset, int length)
    {
        byte[] read = new byte[length];
        _device.ReadRegion(RegionIndex.Config, (ulong)offset, read);
        for (int i = 0; i < length; i++)
        {
            if (read[i] != _model.Read(offset + i))
                return $"0x{offset + i:x} reads {read[i]:x2}, not {_model.Read(offset + i):x2}";
        }

        return null;
    }

    public void Dispose()
    {
        _device.Dispose();
        _function.Dispose();
    }

    private void WriteByParts(int offset, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int width = 4;
            while (offset % width != 0 || width > bytes.Length)
                width /= 2;
            _model.Write(offset, bytes[..width]);
            bytes = bytes[width..];
            offset += width;
        }
    }
}
