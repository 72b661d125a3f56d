using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Tests.Guard;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A server that goes away and comes back, in this process; <see cref="Processes.RestartTests"/> has real ones.</summary>
public sealed class ReconnectTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private static readonly VfioUserClientOptions Patient = new() { ReconnectTimeout = TestTimeout };
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
    private readonly List<PathServer> _servers = [];

    private string SocketPath => Path.Combine(_folder, "s");

    public void Dispose()
    {
        _servers.ForEach(server => server.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_read_waits_for_the_server_and_is_answered_by_the_next_one()
    {
        Serve(new BellFunction());
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, Patient);
        client.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        client.WriteRegion(RegionIndex.Bar0, BellFunction.Any, [1, 0, 0, 0]);
        Assert.Equal(1u, Read(client, 0));
        using ManualResetEventSlim restarted = new();
        client.Restarted += restarted.Set;
        Restart(new BellFunction());
        Assert.Equal(0u, Read(client, 0));
        Assert.True(restarted.Wait(TestTimeout));
        Assert.Equal(1, client.Restarts);
        byte[] command = new byte[2];
        client.ReadRegion(RegionIndex.Config, 4, command);
        Assert.Equal([3, 0], command);
    }

    [Fact]
    public void A_driver_that_only_waits_is_notified_and_woken()
    {
        Serve(new BellFunction());
        using PciDevice device = new(VfioUserClient.Connect(SocketPath, Patient));
        Interrupt interrupt = device.Interrupts.Enable(1)[0];
        Interrupt error = device.Interrupts.EnableError();
        Interrupt request = device.Interrupts.EnableReleaseRequest();
        using ManualResetEventSlim restarted = new();
        device.Restarted += restarted.Set;
        Restart(new BellFunction());
        Assert.True(interrupt.Wait(TestTimeout));
        Assert.True(error.Wait(TestTimeout));
        Assert.True(restarted.Wait(TestTimeout));
        Assert.False(request.Wait(TimeSpan.Zero));
        Bar bar = device.OpenBar(0);
        device.EnableBusMaster();
        bar.Write32((long)BellFunction.Any, 1);
        Assert.True(interrupt.Wait(TestTimeout));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Memory_is_mapped_again(bool twin)
    {
        Serve(new SummerFunction());
        VfioUserClientOptions options = Patient with { TwinSocket = twin };
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, options);
        SharedDmaMemory shared = new(SharedMemory.Create("guest", 0x1000));
        PrivateMemory kept = new(0x1000);
        client.MapDma(new DmaMapping(new Iova(0x10000), 0x1000, DmaAccess.ReadWrite, shared, 0));
        client.MapDma(new DmaMapping(new Iova(0x20000), 0x1000, DmaAccess.ReadWrite, kept, 0));
        Assert.Equal(Errno.None, shared.Write(0, [1, 2, 3]));
        Assert.Equal(Errno.None, kept.Write(0, [10, 20, 30]));
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal((6u, 60u), (Sum(client, 0x10000), Sum(client, 0x20000)));
            Restart(new SummerFunction());
            Assert.Equal(0x5a11_0001u, Read(client, 0));
            Assert.Equal(i + 1, client.Restarts);
        }

        client.UnmapAllDma();
        Assert.Equal(0u, Sum(client, 0x10000));
        kept.Release();
        Assert.True(kept.IsFreed);
        shared.Release();
    }

    [Fact]
    public void Vectors_keep_their_eventfds_and_masks()
    {
        FunctionDescription description = new("x", 1, 2) { Msix = new MsixDescription(8, Bar: 0) };
        Serve(new PlainFunction(description));
        using EventFd one = EventFd.Create();
        using EventFd other = EventFd.Create();
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, Patient);
        FileDescriptor?[] events = [one.Descriptor, null, null, other.Descriptor];
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 1, events));
        client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Mask, 4, 1));
        PlainFunction next = new(description);
        Restart(next);
        Assert.True(one.Wait(TestTimeout));
        Assert.True(other.Wait(TestTimeout));
        client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        next.Interrupt(1);
        next.Interrupt(4);
        Assert.True(one.Wait(TestTimeout));
        Assert.Equal(0ul, other.Drain());
        client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Unmask, 4, 1));
        Assert.True(other.Wait(TestTimeout));
    }

    [Fact]
    public void A_mapped_bar_is_mapped_again()
    {
        MemoryBar first = new("first", 0x1000);
        MemoryBar second = new("second", 0x1000);
        Serve(new PlainFunction(new FunctionDescription("x", 1, 2), (0, first, BarType.Memory32)));
        using PciDevice device = new(VfioUserClient.Connect(SocketPath, Patient));
        Bar bar = device.OpenBar(0);
        Assert.True(bar.IsMapped(0));
        bar.Write32(0, 1);
        using ManualResetEventSlim restarted = new();
        device.Restarted += restarted.Set;
        Restart(new PlainFunction(new FunctionDescription("x", 1, 2), (0, second, BarType.Memory32)));
        Assert.True(restarted.Wait(TestTimeout));
        bar.Write32(0, 2);
        byte[] seen = new byte[4];
        second.Read(0, seen);
        Assert.Equal([2, 0, 0, 0], seen);
        Assert.True(bar.IsMapped(0));
    }

    [Fact]
    public void A_write_that_meets_a_lost_server_fails_and_the_next_one_succeeds()
    {
        using ManualResetEventSlim inside = new();
        using ManualResetEventSlim goOn = new();
        Serve(new WaitingFunction(inside, goOn));
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, Patient);
        client.WriteRegion(RegionIndex.Config, 4, [2, 0]);
        Errno? errno = null;
        Thread writer = new(() =>
        {
            errno = Assert.Throws<VfioException>(() => client.WriteRegion(RegionIndex.Bar0, 0, [1, 0, 0, 0])).Errno;
            client.WriteRegion(RegionIndex.Bar0, 4, [1, 0, 0, 0]);
        });
        writer.Start();
        Assert.True(inside.Wait(TestTimeout));
        _servers[^1].BeginStop();
        goOn.Set();
        Restart(new WaitingFunction(inside, goOn));
        Assert.True(writer.Join(TestTimeout));
        Assert.Equal(Errno.ConnectionReset, errno);
    }

    [Fact]
    public void Another_device_is_not_taken_for_the_same()
    {
        Serve(new BellFunction());
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, Patient);
        Restart(new PlainFunction(new FunctionDescription("x", 1, 2)));
        VfioException refusal = Assert.Throws<VfioException>(() => Read(client, 0));
        Assert.True(refusal.Errno is Errno.NoDevice or Errno.ConnectionReset, refusal.Message);
        Assert.Contains("another device", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("another device", Assert.Throws<VfioException>(client.Reset).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_stays_away_is_given_up_in_time()
    {
        Serve(new BellFunction());
        VfioUserClientOptions options = new() { ReconnectTimeout = TimeSpan.FromMilliseconds(200) };
        using VfioUserClient client = VfioUserClient.Connect(SocketPath, options);
        _servers[^1].Dispose();
        VfioException refusal = Assert.Throws<VfioException>(client.Reset);
        Assert.True(refusal.Errno is Errno.TimedOut or Errno.ConnectionReset, refusal.Message);
        Assert.Contains("did not come back within 0.2 s", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_client_that_waits_can_be_disposed()
    {
        Serve(new BellFunction());
        VfioUserClientOptions options = new() { ReconnectTimeout = Timeout.InfiniteTimeSpan };
        VfioUserClient client = VfioUserClient.Connect(SocketPath, options);
        _servers[^1].Dispose();
        Thread reader = new(() => Assert.Throws<VfioException>(() => Read(client, 0)));
        reader.Start();
        client.Dispose();
        Assert.True(reader.Join(TestTimeout));
    }

    [Fact]
    public void Without_the_option_a_client_does_not_wait()
    {
        Serve(new BellFunction());
        using VfioUserClient client = VfioUserClient.Connect(SocketPath);
        Restart(new BellFunction());
        Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(client.Reset).Errno);
        Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(() => Read(client, 0)).Errno);
    }

    private void Serve(IPciFunction function) => _servers.Add(new PathServer(function, SocketPath));

    private void Restart(IPciFunction function)
    {
        _servers[^1].Dispose();
        Serve(function);
    }

    private static uint Read(VfioUserClient client, ulong offset)
    {
        uint value = 0;
        client.ReadRegion(RegionIndex.Bar0, offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Lets the device sum three bytes of memory.</summary>
    private static uint Sum(VfioUserClient client, ulong address)
    {
        client.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        client.WriteRegion(RegionIndex.Bar0, 8, BitConverter.GetBytes(address));
        client.WriteRegion(RegionIndex.Bar0, 0x10, [3, 0, 0, 0]);
        return Read(client, 0x14);
    }

    /// <summary>A server at a path, as a process has it.</summary>
    private sealed class PathServer : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly GuardedFunction _guarded;
        private readonly VfioUserServer _server;
        private readonly Task _running;
        private bool _isDisposed;

        internal PathServer(IPciFunction function, string path)
        {
            _guarded = new GuardedFunction(function);
            _server = new VfioUserServer(_guarded.Open, new VfioUserServerOptions { Path = path });
            _running = _server.RunAsync(_stop.Token);
        }

        internal void BeginStop() => _stop.Cancel();

        public void Dispose()
        {
            if (_isDisposed)
                return;
            _isDisposed = true;
            _stop.Cancel();
            Assert.True(_running.Wait(TestTimeout), "the server does not end");
            _server.Dispose();
            _guarded.Dispose();
            _stop.Dispose();
        }
    }

    /// <summary>A device whose first register holds the session up.</summary>
    private sealed class WaitingFunction : EmulatedFunction
    {
        private static readonly RegisterMap<Register> Map = new(length: 0x1000) { { 0, 4, Register.Slow }, { 4, 4, Register.Fast } };

        internal WaitingFunction(ManualResetEventSlim inside, ManualResetEventSlim goOn)
            : base(new FunctionDescription("waiting", 1, 2))
        {
            RegisterFile<Register> registers = new(Map);
            registers.OnWrite(Register.Slow, _ =>
            {
                inside.Set();
                Assert.True(goOn.Wait(TestTimeout));
            });
            AddBar(0, registers);
        }

        private enum Register { Slow, Fast }
    }
}
