using System.Buffers.Binary;
using Vfio.Native.Files;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Network;

/// <summary>Writes frames of one port as pcapng, which tcpdump and Wireshark read, also while it grows.</summary>
/// <remarks>draft-ietf-opsawg-pcapng. Any thread. A thread of its own writes the file, so that no sender and no reset waits for a
/// disk: what is waiting to be written is bounded, and frames beyond it are not recorded; the next one that is says how many
/// (epb_dropcount). A file that cannot be written any more is left as it is: frames go on.</remarks>
internal sealed class PcapngRecorder : IDisposable
{
    internal const uint SectionHeader = 0x0a0d0d0a, InterfaceDescription = 1, EnhancedPacket = 6, ByteOrderMagic = 0x1a2b3c4d;

    /// <summary>Most bytes that wait to be written; as many again may be written just now.</summary>
    internal const int MostWaiting = 2 << 20;

    private const int HeadBytes = 28, TailBytes = 16, DropBytes = 12;
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(1);
    private readonly object _lock = new();
    private readonly Stream _file;
    private readonly BackgroundThread _thread;
    private byte[] _waiting = new byte[MostWaiting];
    private byte[] _writing = new byte[MostWaiting];
    private int _count;
    private ulong _dropped;
    private bool _isOver;

    /// <summary>Starts a capture.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <exception cref="VfioException">It cannot be written, this user may not, or it is no regular file.</exception>
    internal PcapngRecorder(string path)
        : this(new FileStream(SafePath.CreateRegular(path), FileAccess.Write, bufferSize: 0))
    {
    }

    /// <summary>Starts a capture.</summary>
    /// <param name="file">Where to; owned.</param>
    internal PcapngRecorder(Stream file)
    {
        _file = file;
        Put([SectionHeader, 28, ByteOrderMagic, 1, uint.MaxValue, uint.MaxValue, 28]);

        // Ethernet, no limit, one option: if_tsresol, 10 to the minus 9.
        Put([InterfaceDescription, 32, 1, 0, 9 | 1 << 16, 9, 0, 32]);
        _thread = new BackgroundThread("net record", Run);
    }

    /// <summary>Writes a frame, or drops and counts it.</summary>
    internal void Record(ReadOnlySpan<byte> frame, bool isInbound)
    {
        if (frame.Length > INetPort.LongestFrame)
            return;
        ulong time = (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
        int padded = (frame.Length + 3) & ~3;
        lock (_lock)
        {
            int length = HeadBytes + padded + TailBytes + (_dropped > 0 ? DropBytes : 0);
            if (_isOver || length > MostWaiting - _count)
            {
                _dropped++;
                return;
            }

            Span<byte> block = _waiting.AsSpan(_count, length);
            block.Clear();
            Put(block, 0, EnhancedPacket);
            Put(block, 4, (uint)length);
            Put(block, 12, (uint)(time >> 32));
            Put(block, 16, (uint)time);
            Put(block, 20, (uint)frame.Length);
            Put(block, 24, (uint)frame.Length);
            frame.CopyTo(block[HeadBytes..]);

            // epb_flags: 1 inbound, 2 outbound; epb_dropcount; then the end of the options.
            Put(block, HeadBytes + padded, 2 | 4 << 16);
            Put(block, HeadBytes + padded + 4, isInbound ? 1u : 2u);
            if (_dropped > 0)
            {
                Put(block, HeadBytes + padded + 8, 4 | 8 << 16);
                BinaryPrimitives.WriteUInt64LittleEndian(block[(HeadBytes + padded + 12)..], _dropped);
                _dropped = 0;
            }

            Put(block, length - 4, (uint)length);
            _count += length;
            Monitor.Pulse(_lock);
        }
    }

    /// <summary>Has what waits written, for a second at most.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isOver = true;
            Monitor.Pulse(_lock);
        }

        _ = _thread.Join(EndTimeout);
    }

    private static void Put(Span<byte> block, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(block[at..], value);

    private void Put(ReadOnlySpan<uint> words)
    {
        foreach (uint word in words)
        {
            Put(_waiting, _count, word);
            _count += sizeof(uint);
        }
    }

    private void Run()
    {
        using Stream file = _file;
        try
        {
            while (TryTake(out int count))
                file.Write(_writing.AsSpan(0, count));
        }
        catch (IOException)
        {
            lock (_lock)
                _isOver = true;
        }
    }

    // False when nothing waits and nothing more comes.
    private bool TryTake(out int count)
    {
        lock (_lock)
        {
            while (_count == 0 && !_isOver)
                Monitor.Wait(_lock);
            count = _count;
            _count = 0;
            (_waiting, _writing) = (_writing, _waiting);
            return count > 0;
        }
    }
}
