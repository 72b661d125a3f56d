using System.Buffers.Binary;

namespace Vfio.Devices.Network;

/// <summary>Writes frames of one port as pcapng, which tcpdump and Wireshark read, also while it grows.</summary>
/// <remarks>draft-ietf-opsawg-pcapng. Any thread. A file that cannot be written any more is left as it is: frames go on.</remarks>
internal sealed class PcapngRecorder : IDisposable
{
    internal const uint SectionHeader = 0x0a0d0d0a, InterfaceDescription = 1, EnhancedPacket = 6, ByteOrderMagic = 0x1a2b3c4d;
    private const int HeadBytes = 28, TailBytes = 16;
    private readonly Lock _lock = new();
    private readonly FileStream _file;
    private readonly byte[] _block = new byte[HeadBytes + INetPort.LongestFrame + TailBytes];
    private bool _isBroken;

    /// <summary>Starts a capture.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    internal PcapngRecorder(string path)
    {
        _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
        Span<uint> section = [SectionHeader, 28, ByteOrderMagic, 1, uint.MaxValue, uint.MaxValue, 28];
        Write(section);

        // Ethernet, no limit, one option: if_tsresol, 10 to the minus 9.
        Span<uint> port = [InterfaceDescription, 32, 1, 0, 9 | 1 << 16, 9, 0, 32];
        Write(port);
    }

    /// <summary>Writes a frame.</summary>
    internal void Record(ReadOnlySpan<byte> frame, bool isInbound)
    {
        ulong time = (ulong)(DateTime.UtcNow - DateTime.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
        int padded = (frame.Length + 3) & ~3;
        uint length = (uint)(HeadBytes + padded + TailBytes);
        lock (_lock)
        {
            if (_isBroken || frame.Length > INetPort.LongestFrame)
                return;
            Span<byte> block = _block.AsSpan(0, (int)length);
            block.Clear();
            Put(block, 0, EnhancedPacket);
            Put(block, 4, length);
            Put(block, 12, (uint)(time >> 32));
            Put(block, 16, (uint)time);
            Put(block, 20, (uint)frame.Length);
            Put(block, 24, (uint)frame.Length);
            frame.CopyTo(block[HeadBytes..]);

            // epb_flags: 1 inbound, 2 outbound; then the end of the options.
            Put(block, HeadBytes + padded, 2 | 4 << 16);
            Put(block, HeadBytes + padded + 4, isInbound ? 1u : 2u);
            Put(block, (int)length - 4, length);
            TryWrite(block);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _isBroken = true;
            _file.Dispose();
        }
    }

    private static void Put(Span<byte> block, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(block[at..], value);

    private void TryWrite(ReadOnlySpan<byte> block)
    {
        try
        {
            _file.Write(block);
        }
        catch (IOException)
        {
            _isBroken = true;
        }
    }

    private void Write(ReadOnlySpan<uint> words)
    {
        Span<byte> block = _block.AsSpan(0, words.Length * sizeof(uint));
        for (int i = 0; i < words.Length; i++)
            Put(block, i * sizeof(uint), words[i]);
        _file.Write(block);
    }
}
