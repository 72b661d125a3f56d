using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User;

namespace Vfio.Conformance;

/// <summary>Makes a device read or write memory, for the few devices whose registers are known here.</summary>
internal abstract class DmaDriver
{
    private const uint Edu = 0x11e8_1234, Bench = 0x5542_5646;

    /// <summary>The driver for a server's device, with its bus master on.</summary>
    internal static DmaDriver For(Peer peer)
    {
        DmaDriver driver = peer.Device.Identity switch
        {
            Edu => new EduDriver(),
            Bench => new BenchDriver(),
            _ => throw CheckEndedException.Skip("no device whose DMA could be started from here (1234:11e8 or 5646:5542)"),
        };
        // Memory space and bus master. A device that has no COMMAND to write needs none.
        peer.Ask(Requests.Write(peer.Device.Config.Index, 4, [0x06, 0x00]));
        return driver;
    }

    /// <summary>Makes the device read memory, and waits until it is done.</summary>
    internal abstract void Fetch(Peer peer, ulong address, uint bytes);

    /// <summary>Makes the device write to memory what it read before, and waits until it is done.</summary>
    internal abstract void Store(Peer peer, ulong address, uint bytes);

    private static void Write(Peer peer, ulong offset, ulong value, int bytes = 8) =>
        peer.MustDo(Requests.Write(0, offset, Requests.Bytes(value)[..bytes]));

    /// <summary>QEMU's educational device: its engine runs beside the server, and clears a bit when it is done.</summary>
    private sealed class EduDriver : DmaDriver
    {
        private const ulong Source = 0x80, Destination = 0x88, Count = 0x90, Go = 0x98, Buffer = 0x40000;

        internal override void Fetch(Peer peer, ulong address, uint bytes) => Run(peer, address, Buffer, bytes, 1);

        internal override void Store(Peer peer, ulong address, uint bytes) => Run(peer, Buffer, address, bytes, 3);

        private static void Run(Peer peer, ulong source, ulong destination, uint bytes, ulong command)
        {
            Write(peer, Source, source);
            Write(peer, Destination, destination);
            Write(peer, Count, bytes);
            Write(peer, Go, command);
            Deadline end = new(peer.Trial.Timeout);
            while ((peer.MustDo(Requests.Read(0, Go, 8)).At<ulong>(16) & 1) != 0)
            {
                if (end.HasPassed)
                    throw CheckEndedException.Violation($"a transfer is not over after {peer.Trial.Timeout.TotalSeconds:0.#} s");
                Thread.Sleep(1);
            }
        }
    }

    /// <summary>The benchmark device: the write that starts a transfer is answered when it is over.</summary>
    private sealed class BenchDriver : DmaDriver
    {
        private const ulong Address = 0x18, Length = 0x20, Go = 0x28;

        internal override void Fetch(Peer peer, ulong address, uint bytes) => Run(peer, address, bytes, 4);

        internal override void Store(Peer peer, ulong address, uint bytes) => Run(peer, address, bytes, 5);

        private static void Run(Peer peer, ulong address, uint bytes, ulong operation)
        {
            Write(peer, Address, address);
            Write(peer, Length, bytes);
            Write(peer, Go, operation, 4);
        }
    }
}
