using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>Descriptors with messages that take none: the server must ignore and close them.</summary>
internal static class DescriptorChecks
{
    internal static IEnumerable<Check> All =>
    [
        Unasked("device-info", _ => Requests.DeviceInfo(), 1),
        Unasked("region-info", _ => Requests.RegionInfo(0), 2),
        Unasked("irq-info", _ => Requests.IrqInfo(0), 1),
        Unasked("region-read", peer => Requests.Read(peer.Device.Config.Index, 0, 4), 1),
        Unasked("region-write", peer => Requests.Write(peer.Device.Config.Index, 0x3c, [0]), 1),
        Unasked("dma-unmap", _ => Requests.DmaUnmap(0x5000, 0x1000), 1),
        Unasked("reset", _ => Requests.Reset(), 1),
        Unasked("unknown-command", _ => new Request((Command)99, []), 1),
        Unasked("as-many-as-agreed", _ => Requests.DeviceInfo(), 8),
        new("descriptors.more-than-agreed", Sections.Version, "More descriptors than the server takes in a message do not end it.", trial =>
        {
            Peer peer = trial.Open();
            FileDescriptor file = trial.MemoryFile(4096);
            peer.Send(Requests.DeviceInfo().With([.. Enumerable.Repeat(file, UnixSocket.MaxDescriptors)]));
            string fate = peer.Await(out Received? reply) switch
            {
                Arrival.Closed => "the server closed the connection",
                Arrival.Silence => throw CheckEndedException.Violation("the server neither answered nor closed"),
                _ => reply!.IsRefusal ? reply.Refusal : "answered",
            };
            peer.Dispose();
            trial.Open().MustGoOn();
            return Outcome.Pass(fate);
        }),
        new("descriptors.are-closed", Sections.Disconnection, "Descriptors that came in a session are closed when it ends.", trial =>
        {
            Settled before = new(trial);
            Peer peer = trial.Open();
            FileDescriptor file = trial.MemoryFile(4096);
            for (int i = 0; i < 20; i++)
            {
                peer.Ask(Requests.DeviceInfo().With(file, file));
                peer.Ask(Requests.DmaMap(0x10000 + ((ulong)i * 0x1000), 0x1000).With(file));
                peer.Ask(new Request((Command)99, []).With(file));
            }

            peer.Dispose();
            return before.IsReachedAgain(out int now) ? Outcome.Pass()
                : Outcome.Violation($"{before.Count} open descriptors before, {now} after");
        }),
    ];

    private static Check Unasked(string name, Func<Peer, Request> make, int count) => Expect.Answered(
        $"descriptors.on-{name}", Sections.Security, "Descriptors that a command has no use for do no harm.", peer =>
        {
            FileDescriptor file = peer.Trial.MemoryFile(4096);
            return make(peer).With([.. Enumerable.Repeat(file, count)]);
        });

    /// <summary>Number of open descriptors of the server's process with one idle client.</summary>
    private sealed class Settled
    {
        private readonly Trial _trial;
        private readonly int _process;

        internal Settled(Trial trial)
        {
            _trial = trial;
            using Peer quiet = trial.Open();
            _process = trial.ProcessId ?? throw CheckEndedException.Skip("which process serves is known only when it was started from here");
            Count = Now();
        }

        internal int Count { get; }

        internal bool IsReachedAgain(out int now)
        {
            using Peer quiet = _trial.Open();
            if (_trial.ProcessId != _process)
                throw CheckEndedException.Skip("the server ends with its client");
            for (Deadline end = new(_trial.Timeout); ; Thread.Sleep(5))
            {
                now = Now();
                if (now <= Count || end.HasPassed)
                    return now <= Count;
            }
        }

        private int Now() => Directory.GetFileSystemEntries($"/proc/{_process}/fd").Length;
    }
}
