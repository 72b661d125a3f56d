namespace Vfio.Conformance;

/// <summary>DEVICE_GET_REGION_IO_FDS, which a server need not offer.</summary>
internal static class RegionIoFdsChecks
{
    private const string Section = "VFIO_USER_DEVICE_GET_REGION_IO_FDS";

    internal static IEnumerable<Check> All =>
    [
        new("region-io-fds.every-region", Section, "Sub-regions lie inside the region, and each names one of the descriptors that came.",
            trial =>
        {
            Peer peer = trial.Open();
            Outcome outcome = Outcome.Skipped("the server refuses it for every region");
            for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
            {
                Received reply = peer.Ask(Requests.RegionIoFds(i, 4096));
                if (reply.IsRefusal)
                    continue;
                if (outcome.Verdict == Verdict.Skipped)
                    outcome = Outcome.Pass();
                if (FindFault(trial.Device.Regions[(int)i].Size, i, reply) is string fault)
                    return Outcome.Violation($"region {i}: {fault}");
            }

            peer.MustGoOn();
            return outcome;
        }),
        new("region-io-fds.argsz-grows", Sections.Sizes, "With too small an argsz the reply fits it and says what is needed.", trial =>
        {
            Peer peer = trial.Open();
            for (uint i = 0; i < trial.Device.Info.RegionCount; i++)
            {
                Received reply = peer.Ask(Requests.RegionIoFds(i, 16));
                if (!reply.IsRefusal && reply.Body.Length > 16)
                    return Outcome.Violation($"region {i}: {reply.Body.Length} bytes for an argsz of 16");
            }

            return Outcome.Pass();
        }),
        .. new uint[] { 0, 15 }.Select(size =>
            Expect.Fits($"region-io-fds.argsz-{size}", Sections.Sizes, size, (_, argSize) => Requests.RegionIoFds(0, argSize))),
        Expect.Refused("region-io-fds.index-past-the-last", Section, "index is that of a region.", peer =>
            Requests.RegionIoFds(peer.Device.Info.RegionCount, 4096)),
        Expect.Refused("region-io-fds.index-4g", Section, "index is that of a region.", _ => Requests.RegionIoFds(uint.MaxValue, 4096)),
        Expect.RefusedBetter("region-io-fds.flags-set", Section, "flags are zero.", _ => Requests.RegionIoFds(0, 4096, flags: 1)),
        Expect.RefusedBetter("region-io-fds.count-set", Section, "count is zero in the request.", _ =>
            Requests.RegionIoFds(0, 4096, count: 0x10000000)),
        .. new[] { 0, 8, 15 }.Select(bytes => Expect.Refused(
            $"region-io-fds.body-of-{bytes}", Section, "The request has 16 bytes; a shorter one is not read past its end.", _ =>
                Requests.RegionIoFds(0).Cut(bytes))),
    ];

    private static string? FindFault(ulong regionBytes, uint region, Received reply)
    {
        (uint argSize, uint index, uint count) = (reply.At<uint>(0), reply.At<uint>(8), reply.At<uint>(12));
        if (index != region)
            return $"the reply has index {index}";
        if (count > 0 && reply.Descriptors.Count == 0)
            return $"{count} sub-regions and no descriptor";
        if (reply.Body.Length < argSize)
            return null;
        for (uint i = 0; i < count; i++)
        {
            int at = (int)(16 + (i * 40));
            (ulong offset, ulong size, uint descriptor) = (reply.At<ulong>(at), reply.At<ulong>(at + 8), reply.At<uint>(at + 16));
            if (offset > regionBytes || size > regionBytes - offset)
                return $"sub-region {i} has {size} bytes at 0x{offset:x} of {regionBytes}";
            if (descriptor >= reply.Descriptors.Count)
                return $"sub-region {i} names descriptor {descriptor} of {reply.Descriptors.Count}";
            if (reply.At<uint>(at + 20) > 1)
                return $"sub-region {i} has the type {reply.At<uint>(at + 20)}";
        }

        return null;
    }
}
