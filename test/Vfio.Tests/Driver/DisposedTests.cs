using Vfio.Native;

namespace Vfio.Tests.Driver;

/// <summary>What a driver still holds of a device that it gave back says that it is disposed, and touches nothing.</summary>
public sealed class DisposedTests : IDisposable
{
    private readonly FakeDevice _fake = new();
    private readonly SharedMemory _memory = SharedMemory.Create("bar", 0x1000);
    private readonly PciDevice _device;

    public DisposedTests()
    {
        _fake.AddRegion(RegionIndex.Bar0, 0x1000);
        _fake.AddMappable(RegionIndex.Bar(2), _memory.File, 0x1000);
        _fake.AddInterrupt(InterruptIndex.Msi, 2, InterruptFlags.EventFd | InterruptFlags.Maskable);
        _fake.AddInterrupt(InterruptIndex.Intx, 1, InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked);
        _fake.AddInterrupt(InterruptIndex.Request, 1);
        _device = new PciDevice(_fake);
    }

    public void Dispose()
    {
        _device.Dispose();
        _memory.Dispose();
    }

    [Fact]
    public void A_device() => AfterTheDevice(
        () => _device.OpenBar(0),
        () => _device.AllocateDma(1),
        () => _device.MapMemory(new SharedDmaMemory(_memory)),
        () => _device.MapMemory(_memory.File, 0, 0x1000),
        () => _device.EnableBusMaster(),
        () => _device.DisableBusMaster(),
        () => _ = _device.IsBusMaster,
        () => _ = _device.IsPresent,
        () => _ = _device.Removed,
        () => _device.Reset());

    [Fact]
    public void Config_space() => AfterTheDevice(
        () => _device.Config.Read8(0),
        () => _device.Config.Read16(0),
        () => _device.Config.Read32(0),
        () => _device.Config.Write8(0, 0),
        () => _device.Config.Write16(0, 0),
        () => _device.Config.Write32(0, 0),
        () => _device.Config.Snapshot(),
        () => _device.Config.ReadCapabilities(),
        () => _device.Config.FindCapability(5));

    [Theory]
    [InlineData(0, false)]
    [InlineData(2, false)]
    [InlineData(2, true)]
    public void A_bar(int number, bool byItself)
    {
        Bar bar = _device.OpenBar(number);
        if (byItself)
            bar.Dispose();
        AfterTheDevice(
            () => bar.Read8(0),
            () => bar.Read16(0),
            () => bar.Read32(0),
            () => bar.Read64(0),
            () => bar.Read<uint>(0),
            () => bar.Read(0, new byte[1]),
            () => bar.Read(0, []),
            () => bar.Write8(0, 0),
            () => bar.Write16(0, 0),
            () => bar.Write32(0, 0),
            () => bar.Write64(0, 0),
            () => bar.Write(0, 0u),
            () => bar.Write(0, new byte[1]),
            () => bar.Write([RegisterWrite.Of32(0, 1)]),
            () => bar.IsMapped(0),
            () => bar.WaitFor32(0, 0, 0, TimeSpan.Zero));
    }

    [Fact]
    public void A_bar_that_was_disposed_is_opened_anew()
    {
        Bar first = _device.OpenBar(2);
        first.Dispose();
        Bar second = _device.OpenBar(2);
        second.Write32(4, 9);
        Assert.Equal(9u, _memory.Read32(4));
        Assert.Throws<ObjectDisposedException>(() => first.Read32(4));
        Assert.Same(second, _device.OpenBar(2));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_buffer_also_where_its_memory_is_somebody_elses_still(bool byItself)
    {
        SharedDmaMemory shared = new(SharedMemory.Create("own", 0x1000));
        DmaBuffer[] buffers = [_device.AllocateDma(1), _device.MapMemory(shared)];
        if (byItself)
            Array.ForEach(buffers, buffer => buffer.Dispose());
        else
            _device.Dispose();
        foreach (DmaBuffer buffer in buffers)
        {
            AfterTheDevice(
                () => buffer.Read8(0),
                () => buffer.Read16(0),
                () => buffer.Read32(0),
                () => buffer.Read64(0),
                () => buffer.Read<uint>(0),
                () => buffer.Read(0, new byte[1]),
                () => buffer.Write8(0, 0),
                () => buffer.Write16(0, 0),
                () => buffer.Write32(0, 0),
                () => buffer.Write64(0, 0),
                () => buffer.Write(0, 0u),
                () => buffer.Write(0, new byte[1]),
                () => buffer.Clear(0, 1),
                () => buffer.Clear(0, 0),
                () => buffer.AddressOf(0));
            Assert.Contains("DmaBuffer", Assert.Throws<ObjectDisposedException>(() => buffer.Read32(0)).ObjectName, StringComparison.Ordinal);
            Assert.Contains("DmaBuffer", Assert.Throws<ObjectDisposedException>(() => buffer.Read32(0x10000)).ObjectName, StringComparison.Ordinal);
        }

        Assert.Equal(Errno.None, shared.Write(0, [1]));
        shared.Release();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Vectors(uint kind)
    {
        InterruptSet set = _device.Interrupts.Enable(new InterruptIndex(kind), 1);
        Interrupt vector = set[0];
        set.Dispose();
        _fake.Log.Clear();
        AssertDisposed(
            () => vector.Wait(TimeSpan.Zero),
            () => vector.WaitAsync().AsTask().GetAwaiter().GetResult(),
            () => vector.WaitAsync(TimeSpan.Zero).AsTask().GetAwaiter().GetResult(),
            () => vector.Mask(),
            () => vector.Unmask(),
            () => vector.Trigger(),
            () => vector.Forget(),
            () => _ = set[0],
            () => _ = set.ToList());
        Assert.Empty(_fake.Log);
        Assert.True(set.Count == 1);
        _device.Interrupts.Enable(new InterruptIndex(kind), 1);
        AfterTheDevice(
            () => _device.Interrupts.Count(InterruptIndex.Msi),
            () => _device.Interrupts.Enable(1),
            () => _device.Interrupts.Enable(InterruptIndex.Msi, 1),
            () => _device.Interrupts.EnableReleaseRequest(),
            () => _device.Interrupts.EnableError());
    }

    [Fact]
    public void A_vector_that_is_not_in_use_is_an_argument_error_with_the_range()
    {
        InterruptSet set = _device.Interrupts.Enable(InterruptIndex.Msi, 2);
        Assert.Contains(
            "0 to 1", Assert.Throws<ArgumentOutOfRangeException>(() => set[2]).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => set[-1]);
    }

    [Fact]
    public void A_reset_goes_on_when_one_vector_was_disposed()
    {
        InterruptSet set = _device.Interrupts.Enable(InterruptIndex.Msi, 2);
        set[0].Dispose();
        _device.Reset();
        Assert.Throws<ObjectDisposedException>(set[0].Forget);
    }

    private void AfterTheDevice(params Action[] uses)
    {
        _device.Dispose();
        int before = _fake.Accesses;
        AssertDisposed(uses);
        Assert.Equal(before, _fake.Accesses);
    }

    private static void AssertDisposed(params Action[] uses) => Assert.All(uses, use => Assert.Throws<ObjectDisposedException>(use));
}
