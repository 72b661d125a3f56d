using Vfio.Devices.Nvme;

namespace Vfio.Tests.Devices;

/// <summary>What the model of an NVMe controller says is durable is durable, and what cannot be is an error.</summary>
public sealed class NvmeDurabilityTests : IDisposable
{
    private const int WriteFault = 0x280, UnrecoveredRead = 0x281, WriteProtected = 0x020;
    private readonly FakeStorage _storage = new();
    private readonly SlotRig _nvme;

    public NvmeDurabilityTests()
    {
        _nvme = new SlotRig(new NvmeFunction(_storage));
        _nvme.Enable();
        _nvme.CreatePair(1);
    }

    public void Dispose() => _nvme.Dispose();

    [Theory]
    [InlineData(5)]   // EIO
    [InlineData(28)]  // ENOSPC
    [InlineData(122)] // EDQUOT
    [InlineData(30)]  // EROFS
    public void A_flush_that_fails_is_a_write_fault_and_stays_one(int errno)
    {
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Flush));
        _storage.FlushError = (Errno)errno;
        Assert.Equal(WriteFault, _nvme.Io(1, NvmeRig.Flush));

        // The kernel reports a failure once; what it dropped is still lost when the next fsync succeeds.
        _storage.FlushError = Errno.None;
        Assert.Equal(WriteFault, _nvme.Io(1, NvmeRig.Flush));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(WriteFault, _nvme.Io(1, NvmeRig.Write, flags: NvmeRig.ForceUnitAccess));
        Assert.Equal(UnrecoveredRead, _nvme.Io(1, NvmeRig.Read, flags: NvmeRig.ForceUnitAccess));

        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(2);
        Assert.Equal(WriteFault, _nvme.Io(2, NvmeRig.Flush));
    }

    [Theory]
    [InlineData(5)]
    [InlineData(28)]
    [InlineData(122)]
    public void A_write_or_a_read_that_fails_says_so_and_the_next_one_is_its_own(int errno)
    {
        _storage.WriteError = (Errno)errno;
        _storage.ReadError = (Errno)errno;
        Assert.Equal(WriteFault, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(UnrecoveredRead, _nvme.Io(1, NvmeRig.Read));
        _storage.WriteError = Errno.None;
        _storage.ReadError = Errno.None;
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0, _storage.Flushes);
    }

    [Fact]
    public void With_force_unit_access_each_write_is_durable_before_it_is_over()
    {
        for (int i = 1; i <= 50; i++)
        {
            Assert.Equal(0, _nvme.Io(1, NvmeRig.Write, (ulong)i, NvmeRig.ForceUnitAccess));
            Assert.Equal(i, _storage.Flushes);
        }

        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(50, _storage.Flushes);
        _storage.WriteError = Errno.NoSpace;
        Assert.Equal(WriteFault, _nvme.Io(1, NvmeRig.Write, flags: NvmeRig.ForceUnitAccess));
    }

    [Fact]
    public void What_is_read_with_force_unit_access_is_durable_first()
    {
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read, flags: NvmeRig.ForceUnitAccess));
        Assert.Equal(["write", "read", "flush", "read"], _storage.Log);
    }

    [Fact]
    public void Without_a_write_cache_each_write_is_durable_before_it_is_over()
    {
        Assert.Equal((0, 1u), _nvme.Admin(0x0a, dword10: 6));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(0, _nvme.Admin(0x09, dword10: 6, dword11: 0).Status);
        Assert.Equal(["write", "flush"], _storage.Log); // what was cached
        Assert.Equal((0, 0u), _nvme.Admin(0x0a, dword10: 6));
        for (int i = 1; i <= 50; i++)
        {
            Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
            Assert.Equal(1 + i, _storage.Flushes);
        }

        Assert.Equal(0, _nvme.Admin(0x09, dword10: 6, dword11: 1).Status);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        Assert.Equal(51, _storage.Flushes);
    }

    [Fact]
    public void A_write_cache_that_cannot_be_emptied_stays_on()
    {
        _storage.FlushError = Errno.InputOutput;
        Assert.Equal(WriteFault, _nvme.Admin(0x09, dword10: 6, dword11: 0).Status);
        Assert.Equal((0, 1u), _nvme.Admin(0x0a, dword10: 6));
    }

    [Fact]
    public void A_reset_enables_the_write_cache_again()
    {
        Assert.Equal(0, _nvme.Admin(0x09, dword10: 6, dword11: 0).Status);
        _nvme.Disable();
        _nvme.Enable();
        Assert.Equal((0, 1u), _nvme.Admin(0x0a, dword10: 6));
    }

    [Fact]
    public void A_feature_is_not_said_to_be_saved_when_it_is_not() =>
        Assert.Equal(0x10d, _nvme.Admin(0x09, dword10: 0x8000_0006, dword11: 0).Status);

    [Fact]
    public void The_write_cache_is_in_Identify()
    {
        Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 1).Status);
        Assert.Equal(1, _nvme.Peek(NvmeRig.Data + 525, 1)[0] & 1);
        Assert.Equal(0, _nvme.Admin(0x06, NvmeRig.Data, 0, space: 1).Status);
        Assert.Equal(0, _nvme.Peek(NvmeRig.Data + 99, 1)[0]);
    }

    [Fact]
    public void A_shutdown_is_complete_when_what_was_written_is_durable()
    {
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Write));
        _storage.Hang("flush");
        _nvme.WriteRegister(0x14, 0x0046_4001);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("flush hangs"));
        Assert.Equal(0x5u, _nvme.ReadRegister(0x1c)); // ready, and shutdown processing occurring
        _storage.Release("flush");
        NvmeRig.WaitUntil(() => _nvme.ReadRegister(0x1c) == 0x9);
        Assert.Equal(1, _storage.Flushes);
    }

    [Fact]
    public void A_shutdown_that_cannot_make_it_durable_is_a_fatal_status()
    {
        _storage.FlushError = Errno.InputOutput;
        _nvme.WriteRegister(0x14, 0x0046_4001);
        NvmeRig.WaitUntil(() => _nvme.ReadRegister(0x1c) == 0x3);
        _nvme.Disable();
    }

    [Fact]
    public void A_disk_that_is_read_only_refuses_writes_and_says_what_it_is()
    {
        FakeStorage storage = new(isReadOnly: true);
        using SlotRig nvme = new(new NvmeFunction(storage));
        nvme.Enable();
        nvme.CreatePair(1);
        Assert.Equal(WriteProtected, nvme.Io(1, NvmeRig.Write));
        Assert.Equal(WriteProtected, nvme.Io(1, NvmeRig.Write, flags: NvmeRig.ForceUnitAccess));
        Assert.Equal(0, nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0, nvme.Io(1, NvmeRig.Flush));
        Assert.DoesNotContain("write", storage.Log);
        Assert.Equal(0, nvme.Admin(0x06, NvmeRig.Data, 0, space: 1).Status);
        Assert.Equal(1, nvme.Peek(NvmeRig.Data + 99, 1)[0]);
        Assert.Equal(0, nvme.Admin(0x06, NvmeRig.Data, 1).Status);
        Assert.Equal(0, nvme.Peek(NvmeRig.Data + 525, 1)[0] & 1);
        Assert.Equal(0x002, nvme.Admin(0x0a, dword10: 6).Status);
    }
}
