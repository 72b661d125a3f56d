using System.Buffers.Binary;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Network;

/// <summary>The frames of a pcapng file, once, as fast as the port takes them, from when it receives. What the port sends is
/// dropped.</summary>
/// <remarks>draft-ietf-opsawg-pcapng, in either byte order. The file may be anybody's: no length of its is trusted, and it is over at the
/// first block that cannot be.</remarks>
internal sealed class ReplayBackend : NetBackend
{
    private const uint SimplePacket = 3;
    private const int HeadBytes = 8, LongestBlock = 1 << 20;
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(20);
    private readonly FileStream _file;
    private readonly ManualResetEventSlim _stop = new();
    private bool _isSwapped;
    private BackgroundThread? _thread;

    /// <summary>Opens the file.</summary>
    /// <exception cref="IOException">It is not there.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not.</exception>
    internal ReplayBackend(string path) => _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
    }

    /// <inheritdoc/>
    protected override void OnAttached() => _thread = new BackgroundThread("net replay", Run);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _stop.Set();
        _thread?.Join();
        _file.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        while (Port is not { IsReceiving: true })
        {
            if (_stop.Wait(LookEvery))
                return;
        }

        byte[] block = new byte[LongestBlock];
        try
        {
            while (!_stop.IsSet && TryReadBlock(block, out uint kind, out int length))
                Deliver(FrameOf(block.AsSpan(0, length), kind));
        }
        catch (IOException)
        {
            // The file is over.
        }
    }

    private bool TryReadBlock(byte[] block, out uint kind, out int length)
    {
        kind = 0;
        length = 0;
        if (_file.ReadAtLeast(block.AsSpan(0, HeadBytes + 4), HeadBytes + 4, throwOnEndOfStream: false) < HeadBytes + 4)
            return false;
        kind = BinaryPrimitives.ReadUInt32LittleEndian(block);
        if (kind == PcapngRecorder.SectionHeader)
            _isSwapped = BinaryPrimitives.ReadUInt32LittleEndian(block.AsSpan(HeadBytes)) != PcapngRecorder.ByteOrderMagic;
        kind = Read(block, 0);
        uint said = Read(block, 4);
        if (said is < HeadBytes + 4 or > LongestBlock || said % 4 != 0)
            return false;
        length = (int)said;
        int left = length - HeadBytes - 4;
        return _file.ReadAtLeast(block.AsSpan(HeadBytes + 4, left), left, throwOnEndOfStream: false) == left;
    }

    private ReadOnlySpan<byte> FrameOf(ReadOnlySpan<byte> block, uint kind)
    {
        int at = kind switch { PcapngRecorder.EnhancedPacket => 28, SimplePacket => 12, _ => int.MaxValue };
        if (at > block.Length - 4)
            return [];
        uint length = Math.Min(Read(block, at - (kind == SimplePacket ? 4 : 8)), (uint)(block.Length - 4 - at));
        return block.Slice(at, (int)length);
    }

    private uint Read(ReadOnlySpan<byte> block, int at)
    {
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(block[at..]);
        return _isSwapped ? BinaryPrimitives.ReverseEndianness(value) : value;
    }

    private void Deliver(ReadOnlySpan<byte> frame)
    {
        while (frame.Length > 0 && !_stop.IsSet && Port is { } port && !port.TryReceive(frame))
            port.WaitForRoom(frame.Length, LookEvery);
    }
}
