using System.Buffers.Binary;
using Vfio.Devices;
using Vfio.Devices.Network;
using static Vfio.Tests.Devices.IgbVirtualRig;

namespace Vfio.Tests.Devices;

/// <summary>The virtual functions of the model of the 82576, with the numbers of its datasheet and without a driver: config space, mailbox,
/// resets, the switch, and functions that mean ill.</summary>
public sealed class IgbVirtualFunctionTests : IDisposable
{
    private const string All = "ffffffffffff", Foreign = "020000000099";
    private readonly Cable _cable = new();
    private readonly IgbVirtualRig _igb;

    public IgbVirtualFunctionTests() => _igb = new IgbVirtualRig(_cable, 2);

    public void Dispose() => _igb.Dispose();

    private Side Pf => _igb.Physical;

    private Side First => _igb.Virtual[0];

    private Side Second => _igb.Virtual[1];

    [Fact]
    public void The_physical_function_has_the_capability_at_its_place()
    {
        // Error reporting, serial number, ARI, SR-IOV: each names the next.
        Assert.Equal([0x1401_0001u, 0x1501_0003u, 0x1601_000eu, 0x0001_0010u], ((int[])[0x100, 0x140, 0x150, 0x160]).Select(at => Pf.Function.ReadConfig(at, 4)));

        // VF Enable and VF MSE; initial, total and enabled functions; first offset and stride; device id.
        Assert.Equal(0x0009u, Pf.Function.ReadConfig(0x168, 2));
        Assert.Equal([2u, 2u, 2u], ((int[])[0x16c, 0x16e, 0x170]).Select(at => Pf.Function.ReadConfig(at, 2)));
        Assert.Equal((0x0180u, 0x0002u, 0x10cau), (Pf.Function.ReadConfig(0x174, 2), Pf.Function.ReadConfig(0x176, 2), Pf.Function.ReadConfig(0x17a, 2)));

        // STATUS: two functions, in the mode of IOV.
        Assert.Equal(0x0004_8000u, Pf[0x0008] & 0x0007_c000);
    }

    [Fact]
    public void The_owner_has_enabled_them_and_a_write_does_not_end_that()
    {
        Pf.Function.WriteConfig(0x168, 2, 0);
        Pf.Function.WriteConfig(0x170, 2, 7);
        Assert.Equal((0x0009u, 2u), (Pf.Function.ReadConfig(0x168, 2), Pf.Function.ReadConfig(0x170, 2)));
    }

    [Fact]
    public void A_virtual_function_has_the_shape_of_one()
    {
        Assert.Equal(new VirtualFunctionIds(0x8086, 0x10ca), First.Function.VirtualIds);
        Assert.Equal(uint.MaxValue, First.Function.ReadConfig(0x00, 4));
        Assert.Equal((0x4000ul, 0x4000ul), (First.Function.GetLength(RegionIndex.Bar0), First.Function.GetLength(RegionIndex.Bar(3))));
        Assert.Contains(ResetMethod.Flr, First.Function.ResetMethods);

        // MSI-X is its first capability: 3 vectors.
        uint msix = First.Function.ReadConfig(0x34, 1);
        Assert.Equal(0x11u, First.Function.ReadConfig((int)msix, 1));
        Assert.Equal(2u, First.Function.ReadConfig((int)msix + 2, 2) & 0x7ff);
    }

