using Vfio.Native;

namespace Vfio.Tests.Devices;

/// <summary>Any model as a device that is not on PCI. Registers of edu: docs/specs/edu.rst of QEMU.</summary>
public sealed class PlatformModelTests
{
    private const int Identification = 0x00, Factorial = 0x08, Status = 0x20, RaiseInterrupt = 0x60, Acknowledge = 0x64;
    private const int DmaSource = 0x80, DmaDestination = 0x88, DmaCount = 0x90, DmaCommand = 0x98;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void Edu_is_driven_by_names()
    {
        using PlatformDevice edu = new(VfioDevice.Open("model:platform?of=edu&path=/soc/edu@10000000&regions=regs&interrupts=done"));
        Bar registers = edu.OpenRegion("regs");
        Assert.Same(registers, edu.OpenRegion(0));
        Assert.Equal(0x0100_00edu, registers.Read32(Identification));
        Interrupt done = edu.EnableInterrupt("done");
        Assert.Same(done, edu.EnableInterrupt(0));
        registers.Write32(Status, 0x80);
        registers.Write32(Factorial, 5);
        Assert.True(done.Wait(TestTimeout));
        Assert.Equal(120u, registers.Read32(Factorial));
        registers.Write32(Acknowledge, registers.Read32(0x24));
        registers.Write32(RaiseInterrupt, 4);
        Assert.True(done.Wait(TestTimeout));
    }

    [Fact]
    public void It_reaches_mapped_memory_from_the_start_and_after_a_reset()
    {
        using PlatformDevice edu = new(VfioDevice.Open("model:platform"));
        edu.DmaAddressBits = 28;
        using DmaBuffer memory = edu.AllocateDma(4096);
        for (int round = 0; round < 2; round++)
        {
            byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
            memory.Write(0, sent);
            Copy(edu.OpenRegion(0), memory.Start.Value, 0x40000, 16, toDevice: true);
            Copy(edu.OpenRegion(0), 0x40000, memory.Start.Value + 64, 16, toDevice: false);
            memory.Read(64, received);
            Assert.Equal(sent, received);
            edu.Reset();
        }

        static void Copy(Bar registers, ulong from, ulong to, ulong bytes, bool toDevice)
        {
            registers.Write64(DmaSource, from);
            registers.Write64(DmaDestination, to);
            registers.Write64(DmaCount, bytes);
            registers.Write64(DmaCommand, toDevice ? 1u : 3u);
            Assert.True(SpinWait.SpinUntil(() => (registers.Read64(DmaCommand) & 1) == 0, TestTimeout));
        }
    }

    [Fact]
    public void It_says_what_it_is()
    {
        using IVfioDevice device = VfioDevice.Open("model:platform?path=/bus/x@1&compatible=acme,two+acme,one");
        Assert.Equal(new DeviceInfo(DeviceFlags.Platform | DeviceFlags.Reset, 1, 1), device.Info);
        Assert.True(device.TryGet(out IPlatformDevice? node));
        Assert.Equal("/bus/x@1", node.DeviceTreePath);
        Assert.Equal(["acme,two", "acme,one"], node.Compatible);
        Assert.Equal(["reg0"], node.RegionNames);
        Assert.Equal(["irq0"], node.InterruptNames);
        Assert.Equal(1ul << 20, device.GetRegion(new RegionIndex(0)).Length);
        Assert.Equal(1, device.GetInterrupt(new InterruptIndex(0)).Count);
        foreach (uint index in new[] { 1u, 7u, uint.MaxValue })
        {
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.GetRegion(new RegionIndex(index))).Errno);
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.GetInterrupt(new InterruptIndex(index))).Errno);
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => device.WriteRegion(new RegionIndex(index), 4, [0, 0])).Errno);
        }

        DeviceTable table = DeviceTable.Parse(DeviceTable.Write(device));
        Assert.Equal("/bus/x@1", table.Records[0].TextOf("DTPA"));
        Assert.Equal("reg0", table.Records.First(record => record.Type == "REGN").TextOf("NAME"));
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => new PciDevice(device)).Errno);
    }

    [Fact]
    public void Each_interrupt_is_bound_by_itself()
    {
        // bench has several MSI-X vectors.
        using IVfioDevice device = VfioDevice.Open("model:platform?of=bench");
        int count = device.Info.InterruptCount;
        Assert.True(count >= 2);
        using EventFd first = EventFd.Create(), last = EventFd.Create();
        InterruptIndex one = new(0), other = new((uint)count - 1);
        device.SetInterrupts(InterruptRequest.Bind(one, InterruptAction.Trigger, 0, [first.Descriptor]));
        device.SetInterrupts(InterruptRequest.Bind(other, InterruptAction.Trigger, 0, [last.Descriptor]));
        device.SetInterrupts(InterruptRequest.ForAll(other, InterruptAction.Trigger, 0, 1));
        Assert.Equal(1ul, last.Drain());
        Assert.Equal(0ul, first.Drain());
        device.SetInterrupts(InterruptRequest.Disable(other));
        device.SetInterrupts(InterruptRequest.ForAll(one, InterruptAction.Trigger, 0, 1));
        device.SetInterrupts(InterruptRequest.ForAll(other, InterruptAction.Trigger, 0, 1));
        Assert.Equal(1ul, first.Drain());
        Assert.Equal(0ul, last.Drain());
        Assert.Equal(
            Errno.InvalidArgument,
            Assert.Throws<VfioException>(() => device.SetInterrupts(InterruptRequest.ForAll(one, InterruptAction.Trigger, 1, 1))).Errno);
    }

    [Fact]
    public void It_is_served_and_driven_over_a_socket()
    {
        using DeviceSource source = DeviceSource.Find("model:platform?regions=regs");
        using LocalServer server = new(source.Open);
        using PlatformDevice edu = new(VfioDevice.Open(server.Address));
        Assert.Equal(DeviceFlags.Platform | DeviceFlags.Reset, edu.Device.Info.Flags);
        Assert.Equal(0x0100_00edu, edu.OpenRegion(0).Read32(Identification));

        // vfio-user has no names.
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => edu.OpenRegion("regs")).Errno);
    }

    [Theory]
    [InlineData("of=platform")]
    [InlineData("of=nothing")]
    [InlineData("path=soc")]
    [InlineData("path=/soc//x")]
    [InlineData("path=/\u001b[2J")]
    [InlineData("regions=a,,b")]
    [InlineData("nosuch=1")]
    public void Options_that_make_no_sense_are_refused(string options) =>
        Assert.Throws<VfioException>(() => VfioDevice.Open("model:platform?" + options));
}
