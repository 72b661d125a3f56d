using Vfio.Native;
using Vfio.Native.Files;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>DEVICE_GET_REGION_INFO.</summary>
internal static class RegionInfoChecks
{
    private const string Section = "VFIO_USER_DEVICE_GET_REGION_INFO", Capabilities = "VFIO region capabilities";

    internal static IEnumerable<Check> All =>
    [
        new("region-info.every-index", Section,
            "Every index below num_regions is answered, with its own index and a payload of 32 bytes or more.", trial =>
        {
            Peer peer = trial.Open();
            for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
            {
                Received reply = peer.MustDo(Requests.RegionInfo(i));
                if (reply.At<uint>(8) != i || reply.Body.Length < 32 || reply.At<uint>(0) < 32)
                    return Outcome.Violation($"index {i}: the reply has index {reply.At<uint>(8)}, argsz {reply.At<uint>(0)}, {reply.Body.Length} bytes");
            }

            return Outcome.Pass();
        }),
        new("region-info.config", Section, "A PCI device has its config space at index 7: 256 or 4096 bytes, readable and writable.",
            trial =>
        {
            RegionInfoMessage config = trial.Device.Config;
            bool right = config.Size is 256 or 4096
                && ((RegionFlags)config.Flags & (RegionFlags.Read | RegionFlags.Write)) == (RegionFlags.Read | RegionFlags.Write);
            return right ? Outcome.Pass() : Outcome.Violation($"{config.Size} bytes, flags 0x{config.Flags:x}");
        }),
        new("region-info.capabilities", Capabilities, "A capability list lies inside the payload, goes forward, and ends.", trial =>
            ForEach(trial, Walk)),
        new("region-info.sparse-areas", "VFIO region info cap sparse mmap",
            "Areas that can be mapped are whole pages inside the region, apart from each other.",
            trial => ForEach(trial, CheckAreas)),
        new("region-info.descriptor", Section, "With the MMAP flag comes a descriptor; it can be mapped at the offset given.", trial =>
            ForEach(trial, CheckFile)),
        new("region-info.no-descriptor", Section, "Without the MMAP flag there is nothing that a descriptor could be for.", trial =>
            ForEach(trial, (region, reply) =>
            ((RegionFlags)region.Flags & RegionFlags.Map) == 0 && reply.Descriptors.Count > 0
                ? Outcome.Differs($"{reply.Descriptors.Count} came") : Outcome.Pass())),
        new("region-info.no-descriptors-taken", Sections.Version, "A client that takes no descriptors in a message gets none.", trial =>
        {
            Peer peer = trial.Open("""{"capabilities":{"max_msg_fds":0}}""");
            for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
            {
                if (peer.Ask(Requests.RegionInfo(i, 4096)).Descriptors.Count > 0)
                    return Outcome.Violation($"a descriptor came with the info of region {i}");
            }

            return Outcome.Pass();
        }),
        new("region-info.argsz-grows", Sections.Sizes,
            "argsz in the reply is the size needed; a request with that argsz gets all of it.", trial =>
        {
            Peer peer = trial.Open();
            for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
            {
                Received first = peer.MustDo(Requests.RegionInfo(i));
                uint needed = first.At<uint>(0);
                if (needed == 32)
                    continue;
                if (first.Body.Length > 32)
                    return Outcome.Violation($"region {i}: {first.Body.Length} bytes for an argsz of 32");
                Received second = peer.MustDo(Requests.RegionInfo(i, needed));
                if (second.Body.Length != needed)
                    return Outcome.Violation($"region {i}: {second.Body.Length} bytes where {needed} were said to be needed");
            }

            return Outcome.Pass();
        }),
        .. new uint[] { 0, 16, 31 }.Select(size =>
            Expect.Fits($"region-info.argsz-{size}", Sections.Sizes, size, (_, argSize) => Requests.RegionInfo(0, argSize))),
        Expect.Answered("region-info.argsz-4g", Sections.Sizes, "An argsz of 4 GiB is only a bound.", _ =>
            Requests.RegionInfo(0, uint.MaxValue)),
        Outside("past-the-last", peer => peer.Device.Info.RegionCount),
        Outside("2g", _ => 0x80000000),
        Outside("4g", _ => uint.MaxValue),
        .. new[] { 0, 8, 12, 31 }.Select(bytes => Expect.Refused(
            $"region-info.body-of-{bytes}", Section, "The request has 32 bytes; a shorter one is not read past its end.", _ =>
                Requests.RegionInfo(0).Cut(bytes))),
        Expect.Answered("region-info.fields-set", Section, "All fields but argsz and index are zero: others are refused or passed over.",
            _ => new Request(Command.DeviceGetRegionInfo,
                [32, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, .. Enumerable.Repeat((byte)0xff, 20)])),
    ];