    [Theory]
    [InlineData("9")]
    [InlineData("-1")]
    [InlineData("x")]
    public void No_such_number_of_them_is_refused_in_one_line(string count)
    {
        VfioException refusal = Assert.Throws<VfioException>(() => ModelCatalog.Create("igb", new Dictionary<string, string> { ["vfs"] = count }));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void Queues_of_a_virtual_function_are_queues_of_the_port()
    {
        Second[0x2800] = 0x1234_5680;
        Second[0x2908] = 0x400;
        Second[0x3818] = 3;
        Assert.Equal((0x1234_5680u, 0x400u, 3u), (Pf[0xc040], Pf[0xc248], Pf[0xe058]));
        Assert.Equal((0u, 0u, 0u), (First[0x2800], First[0x2908], First[0x3818]));
    }

    [Fact]
    public void A_mailbox_belongs_to_one_side_at_a_time()
    {
        First[VirtualMailbox] = VirtualOwns;
        Assert.Equal((uint)VirtualOwns, First[VirtualMailbox] & 0x0c);
        Pf[PhysicalMailbox] = PhysicalOwns;
        Assert.Equal((uint)VirtualOwns, Pf[PhysicalMailbox]);
        First[VirtualMailbox] = 0;
        Pf[PhysicalMailbox] = PhysicalOwns;
        First[VirtualMailbox] = VirtualOwns;
        Assert.Equal((uint)PhysicalOwns, First[VirtualMailbox] & 0x0c);

        // The other function's is another.
        Assert.Equal(0u, Pf[PhysicalMailbox + 4]);
    }

    [Fact]
    public void A_message_comes_with_an_interrupt_to_each_side()
    {
        EnableMsix(Pf, 0x4);
        EnableMsix(First, 0x3);

        // The physical function: message per cause, other causes to vector 2, VMMB. The virtual one: mailbox to vector 1.
        Pf[0x1514] = 0x10;
        Pf[0x1740] = 0x8200;
        Pf[0x1524] = 4;
        Pf[0x1508] = 0x100;
        First[0x1740] = 0x81;
        First[0x1524] = 2;
        First[Memory] = 0x0000_0001;
        First[VirtualMailbox] = Request;
        Pf.Slot.WaitFor("MSI-X 2");
        Assert.Equal(0x100u, Pf[0x1500] & 0x100);
        Assert.Equal(1u, Pf[0x0c80]);
        Assert.Equal(1u, Pf[Memory]);
        Pf[0x0c80] = 1;
        Assert.Equal(0u, Pf[0x0c80]);

        Pf[Memory] = 0x8000_0001;
        Pf[PhysicalMailbox] = 3;
        First.Slot.WaitFor("MSI-X 1");

        // PFSTS, PFACK and RSTI, which stays; the others are cleared when read.
        Assert.Equal(0x70u, First[VirtualMailbox]);
        Assert.Equal(0x40u, First[VirtualMailbox]);
        Assert.Equal(0x8000_0001u, First[Memory]);
        First[VirtualMailbox] = Read;
        Assert.Equal(0x1_0000u, Pf[0x0c80]);
    }

    [Fact]
    public void A_masked_mailbox_is_noted_and_raises_nothing()
    {
        Pf[0x0c84] = 0xfe;
        First[VirtualMailbox] = Request;
        Assert.Equal(1u, Pf[0x0c80]);
        Second[VirtualMailbox] = Request;
        Pf.Slot.WaitUntil(() => (Pf[0x1500] & 0x100) != 0);
    }

    [Fact]
    public void Ownership_can_be_revoked()
    {
        First[VirtualMailbox] = VirtualOwns | Request;
        Pf[PhysicalMailbox] = 0x10;
        Assert.Equal(0u, Pf[PhysicalMailbox]);
        Assert.Equal(0u, Pf[0x0c80]);
        Pf[PhysicalMailbox] = PhysicalOwns;
        Assert.Equal((uint)PhysicalOwns, Pf[PhysicalMailbox]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reset_of_a_virtual_function_is_told_and_reaches_no_other(bool isFlr)
    {
        _igb.Start();
        First[VirtualMailbox] = VirtualOwns;
        if (isFlr)
            Assert.Equal(Errno.None, First.Function.Reset(ResetMethod.Flr));
        else
            First[0x0000] = 0x0400_0000;
        Pf.Slot.WaitUntil(() => (Pf[0x1500] & 0x100) != 0);
        Assert.Equal((1u, 0xfeu, 0xfeu), (Pf[0x0c88], Pf[0x0c8c], Pf[0x0c90]));
        Assert.Equal((0x0001_0000u, 0u, 0u), (First[0x2828], First[0x3828], First[0x2800]));
        Assert.Equal(0u, Pf[PhysicalMailbox]);
        Assert.Equal((0x0200_0000u, 0x0200_0000u), (Second[0x2828], Second[0x3828]));
        Pf[0x0c88] = 1;
        Assert.Equal(0u, Pf[0x0c88]);
        Second.Send(Frame(AddressOf(null), AddressOf(1)));
        Assert.Equal(Frame(AddressOf(null), AddressOf(1)), Pf.Take());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reset_of_a_virtual_function_leaves_its_next_user_nothing_of_the_last_one(bool isFlr)
    {
        _igb.Start();
        First[0x0f0c] = Second[0x0f0c] = 0x0000_0002;
        for (int i = 0; i < 16; i++)
            First[Memory + (4 * i)] = Second[Memory + (4 * i)] = 0xfeed_0000u + (uint)i;
        Pf[PhysicalMailbox] = 3;
        First[VirtualMailbox] = Request | Read;
        Second[VirtualMailbox] = Request;
        Assert.Equal(0x1_0003u, Pf[0x0c80]);
        if (isFlr)
            Assert.Equal(Errno.None, First.Function.Reset(ResetMethod.Flr));
        else
            First[0x0000] = 0x0400_0000;

        // VTPSRTYPE, VMBMEM, MBVFICR; PFSTS, PFACK and RSTD of the mailbox.
        Assert.Equal(0u, First[0x0f0c]);
        Assert.All(Enumerable.Range(0, 16), i => Assert.Equal(0u, First[Memory + (4 * i)]));
        Assert.Equal(2u, Pf[0x0c80]);
        Assert.Equal(0u, First[VirtualMailbox]);
        Assert.Equal((2u, 0xfeed_000fu), (Second[0x0f0c], Second[Memory + 60]));
    }

    [Fact]
    public void A_narrow_write_of_a_register_of_the_port_leaves_its_other_bytes()
    {
        First[0x2800] = 0x1234_5680;
        First[Memory] = 0x1122_3344;
        First.Function.WriteRegion(RegionIndex.Bar0, 0x2802, [0xaa]);
        First.Function.WriteRegion(RegionIndex.Bar0, (ulong)Memory + 1, [0xbb, 0xcc]);
        Assert.Equal((0x12aa_5680u, 0x11cc_bb44u), (First[0x2800], First[Memory]));
        byte[] part = new byte[2];
        First.Function.ReadRegion(RegionIndex.Bar0, 0x2802, part);
        Assert.Equal([0xaa, 0x12], part);
    }

    [Theory]
    [InlineData(0x0c90, 0xfeu)]
    [InlineData(0x5818, 0u)]
    public void A_frame_that_was_fetched_does_not_leave_when_its_pool_may_not_send_any_more(int register, uint value)
    {
        _igb.Start();

        // VFTE, or MRQC: off once the frame is being read.
        First.Slot.OnRead = () => Pf[register] = value;
        First.Queue(Frame(All, AddressOf(0)));
        First.Slot.WaitUntil(() => Pf[register] == value);
        Assert.True(Pf.IsEmpty && Second.IsEmpty && _cable.IsEmpty);
    }

    [Fact]
    public void A_frame_that_was_for_the_user_before_a_reset_is_not_put_in_after_it()
    {
        Vfio.Devices.Igb.IgbInbox inbox = new();
        int before = inbox.Epoch;
        inbox.Clear();
        Assert.True(inbox.TryPut(new byte[60], before));
        Assert.Equal(-1, inbox.Take(new byte[2048], out _));
        Assert.True(inbox.TryPut(new byte[60], inbox.Epoch, route: 0x81));
        Assert.Equal((60, 0x81), (inbox.Take(new byte[2048], out int route), route));
    }

    [Fact]
    public void What_waits_for_a_pool_is_dropped_when_the_pool_is_off()
    {
        _igb.Start();
        First[0x2818] = First[0x2810];
        byte[] held = Frame(AddressOf(0), Foreign), waits = Frame(AddressOf(0), Foreign, 100), later = Frame(AddressOf(0), Foreign, 200);
        _cable.Give(held);
        Assert.True(First.IsEmpty);
        _cable.Give(waits);
        Pf[0x0c8c] = 0xfe;
        First[0x2818] = 63;
        Assert.Equal(held, First.Take());
        Assert.True(First.IsEmpty);
        Pf[0x0c8c] = 0xff;
        _cable.Give(later);
        Assert.Equal(later, First.Take());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reset_of_the_physical_function_stops_all_until_it_is_back(bool isFlr)
    {
        _igb.Start();
        _ = First[VirtualMailbox];
        if (isFlr)
            Assert.Equal(Errno.None, Pf.Function.Reset(ResetMethod.Flr));
        else
            Pf[0x0000] = 0x0400_0000;
        foreach (Side each in _igb.Virtual)
        {
            Assert.Equal(0x40u, each[VirtualMailbox]);
            Assert.Equal((0u, 0u), (each[0x2808], each[0x3808]));
        }

        // CTRL_EXT.PFRSTD: RSTI goes, RSTD is read once.
        Pf[0x0018] = 0x4000;
        Assert.Equal(0x80u, First[VirtualMailbox]);
        Assert.Equal(0u, First[VirtualMailbox]);
        Pf.Wake();
        _igb.Start();
        First.Send(Frame(AddressOf(1), AddressOf(0)));
        Assert.Equal(Frame(AddressOf(1), AddressOf(0)), Second.Take());
    }

    [Fact]
    public void Frames_go_between_functions_and_to_the_cable()
    {
        _igb.Start();
        byte[] across = Frame(AddressOf(1), AddressOf(0)), up = Frame(AddressOf(null), AddressOf(0)), out1 = Frame(Foreign, AddressOf(0), 1514);
        First.Send(across);
        Assert.Equal(across, Second.Take());
        First.Send(up);
        Assert.Equal(up, Pf.Take());
        Pf.Send(Frame(AddressOf(0), AddressOf(null)));
        Assert.Equal(Frame(AddressOf(0), AddressOf(null)), First.Take());
        First.Send(out1);
        Assert.Equal(out1, _cable.Take());

        // What is to a station of the port did not leave it; all was counted.
        Assert.True(_cable.IsEmpty);
        Assert.Equal((3u, 2u, 1u, 1u), (First[0x0f14], First[0x0f44], First[0x0f10], First[0x0f40]));
        Assert.Equal((64u + 4, 64u + 4), (Second[0x0f18], Second[0x0f48]));
        Assert.Equal((64u + 64 + 1514 + 12, 128u + 8), (First[0x0f34], First[0x0f50]));
    }

    [Fact]
    public void Frames_from_the_cable_are_for_whom_they_name_and_else_for_the_default()
    {
        _igb.Start();
        byte[] first = Frame(AddressOf(0), Foreign), own = Frame(AddressOf(null), Foreign), all = Frame(All, Foreign);
        _cable.Give(first);
        _cable.Give(own);
        _cable.Give(all);
        Assert.Equal(first, First.Take());
        Assert.Equal(all, First.Take());
        Assert.Equal(own, Pf.Take());
        Assert.Equal(all, Pf.Take());
        Assert.Equal(all, Second.Take());

        // To a station that nobody has: nobody's, until the physical function is promiscuous.
        _cable.Give(Frame("020000000077", Foreign));
        Assert.True(First.IsEmpty && Second.IsEmpty && Pf.IsEmpty);
        Pf[0x0100] |= 8;
        _cable.Give(Frame("020000000077", Foreign));
        Assert.Equal(Frame("020000000077", Foreign), Pf.Take());
        Assert.True(First.IsEmpty && Second.IsEmpty);
    }

    [Fact]
    public void A_broadcast_reaches_all_others_and_the_cable()
    {
        _igb.Start();
        byte[] frame = Frame(All, AddressOf(0));
        First.Send(frame);
        Assert.Equal(frame, Second.Take());
        Assert.Equal(frame, Pf.Take());
        Assert.Equal(frame, _cable.Take());
        Assert.True(First.IsEmpty);

        // LLE: its own pool too.
        Pf[0x3500] |= 1 << 16;
        First.Send(frame);
        Assert.Equal(frame, First.Take());
    }

    [Fact]
    public void A_group_reaches_those_that_want_it_and_without_replication_the_default()
    {
        const string Group = "01005e000001";
        _igb.Start();

        // MTA, by the 12 bits of 47:36: octets 00 and 01, so 0x010; VF 1 wants it (ROMPE).
        Pf[0x5200] = 1 << 16;
        Pf[0x5ad4] |= 0x0200_0000;
        byte[] frame = Frame(Group, Foreign);
        _cable.Give(frame);
        Assert.Equal(frame, Second.Take());
        Assert.True(First.IsEmpty && Pf.IsEmpty);

        // MPME wants every group.
        Pf[0x5ad0] |= 0x1000_0000;
        _cable.Give(Frame("01005e0a0a0a", Foreign));
        Assert.Equal(Frame("01005e0a0a0a", Foreign), First.Take());
        Assert.True(Second.IsEmpty);
        Pf[0x581c] &= ~0x4000_0000u;
        _cable.Give(frame);
        Assert.Equal(frame, Pf.Take());
        Assert.True(First.IsEmpty && Second.IsEmpty);
    }

    [Fact]
    public void Without_loopback_all_leaves_by_the_cable()
    {
        _igb.Start(switching: 0);
        byte[] frame = Frame(AddressOf(1), AddressOf(0));
        First.Send(frame);
        Assert.Equal(frame, _cable.Take());
        Assert.True(Second.IsEmpty);
    }

    [Fact]
    public void Another_ones_address_is_not_sent_from()
    {
        _igb.Start(switching: 0x8000_0001);
        byte[] wrong = Frame(AddressOf(null), AddressOf(1)), right = Frame(AddressOf(null), AddressOf(0));
        First.Send(wrong);

        // WVBR names its pool, and a read clears it; ICR.DOUTSYNC.
        Pf.Slot.WaitUntil(() => (Pf[0x1500] & 0x1000_0000) != 0);
        Assert.Equal(1u, Pf[0x3554]);
        Assert.Equal(0u, Pf[0x3554]);
        First.Send(right);
        Assert.Equal(right, Pf.Take());
        Assert.True(_cable.IsEmpty);
    }

    [Fact]
    public void Tags_are_filtered_inserted_and_spoofed_ones_dropped()
    {
        _igb.Start(switching: 0x8000_0100);

        // RCTL.VFE; VLVF: tag 5 is for pools 0 and 2; VMVIR: pool 1 gets tag 5 always.
        Pf[0x0100] |= 1 << 18;
        Pf[0x5d00] = 0x8000_0005 | 0b101u << 12;
        Pf[0x3704] = 0x4000_0005;
        Second.Send(Frame(AddressOf(0), AddressOf(1)));
        byte[] tagged = First.Take();
        Assert.Equal([0x81, 0x00, 0x00, 0x05, 0x88, 0xb5], tagged[12..18]);

        // Pool 1 is not in tag 5: what is to it does not come.
        First.Send([.. Frame(AddressOf(1), AddressOf(0))[..12], 0x81, 0x00, 0x00, 0x05, .. new byte[50]]);
        Assert.True(Second.IsEmpty);

        // Anti-spoof of tags: pool 0 sends 5, not 6.
        First.Send([.. Frame(AddressOf(null), AddressOf(0))[..12], 0x81, 0x00, 0x00, 0x06, .. new byte[50]]);
        Pf.Slot.WaitUntil(() => (Pf[0x1500] & 0x1000_0000) != 0);
        Assert.Equal(0x100u, Pf[0x3554]);

        // VMOLR.STRVLAN strips.
        Pf[0x5ad8] |= 0x4000_0000;
        Second.Send(Frame(AddressOf(null), AddressOf(1)));
        Assert.Equal(Frame(AddressOf(null), AddressOf(1)), Pf.Take());
    }

    [Fact]
    public void A_pool_that_is_off_neither_sends_nor_receives()
    {
        _igb.Start();
        Pf[0x0c90] = 0xfe;
        Pf[0x0c8c] = 0xfd;
        First.Queue(Frame(AddressOf(null), AddressOf(0)));
        Second.Send(Frame(AddressOf(0), AddressOf(1)));
        Assert.Equal(Frame(AddressOf(0), AddressOf(1)), First.Take());
        Pf.Send(Frame(AddressOf(1), AddressOf(null)));
        Assert.True(Second.IsEmpty && Pf.IsEmpty);

        // On again: what waited is sent.
        Pf[0x0c90] = 0xff;
        Assert.Equal(Frame(AddressOf(null), AddressOf(0)), Pf.Take());
    }

    [Fact]
    public void Without_the_switch_the_physical_function_has_all_and_virtual_ones_are_mute()
    {
        _igb.Start();
        Pf[0x5818] = 0;
        First.Queue(Frame(Foreign, AddressOf(0)));
        Pf.Send(Frame(AddressOf(0), AddressOf(null)));
        Assert.Equal(Frame(AddressOf(0), AddressOf(null)), _cable.Take());
        Assert.True(First.IsEmpty && _cable.IsEmpty);
    }

    [Fact]
    public void A_longer_frame_than_a_pool_takes_is_not_for_it()
    {
        _igb.Start();
        First.Send(Frame(AddressOf(1), AddressOf(0), 1600));
        Assert.True(Second.IsEmpty);

        // VMOLR: LPE and 1,604 bytes.
        Pf[0x5ad4] |= 0x1_0000 | 1604;
        First.Send(Frame(AddressOf(1), AddressOf(0), 1600));
        Assert.Equal(1600, Second.Take().Length);
    }

    [Fact]
    public void Queues_raise_the_vectors_that_VTIVAR_names_within_their_interval()
    {
        _igb.Start();
        EnableMsix(First, 0x3);

        // Receive of queue 0 to vector 2, transmit to vector 0; both cleared and masked by their message.
        First[0x1700] = 0x8082;
        First[0x152c] = First[0x1530] = 7;
        First[0x1524] = 7;
        _cable.Give(Frame(AddressOf(0), Foreign));
        First.Slot.WaitFor("MSI-X 2");
        First.Send(Frame(AddressOf(null), AddressOf(0)));
        First.Slot.WaitFor("MSI-X 0");
        First.Slot.WaitUntil(() => First[0x1524] == 2);
        Assert.Equal(0u, First[0x1580]);
        Assert.DoesNotContain("MSI-X 1", First.Slot.Seen);
    }

    // Hostile: each side of the other.
    [Fact]
    public void A_function_that_floods_its_mailbox_costs_the_other_one_interrupt_at_a_time()
    {
        _igb.Start();
        EnableMsix(Pf, 0x3);
        Pf[0x1514] = 0x10;
        Pf[0x1740] = 0x8100;
        Pf[0x1524] = 2;
        Pf[0x1508] = 0x100;
        for (int i = 0; i < 20_000; i++)
        {
            First[VirtualMailbox] = Request | Read;
            First[Memory + (4 * (i & 15))] = (uint)i;
        }

        // VMMB stays raised until it is read, so it interrupts once; the others work meanwhile.
        Pf.Slot.WaitFor("MSI-X 1");
        Assert.True(Pf.IsEmpty);
        Assert.Single(Pf.Slot.Seen, "MSI-X 1");
        Second.Send(Frame(AddressOf(null), AddressOf(1)));
        Assert.Equal(Frame(AddressOf(null), AddressOf(1)), Pf.Take());
    }

    [Fact]
    public void A_physical_function_that_lies_reaches_no_memory_of_its_virtual_ones_but_by_their_queues()
    {
        _igb.Start();
        byte[] before = [.. First.Slot.Memory.AsSpan(0x2000, 0x4000)];

        // Nonsense in every mailbox, also in those of functions that are not there; owners, revocations, tables of pools, vectors.
        for (uint i = 0; i < 64; i++)
        {
            Pf[PhysicalMailbox + (int)(4 * (i % 8))] = uint.MaxValue - i;
            Pf[Memory + (int)(4 * i)] = uint.MaxValue;
            Pf[0x5ad0 + (int)(4 * (i % 8))] = uint.MaxValue >> (int)(i % 32);
            Pf[0x581c] = uint.MaxValue << (int)(i % 32);
            Pf[0x1700 + (int)(4 * (i % 8))] = uint.MaxValue;
            First[0x1700] = uint.MaxValue;
            First[0x1740] = uint.MaxValue;
            _cable.Give(Frame(All, Foreign));
        }

        Assert.True(Pf.Function is Vfio.Devices.Igb.IgbFunction port && port.AwaitWork(WaitingSlot.TestTimeout));
        Assert.Equal(before, First.Slot.Memory.AsSpan(0x2000, 0x4000).ToArray());

        // What it has broken, a reset mends.
        Pf[0x0000] = 0x0400_0000;
        _igb.Start();
        First.Send(Frame(AddressOf(1), AddressOf(0)));
        Assert.Equal(Frame(AddressOf(1), AddressOf(0)), Second.Take());
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(13u)]
    [InlineData(16385u)]
    [InlineData(65535u)]
    public void Frames_of_no_length_that_can_be_are_dropped(uint bytes)
    {
        _igb.Start();
        Pf[0x5ad4] |= 0x1_3fff;
        byte[] frame = Frame(AddressOf(1), AddressOf(0));
        First.Send(frame, bytes == 0 ? 0x1_0000 : bytes);
        Assert.True(Second.IsEmpty && _cable.IsEmpty);
        First.Send(frame);
        Assert.Equal(frame, Second.Take());
    }

    [Fact]
    public void A_function_that_takes_nothing_holds_up_nobody()
    {
        _igb.Start();
        First[0x2828] = 0;
        First[0x2818] = First[0x2810];
        First[0x2828] = 0x0200_0000;
        for (int i = 0; i < 400; i++)
            _cable.Give(Frame(AddressOf(0), Foreign, 1514));
        byte[] frame = Frame(AddressOf(1), Foreign);
        _cable.Give(frame);
        Assert.Equal(frame, Second.Take());

        // RQDPC: what its part of the packet buffer had no room for.
        Assert.NotEqual(0u, First[0x2830]);
    }

    private static void EnableMsix(Side side, int bar3Vectors)
    {
        int at = (int)side.Function.ReadConfig(0x34, 1);
        while (side.Function.ReadConfig(at, 1) != 0x11)
            at = (int)side.Function.ReadConfig(at + 1, 1);
        for (int i = 0; i < bar3Vectors; i++)
            side.Function.WriteRegion(RegionIndex.Bar(3), (ulong)(16 * i) + 12, new byte[4]);
        side.Function.WriteConfig(at + 2, 2, 0x8000);
    }

    /// <summary>The other end of the cable: keeps what comes.</summary>
    private sealed class Cable : NetBackend
    {
        private readonly System.Collections.Concurrent.BlockingCollection<byte[]> _sent = [];

        internal bool IsEmpty => _sent.Count == 0;

        internal void Give(byte[] frame) => Port!.TryReceive(frame);

        internal byte[] Take() => _sent.TryTake(out byte[]? frame, WaitingSlot.TestTimeout) ? frame : throw new TimeoutException("it did not come");

        internal override void Send(ReadOnlySpan<byte> frame) => _sent.Add(frame.ToArray());

        protected override void Dispose(bool disposing) => _sent.Dispose();
    }
}
