using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>REGION_WRITE, at the interrupt line of config space: a byte that does nothing.</summary>
internal static class RegionWriteChecks
{
    private const string Section = "VFIO_USER_REGION_WRITE", Inside = "offset and count lie inside the region.";
    private const string AsMany = "As many bytes of data follow as count says.";
    private const ulong InterruptLine = 0x3c;

    internal static IEnumerable<Check> All =>
    [
        new("region-write.echo", Section, "The reply repeats offset, region and count, without the data.", trial =>
        {
            Received reply = trial.Open().MustDo(Requests.Write(trial.Device.Config.Index, InterruptLine, [0x5a]));
            RegionAccessMessage access = reply.At<RegionAccessMessage>(0);
            if ((access.Offset, access.Region, access.Count) != (InterruptLine, trial.Device.Config.Index, 1u))
                return Outcome.Violation($"the reply has offset {access.Offset}, region {access.Region}, count {access.Count}");
            return reply.Body.Length == 16 ? Outcome.Pass() : Outcome.Differs($"{reply.Body.Length - 16} bytes more");
        }),
        new("region-write.read-back", Section, "The data is written to the region.", trial =>
        {
            Peer peer = trial.Open();
            peer.MustDo(Requests.Write(trial.Device.Config.Index, InterruptLine, [0xa5]));
            byte read = peer.MustDo(Requests.Read(trial.Device.Config.Index, InterruptLine, 1)).At<byte>(16);
            return read == 0xa5 ? Outcome.Pass() : Outcome.Differs($"the interrupt line reads 0x{read:x2} after 0xa5 was written");
        }),
        new("region-write.read-only-bits", Section, "The vendor of config space cannot be changed.", trial =>
        {
            Peer peer = trial.Open();
            peer.Ask(Requests.Write(trial.Device.Config.Index, 0, [0x12, 0x34]));
            ushort vendor = peer.MustDo(Requests.Read(trial.Device.Config.Index, 0, 2)).At<ushort>(16);
            return vendor == (ushort)trial.Device.Identity ? Outcome.Pass() : Outcome.Differs($"it became 0x{vendor:x4}");
        }),
        Expect.Answered("region-write.count-0", Section, "A write of nothing is answered.", peer =>
            Requests.Write(peer.Device.Config.Index, InterruptLine, [])),
        Bad("at-the-end", Inside, config => Requests.Write(config.Index, config.Size, [0])),
        Bad("over-the-end", Inside, config => Requests.Write(config.Index, config.Size - 2, [0, 0, 0, 0])),
        Bad("far", Inside, config => Requests.Write(config.Index, 1ul << 40, [0])),
        Bad("wraps", Inside, config => Requests.Write(config.Index, ulong.MaxValue, [0, 0])),
        Bad("negative", Inside, config => Requests.Write(config.Index, 1ul << 63, [0, 0])),
        Bad("count-4g", AsMany, config => Requests.Write(config.Index, InterruptLine, [0], uint.MaxValue)),
        Bad("data-short", AsMany, config => Requests.Write(config.Index, InterruptLine, [0], 4)),
        Bad("data-missing", AsMany, config => Requests.Write(config.Index, InterruptLine, [], 1)),
        Expect.RefusedBetter("region-write.data-long", Section, AsMany, peer =>
            Requests.Write(peer.Device.Config.Index, InterruptLine, [0, 0, 0, 0], 1)),
        Expect.Refused("region-write.count-above-max", Sections.ReadWrite, "count is at most the server's max_data_xfer_size.",
            peer => Requests.Write(peer.Device.Config.Index, 0, new byte[16],
                peer.Device.TooManyBytes)),
        Expect.Refused("region-write.region-past-the-last", Section, "region is the index of a region.",
            peer => Requests.Write(peer.Device.Info.RegionCount, 0, [0])),
        Expect.Refused("region-write.region-4g", Section, "region is the index of a region.", _ => Requests.Write(uint.MaxValue, 0, [0])),
        Expect.Refused("region-write.absent", Section, "A region of size 0 has no bytes.", peer =>
            Requests.Write(peer.Device.AbsentRegion, 0, [0])),
        .. new[] { 0, 8, 15 }.Select(bytes => Expect.Refused(
            $"region-write.body-of-{bytes}", Section, "The request has 16 bytes at least; a shorter one is not read past its end.",
            peer => Requests.Write(peer.Device.Config.Index, InterruptLine, []).Cut(bytes))),
        new("region-write.full-size", Sections.ReadWrite, "A write of max_data_xfer_size bytes is taken, refused or carried out.", trial =>
        {
            // At an index that no device has, so that nothing is written.
            Peer peer = trial.Open();
            uint count = (uint)Math.Min(trial.Device.MaxTransferBytes, 4 << 20);
            Received reply = peer.Ask(Requests.Write(trial.Device.Info.RegionCount, 0, new byte[count]));
            peer.MustGoOn();
            return reply.IsRefusal ? Outcome.Pass($"{count} bytes") : Outcome.Violation("a region that is not there was written");
        }),
    ];

    private static Check Bad(string name, string rule, Func<RegionInfoMessage, Request> make) =>
        Expect.Refused($"region-write.{name}", Section, rule, peer => make(peer.Device.Config));
}
