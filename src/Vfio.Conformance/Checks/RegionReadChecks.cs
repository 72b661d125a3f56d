using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>REGION_READ.</summary>
internal static class RegionReadChecks
{
    private const string Section = "VFIO_USER_REGION_READ", Inside = "offset and count lie inside the region.";

    internal static IEnumerable<Check> All =>
    [
        .. new uint[] { 1, 2, 4, 8, 64 }.Select(Right),
        new("region-read.every-region", Sections.ReadWrite, "Every readable region can be read by message, also where it can be mapped.",
            trial =>
        {
            Peer peer = trial.Open();
            foreach (RegionInfoMessage region in trial.Device.Regions)
            {
                if (region.Size < 4 || ((RegionFlags)region.Flags & RegionFlags.Read) == 0)
                    continue;
                Received reply = peer.Ask(Requests.Read(region.Index, 0, 4));
                if (reply.IsRefusal)
                    return Outcome.Violation($"region {region.Index}: {reply.Refusal}");
            }

            return Outcome.Pass();
        }),
        new("region-read.identity", Section, "Config space starts with the vendor and the device.", trial =>
        {
            uint identity = trial.Device.Config.Size > 0 ? trial.Device.Identity : 0;
            return (identity & 0xffff) is not 0 and not 0xffff ? Outcome.Pass($"{identity & 0xffff:x4}:{identity >> 16:x4}")
                : Outcome.Differs($"0x{identity:x8}");
        }),
        new("region-read.last-byte", Section, "The last byte of a region belongs to it.", trial =>
        {
            RegionInfoMessage config = trial.Device.Config;
            trial.Open().MustDo(Requests.Read(config.Index, config.Size - 1, 1));
            return Outcome.Pass();
        }),
        new("region-read.mapped-agrees", Sections.ReadWrite,
            "A region that can be mapped can be read by message as well, whatever was mapped of it.", trial =>
        {
            RegionInfoMessage region = trial.Device.RegionWith(RegionFlags.Read | RegionFlags.Map, "no region can be mapped");
            uint count = (uint)Math.Min(region.Size, Math.Min(trial.Device.MaxTransferBytes, 65536));
            Received reply = trial.Open().Ask(Requests.Read(region.Index, 0, count));
            if (reply.IsRefusal)
                return Outcome.Differs($"{count} bytes at once were refused: {reply.Refusal}");
            return reply.Body.Length == 16 + count ? Outcome.Pass($"{count} bytes")
                : Outcome.Violation($"{reply.Body.Length - 16} of {count} bytes");
        }),
        Expect.Answered("region-read.count-0", Section, "A read of nothing is answered.", peer =>
            Requests.Read(peer.Device.Config.Index, 0, 0)),
        Bad("at-the-end", Inside, config => Requests.Read(config.Index, config.Size, 1)),
        Bad("over-the-end", Inside, config => Requests.Read(config.Index, config.Size - 2, 4)),
        Bad("far", Inside, config => Requests.Read(config.Index, 1ul << 40, 4)),
        Bad("wraps", Inside, config => Requests.Read(config.Index, ulong.MaxValue, 4)),
        Bad("wraps-to-start", Inside, config => Requests.Read(config.Index, ulong.MaxValue - 3, 8)),
        Bad("negative", Inside, config => Requests.Read(config.Index, 1ul << 63, 4)),
        Bad("count-4g", "count is at most the server's max_data_xfer_size.", config => Requests.Read(config.Index, 0, uint.MaxValue)),
        Bad("count-2g", "count is at most the server's max_data_xfer_size.", config => Requests.Read(config.Index, 0, 0x80000000)),
        Expect.Refused("region-read.count-above-max", Sections.ReadWrite, "count is at most the server's max_data_xfer_size.",
            peer => Requests.Read(Largest(peer.Device).Index, 0, peer.Device.TooManyBytes)),
        Expect.Refused("region-read.region-past-the-last", Section, "region is the index of a region.",
            peer => Requests.Read(peer.Device.Info.RegionCount, 0, 4)),
        Expect.Refused("region-read.region-4g", Section, "region is the index of a region.", _ => Requests.Read(uint.MaxValue, 0, 4)),
        Expect.Refused("region-read.region-2g", Section, "region is the index of a region.", _ => Requests.Read(0x80000000, 0, 4)),
        Expect.Refused("region-read.absent", Section, "A region of size 0 has no bytes.", peer =>
            Requests.Read(peer.Device.AbsentRegion, 0, 4)),
        .. new[] { 0, 8, 15 }.Select(bytes => Expect.Refused(
            $"region-read.body-of-{bytes}", Section, "The request has 16 bytes; a shorter one is not read past its end.",
            peer => Requests.Read(peer.Device.Config.Index, 0, 4).Cut(bytes))),
        Expect.Answered("region-read.body-long", Section, "Bytes after the request's 16 mean nothing.",
            peer => Requests.Read(peer.Device.Config.Index, 0, 4).Add(1, 2, 3, 4)),
        new("region-read.small-limit", Sections.Version, "A client that takes little data in a message gets no more than that.", trial =>
        {
            Peer peer = trial.Open("""{"capabilities":{"max_data_xfer_size":16}}""");
            Received reply = peer.Ask(Requests.Read(trial.Device.Config.Index, 0, 64));
            peer.MustGoOn();
            return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : Outcome.Differs("64 bytes came for a client that takes 16");
        }),
    ];

    private static RegionInfoMessage Largest(DeviceFacts device)
    {
        RegionInfoMessage largest = device.Config;
        foreach (RegionInfoMessage region in device.Regions)
            largest = region.Size > largest.Size && ((RegionFlags)region.Flags & RegionFlags.Read) != 0 ? region : largest;
        return largest;
    }

    private static Check Right(uint count) => new(
        $"region-read.{count}-bytes", Section, "The reply repeats offset, region and count, and has the data behind them.", trial =>
        {
            Received reply = trial.Open().MustDo(Requests.Read(trial.Device.Config.Index, 0, count));
            RegionAccessMessage access = reply.At<RegionAccessMessage>(0);
            if ((access.Offset, access.Region, access.Count) != (0ul, trial.Device.Config.Index, count))
                return Outcome.Violation($"the reply has offset {access.Offset}, region {access.Region}, count {access.Count}");
            return reply.Body.Length == 16 + count ? Outcome.Pass() : Outcome.Violation($"{reply.Body.Length - 16} bytes of data");
        });

    private static Check Bad(string name, string rule, Func<RegionInfoMessage, Request> make) =>
        Expect.Refused($"region-read.{name}", Section, rule, peer => make(peer.Device.Config));
}
