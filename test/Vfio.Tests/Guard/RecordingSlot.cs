namespace Vfio.Tests.Guard;

/// <summary>A slot that writes down what the function does.</summary>
internal sealed class RecordingSlot : IPciSlot
{
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

    public void SetIntx(bool asserted)
    {
        string now = asserted ? "pin up" : "pin down";
        if ((Seen.FindLast(what => what.StartsWith("pin", StringComparison.Ordinal)) ?? "pin down") != now)
            Seen.Add(now);
    }

    public void SignalMsi(int vector) => Seen.Add($"MSI {vector}");

    public void SignalMsix(int vector) => Seen.Add($"MSI-X {vector}");
}
