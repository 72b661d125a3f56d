using System.Buffers.Binary;
using Vfio.Devices.Nvme;
using Vfio.Tests.Testing;

namespace Vfio.Tests.Devices;

/// <summary>Features, log pages and events of the model, against NVM Express Base Specification 2.0.</summary>
public sealed class NvmeAnswerTests : IDisposable
{
    private const byte GetLogPage = 0x02, Identify = 0x06, Abort = 0x08, SetFeatures = 0x09, GetFeatures = 0x0a, EventRequest = 0x0c,
        SelfTest = 0x14, Attachment = 0x15, KeepAlive = 0x18;

    private const int Data = NvmeRig.Data;
    private readonly FakeStorage _storage = new();
    private readonly ManualClock _clock = new();
    private readonly SlotRig _nvme;

    public NvmeAnswerTests()
    {
        _nvme = new SlotRig(new NvmeFunction(_storage, new NvmeSettings(NvmeNames.OfMemory(), Namespaces: 2), _clock));
        _nvme.Enable();
    }

    public void Dispose() => _nvme.Dispose();

    /// <summary>Section 5.27.1: a feature, CDW11, and the status.</summary>
    [Theory]
    [InlineData(0x02, 0x00000000, 0x000)] // 5.27.1.2 Power Management: state 0
    [InlineData(0x02, 0x00000005, 0x002)] // state 5 of 1
    [InlineData(0x04, 0x00000150, 0x000)] // 5.27.1.3 Temperature Threshold: over, composite
    [InlineData(0x04, 0x00100100, 0x000)] // under, composite
    [InlineData(0x04, 0x00010150, 0x002)] // sensor 1 of none
    [InlineData(0x04, 0x00200150, 0x002)] // threshold type 2
    [InlineData(0x05, 0x00000064, 0x000)] // 5.27.1.4 Error Recovery: TLER
    [InlineData(0x05, 0x00010000, 0x002)] // DULBE, which NSFEAT does not have
    [InlineData(0x06, 0x00000003, 0x002)] // 5.27.1.5 Volatile Write Cache: a reserved bit
    [InlineData(0x07, 0x00030003, 0x000)] // 5.27.1.6 Number of Queues
    [InlineData(0x07, 0x0003ffff, 0x002)]
    [InlineData(0x08, 0x00000a05, 0x000)] // 5.27.1.7 Interrupt Coalescing
    [InlineData(0x08, 0x00010000, 0x002)]
    [InlineData(0x09, 0x00010010, 0x000)] // 5.27.1.8 Interrupt Vector Configuration: vector 16
    [InlineData(0x09, 0x000000c8, 0x002)] // vector 200
    [InlineData(0x0a, 0x00000001, 0x000)] // Write Atomicity Normal
    [InlineData(0x0a, 0x00000002, 0x002)]
    [InlineData(0x0b, 0x00000102, 0x000)] // 5.27.1.9 Asynchronous Event Configuration
    [InlineData(0x0b, 0x00000800, 0x002)] // an event that OAES does not have
    [InlineData(0x0f, 0x00001388, 0x000)] // 5.27.1.12 Keep Alive Timer
    [InlineData(0x19, 0x00000000, 0x000)] // 5.27.1.21 I/O Command Set Profile
    [InlineData(0x19, 0x00000001, 0x12b)]
    [InlineData(0x7f, 0x00000000, 0x002)]
    public void A_feature_is_set_when_it_makes_sense(byte feature, int value, int status)
    {
        Assert.Equal(status, _nvme.Admin(SetFeatures, dword10: feature, dword11: (uint)value).Status);
        Assert.Equal(feature == 0x7f ? 0x002 : 0x10d, _nvme.Admin(SetFeatures, dword10: feature | 0x8000_0000, dword11: (uint)value).Status);
    }

