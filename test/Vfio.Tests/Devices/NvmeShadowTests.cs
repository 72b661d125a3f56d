using System.Buffers.Binary;
using Vfio.Devices.Nvme;

namespace Vfio.Tests.Devices;

/// <summary>Doorbells in memory, against NVM Express Base Specification 2.0, section 5.8 and annex B.5.</summary>
public sealed class NvmeShadowTests : IDisposable
{
    private const byte DoorbellBufferConfig = 0x7c;
    private const int Shadow = 0x70000, Events = 0x71000;
    private readonly SlotRig _nvme = new(NvmeFunction.InMemory(1 << 20));
    private readonly int[] _tails = new int[17];

    public NvmeShadowTests()
    {
        _nvme.Enable();
        _nvme.CreatePair(1);
    }

    public void Dispose() => _nvme.Dispose();

    [Theory]
    [InlineData(0, Events)]
    [InlineData(Shadow, 0)]
    [InlineData(Shadow + 4, Events)]
    [InlineData(Shadow, Events + 2048)]
    public void Pages_that_are_none_are_refused(int doorbells, int events) =>
        Assert.Equal(0x002, _nvme.Admin(DoorbellBufferConfig, (ulong)doorbells, prp2: (ulong)events).Status);

    [Fact]
    public void Pages_out_of_reach_are_refused_and_registers_work_on()
    {
        Assert.Equal(0x004, _nvme.Admin(DoorbellBufferConfig, 0x1_0000_0000, prp2: Events).Status);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
    }

    [Fact]
    public void Pages_that_go_away_are_a_fatal_status()
    {
        Configure();
        _nvme.Slot.End = Shadow;
        _nvme.WriteRegister(0x1008, 1);
        NvmeRig.WaitUntil(() => (_nvme.ReadRegister(0x1c) & 0x2) != 0);
    }

