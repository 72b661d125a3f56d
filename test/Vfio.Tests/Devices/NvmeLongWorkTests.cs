using Vfio.Devices.Nvme;
using Vfio.Guard;

namespace Vfio.Tests.Devices;

/// <summary>Disk calls that take as long as they like: they hold up the queue that makes them, and nothing else.</summary>
public sealed class NvmeLongWorkTests : IDisposable
{
    private readonly FakeStorage _storage = new();
    private readonly NvmeFunction _function;
    private readonly SlotRig _nvme;

    public NvmeLongWorkTests()
    {
        _function = new NvmeFunction(_storage);
        _nvme = new SlotRig(_function);
        EnableMsix();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.CreatePair(2);
    }

    public void Dispose() => _nvme.Dispose();

    [Fact]
    public void While_a_flush_takes_long_other_queues_and_admin_commands_continue()
    {
        ushort flush = Hang(NvmeRig.Flush, "flush");
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(0, _nvme.Io(2, NvmeRig.Write));
            Assert.Equal(0, _nvme.Io(2, NvmeRig.Read));
            Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 1).Status);
        }

        _nvme.CreatePair(3);
        Assert.Equal(0, _nvme.Io(3, NvmeRig.Read));
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release("flush");
        Assert.Equal((flush, 0, 0u), _nvme.Take(1));
    }

    [Theory]
    [InlineData("read", NvmeRig.Read)]
    [InlineData("write", NvmeRig.Write)]
    public void While_a_transfer_takes_long_other_queues_continue(string kind, byte opcode)
    {
        Hang(opcode, kind);
        Assert.Equal(0, _nvme.Io(2, NvmeRig.Flush));
        Assert.Equal(0, _nvme.Io(2, opcode == NvmeRig.Read ? NvmeRig.Write : NvmeRig.Read));
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release(kind);
        Assert.Equal(0, _nvme.Take(1).Status);
    }

    [Fact]
    public void What_completes_before_a_long_flush_is_signalled_before_it()
    {
        _storage.Hang("flush");
        _nvme.Begin(1, NvmeRig.Read);
        _nvme.Begin(1, NvmeRig.Flush);
        _nvme.Slot.WaitFor("MSI-X 1");
        Assert.Equal(0, _nvme.Take(1).Status);
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release("flush");
        Assert.Equal(0, _nvme.Take(1).Status);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reset_does_not_wait_for_a_flush_and_nothing_comes_of_it(bool ofFunction)
    {
        Hang(NvmeRig.Flush, "flush");
        if (ofFunction)
            _nvme.Reset();
        else
            _nvme.Disable();
        EnableMsix();
        _nvme.Enable();
        _nvme.CreatePair(1);
        int before = _nvme.Slot.Seen.Count;
        _storage.Release("flush");

        // The next flush is one that begins after the first has ended.
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Flush));
        Assert.Equal(2, _storage.Flushes);
        Assert.False(_nvme.IsCompleted(1));
        Assert.False(_nvme.IsCompleted(2));
        NvmeRig.WaitUntil(() => _nvme.Slot.Seen.Skip(before).Contains("MSI-X 1"));
        Assert.Equal(["MSI-X 1"], _nvme.Slot.Seen.Skip(before).Where(seen => seen != "MSI-X 0"));
    }

    [Fact]
    public void A_write_that_a_reset_leaves_behind_is_over_before_the_next_driver_uses_the_disk()
    {
        _nvme.Poke(NvmeRig.Data, [1, 1, 1, 1]);
        Hang(NvmeRig.Write, "write");
        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.Poke(NvmeRig.Data, [2, 2, 2, 2]);
        _nvme.Begin(1, NvmeRig.Write);
        Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data + 0x1000, 1).Status);
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release("write");
        Assert.Equal(0, _nvme.Take(1).Status);
        _nvme.Poke(NvmeRig.Data, new byte[4]);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal([2, 2, 2, 2], _nvme.Peek(NvmeRig.Data, 4));
    }

    [Fact]
    public void Resets_in_a_row_leave_few_threads_behind()
    {
        Hang(NvmeRig.Flush, "flush");
        for (int i = 0; i < 100; i++)
        {
            _nvme.Reset();
            _nvme.Enable();
            _nvme.CreatePair(1);
            _nvme.Begin(1, NvmeRig.Flush);
        }

        NvmeRig.WaitUntil(() => _function.Executor.ThreadCount <= 4);
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release("flush");
        Assert.Equal(0, _nvme.Take(1).Status);
    }

    [Fact]
    public void A_queue_that_is_deleted_in_the_middle_of_a_command_has_it_aborted()
    {
        ushort flush = Hang(NvmeRig.Flush, "flush");
        Assert.Equal(0, _nvme.Admin(0x00, dword10: 1).Status);
        (ushort id, int status, _) = _nvme.Take(1);
        Assert.Equal((flush, 0x008), (id, status));
        Assert.Equal(0, _nvme.Admin(0x04, dword10: 1).Status);
        _storage.Release("flush");
        Assert.Equal(0, _nvme.Io(2, NvmeRig.Flush));
        Assert.False(_nvme.IsCompleted(1));
    }

    [Fact]
    public void Disabling_the_cache_may_take_long_and_admin_commands_continue()
    {
        _storage.Hang("flush");
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        ushort off = _nvme.BeginAdmin(0x09, dword10: 6);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("flush hangs"));
        ushort identify = _nvme.BeginAdmin(0x06, NvmeRig.Data, 1);
        Assert.Equal((identify, 0, 0u), _nvme.Take(0));
        _storage.Release("flush");
        Assert.Equal((off, 0, 0u), _nvme.Take(0));
    }

    [Fact]
    public void The_end_of_the_function_does_not_wait_for_a_flush()
    {
        Hang(NvmeRig.Flush, "flush");
        _function.Dispose();
        _storage.Release("flush");
        NvmeRig.WaitUntil(() => _function.Executor.ThreadCount == 0);
    }

    [Fact]
    public void Queues_that_share_completions_lose_none()
    {
        _nvme.CreatePair(3, completionsOf: 2);
        HashSet<ushort> expected = [];
        for (int round = 0; round < 50; round++)
        {
            for (int i = 0; i < 7; i++)
            {
                expected.Add(_nvme.Begin(2, NvmeRig.Read));
                expected.Add(_nvme.Begin(3, NvmeRig.Read));
            }

            for (int i = 0; i < 14; i++)
            {
                (ushort id, int status, _) = _nvme.Take(2);
                Assert.Equal(0, status);
                Assert.True(expected.Remove(id));
            }
        }

        Assert.Empty(expected);
    }

    [Fact]
    public void While_reads_of_a_queue_wait_for_the_medium_its_other_commands_are_done()
    {
        ushort[] reads = HangReads(4);
        for (int i = 0; i < 20; i++)
            Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        _storage.Release("read");
        Assert.Equal(reads.Order(), Enumerable.Range(0, 4).Select(_ => _nvme.Take(1)).Select(done => done.Id).Order());
    }

    [Fact]
    public void Reads_that_wait_are_aborted_with_their_queue()
    {
        ushort[] reads = HangReads(3);
        Assert.Equal(0, _nvme.Admin(0x00, dword10: 1).Status);
        (ushort Id, int Status, uint Result)[] ended = [_nvme.Take(1), _nvme.Take(1), _nvme.Take(1)];
        Assert.Equal(reads.Order(), ended.Select(one => one.Id).Order());
        Assert.All(ended, one => Assert.Equal(0x008, one.Status));
        _storage.Release("read");
        Assert.Equal(0, _nvme.Io(2, NvmeRig.Read));
        Assert.False(_nvme.IsCompleted(1));
    }

    [Fact]
    public void A_reset_does_not_wait_for_reads_and_nothing_comes_of_them()
    {
        HangReads(3);
        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.Poke(NvmeRig.Data, [9, 9, 9, 9]);
        _storage.Release("read");
        NvmeRig.WaitUntil(() => _storage.Log.Count(one => one == "read") == 3);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Flush));
        Assert.False(_nvme.IsCompleted(1));
        Assert.Equal([9, 9, 9, 9], _nvme.Peek(NvmeRig.Data, 4));
    }

    [Fact]
    public void A_reset_while_a_queue_decides_who_reads_leaves_no_read_to_the_next_driver()
    {
        _storage.IsCold = true;
        _storage.Hang("look");
        _nvme.Submit(1, NvmeRig.Read, NvmeRig.Data, 0, 0, 0, space: 1, isRung: false);
        _nvme.Begin(1, NvmeRig.Write);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("look hangs"));
        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.Poke(NvmeRig.Data, [9, 9, 9, 9]);
        _storage.Release("look");
        NvmeRig.WaitUntil(() => _function.Executor.ThreadCount == 1); // that of the admin queue
        Assert.DoesNotContain("read", _storage.Log);
        Assert.False(_nvme.IsCompleted(1));
        Assert.Equal([9, 9, 9, 9], _nvme.Peek(NvmeRig.Data, 4));
    }

    [Fact]
    public void Each_command_that_disables_the_cache_waits_for_a_flush()
    {
        _storage.Hang("flush");
        ushort first = _nvme.BeginAdmin(0x09, dword10: 6);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("flush hangs"));
        ushort second = _nvme.BeginAdmin(0x09, dword10: 6);
        ushort identify = _nvme.BeginAdmin(0x06, NvmeRig.Data, 1);
        Assert.Equal((identify, 0, 0u), _nvme.Take(0));
        _storage.Release("flush");
        Assert.Equal((first, 0, 0u), _nvme.Take(0));
        Assert.Equal((second, 0, 0u), _nvme.Take(0));
        Assert.Equal(2, _storage.Flushes);
    }

    [Fact]
    public void A_shutdown_is_complete_when_the_writes_before_it_are_durable()
    {
        Hang(NvmeRig.Write, "write");
        _nvme.WriteRegister(0x14, 0x0046_4001);
        Assert.Equal(0x4u, _nvme.ReadRegister(0x1c) & 0xc);
        _nvme.WriteRegister(0x14, 0x0046_0001);
        Assert.Equal(0x0u, _nvme.ReadRegister(0x1c) & 0xc);
        _nvme.WriteRegister(0x14, 0x0046_4001);
        _storage.Release("write");
        NvmeRig.WaitUntil(() => (_nvme.ReadRegister(0x1c) & 0xc) == 0x8);
        Assert.Equal("flush", _storage.Log.Last());
        Assert.Equal(0, _nvme.Take(1).Status);
    }

    [Fact]
    public void Only_so_much_long_work_waits()
    {
        Hang(NvmeRig.Flush, "flush");
        int refused = 0;
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(0, _nvme.Admin(0x14, dword10: 0xf).Status);
            int status = _nvme.Admin(0x14, dword10: 1, space: 1).Status;
            Assert.Contains(status, (int[])[0, 0x00c]);
            refused += status == 0 ? 0 : 1;
            if (i == 0)
                _nvme.BeginAdmin(0x09, dword10: 6);
        }

        Assert.InRange(refused, 1, 99);
        _storage.Release("flush");
        Assert.Equal(0, _nvme.Take(0).Status);
    }

    [Fact]
    public void A_read_that_waited_and_fails_says_so()
    {
        _storage.ReadError = Errno.InputOutput;
        HangReads(2);
        _storage.Release("read");
        Assert.Equal((0x281, 0x281), (_nvme.Take(1).Status, _nvme.Take(1).Status));
    }

    /// <summary>Reads of queue 1 that hang, each on a thread of its own; another command follows, which is done.</summary>
    private ushort[] HangReads(int count)
    {
        _storage.IsCold = true;
        _storage.Hang("read");
        ushort[] reads = [.. Enumerable.Range(0, count).Select(_ => _nvme.Submit(1, NvmeRig.Read, NvmeRig.Data, 0, 0, 0, space: 1, isRung: false))];
        ushort write = _nvme.Begin(1, NvmeRig.Write);
        Assert.Equal((write, 0, 0u), _nvme.Take(1));
        NvmeRig.WaitUntil(() => _storage.Log.Count(one => one == "read hangs") == count);
        return reads;
    }

    private ushort Hang(byte opcode, string kind)
    {
        _storage.Hang(kind);
        ushort id = _nvme.Begin(1, opcode);
        NvmeRig.WaitUntil(() => _storage.Log.Contains($"{kind} hangs"));
        return id;
    }

    private void EnableMsix()
    {
        int at = (int)_function.ReadConfig(0x34, 1);
        while (_function.ReadConfig(at, 1) != 0x11)
            at = (int)_function.ReadConfig(at + 1, 1);
        _function.WriteConfig(at + 2, 2, 0x8000);
        for (int vector = 0; vector < 17; vector++)
            _nvme.WriteRegister(0x2000 + (16 * vector) + 12, 0);
    }
}