    [Fact]
    public void What_was_set_is_got_and_the_default_too()
    {
        Assert.Equal((0, 343u), _nvme.Admin(GetFeatures, dword10: 0x04));
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x04, dword11: 350).Status);
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x04, dword11: 0x0010_0100).Status);
        Assert.Equal((0, 350u), _nvme.Admin(GetFeatures, dword10: 0x04));
        Assert.Equal((0, 0x100u), _nvme.Admin(GetFeatures, dword10: 0x04, dword11: 0x0010_0000));
        Assert.Equal((0, 343u), _nvme.Admin(GetFeatures, dword10: 0x104));
        Assert.Equal((0, 4u), _nvme.Admin(GetFeatures, dword10: 0x304)); // changeable, not saveable
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x09, dword11: 0x0001_0003).Status);
        Assert.Equal((0, 0x0001_0003u), _nvme.Admin(GetFeatures, dword10: 0x09, dword11: 3));
        Assert.Equal((0, 4u), _nvme.Admin(GetFeatures, dword10: 0x09, dword11: 4));
        Assert.Equal(0x10f, _nvme.Admin(SetFeatures, dword10: 0x04, dword11: 350, space: 1).Status);
    }

    [Fact]
    public void Queue_counts_are_settled_once_there_are_queues()
    {
        _nvme.CreatePair(1);
        Assert.Equal(0x00c, _nvme.Admin(SetFeatures, dword10: 7, dword11: 0x0003_0003).Status);
    }

    [Fact]
    public void A_timestamp_goes_on_from_what_was_set()
    {
        byte[] set = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(set, 1_000_000);
        _nvme.Poke(Data, set);
        Assert.Equal(0, _nvme.Admin(SetFeatures, Data, 0x0e).Status);
        _clock.Advance(TimeSpan.FromMilliseconds(1500));
        Assert.Equal(0, _nvme.Admin(GetFeatures, Data, 0x0e).Status);
        Assert.Equal(1_001_500ul | 0x2ul << 48, _nvme.Peek64(Data)); // Timestamp Origin 1: set by the host
    }

    [Fact]
    public void Host_behavior_is_kept_and_what_is_not_offered_is_refused()
    {
        _nvme.Poke(Data, [1, .. new byte[511]]);
        Assert.Equal(0, _nvme.Admin(SetFeatures, Data, 0x16).Status);
        _nvme.Poke(Data, new byte[512]);
        Assert.Equal(0, _nvme.Admin(GetFeatures, Data, 0x16).Status);
        Assert.Equal(1, _nvme.Peek(Data, 1)[0]);
        _nvme.Poke(Data, [1, 0, 1]); // LBA formats beyond 16
        Assert.Equal(0x002, _nvme.Admin(SetFeatures, Data, 0x16).Status);
    }

    [Fact]
    public void Smart_counts_data_commands_hours_cycles_and_shutdowns()
    {
        _nvme.CreatePair(1);
        for (int i = 0; i < 3; i++)
            Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 8));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Write, 0, 8));
        _storage.ReadError = Errno.InputOutput;
        Assert.Equal(0x281, _nvme.Range(1, NvmeRig.Read, 0, 8));
        _clock.Advance(TimeSpan.FromHours(5.5));
        ReadLog(2, 512);
        Assert.Equal((0, 303), (_nvme.Peek(Data, 1)[0], BinaryPrimitives.ReadUInt16LittleEndian(_nvme.Peek(Data + 1, 2))));
        Assert.Equal((1ul, 1ul), (_nvme.Peek64(Data + 32), _nvme.Peek64(Data + 48)));    // thousands of 512 bytes, rounded up
        Assert.Equal((3ul, 1ul), (_nvme.Peek64(Data + 64), _nvme.Peek64(Data + 80)));    // commands
        Assert.Equal((1ul, 5ul, 0ul), (_nvme.Peek64(Data + 112), _nvme.Peek64(Data + 128), _nvme.Peek64(Data + 144)));
        Assert.Equal((1ul, 1ul), (_nvme.Peek64(Data + 160), _nvme.Peek64(Data + 176)));  // media errors, error log entries
        _nvme.Reset();
        _nvme.Enable();
        ReadLog(2, 512);
        Assert.Equal((2ul, 1ul), (_nvme.Peek64(Data + 112), _nvme.Peek64(Data + 144)));
        _nvme.WriteRegister(0x14, 0x0046_4001);
        NvmeRig.WaitUntil(() => (_nvme.ReadRegister(0x1c) & 0xc) == 8);
        _nvme.Reset();
        _nvme.Enable();
        ReadLog(2, 512);
        Assert.Equal((3ul, 1ul), (_nvme.Peek64(Data + 112), _nvme.Peek64(Data + 144)));
    }

    [Fact]
    public void The_error_log_has_the_newest_failure_first()
    {
        _nvme.CreatePair(2);
        Assert.Equal(0x001, _nvme.Admin(0x7f).Status);
        ushort id = _nvme.Submit(2, NvmeRig.Read, Data, 5000, 0, 0, space: 1);
        Assert.Equal(0x6080, _nvme.TakeWhole(2)); // LBA Out of Range, Do Not Retry, More
        ReadLog(1, 128);
        Assert.Equal((2ul, 1ul), (_nvme.Peek64(Data), _nvme.Peek64(Data + 64)));
        byte[] entry = _nvme.Peek(Data, 64);
        Assert.Equal(2, BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(8)));
        Assert.Equal(id, BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(10)));
        Assert.Equal(0x080, BinaryPrimitives.ReadUInt16LittleEndian(entry.AsSpan(12)) >> 1 & 0x7ff);
        Assert.Equal(5000ul, BinaryPrimitives.ReadUInt64LittleEndian(entry.AsSpan(16)));
        Assert.Equal(1u, BinaryPrimitives.ReadUInt32LittleEndian(entry.AsSpan(24)));
    }

    [Fact]
    public void A_failure_that_a_retry_may_heal_has_no_Do_Not_Retry()
    {
        _nvme.CreatePair(1);
        _storage.ReadError = Errno.InputOutput;
        _nvme.Begin(1, NvmeRig.Read);
        Assert.Equal(0x2281, _nvme.TakeWhole(1));
    }

    [Fact]
    public void An_event_request_ends_when_the_temperature_is_beyond_its_threshold_and_once_until_the_log_was_read()
    {
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x0b, dword11: 0x02).Status);
        ushort first = _nvme.BeginAdmin(EventRequest);
        ushort second = _nvme.BeginAdmin(EventRequest);
        ushort set = _nvme.BeginAdmin(SetFeatures, dword10: 0x04, dword11: 300);
        (ushort Id, int Status, uint Result)[] ended = [_nvme.Take(0), _nvme.Take(0)];
        Assert.Contains((set, 0, 0u), ended);
        Assert.Contains((first, 0, 0x0002_0101u), ended); // SMART log, temperature threshold
        ReadLog(2, 512);
        Assert.Equal(0x02, _nvme.Peek(Data, 1)[0]);
        set = _nvme.BeginAdmin(SetFeatures, dword10: 0x04, dword11: 301);
        ended = [_nvme.Take(0), _nvme.Take(0)];
        Assert.Contains((set, 0, 0u), ended);
        Assert.Contains((second, 0, 0x0002_0101u), ended);
    }

    [Theory]
    [InlineData(0x1000 + (8 * 9), 1, 0x0001_0000u)]  // queue 9 is not there
    [InlineData(0x1000 + (8 * 1), 16, 0x0001_0100u)] // entry 16 of 16
    public void A_wrong_doorbell_is_an_event_and_has_no_other_effect(int register, int value, uint result)
    {
        _nvme.CreatePair(1);
        ushort request = _nvme.BeginAdmin(EventRequest);
        _nvme.WriteRegister(register, (uint)value);
        Assert.Equal((request, 0, result), _nvme.Take(0));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
    }

    [Fact]
    public void Abort_ends_an_event_request()
    {
        ushort request = _nvme.BeginAdmin(EventRequest);
        ushort abort = _nvme.BeginAdmin(Abort, dword10: (uint)request << 16);
        Assert.Equal((request, 0x007, 0u), _nvme.Take(0));
        Assert.Equal((abort, 0, 0u), _nvme.Take(0));
        Assert.Equal((0, 1u), _nvme.Admin(Abort, dword10: (uint)request << 16));
    }

    [Fact]
    public void A_driver_that_does_not_keep_alive_loses_its_controller()
    {
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x0f, dword11: 4500).Status);
        Assert.Equal((0, 5000u), _nvme.Admin(GetFeatures, dword10: 0x0f)); // KAS: by seconds
        _clock.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(0, _nvme.Admin(KeepAlive).Status);
        _clock.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal(0x1u, _nvme.ReadRegister(0x1c));
        _clock.Advance(TimeSpan.FromSeconds(1));
        NvmeRig.WaitUntil(() => _nvme.ReadRegister(0x1c) == 0x3);
        _nvme.Disable();
        _nvme.Enable();
        _clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0, _nvme.Admin(KeepAlive).Status);
    }

    [Fact]
    public void Admin_queues_out_of_reach_are_a_fatal_status()
    {
        _nvme.Disable();
        _nvme.WriteRegister(0x2c, 0x1000); // ASQ above all memory
        _nvme.WriteRegister(0x14, 0x0046_0001);
        _nvme.WriteRegister(0x1000, 1);
        NvmeRig.WaitUntil(() => _nvme.ReadRegister(0x1c) == 0x3);
        _nvme.Disable();
        _nvme.Enable();
        Assert.Equal(0, _nvme.Admin(Identify, Data, 1).Status);
    }

    [Fact]
    public void A_subsystem_reset_leaves_registers_as_after_power_on_and_says_so()
    {
        _nvme.WriteRegister(0x20, 1);
        Assert.Equal(0x1u, _nvme.ReadRegister(0x1c));
        _nvme.WriteRegister(0x20, 0x4e56_4d65);
        Assert.Equal(0x10u, _nvme.ReadRegister(0x1c));
        Assert.Equal((0u, 0u, 0u), (_nvme.ReadRegister(0x14), _nvme.ReadRegister(0x24), _nvme.ReadRegister(0x30)));
        _nvme.WriteRegister(0x1c, 0x10);
        Assert.Equal(0x0u, _nvme.ReadRegister(0x1c));
        _nvme.Enable();
    }

    /// <summary>Section 5.17.2: CNS, NSID, CDW11, and the status.</summary>
    [Theory]
    [InlineData(0x00, 0xffffffff, 0, 0x000)]
    [InlineData(0x00, 3, 0, 0x00b)]
    [InlineData(0x02, 0xfffffffe, 0, 0x00b)]
    [InlineData(0x05, 1, 0, 0x000)]
    [InlineData(0x05, 1, 0x02000000, 0x12c)] // the zoned command set
    [InlineData(0x06, 0, 0, 0x000)]
    [InlineData(0x06, 0, 0x02000000, 0x12c)]
    [InlineData(0x07, 0, 0, 0x000)]
    [InlineData(0x08, 1, 0, 0x000)]
    [InlineData(0x10, 0, 0, 0x000)]
    [InlineData(0x11, 2, 0, 0x000)]
    [InlineData(0x12, 1, 0, 0x000)]
    [InlineData(0x13, 0, 0, 0x000)]
    [InlineData(0x1a, 0, 0, 0x000)]
    [InlineData(0x1c, 0, 0, 0x000)]
    [InlineData(0x14, 0, 0, 0x002)]
    [InlineData(0x7f, 0, 0, 0x002)]
    public void A_structure_of_Identify_is_there_or_refused(uint structure, uint space, uint dword11, int status) =>
        Assert.Equal(status, _nvme.Admin(Identify, Data, structure, dword11, space).Status);

    [Fact]
    public void Lists_and_command_sets_are_as_the_specification_has_them()
    {
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x07).Status);
        Assert.Equal((1u, 2u, 0u), (_nvme.Peek32(Data), _nvme.Peek32(Data + 4), _nvme.Peek32(Data + 8)));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x02, space: 1).Status);
        Assert.Equal((2u, 0u), (_nvme.Peek32(Data), _nvme.Peek32(Data + 4)));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x1c).Status);
        Assert.Equal((1ul, 0ul), (_nvme.Peek64(Data), _nvme.Peek64(Data + 8)));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x13).Status);
        Assert.Equal(1u, _nvme.Peek32(Data));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x08, space: 1).Status);
        Assert.Equal(1, _nvme.Peek(Data + 14, 1)[0]);
    }

    /// <summary>Figure 275: a field of Identify Controller by its offset, its size, and its value.</summary>
    [Theory]
    [InlineData("VID", 0, 2, 0x5646)]
    [InlineData("IEEE", 73, 3, 0x564649)]
    [InlineData("MDTS", 77, 1, 8)]
    [InlineData("CNTLID", 78, 2, 0)]
    [InlineData("VER", 80, 4, 0x20000)]
    [InlineData("OAES", 92, 4, 0x100)]
    [InlineData("CNTRLTYPE", 111, 1, 1)]
    [InlineData("OACS", 256, 2, 0x11a)]
    [InlineData("AERL", 259, 1, 3)]
    [InlineData("FRMW", 260, 1, 3)]
    [InlineData("LPA", 261, 1, 0x26)]
    [InlineData("ELPE", 262, 1, 63)]
    [InlineData("NPSS", 263, 1, 0)]
    [InlineData("WCTEMP", 266, 2, 343)]
    [InlineData("CCTEMP", 268, 2, 373)]
    [InlineData("TNVMCAP", 280, 8, 1 << 20)]
    [InlineData("KAS", 320, 2, 10)]
    [InlineData("SANICAP", 328, 4, 0x40000002)]
    [InlineData("SQES", 512, 1, 0x66)]
    [InlineData("CQES", 513, 1, 0x44)]
    [InlineData("NN", 516, 4, 2)]
    [InlineData("ONCS", 520, 2, 0xdf)]
    [InlineData("FUSES", 522, 2, 1)]
    [InlineData("FNA", 524, 1, 0)]
    [InlineData("VWC", 525, 1, 7)]
    [InlineData("SGLS", 536, 4, 1)]
    [InlineData("MNAN", 540, 4, 2)]
    public void Identify_Controller_has_its_fields_where_the_specification_has_them(string field, int offset, int bytes, ulong value)
    {
        Assert.Equal(0, _nvme.Admin(Identify, Data, 1).Status);
        byte[] wide = new byte[8];
        _nvme.Peek(Data + offset, bytes).CopyTo(wide, 0);
        Assert.True(value == BinaryPrimitives.ReadUInt64LittleEndian(wide), $"{field} is {Convert.ToHexString(wide[..bytes])}");
    }

    /// <summary>Section 5.16.1: a log page, and its status.</summary>
    [Theory]
    [InlineData(0x00, 0x000)]
    [InlineData(0x01, 0x000)]
    [InlineData(0x02, 0x000)]
    [InlineData(0x03, 0x000)]
    [InlineData(0x04, 0x000)]
    [InlineData(0x05, 0x000)]
    [InlineData(0x06, 0x000)]
    [InlineData(0x12, 0x000)]
    [InlineData(0x81, 0x000)]
    [InlineData(0x07, 0x109)]
    [InlineData(0xc0, 0x109)]
    public void A_log_page_is_there_or_refused_and_the_list_of_pages_agrees(int page, int status)
    {
        Assert.Equal(status, _nvme.Admin(GetLogPage, Data, 0x007f_0000u | (uint)page).Status);
        ReadLog(0, 1024);
        Assert.Equal(status == 0 ? 1u : 0, _nvme.Peek32(Data + (4 * page)));
    }

    [Fact]
    public void Commands_supported_are_those_that_are_done()
    {
        ReadLog(5, 4096);
        byte[] log = _nvme.Peek(Data, 4096);
        for (int opcode = 0; opcode < 256; opcode++)
        {
            // Some of them would disturb the test, and an event request is not completed.
            bool isSupported = (log[4 * opcode] & 1) != 0;
            if (opcode is 0x00 or 0x01 or 0x04 or 0x05 or 0x0c or 0x80 or 0x84)
                Assert.True(isSupported);
            else
                Assert.Equal(isSupported, _nvme.Admin((byte)opcode).Status != 0x001);
        }
    }

    [Fact]
    public void A_namespace_that_is_detached_is_gone_is_in_the_log_and_comes_back()
    {
        _nvme.CreatePair(1);
        Assert.Equal(0, _nvme.Admin(SetFeatures, dword10: 0x0b, dword11: 0x100).Status);
        ushort request = _nvme.BeginAdmin(EventRequest);
        _nvme.Poke(Data, [1, 0, 0, 0]); // one controller, number 0
        ushort detach = _nvme.BeginAdmin(Attachment, Data, 1, space: 2);
        (ushort Id, int Status, uint Result)[] ended = [_nvme.Take(0), _nvme.Take(0)];
        Assert.Contains((detach, 0, 0u), ended);
        Assert.Contains((request, 0, 0x0004_0002u), ended); // Notice, Namespace Attribute Changed, log 04h
        Assert.Equal(0x004, _nvme.Admin(0x02, 0x1_0000_0000, 0x03ff_0004).Status); // to where there is no memory
        ReadLog(4, 4096);
        Assert.Equal((2u, 0u), (_nvme.Peek32(Data), _nvme.Peek32(Data + 4)));
        ReadLog(4, 4096);
        Assert.Equal(0u, _nvme.Peek32(Data));
        Assert.Equal(0x002, _nvme.Range(1, NvmeRig.Read, 0, 1, space: 2));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x02).Status);
        Assert.Equal((1u, 0u), (_nvme.Peek32(Data), _nvme.Peek32(Data + 4)));
        Assert.Equal(0, _nvme.Admin(Identify, Data, 0x10).Status);
        Assert.Equal((1u, 2u), (_nvme.Peek32(Data), _nvme.Peek32(Data + 4)));
        _nvme.Poke(Data, [1, 0, 0, 0]);
        Assert.Equal(0x11a, _nvme.Admin(Attachment, Data, 1, space: 2).Status);
        Assert.Equal(0, _nvme.Admin(Attachment, Data, 0, space: 2).Status);
        Assert.Equal(0x118, _nvme.Admin(Attachment, Data, 0, space: 2).Status);
        _nvme.Poke(Data, [1, 0, 7, 0]);
        Assert.Equal(0x11c, _nvme.Admin(Attachment, Data, 1, space: 2).Status);
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 1, space: 2));
    }

    [Fact]
    public void No_namespace_is_made_or_deleted()
    {
        const byte Management = 0x0d;
        Assert.Equal(0x115, _nvme.Admin(Management, Data, 0).Status);
        Assert.Equal(0x002, _nvme.Admin(Management, dword10: 1, space: 2).Status);
        Assert.Equal(0x00b, _nvme.Admin(Management, dword10: 1, space: 9).Status);
    }

    [Fact]
    public void A_self_test_leaves_its_result_in_the_log()
    {
        Assert.Equal(0, _nvme.Admin(SelfTest, dword10: 1, space: 1).Status);
        NvmeRig.WaitUntil(() => Log(6, 564)[0] == 0);
        byte[] log = Log(6, 564);
        Assert.Equal(0x10, log[4]);         // short, without an error
        Assert.Equal(0x0f, log[4 + 28]);    // not used
        _storage.ReadError = Errno.InputOutput;
        Assert.Equal(0, _nvme.Admin(SelfTest, dword10: 2, space: 0xffff_ffff).Status);
        NvmeRig.WaitUntil(() => Log(6, 564)[4] != 0x10);
        Assert.Equal((0x27, 0x10), (Log(6, 564)[4], Log(6, 564)[4 + 28])); // extended, a segment failed
        _storage.Hang("read");
        Assert.Equal(0, _nvme.Admin(SelfTest, dword10: 1, space: 1).Status);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("read hangs"));
        Assert.Equal(0x11d, _nvme.Admin(SelfTest, dword10: 1, space: 1).Status);
        Assert.Equal(0, _nvme.Admin(SelfTest, dword10: 0xf).Status);
        Assert.Equal(0x11, Log(6, 564)[4]); // aborted by a command
        _storage.Release("read");
        Assert.Equal(0x002, _nvme.Admin(SelfTest, dword10: 3).Status);
    }

    private byte[] Log(byte page, int bytes)
    {
        ReadLog(page, bytes);
        return _nvme.Peek(Data, bytes);
    }

    private void ReadLog(byte page, int bytes) =>
        Assert.Equal(0, _nvme.Admin(GetLogPage, Data, (uint)((bytes / 4) - 1) << 16 | page, space: 0xffff_ffff).Status);
}
