namespace Vfio.Tests.Guard;

/// <summary>A slot that writes down what the function does.</summary>
internal sealed class RecordingSlot : IPciSlot
{
    private bool _pin;

    public List<string> Seen { get; } = [];

    public byte[] Memory { get; } = new byte[0x1000];

    public Errno ReadMemory(Iova address, Span<byte> destination)
    {
        if (address.Value > (ulong)(Memory.Length - destination.Length))
            return Errno.BadAddress;
        Memory.AsSpan((int)address.Value, destination.Length).CopyTo(destination);
        return Errno.None;
    }

    public Errno WriteMemory(Iova address, ReadOnlySpan<byte> source)
    {
        if (address.Value > (ulong)(Memory.Length - source.Length))
            return Errno.BadAddress;
        source.CopyTo(Memory.AsSpan((int)address.Value));
        return Errno.None;
    }

    public Errno TranslateMemory(Iova address, ulong length, DmaAccess access, out int segments)
    {
        bool isThere = address.Value <= (ulong)Memory.Length && length <= (ulong)Memory.Length - address.Value;
        segments = isThere ? 1 : 0;
        return isThere ? Errno.None : Errno.BadAddress;
    }

    public int MappingCount => 1;

    public void SetIntx(bool asserted)
    {
        if (asserted != _pin)
            Seen.Add(asserted ? "pin up" : "pin down");
        _pin = asserted;
    }

    public void SignalMsi(int vector) => Seen.Add($"MSI {vector}");

    public void SignalMsix(int vector) => Seen.Add($"MSI-X {vector}");

    public bool HasListener(InterruptIndex kind, int vector) => true;
}
