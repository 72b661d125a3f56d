using Vfio.Tests.User;

namespace Vfio.Tests.Fuzz;

/// <summary>Well-formed sessions as clients of this field hold them, by the numbers of the specification: what mutations start from.</summary>
internal static class SeedSessions
{
    private const ushort Version = 1, DmaMap = 2, DmaUnmap = 3, GetInfo = 4, GetRegionInfo = 5, GetRegionIoFds = 6, GetIrqInfo = 7,
        SetIrqs = 8, RegionRead = 9, RegionWrite = 10, DmaRead = 11, DmaWrite = 12, Reset = 13, WriteMulti = 15, Feature = 16,
        MigrationRead = 17, MigrationWrite = 18;

    private const uint NoReply = 0x10;

    /// <summary>All of them.</summary>
    internal static IReadOnlyList<FuzzMessage[]> All { get; } =
    [
        // A client that looks at everything, asking twice for each region as QEMU does.
        [
            Hello(), Say(GetInfo, [16, 0, 0, 0]),
            .. Enumerable.Range(0, 9).SelectMany(i => (FuzzMessage[])[Say(GetRegionInfo, [32, 0, i, 0, 0ul, 0ul]), Say(GetRegionInfo, [96, 0, i, 0, 0ul, 0ul])]),
            .. Enumerable.Range(0, 5).Select(i => Say(GetIrqInfo, [16, 0, i, 0])),
            Say(RegionRead, [0ul, 7, 64]), Say(RegionRead, [0ul, 7, 256]), Say(GetRegionIoFds, [4096, 0, 0, 0]),
        ],

        // A driver: bus master on, a vector bound, memory mapped, a transfer, all taken back.
        [
            Hello(), Say(RegionWrite, [4ul, 7, 2, new byte[] { 6, 0 }]), Say(SetIrqs, [20, 0x24, 1, 0, 1], 1),
            Say(DmaMap, [32, 3, 0ul, 0x0ul, 0x4000ul], 1), Say(DmaMap, [32, 1, 0x4000ul, 0x4000ul, 0x4000ul], 1),
            .. Transfer(0x100, 0x40000, 256, 1), .. Transfer(0x40000, 0x1000, 256, 7), Say(RegionRead, [0x98ul, 0, 8]),
            Say(DmaUnmap, [24, 0, 0x4000ul, 0x4000ul]), Say(DmaUnmap, [24, 0, 0x0ul, 0x4000ul]), Say(SetIrqs, [20, 0x21, 1, 0, 0]), Say(Reset, []),
        ],

        // Memory without a descriptor: the server asks, and this client answers a little too early.
        [
            Hello(), Say(RegionWrite, [4ul, 7, 2, new byte[] { 6, 0 }]), Say(DmaMap, [32, 3, 0ul, 0x10000ul, 0x2000ul]),
            .. Transfer(0x10000, 0x40000, 16, 1), Answer(DmaRead, 32, [0x10000ul, 16ul, new byte[16]]),
            .. Transfer(0x40000, 0x10000, 16, 3), Answer(DmaWrite, 64, [0x10000ul, 16ul]), Say(DmaUnmap, [24, 2, 0ul, 0ul]),
        ],

        // Interrupts in every form.
        [
            Hello(), Say(SetIrqs, [20, 0x24, 0, 0, 1], 1), Say(SetIrqs, [20, 0x09, 0, 0, 1]), Say(SetIrqs, [20, 0x11, 0, 0, 1]),
            Say(SetIrqs, [21, 0x22, 0, 0, 1, new byte[] { 1 }]), Say(SetIrqs, [20, 0x14, 0, 0, 1], 1), Say(SetIrqs, [20, 0x24, 0, 0, 1]),
            Say(SetIrqs, [20, 0x24, 2, 0, 4], 4), Say(SetIrqs, [20, 0x21, 2, 1, 2]), Say(SetIrqs, [20, 0x21, 2, 0, 0]),
            Say(SetIrqs, [20, 0x24, 3, 0, 1], 1), Say(SetIrqs, [20, 0x24, 4, 0, 1], 1), Say(SetIrqs, [20, 0x21, 0, 0, 0]),
        ],

        // Posted writes and reads in flight.
        [
            Hello(), .. Enumerable.Range(0, 16).Select(i => Say(RegionWrite, [4ul, 0, 4, i], 0, NoReply)),
            .. Enumerable.Range(0, 16).Select(_ => Say(RegionRead, [4ul, 0, 4])), Say(RegionWrite, [0x3cul, 7, 1, new byte[] { 5 }]),
        ],

        // Many mappings of one file, some of them taken back.
        [
            Hello(), .. Enumerable.Range(0, 24).Select(i => Say(DmaMap, [32, 3, (ulong)(i % 16) * 0x1000, (ulong)i * 0x1000, 0x1000ul], 1)),
            .. Enumerable.Range(4, 8).Select(i => Say(DmaUnmap, [24, 0, (ulong)i * 0x1000, 0x1000ul])),
        ],

        // What a server may offer beside the rest: several writes at once, DMA logging, migration.
        [
            Hello(), Say(WriteMulti, [2ul, 4ul, 0, 4, 1ul, 0x3cul, 7, 1, 2ul]), Say(Feature, [4096, 0x50001]), Say(Feature, [4096, 0x10002]),
            Say(Feature, [4096, 0x20006, 4096ul, 1, 0, 0ul, 0x4000ul]), Say(DmaMap, [32, 3, 0ul, 0ul, 0x4000ul], 1),
            .. Transfer(0x40000, 0x1000, 64, 3), Say(Feature, [4096, 0x10008, 0ul, 0x4000ul, 4096ul]), Say(Feature, [4096, 0x20007]),
            Say(Feature, [16, 0x20002, 3, 0]), Say(MigrationRead, [4104, 4096]), Say(Feature, [16, 0x20002, 1, 0]), Say(Feature, [16, 0x20002, 4, 0]),
            Say(MigrationWrite, [40, 32, new byte[32]]), Say(Feature, [16, 0x20002, 1, 0]), Say(Reset, []), Say(Feature, [16, 0x20002, 2, 0]),
        ],
    ];

    private static FuzzMessage Hello() => Say(
        Version, [(ushort)0, (ushort)1, "{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576,\"max_dma_maps\":65535,\"write_multiple\":true}}\0"]);

    private static FuzzMessage Say(ushort command, object[] fields, int descriptors = 0, uint flags = 0) =>
        new(RawPeer.Message(command, command, flags, fields), descriptors);

    private static FuzzMessage Answer(ushort command, ushort id, object[] fields) => new(RawPeer.Message(id, command, 1, fields));

    /// <summary>The four registers that make the edu device move bytes.</summary>
    private static FuzzMessage[] Transfer(ulong source, ulong destination, ulong count, ulong go) =>
    [
        Say(RegionWrite, [0x80ul, 0, 8, source]), Say(RegionWrite, [0x88ul, 0, 8, destination]),
        Say(RegionWrite, [0x90ul, 0, 8, count]), Say(RegionWrite, [0x98ul, 0, 8, go]),
    ];
}