    private static Check Outside(string name, Func<Peer, uint> index) => Expect.Refused(
        $"region-info.index-{name}", Section, "Indexes go up to num_regions; another one is refused.", peer =>
            Requests.RegionInfo(index(peer)));

    private static Outcome ForEach(Trial trial, Func<RegionInfoMessage, Received, Outcome> look)
    {
        Peer peer = trial.Open();
        Outcome worst = Outcome.Pass();
        for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
        {
            Received reply = peer.MustDo(Requests.RegionInfo(i, 4096));
            Outcome outcome = look(reply.At<RegionInfoMessage>(0), reply);
            if (outcome.Verdict > worst.Verdict)
                worst = outcome with { Reason = $"region {i}: {outcome.Reason}" };
        }

        return worst;
    }

    private static Outcome Walk(RegionInfoMessage region, Received reply)
    {
        uint at = (region.Flags & RegionInfoMessage.HasCapabilities) != 0 ? region.CapabilityOffset : 0;
        if ((region.Flags & RegionInfoMessage.HasCapabilities) != 0 && at < 32)
            return Outcome.Violation($"the CAPS flag is set and cap_offset is {at}");
        uint least = 32;
        while (at != 0)
        {
            if (at < least || at > reply.Body.Length - 8)
                return Outcome.Violation($"a capability at {at} of {reply.Body.Length} bytes, after one that ends at {least} or later");
            least = at + 8;
            at = reply.At<CapabilityHeader>((int)at).Next;
        }

        return Outcome.Pass();
    }

    private static Outcome CheckAreas(RegionInfoMessage region, Received reply)
    {
        if ((region.Flags & RegionInfoMessage.HasCapabilities) == 0 || Walk(region, reply).Verdict != Verdict.Pass)
            return Outcome.Pass();
        for (uint at = region.CapabilityOffset; at != 0; at = reply.At<CapabilityHeader>((int)at).Next)
        {
            if (reply.At<CapabilityHeader>((int)at).Id != CapabilityHeader.SparseMmap)
                continue;
            uint count = reply.At<uint>((int)at + 8);
            if (count > (reply.Body.Length - (int)at - 16) / 16)
                return Outcome.Violation($"{count} areas do not fit the payload");
            ulong end = 0;
            for (uint i = 0; i < count; i++)
            {
                SparseMmapArea area = reply.At<SparseMmapArea>((int)(at + 16 + (i * 16)));
                if (area.Size == 0 || area.Offset > region.Size || area.Size > region.Size - area.Offset)
                    return Outcome.Violation($"an area of {area.Size} bytes at 0x{area.Offset:x} in a region of {region.Size}");
                if (((area.Offset | area.Size) & 4095) != 0)
                    return Outcome.Violation($"an area of {area.Size} bytes at 0x{area.Offset:x} is not made of pages");
                if (area.Offset < end)
                    return Outcome.Differs($"the area at 0x{area.Offset:x} is out of order or overlaps another");
                end = area.Offset + area.Size;
            }
        }

        return Outcome.Pass();
    }

    private static Outcome CheckFile(RegionInfoMessage region, Received reply)
    {
        if (((RegionFlags)region.Flags & RegionFlags.Map) == 0)
            return Outcome.Pass();
        if (reply.Descriptors.Count != 1)
            return Outcome.Violation($"{reply.Descriptors.Count} descriptors came with the MMAP flag");
        FileIdentity file = FileIdentity.Of(reply.Descriptors[0]);
        if ((region.Offset & 4095) != 0)
            return Outcome.Violation($"offset 0x{region.Offset:x} is no multiple of a page");
        return !file.IsRegular || (region.Offset <= file.LengthBytes && region.Size <= file.LengthBytes - region.Offset)
            ? Outcome.Pass()
            : Outcome.Differs($"the file has {file.LengthBytes} bytes, the region {region.Size} at offset 0x{region.Offset:x}");
    }
}
