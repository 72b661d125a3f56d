namespace Vfio.Guard.Emulation;

/// <summary>The value of one register of a <see cref="RegisterFile{TRegister}"/>, for code that needs it for each packet: no look-up by
/// name.</summary>
internal readonly struct RegisterCell
{
    private readonly ulong[] _values;
    private readonly int _slot;

    internal RegisterCell(ulong[] values, int slot) => (_values, _slot) = (values, slot);

    /// <summary>The value as the device keeps it: no mask applies and no handler runs.</summary>
    internal ulong Value => Volatile.Read(ref _values[_slot]);

    /// <summary>Changes the value; no mask applies and no handler runs.</summary>
    internal void Set(ulong value) => Volatile.Write(ref _values[_slot], value);
}
