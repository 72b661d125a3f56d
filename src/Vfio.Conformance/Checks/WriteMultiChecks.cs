namespace Vfio.Conformance;

/// <summary>REGION_WRITE_MULTI, at the interrupt line of config space.</summary>
internal static class WriteMultiChecks
{
    private const string Section = "VFIO_USER_REGION_WRITE_MULTI";
    private const ulong InterruptLine = 0x3c;

    internal static IEnumerable<Check> All =>
    [
        new("write-multi.not-offered", Section, "A server that did not say write_multiple refuses the command.", trial =>
        {
            if (trial.Device.Capabilities.WriteMultiple is true)
                return Outcome.Skipped("the server says write_multiple");
            Peer peer = trial.Open();
            Received reply = peer.Ask(Requests.WriteMulti(1, (InterruptLine, trial.Device.Config.Index, 1, 0)));
            peer.MustGoOn();
            return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Differs("it was accepted");
        }),
        new("write-multi.three", Section, "The writes are done in order, and wr_cnt of the reply counts them.", trial =>
        {
            Peer peer = Offered(trial.Open());
            uint config = trial.Device.Config.Index;
            Received reply = peer.MustDo(Requests.WriteMulti(3, (InterruptLine, config, 1, 1), (InterruptLine, config, 1, 2),
                (InterruptLine, config, 1, 3)));
            byte read = peer.MustDo(Requests.Read(config, InterruptLine, 1)).At<byte>(16);
            if (reply.At<ulong>(0) != 3)
                return Outcome.Violation($"wr_cnt is {reply.At<ulong>(0)}");
            return read == 3 ? Outcome.Pass() : Outcome.Violation($"the last of three writes is not what is read: {read}");
        }),
        Expect.Answered("write-multi.none", Section, "No writes at all are answered.", peer => Made(peer, 0)),
        Bad("count-above-8", "A write has 8 bytes of data at most.", (config, _) => Requests.WriteMulti(1, (InterruptLine, config, 9, 0))),
        Bad("count-4g", "A write has 8 bytes of data at most.", (config, _) =>
            Requests.WriteMulti(1, (InterruptLine, config, uint.MaxValue, 0))),
        Bad("fewer-than-said", "wr_cnt is how many writes follow.", (config, _) => Requests.WriteMulti(2, (InterruptLine, config, 1, 0))),
        Bad("count-overflows", "wr_cnt is how many writes follow, however large a number it is.",
            (config, _) => Requests.WriteMulti((ulong.MaxValue / 24) + 2, (InterruptLine, config, 1, 0))),
        Bad("count-max", "wr_cnt is how many writes follow, however large a number it is.",
            (config, _) => Requests.WriteMulti(ulong.MaxValue, (InterruptLine, config, 1, 0))),
        Bad("outside", "Each write lies inside its region.", (config, size) => Requests.WriteMulti(1, (size, config, 1, 0))),
        Bad("wraps", "Each write lies inside its region.", (config, _) => Requests.WriteMulti(1, (ulong.MaxValue, config, 4, 0))),
        Bad("no-region", "Each write names a region.", (_, _) => Requests.WriteMulti(1, (0, 0xffff, 1, 0))),
        Bad("body-of-7", "The request has 8 bytes at least.", (_, _) => Requests.WriteMulti(1).Cut(7)),
        Expect.RefusedBetter("write-multi.more-than-said", Section, "wr_cnt is how many writes follow.", peer =>
        {
            uint config = Offered(peer).Device.Config.Index;
            return Requests.WriteMulti(1, (InterruptLine, config, 1, 0), (InterruptLine, config, 1, 0));
        }),
        new("write-multi.second-fails", Section, "wr_cnt of the reply is how many were completed, or the whole is refused.", trial =>
        {
            Peer peer = Offered(trial.Open());
            uint config = trial.Device.Config.Index;
            Received reply = peer.Ask(Requests.WriteMulti(2, (InterruptLine, config, 1, 0), (trial.Device.Config.Size, config, 1, 0)));
            peer.MustGoOn();
            if (reply.IsRefusal)
                return Outcome.Pass(reply.Refusal);
            return reply.At<ulong>(0) < 2 ? Outcome.Pass($"wr_cnt {reply.At<ulong>(0)}") : Outcome.Violation("both count as completed");
        }),
    ];

    private static Peer Offered(Peer peer) => peer.Device.Capabilities.WriteMultiple is true
        ? peer
        : throw CheckEndedException.Skip("the server does not say write_multiple");

    private static Request Made(Peer peer, ulong count)
    {
        Offered(peer);
        return Requests.WriteMulti(count);
    }

    private static Check Bad(string name, string rule, Func<uint, ulong, Request> make) => Expect.Refused(
        $"write-multi.{name}", Section, rule, peer => make(Offered(peer).Device.Config.Index, peer.Device.Config.Size));
}
