using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Tests.User;

/// <summary>Every struct of the wire beside the tables of the specification: size, and offset of each field.</summary>
public sealed class WireLayoutTests
{
    public static TheoryData<Type, int, (string Field, int Offset)[]> Structs => new()
    {
        { typeof(MessageHeader), 16, [("Id", 0), ("Command", 2), ("Size", 4), ("Flags", 8), ("Error", 12)] },
        { typeof(VersionMessage), 4, [("Major", 0), ("Minor", 2)] },
        { typeof(DmaMapMessage), 32, [("ArgSize", 0), ("Flags", 4), ("Offset", 8), ("Address", 16), ("Size", 24)] },
        { typeof(DmaUnmapMessage), 24, [("ArgSize", 0), ("Flags", 4), ("Address", 8), ("Size", 16)] },
        { typeof(DeviceInfoMessage), 16, [("ArgSize", 0), ("Flags", 4), ("RegionCount", 8), ("InterruptCount", 12)] },
        {
            typeof(RegionInfoMessage), 32,
            [("ArgSize", 0), ("Flags", 4), ("Index", 8), ("CapabilityOffset", 12), ("Size", 16), ("Offset", 24)]
        },
        { typeof(CapabilityHeader), 8, [("Id", 0), ("Version", 2), ("Next", 4)] },
        { typeof(SparseMmapMessage), 8, [("AreaCount", 0), ("Reserved", 4)] },
        { typeof(SparseMmapArea), 16, [("Offset", 0), ("Size", 8)] },
        { typeof(IrqInfoMessage), 16, [("ArgSize", 0), ("Flags", 4), ("Index", 8), ("Count", 12)] },
        { typeof(SetIrqsMessage), 20, [("ArgSize", 0), ("Flags", 4), ("Index", 8), ("Start", 12), ("Count", 16)] },
        { typeof(RegionAccessMessage), 16, [("Offset", 0), ("Region", 8), ("Count", 12)] },
        { typeof(WriteMultiMessage), 8, [("Count", 0)] },
        { typeof(RegisterWriteMessage), 24, [("Access", 0), ("Data", 16)] },
        { typeof(RegionIoFdsMessage), 16, [("ArgSize", 0), ("Flags", 4), ("Index", 8), ("Count", 12)] },
        {
            typeof(SubRegionIoEventFd), 40,
            [("Offset", 0), ("Size", 8), ("DescriptorIndex", 16), ("Type", 20), ("Flags", 24), ("Padding", 28), ("DataMatch", 32)]
        },
        { typeof(DmaTransfer), 16, [("Address", 0), ("Count", 8)] },
        { typeof(DeviceFeatureMessage), 8, [("ArgSize", 0), ("Flags", 4)] },
        { typeof(MigrationStateMessage), 8, [("DeviceState", 0), ("DataDescriptor", 4)] },
        { typeof(MigrationDataMessage), 8, [("ArgSize", 0), ("Size", 4)] },
        { typeof(DmaLoggingControl), 16, [("PageSize", 0), ("RangeCount", 8), ("Reserved", 12)] },
        { typeof(DmaLoggingRange), 16, [("Address", 0), ("Length", 8)] },
        { typeof(DmaLoggingReport), 24, [("Address", 0), ("Length", 8), ("PageSize", 16)] },
        { typeof(DirtyBitmapMessage), 16, [("PageSize", 0), ("Size", 8)] },
    };

    [Theory]
    [MemberData(nameof(Structs), DisableDiscoveryEnumeration = true)]
    public void A_struct_has_the_specifications_layout(Type type, int size, (string Field, int Offset)[] fields)
    {
        Assert.Equal(size, Marshal.SizeOf(type));
        Assert.All(fields, field => Assert.Equal(field.Offset, (int)Marshal.OffsetOf(type, field.Field)));
        Assert.Equal(fields.Length, type.GetFields().Count(field => !field.IsStatic));
    }

    [Theory]
    [InlineData((int)Command.Version, 1)]
    [InlineData((int)Command.DmaMap, 2)]
    [InlineData((int)Command.DmaUnmap, 3)]
    [InlineData((int)Command.DeviceGetInfo, 4)]
    [InlineData((int)Command.DeviceGetRegionInfo, 5)]
    [InlineData((int)Command.DeviceGetRegionIoFds, 6)]
    [InlineData((int)Command.DeviceGetIrqInfo, 7)]
    [InlineData((int)Command.DeviceSetIrqs, 8)]
    [InlineData((int)Command.RegionRead, 9)]
    [InlineData((int)Command.RegionWrite, 10)]
    [InlineData((int)Command.DmaRead, 11)]
    [InlineData((int)Command.DmaWrite, 12)]
    [InlineData((int)Command.DeviceReset, 13)]
    [InlineData((int)Command.RegionWriteMulti, 15)]
    [InlineData((int)Command.DeviceFeature, 16)]
    [InlineData((int)Command.MigDataRead, 17)]
    [InlineData((int)Command.MigDataWrite, 18)]
    public void A_command_has_the_specifications_number(int command, int number) => Assert.Equal(number, command);

    [Fact]
    public void A_header_is_these_bytes()
    {
        MessageHeader header = MessageHeader.ForCommand(0x1234, Command.RegionWrite, 20, MessageFlags.NoReply);
        Assert.Equal(Convert.FromHexString("34120A00240000001000000000000000"), Blittable.AsBytes(ref header));
        MessageHeader refusal = header.Reply(0, Errno.InvalidArgument);
        Assert.Equal(Convert.FromHexString("34120A00100000002100000016000000"), Blittable.AsBytes(ref refusal));
    }
}