    [Fact]
    public void Commands_are_found_by_the_tail_in_memory_for_queues_before_and_after()
    {
        Configure();
        _nvme.CreatePair(2);
        for (int i = 0; i < 100; i++)
        {
            for (int queue = 1; queue <= 2; queue++)
            {
                ushort id = Submit(queue);
                Assert.Equal((id, 0, 0u), _nvme.Take(queue));
            }
        }

        Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 1).Status); // the admin queue has registers alone
    }

    [Fact]
    public void A_controller_that_sleeps_has_asked_for_the_register_and_takes_the_tail_from_memory()
    {
        Configure();
        ushort id = Submit(1);
        Assert.Equal((id, 0, 0u), _nvme.Take(1));
        NvmeRig.WaitUntil(() => _nvme.Peek32(Events + 8) == 1);

        // The tail moves in memory alone; whatever comes by the register says only that it has.
        _nvme.Submit(1, NvmeRig.Read, NvmeRig.Data, 0, 0, 0, space: 1, isRung: false);
        _nvme.Poke(Shadow + 8, BitConverter.GetBytes(2));
        _nvme.WriteRegister(0x1008, 1);
        Assert.Equal(0, _nvme.Take(1).Status);
        _tails[1] = 2;
        id = Submit(1);
        Assert.Equal((id, 0, 0u), _nvme.Take(1));
    }

    [Fact]
    public void A_head_that_nobody_waits_for_is_asked_for_once_however_often_the_queue_comes_round()
    {
        const int Rounds = 400;
        Configure();
        int asked = 0;
        for (int i = 0; i < Rounds; i++)
        {
            ushort id = Submit(1);
            int head = i % NvmeRig.Entries;
            NvmeRig.WaitUntil(() => _nvme.IsCompleted(1));
            asked += IsAsked(Events + 12, head, (head + 1) % NvmeRig.Entries) ? 1 : 0;
            Assert.Equal((id, 0, 0u), _nvme.Take(1));
        }

        // At the start, when nothing is known of it.
        Assert.Equal(1, asked);
    }

    [Fact]
    public void A_tail_in_memory_beyond_the_queue_has_no_effect()
    {
        Configure();
        _nvme.Poke(Shadow + 8, BitConverter.GetBytes(99));
        _nvme.WriteRegister(0x1008, 0);
        Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 1).Status);
        Assert.False(_nvme.IsCompleted(1));
        _nvme.Poke(Shadow + 8, BitConverter.GetBytes(0));
        ushort id = Submit(1);
        Assert.Equal((id, 0, 0u), _nvme.Take(1));
    }

    [Fact]
    public void A_full_completion_queue_goes_on_when_its_head_moves_in_memory()
    {
        Configure();

        // 15 completions fill the queue; nobody takes them.
        ushort last = 0;
        for (int i = 0; i < 15; i++)
            last = Submit(1);
        NvmeRig.WaitUntil(() => (_nvme.Peek(0x3000 + (16 * 14) + 14, 1)[0] & 1) == 1);
        Submit(1);
        NvmeRig.WaitUntil(() => _nvme.Peek32(Events + 12) == 0); // woken when the head moves past 0
        Assert.Equal(0, _nvme.Peek(0x3000 + (16 * 15) + 14, 1)[0] & 1);
        _nvme.Poke(Shadow + 12, BitConverter.GetBytes(15));
        _nvme.WriteRegister(0x100c, 15);
        NvmeRig.WaitUntil(() => (_nvme.Peek(0x3000 + (16 * 15) + 14, 1)[0] & 1) == 1);
        Assert.Equal(last, BinaryPrimitives.ReadUInt16LittleEndian(_nvme.Peek(0x3000 + (16 * 14) + 12, 2)));
    }

    [Fact]
    public void A_queue_without_room_for_completions_sleeps_though_commands_wait_for_it()
    {
        int looks = 0;
        _nvme.Slot.OnRead = () => looks += Thread.CurrentThread.Name == "nvme queue 1" ? 1 : 0;
        Configure();
        for (int i = 0; i < 15; i++)
            Submit(1);
        NvmeRig.WaitUntil(() => (_nvme.Peek(0x3000 + (16 * 14) + 14, 1)[0] & 1) == 1);
        Submit(1);

        // Twenty commands of the other queue take long enough to see one that looks again and again.
        NvmeRig.WaitUntil(() =>
        {
            int before = Volatile.Read(ref looks);
            for (int i = 0; i < 20; i++)
                Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 1).Status);
            return Volatile.Read(ref looks) == before;
        });
        Assert.NotEqual(0, looks);
    }

    private void Configure()
    {
        _nvme.Poke(Shadow, new byte[0x2000]);
        Assert.Equal(0, _nvme.Admin(DoorbellBufferConfig, Shadow, prp2: Events).Status);
        _nvme.BeforeHead = (queue, head) =>
        {
            if (queue > 0)
                _nvme.Poke(Shadow + (8 * queue) + 4, BitConverter.GetBytes(head));
        };
    }

    /// <summary>Submits a read as annex B.5 has it: the tail in memory, and by the register where the controller asked for it.</summary>
    private ushort Submit(int queue)
    {
        int before = _tails[queue];
        int tail = _tails[queue] = (before + 1) % NvmeRig.Entries;
        ushort id = _nvme.Submit(queue, NvmeRig.Read, NvmeRig.Data, 0, 0, 0, space: 1, isRung: false);
        _nvme.Poke(Shadow + (8 * queue), BitConverter.GetBytes(tail));
        Interlocked.MemoryBarrier();
        if (IsAsked(Events + (8 * queue), before, tail))
            _nvme.WriteRegister(0x1000 + (8 * queue), (uint)tail);
        return id;
    }

    /// <summary>Annex B.5: whether the doorbell moves past the number.</summary>
    private bool IsAsked(int at, int before, int value) => (ushort)(value - (int)_nvme.Peek32(at) - 1) < (ushort)(value - before);
}
