using System.Numerics;
using Vfio.Guard.Interrupts;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Emulation;

/// <summary>The interrupt logic of an emulated function: pin, MSI and MSI-X, whichever its config space enables.</summary>
internal sealed class EmulatedInterrupts
{
    private readonly EmulatedConfig _config;
    private readonly int _msi;
    private readonly int _msix;
    private readonly int _msiVectors;
    private readonly int _msiMasks;
    private readonly bool _hasPin;
    private readonly int _vectors;
    private IPciSlot? _slot;
    private volatile bool _asserted;

    internal EmulatedInterrupts(FunctionDescription description, ConfigBuilder built)
    {
        _config = built.Config;
        _msi = built.Msi;
        _msix = built.Msix;
        _msiVectors = description.MsiVectors;
        _msiMasks = description.MsiHasMasks ? _msi + 16 : 0;
        _hasPin = description.InterruptPin != 0;
        _vectors = Math.Max(description.MsiVectors, description.Msix?.Vectors ?? 0);
        Table = description.Msix is { } msix ? new MsixTable(msix) : null;
    }

    internal MsixTable? Table { get; }

    private bool MsiEnabled => _msi != 0 && _config.ReadBit(_msi + 2, 0);

    private bool MsixEnabled => _msix != 0 && _config.ReadBit(_msix + 2, 15);

    private bool MsixMasked => _config.ReadBit(_msix + 2, 14);

    private bool PinLevel => _hasPin && _asserted && !_config.ReadBit(0x04, 10) && !MsiEnabled && !MsixEnabled;

    internal void Connect(IPciSlot slot) => _slot = slot;

    internal void Raise(int vector)
    {
        // Whichever is enabled now, so that a device's mistake does not wait for the day that MSI-X is.
        if (_vectors > 0)
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)vector, (uint)_vectors, nameof(vector));
        if (MsixEnabled)
            RaiseMsix(vector);
        else if (MsiEnabled)
            RaiseMsi(vector);
        else
            Assert(true);
    }

    internal void Assert(bool asserted)
    {
        _asserted = asserted;
        _config.Change(0x06, 2, set: asserted ? 0x0008u : 0, clear: 0x0008);
        PublishPin();
    }

    /// <summary>Sends what a write of config space or of the MSI-X table may have unmasked: pending vectors, the pin.</summary>
    internal void Recheck()
    {
        if (_msix != 0)
            SendPendingMsix();
        if (_msiMasks != 0 && MsiEnabled)
            SendPendingMsi();
        PublishPin();
    }

    /// <summary>Saves the pin's level and the pending bits.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_asserted ? (byte)1 : (byte)0);
        if (_msiMasks != 0)
            state.Write(_config.Read(_msiMasks + 4, 4));
        Table?.Save(state);
    }

    /// <summary>Restores the pin's level and the pending bits; <see cref="Recheck"/> sends them.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        uint pending = 0;
        if (!state.TryRead(out byte asserted) || asserted > 1 || (_msiMasks != 0 && !state.TryRead(out pending)))
            return false;
        if ((pending & ~Bits.Mask(_msiVectors - 1, 0)) != 0 || (Table is { } table && !table.TryRestore(ref state)))
            return false;
        if (_msiMasks != 0)
            _config.Change(_msiMasks + 4, 4, set: pending, clear: ~pending);
        Assert(asserted != 0);
        return true;
    }

    internal void Reset()
    {
        _asserted = false;
        Table?.Reset();
        PublishPin();
    }

    private void RaiseMsix(int vector)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)vector, (uint)Table!.Description.Vectors, nameof(vector));
        if (Table.TryRaise(vector, MsixMasked))
            _slot?.SignalMsix(vector);
        else
            SendPendingMsix(); // the mask may have been cleared between its read and the write of the pending bit
    }

    private void SendPendingMsix()
    {
        while (MsixEnabled && !MsixMasked && Table!.TakeUnmasked() is >= 0 and int vector)
            _slot?.SignalMsix(vector);
    }

    private void RaiseMsi(int vector)
    {
        // When fewer messages are granted than it could use, a function sends those that it has (PCI Local Bus 3.0, section 6.8.3.4).
        int granted = Math.Min(1 << (int)_config.Read(_msi + 2, 2).Get(6, 4), _msiVectors);
        int sent = vector & (granted - 1);
        if (_msiMasks != 0 && _config.Read(_msiMasks, 4).Get(sent))
            _config.Change(_msiMasks + 4, 4, set: 1u << sent, clear: 0);
        else
            _slot?.SignalMsi(sent);
    }

    private void SendPendingMsi()
    {
        uint ready = _config.Read(_msiMasks + 4, 4) & ~_config.Read(_msiMasks, 4);
        _config.Change(_msiMasks + 4, 4, set: 0, clear: ready);
        for (; ready != 0; ready &= ready - 1)
            _slot?.SignalMsi(BitOperations.TrailingZeroCount(ready));
    }

    /// <remarks>Two threads may get here in either order; the last one sees the level that both left.</remarks>
    private void PublishPin()
    {
        bool level;
        do
        {
            level = PinLevel;
            _slot?.SetIntx(level);
        }
        while (level != PinLevel);
    }
}
