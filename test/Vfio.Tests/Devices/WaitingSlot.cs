using System.Collections.Concurrent;
using System.Diagnostics;

namespace Vfio.Tests.Devices;

/// <summary>A slot with memory from address 0, for devices with threads: what they do can be waited for.</summary>
internal sealed class WaitingSlot : IPciSlot
{
    internal static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly ConcurrentQueue<string> _seen = [];
    private volatile bool _pin;

    internal byte[] Memory { get; init; } = new byte[0x4000];

    internal bool Pin => _pin;

    internal IReadOnlyCollection<string> Seen => _seen;

    internal bool IsRecording { get; set; } = true;

    /// <summary>Called in the middle of a read by the device.</summary>
    internal Action? OnRead { get; set; }

    /// <summary>From which address on there is nothing any more.</summary>
    internal ulong End { get; set; } = ulong.MaxValue;

    internal void WaitFor(string what) => WaitUntil(() => _seen.Contains(what));

    internal void WaitUntil(Func<bool> condition)
    {
        long start = Stopwatch.GetTimestamp();
        SpinWait spin = default;
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > TestTimeout)
                throw new TimeoutException("it did not come");
            spin.SpinOnce();
        }
    }

    public Errno ReadMemory(Iova address, Span<byte> destination)
    {
        OnRead?.Invoke();
        if (address.Value >= End || address.Value > (ulong)(Memory.Length - destination.Length))
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

    public int AccessesAtOwner
    {
        get
        {
            OnAskedForOwner?.Invoke();
            return field;
        }
        set;
    }

    /// <summary>Called when somebody who has waited for an access asks whether its owner has it.</summary>
    internal Action? OnAskedForOwner { get; set; }

    public void SetIntx(bool asserted)
    {
        if (asserted && !_pin && IsRecording)
            _seen.Enqueue("pin up");
        _pin = asserted;
    }

    public void SignalMsi(int vector) => _seen.Enqueue($"MSI {vector}");

    public void SignalMsix(int vector) => _seen.Enqueue($"MSI-X {vector}");

    public bool HasListener(InterruptIndex kind, int vector) => true;
}
