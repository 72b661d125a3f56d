using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A connection whose other end has said all that it ever will.</summary>
internal sealed class Pair : IDisposable
{
    private const int HeaderBytes = 16, MostMessages = 64, MostBytes = 64 << 10;
    private static readonly FileDescriptor Memory = MemoryFile.Create("fuzz", 0x10000);
    private static readonly EventFd Event = EventFd.Create();
    private readonly UnixSocket _theirs;

    /// <param name="bytes">What it said. Where they are messages of vfio-user, those that carry descriptors do.</param>
    /// <param name="areMessages">Whether they are.</param>
    public Pair(ReadOnlySpan<byte> bytes, bool areMessages)
    {
        (Ours, _theirs) = UnixSocket.CreatePair();
        bytes = bytes[..Math.Min(bytes.Length, MostBytes)];
        for (int i = 0; areMessages && i < MostMessages && bytes.Length >= HeaderBytes; i++)
        {
            int size = (int)Math.Clamp(BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]), HeaderBytes, (uint)bytes.Length);
            Send(bytes[..size], BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]));
            bytes = bytes[size..];
        }

        Send(bytes, 0);
    }

    public UnixSocket Ours { get; }

    public void Dispose()
    {
        Ours.Dispose();
        _theirs.Dispose();
    }

    private void Send(ReadOnlySpan<byte> bytes, int command)
    {
        FileDescriptor[] with = command switch
        {
            2 or 5 => [Memory],
            8 => [Event.Descriptor],
            _ => [],
        };
        if (bytes.Length > 0)
            _theirs.Send(bytes, default, with, wait: false, out _);
    }
}
