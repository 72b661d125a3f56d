using Vfio.Drivers.Ethernet;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Net;

/// <summary>One of two ports with a wire between them, in this process: what one sends the other receives, if it has free buffers.</summary>
internal sealed class WirePort : IEthernetPort
{
    private const int Buffered = 256;
    private readonly PciDevice _memory = new(new FakeDevice());
    private readonly byte[][] _incoming = [.. Enumerable.Range(0, Buffered).Select(_ => new byte[EthernetBuffers.BufferBytes])];
    private readonly int[] _lengths = new int[Buffered];
    private readonly Lock _sending = new();
    private readonly SemaphoreSlim _arrived = new(0);
    private WirePort? _other;
    private int _first, _count;

    private WirePort(string name, MacAddress address)
    {
        (Name, Address) = (name, address);
        Buffers = new EthernetBuffers(_memory, Buffered);
    }

    public string Name { get; }

    public MacAddress Address { get; }

    public bool IsLinkUp { get; set; } = true;

    public int MaxFrameBytes => 1518;

    public EthernetBuffers Buffers { get; }

    public bool IsPromiscuous { get; set; }

    /// <summary>Which of the frames that are sent from here the wire loses, by their number from 0.</summary>
    internal Predicate<int>? Loses { get; set; }

    /// <summary>Frames that a call of <see cref="Transmit"/> takes at most.</summary>
    internal int Room { get; set; } = int.MaxValue;

    internal int Transmits { get; private set; }

    internal int Sent { get; private set; }

    internal static (WirePort Own, WirePort Peer) CreatePair()
    {
        WirePort own = new("own", Frames.OwnMac);
        WirePort peer = new("peer", Frames.PeerMac) { _other = own };
        own._other = peer;
        return (own, peer);
    }

    public int Receive(Span<EthernetFrame> frames)
    {
        lock (_sending)
        {
            int count = Buffers.Take(frames[..Math.Min(frames.Length, _count)]);
            foreach (ref EthernetFrame frame in frames[..count])
            {
                frame = frame with { Length = _lengths[_first] };
                Buffers.Write(frame, 0, _incoming[_first].AsSpan(0, _lengths[_first]));
                _first = (_first + 1) % Buffered;
                _count--;
            }

            return count;
        }
    }

    public int Take(Span<EthernetFrame> frames) => Buffers.Take(frames);

    public int Transmit(ReadOnlySpan<EthernetFrame> frames)
    {
        int count = Math.Min(frames.Length, Room);
        Transmits++;
        foreach (EthernetFrame frame in frames[..count])
        {
            if (Loses?.Invoke(Sent++) != true)
                _other!.Arrive(frame, Buffers);
        }

        Return(frames[..count]);
        return count;
    }

    public void Return(ReadOnlySpan<EthernetFrame> frames) => Buffers.TakeBack(frames);

    public bool Wait(TimeSpan timeout)
    {
        if (HasFrame)
            return true;
        _arrived.Wait(timeout);
        return HasFrame;
    }

    public async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        while (!HasFrame)
            await _arrived.WaitAsync(cancellationToken);
    }

    public void Dispose()
    {
        Assert.Equal(Buffers.Count, Buffers.FreeCount);
        Buffers.Dispose();
        _memory.Dispose();
        _arrived.Dispose();
    }

    private bool HasFrame
    {
        get
        {
            lock (_sending)
                return _count > 0;
        }
    }

    private void Arrive(EthernetFrame frame, EthernetBuffers from)
    {
        lock (_sending)
        {
            if (_count == Buffered)
                return;
            int last = (_first + _count++) % Buffered;
            from.Read(frame, _incoming[last]);
            _lengths[last] = frame.Length;
        }

        if (_arrived.CurrentCount == 0)
            _arrived.Release();
    }
}
