using Vfio.Guard;
using Vfio.Native;
using Vfio.Pci;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class GuardedFunctionTests
{
    private static readonly FunctionDescription Plain = new("x", 1, 2) { InterruptPin = 1 };

    [Fact]
    public void One_user_at_a_time()
    {
        using GuardedFunction guarded = new(new PlainFunction(Plain));
        Assert.False(guarded.IsOpen);
        using IVfioDevice device = guarded.Open();
        Assert.True(guarded.IsOpen);
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(guarded.Open).Errno);
        device.Dispose();
        device.Dispose();
        using IVfioDevice next = guarded.Open();
        Assert.Equal("model:x", next.Name);
    }

    [Fact]
    public void Open_and_close_reset()
    {
        PlainFunction function = new(Plain);
        using GuardedFunction guarded = new(function);
        Assert.True(guarded.CanReset);
        Assert.Equal(0, function.Resets);
        IVfioDevice device = guarded.Open();
        Assert.Equal(1, function.Resets);
        device.Reset();
        device.Dispose();
        Assert.Equal(3, function.Resets);
    }

    [Fact]
    public void A_function_without_reset_is_not_assigned_unless_its_provider_says_so()
    {
        FunctionDescription description = Plain with { HasOwnReset = false };
        using GuardedFunction safe = new(new PlainFunction(description));
        Assert.False(safe.CanReset);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(safe.Open).Errno);
        using GuardedFunction lax = new(new PlainFunction(description), policy: new GuardPolicy { AllowWithoutReset = true });
        using IVfioDevice device = lax.Open();
        Assert.False(device.Info.CanReset);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(device.Reset).Errno);
    }

    [Fact]
    public void A_failing_reset_fails_the_open()
    {
        RamFunction function = new(Config(), new ulong[7], new byte[256])
        {
            ResetResult = Errno.TimedOut,
            ResetMethods = [ResetMethod.Flr],
        };
        using GuardedFunction guarded = new(function);
        Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(guarded.Open).Errno);
        Assert.True(guarded.NeedsReset);
        Assert.False(guarded.IsOpen);
        function.ResetResult = Errno.None;
        using IVfioDevice device = guarded.Open();
        Assert.False(guarded.NeedsReset);
    }

    [Fact]
    public void A_reset_that_fails_at_close_is_tried_again_at_the_next_open()
    {
        RamFunction function = new(Config(), new ulong[7], new byte[256]) { ResetMethods = [ResetMethod.Flr] };
        using GuardedFunction guarded = new(function);
        IVfioDevice device = guarded.Open();
        function.ResetResult = Errno.InputOutput;
        device.Dispose();
        Assert.True(guarded.NeedsReset);
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(guarded.Open).Errno);
        function.ResetResult = Errno.None;
        guarded.Open().Dispose();
        Assert.False(guarded.NeedsReset);
    }

    [Fact]
    public void A_function_that_is_gone_after_its_reset_is_EIO()
    {
        RamFunction function = new(Config(), new ulong[7], new byte[256]);
        using GuardedFunction guarded = new(function);
        for (int i = 0; i < 4; i++)
            function.Poke(i, 0xff);
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(guarded.Open).Errno);
    }

    [Fact]
    public void Close_takes_everything_away()
    {
        PlainFunction function = new(Plain with { MsiVectors = 1 }, (0, new MemoryBar("m", 0x1000), BarType.Memory32));
        using GuardedFunction guarded = new(function);
        IVfioDevice device = guarded.Open();
        byte[] before = Config(function);
        FakeMemory memory = new(0x1000);
        device.MapDma(new DmaMapping(new Iova(0x1000), 0x1000, DmaAccess.ReadWrite, memory, 0));
        memory.Release();
        using EventFd fired = EventFd.Create();
        device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [fired.Descriptor]));
        device.WriteRegion(RegionIndex.Config, 4, [6, 1]);
        device.WriteRegion(RegionIndex.Config, 0x0c, [0x10, 0x40]);
        Assert.Equal(Errno.None, function.Slot.WriteMemory(new Iova(0x1000), [1]));
        device.Dispose();
        Assert.True(memory.IsFreed);
        Assert.Equal(before, Config(function));
        Assert.Equal(Errno.OperationNotPermitted, function.Slot.WriteMemory(new Iova(0x1000), [1]));
        Assert.Equal(1, guarded.Refusals.DmaAccesses);
        function.Interrupt(0);
        Assert.Equal(0ul, fired.Drain());
        Assert.Throws<ObjectDisposedException>(() => device.ReadRegion(RegionIndex.Config, 0, new byte[1]));
    }

    [Fact]
    public void A_device_that_never_stops_does_not_trouble_its_users()
    {
        FunctionDescription description = Plain with { MsiVectors = 2, Msix = new MsixDescription(4, Bar: 2) };
        PlainFunction function = new(description, (0, new MemoryBar("m", 0x1000), BarType.Memory32));
        using GuardedFunction guarded = new(function);
        bool stop = false;
        Thread[] busy = [.. Enumerable.Range(0, 2).Select(vector => new Thread(() =>
        {
            byte[] bytes = new byte[256];
            while (!Volatile.Read(ref stop))
            {
                function.Interrupt(vector);
                function.Slot.WriteMemory(new Iova(0x1000), bytes);
                function.EndInterrupt();
            }
        })
        { IsBackground = true })];
        foreach (Thread thread in busy)
            thread.Start();
        for (int i = 0; i < 300; i++)
        {
            using IVfioDevice device = guarded.Open();
            FakeMemory memory = new(0x1000);
            device.MapDma(new DmaMapping(new Iova(0x1000), 0x1000, DmaAccess.ReadWrite, memory, 0));
            memory.Release();
            using EventFd first = EventFd.Create();
            using EventFd second = EventFd.Create();
            InterruptIndex kind = new((uint)(i % 3));
            FileDescriptor[] events = kind == InterruptIndex.Intx ? [first.Descriptor] : [first.Descriptor, second.Descriptor];
            device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
            device.SetInterrupts(InterruptRequest.Bind(kind, InterruptAction.Trigger, 0, events));
            Assert.True(first.Wait(HangGuard.Timeout));
            device.Reset();
            device.SetInterrupts(InterruptRequest.Disable(kind));
            device.Dispose();

            // An access under way is waited for a moment only; on a busy machine its thread lets go later.
            Assert.True(SpinWait.SpinUntil(() => memory.IsFreed, HangGuard.Timeout));
            Assert.False(guarded.NeedsReset);
        }

        Volatile.Write(ref stop, true);
        foreach (Thread thread in busy)
            thread.Join();
    }

    [Fact]
    public void Dma_goes_where_it_was_mapped_and_refusals_are_counted()
    {
        using Lease lease = new(Plain);
        IPciSlot slot = lease.Function.Slot;
        SharedMemory memory = lease.MapDma(0x10000, 0x1000, DmaAccess.Read);
        memory.Write32(8, 77);
        byte[] bytes = new byte[4];
        Assert.Equal(Errno.OperationNotPermitted, slot.ReadMemory(new Iova(0x10008), bytes));
        lease.Write(4, 2, 6);
        Assert.Equal(Errno.None, slot.ReadMemory(new Iova(0x10008), bytes));
        Assert.Equal(77, bytes[0]);
        Assert.Equal(Errno.AccessDenied, slot.WriteMemory(new Iova(0x10008), bytes));
        Assert.Equal(Errno.BadAddress, slot.ReadMemory(new Iova(0x20000), bytes));
        Assert.Equal(3, lease.Guarded.RefusalsOfUser.DmaAccesses);
        Assert.Equal(Errno.Exists, Assert.Throws<VfioException>(() => lease.MapDma(0x10000, 0x1000)).Errno);
        Assert.Equal(0x1000ul, lease.Device.UnmapDma(new Iova(0x10000), 0x1000));
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => lease.Device.UnmapDma(new Iova(0x10000), 0x1000)).Errno);
        Assert.Equal(Errno.BadAddress, slot.ReadMemory(new Iova(0x10008), bytes));
    }

    [Fact]
    public void A_reset_of_the_lease_keeps_mappings_and_decoding_and_ends_bus_mastering()
    {
        using Lease lease = new(Plain, (0, new MemoryBar("m", 0x1000), BarType.Memory32));
        lease.MapDma(0x10000, 0x1000);
        lease.Write(4, 2, 6);
        lease.Device.Reset();
        Assert.Equal(3u, lease.Read(4, 2));
        Assert.Equal(0u, lease.ReadBar(0, 0));
        Assert.Equal(Errno.OperationNotPermitted, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
        lease.Write(4, 2, 6);
        Assert.Equal(Errno.None, lease.Function.Slot.WriteMemory(new Iova(0x10000), [1]));
    }

    [Fact]
    public void The_ROM_is_read_while_memory_decoding_is_off()
    {
        using Lease lease = new(Plain, (0, new MemoryBar("m", 0x1000), BarType.Memory32), (6, new MemoryBar("r", 0x800), BarType.Memory32));
        lease.Write(0x04, 2, 0);
        Assert.Equal(5, (int)Assert.Throws<VfioException>(() => lease.ReadBar(0, 0)).Errno);
        lease.Device.ReadRegion(RegionIndex.Rom, 0, new byte[4]);
    }

    /// <summary>PCI Express Base 6.0, section 7.5.3.3: bit 28 of Device Capabilities says that the function has FLR. The kernel may know
    /// another method for it.</summary>
    [Theory]
    [InlineData(ResetMethod.Flr)]
    [InlineData(ResetMethod.Bus)]
    [InlineData(ResetMethod.DeviceSpecific)]
    public void A_reset_by_Device_Control_is_made_by_the_method_that_there_is(ResetMethod method)
    {
        byte[] config = new byte[4096];
        (config[0x06], config[0x34], config[0x40], config[0x42], config[0x47]) = (0x10, 0x40, 0x10, 0x02, 0x10);
        RamFunction function = new(config, new ulong[7], new byte[4096]) { ResetMethods = [method] };
        using GuardedFunction guarded = new(function);
        using IVfioDevice device = guarded.Open();
        int before = function.Resets.Count;
        device.WriteRegion(RegionIndex.Config, 0x48, [0x00, 0x80]);
        Assert.Equal([method], function.Resets.Skip(before));
    }

    [Fact]
    public void Regions_are_described_as_they_are()
    {
        using Lease lease = new(
            Plain,
            (0, new MemoryBar("m", 0x2000), BarType.Memory64),
            (2, new MemoryBar("s", 0x800), BarType.Memory32),
            (6, new MemoryBar("r", 0x800), BarType.Memory32));
        RegionInfo bar = lease.Device.GetRegion(RegionIndex.Bar0);
        Assert.Equal((0x2000ul, RegionFlags.Read | RegionFlags.Write | RegionFlags.Map), (bar.Length, bar.Flags));
        Assert.Empty(bar.MmapAreas);
        Assert.Equal(0ul, lease.Device.GetRegion(RegionIndex.Bar(1)).Length);
        Assert.Equal(RegionFlags.Read | RegionFlags.Write, lease.Device.GetRegion(RegionIndex.Bar(2)).Flags);
        Assert.Equal(RegionFlags.Read, lease.Device.GetRegion(RegionIndex.Rom).Flags);
        Assert.Equal(256ul, lease.Device.GetRegion(RegionIndex.Config).Length);
        Assert.Equal(0ul, lease.Device.GetRegion(RegionIndex.Vga).Length);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => lease.Device.GetRegion(new RegionIndex(9))).Errno);
        using SharedMemory mapped = SharedMemory.Map(bar.File!, bar.FileOffset, bar.Length, writable: true);
        mapped.Write32(0x1ffc, 99);
        Assert.Equal(99u, lease.ReadBar(0, 0x1ffc));
        foreach (ulong offset in new[] { 0x1ffdul, 0x2000ul, ulong.MaxValue })
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => lease.ReadBar(0, offset)).Errno);
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(
            () => lease.Device.WriteRegion(RegionIndex.Rom, 0, new byte[4])).Errno);
    }

    [Fact]
    public void A_sound_function_is_well_behaved()
    {
        FunctionDescription description = Plain with { IsExpress = true, HasFlr = true, Msix = new MsixDescription(4, Bar: 2, 0, 0x1000) };
        using GuardedFunction guarded = new(new PlainFunction(description, (0, new MemoryBar("m", 0x1000), BarType.Memory32)));
        WellBehavedReport report = guarded.Check();
        Assert.True(report.IsWellBehaved, string.Join("\n", report.Findings));
        Assert.Equal(6, report.Findings.Count);
        Assert.Equal([Answer.Unknown],
            report.Findings.Where(verdict => verdict.Question.Contains("group")).Select(verdict => verdict.Answer));
    }

    [Theory]
    [InlineData("memory BARs")]
    [InlineData("MSI-X")]
    [InlineData("config space")]
    [InlineData("reset")]
    public void Each_fault_speaks_against_it(string fault)
    {
        FunctionDescription description = fault switch
        {
            "MSI-X" => Plain with { Msix = new MsixDescription(4, Bar: 0, 0x800, 0x1000) },
            "config space" => Plain with { Capabilities = [new CapabilityDescription(0x7e, new byte[6])] },
            "reset" => Plain with { HasOwnReset = false },
            _ => Plain,
        };
        ulong length = fault == "memory BARs" ? 0x800ul : 0x4000;
        using GuardedFunction guarded = new(new PlainFunction(description, (0, new MemoryBar("m", length), BarType.Memory32)));
        WellBehavedReport report = guarded.Check();
        Assert.False(report.IsWellBehaved);
        Assert.Contains(fault, Assert.Single(report.Findings, verdict => verdict.Answer == Answer.No).Question);
    }

    [Fact]
    public void A_pin_that_cannot_be_masked_speaks_against_it()
    {
        FixedCommandFunction function = new();
        using GuardedFunction guarded = new(function);
        Finding verdict = Assert.Single(guarded.Check().Findings, verdict => verdict.Answer == Answer.No);
        Assert.Contains("INTx", verdict.Question);
    }

    [Fact]
    public void Bridges_are_not_assigned()
    {
        byte[] config = Config();
        config[0x0e] = 1;
        RamFunction bridge = new(config, new ulong[7], new byte[256]);
        VfioException refused = Assert.Throws<VfioException>(() => new GuardedFunction(bridge));
        Assert.Equal(Errno.InvalidArgument, refused.Errno);
    }

    private static byte[] Config()
    {
        byte[] config = new byte[256];
        new byte[] { 0x34, 0x12, 0x78, 0x56 }.CopyTo(config, 0);
        return config;
    }

    private static byte[] Config(PlainFunction function) =>
        [.. Enumerable.Range(0, function.ConfigLength).Select(offset => (byte)function.ReadConfig(offset, 1))];

    /// <summary>A function from before PCI 2.3: INTx disable does not exist.</summary>
    private sealed class FixedCommandFunction() : PlainFunction(Plain), IPciFunction
    {
        void IPciFunction.WriteConfig(int offset, int width, uint value) =>
            WriteConfig(offset, width, offset == 4 ? value & ~0x400u : value);
    }
}
