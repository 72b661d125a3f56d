using Vfio.Guard;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>Whatever the function does while a lease begins or ends, the lease ends, and the next user finds the function reset.</summary>
public sealed class LeaseEndTests
{
    private const int MostCalls = 10_000;

    private static readonly FunctionDescription Everything = new("x", 0x1234, 0x5678)
    {
        InterruptPin = 1,
        PowerManagement = PowerManagementKind.SoftReset,
        MsiVectors = 4,
        MsiHasMasks = true,
        Msix = new MsixDescription(3, Bar: 2, 0, 0x1000),
        IsExpress = true,
        HasFlr = true,
    };

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public void A_close_in_which_any_call_fails_takes_all_away_and_the_next_open_finds_it_reset(uint kind, bool once) =>
        AtEveryCall(once, (faulty, plain, guarded, call) =>
        {
            IVfioDevice device = guarded.Open();
            FakeMemory memory = new(0x1000);
            EventFd fired = EventFd.Create();
            FileDescriptor descriptor = fired.Descriptor;
            Use(device, memory, fired, new InterruptIndex(kind));
            faulty.FailFrom(call, once);
            device.Dispose();
            int calls = faulty.Calls;
            faulty.Mend();

            Assert.False(guarded.IsOpen);
            Assert.True(guarded.CloseFailure is null or VfioException { Errno: Errno.NoDevice }, $"call {call}: {guarded.CloseFailure}");
            if (!once)
                Assert.Equal(calls > call, guarded.CloseFailure is not null);
            Assert.True(memory.IsFreed);
            Assert.True(descriptor.IsClosed);
            Assert.Equal(Errno.OperationNotPermitted, plain.Slot.WriteMemory(new Iova(0x1000), [1]));
            Assert.Throws<ObjectDisposedException>(() => device.ReadRegion(RegionIndex.Config, 0, new byte[1]));
            AssertOpensClean(guarded, plain);
            return calls;
        });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_open_in_which_any_call_fails_says_so_and_the_next_one_works(bool once) =>
        AtEveryCall(once, (faulty, plain, guarded, call) =>
        {
            faulty.FailFrom(call, once);
            VfioException? refusal = null;
            try
            {
                guarded.Open().Dispose();
            }
            catch (VfioException exception)
            {
                refusal = exception;
            }

            int calls = faulty.Calls;
            faulty.Mend();
            Assert.True(refusal is null or { Errno: Errno.NoDevice }, $"call {call}: {refusal}");
            Assert.False(guarded.IsOpen);
            AssertOpensClean(guarded, plain);
            return calls;
        });

    [Fact]
    public void A_function_that_stays_gone_fails_the_next_open_with_its_errno_and_not_as_busy()
    {
        PlainFunction plain = new(Everything, Bar());
        FaultyFunction faulty = new(plain);
        using GuardedFunction guarded = new(faulty);
        IVfioDevice device = guarded.Open();
        faulty.FailFrom(0, once: false);
        device.Dispose();
        Assert.True(guarded.NeedsReset);
        for (int i = 0; i < 3; i++)
            Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(guarded.Open).Errno);
        faulty.Mend();
        AssertOpensClean(guarded, plain);
        Assert.False(guarded.NeedsReset);
    }

    [Fact]
    public void A_fault_in_the_functions_code_is_thrown_once_all_is_done()
    {
        PlainFunction plain = new(Everything, Bar());
        FaultyFunction faulty = new(plain) { Fault = () => new InvalidOperationException("a bug") };
        using GuardedFunction guarded = new(faulty);
        IVfioDevice device = guarded.Open();
        FakeMemory memory = new(0x1000);
        using EventFd fired = EventFd.Create();
        Use(device, memory, fired, InterruptIndex.Msi);
        faulty.FailFrom(0, once: false);
        Assert.Throws<InvalidOperationException>(device.Dispose);
        Assert.True(memory.IsFreed);
        Assert.IsType<InvalidOperationException>(guarded.CloseFailure);
        faulty.Mend();
        AssertOpensClean(guarded, plain);
        Assert.Null(guarded.CloseFailure);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_bind_in_which_any_call_fails_leaves_what_was_bound_before(uint kind) =>
        AtEveryCall(once: true, (faulty, plain, guarded, call) => BindWithFailure(new InterruptIndex(kind), faulty, plain, guarded, call));

    private static int BindWithFailure(InterruptIndex index, FaultyFunction faulty, PlainFunction plain, GuardedFunction guarded, int call)
    {
        using EventFd old = EventFd.Create();
        EventFd refused = EventFd.Create();
        FileDescriptor descriptor = refused.Descriptor;
        using IVfioDevice device = guarded.Open();
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        for (int round = 0; round < 2; round++)
        {
            faulty.FailFrom(call, once: true);
            bool isRefused = false;
            try
            {
                device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, 0, [refused.Descriptor]));
            }
            catch (VfioException)
            {
                isRefused = true;
            }

            int calls = faulty.Calls;
            faulty.Mend();
            Assert.Equal(isRefused, calls > call);
            if (!isRefused)
            {
                refused.Dispose();
                return round == 0 ? calls : MostCalls;
            }

            plain.Interrupt(0);
            Assert.Equal(0ul, refused.Drain());
            Assert.Equal(round == 0 ? 0ul : 1ul, old.Drain());
            plain.EndInterrupt();
            InterruptIndex other = new((index.Value + 1) % 3);
            if (round == 0)
            {
                // Nothing of the kind is in use: another is free to be.
                device.SetInterrupts(InterruptRequest.Bind(other, InterruptAction.Trigger, 0, [old.Descriptor]));
                device.SetInterrupts(InterruptRequest.Disable(other));
                device.SetInterrupts(InterruptRequest.Bind(index, InterruptAction.Trigger, 0, [old.Descriptor]));
            }
        }

        refused.Dispose();
        Assert.True(descriptor.IsClosed);
        return MostCalls;
    }

    [Fact]
    public void A_function_that_is_unplugged_while_it_is_opened_ends_with_no_lease()
    {
        const int Rounds = 2_000;
        for (int i = 0; i < Rounds; i++)
        {
            GuardedFunction guarded = new(new PlainFunction(Everything with { IsExpress = false }, Bar()));
            IVfioDevice? device = null;
            using Barrier start = new(2);
            Thread opener = new(() =>
            {
                start.SignalAndWait();
                try
                {
                    device = guarded.Open();
                }
                catch (ObjectDisposedException)
                {
                    // Too late.
                }
            });
            opener.Start();
            start.SignalAndWait();
            guarded.Dispose();
            opener.Join();
            Assert.False(guarded.IsOpen);
            if (device is not null)
                Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => device.ReadRegion(RegionIndex.Config, 0, new byte[1])).Errno);
        }
    }

    [Fact]
    public void A_function_that_is_detached_during_an_open_is_released_at_once()
    {
        HookedFunction function = new();
        GuardedFunction guarded = new(function);
        Thread closer = new(guarded.Dispose);
        function.Hook = () =>
        {
            function.Hook = null;
            closer.Start();
            Assert.True(SpinWait.SpinUntil(
                () => (closer.ThreadState & ThreadState.WaitSleepJoin) != 0, TimeSpan.FromSeconds(60)), "Dispose waits for nobody");
        };
        IVfioDevice device = guarded.Open();
        closer.Join();
        Assert.False(guarded.IsOpen);
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => device.ReadRegion(RegionIndex.Config, 0, new byte[1])).Errno);
        Assert.Throws<ObjectDisposedException>(guarded.Open);
    }

    /// <summary>Does something in its reset.</summary>
    private sealed class HookedFunction() : PlainFunction(Everything, Bar())
    {
        internal Action? Hook { get; set; }

        protected override void OnReset()
        {
            base.OnReset();
            Hook?.Invoke();
        }
    }

    private static (int, BarContent, BarType) Bar() => (2, new MemoryBar("x", 0x2000), BarType.Memory32);

    /// <summary>Tries with a failure at the first call, at the second, and so on, until there is no such call.</summary>
    private static void AtEveryCall(bool once, Func<FaultyFunction, PlainFunction, GuardedFunction, int, int> attempt)
    {
        int call = 0;
        for (int calls = MostCalls; call < calls; call++)
        {
            PlainFunction plain = new(Everything, Bar());
            FaultyFunction faulty = new(plain);
            using GuardedFunction guarded = new(faulty);
            calls = attempt(faulty, plain, guarded, call);
            Assert.True(calls <= MostCalls, $"{calls} calls");
        }

        Assert.True(call > (once ? 3 : 2), "the function was hardly called");
    }

    private static void Use(IVfioDevice device, FakeMemory memory, EventFd fired, InterruptIndex kind)
    {
        device.MapDma(new DmaMapping(new Iova(0x1000), 0x1000, DmaAccess.ReadWrite, memory, 0));
        memory.Release();
        device.SetInterrupts(InterruptRequest.Bind(kind, InterruptAction.Trigger, 0, [fired.Descriptor]));
        fired.Dispose();
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        device.WriteRegion(RegionIndex.Config, 0x0c, [0x55]);
    }

    private static void AssertOpensClean(GuardedFunction guarded, PlainFunction plain)
    {
        int resets = plain.Resets;
        using IVfioDevice device = guarded.Open();
        Assert.True(plain.Resets > resets);
        Assert.Equal(0u, plain.ReadConfig(4, 2) & 4);
        Assert.Equal(0u, plain.ReadConfig(0x0c, 1));
        byte[] command = new byte[2];
        device.ReadRegion(RegionIndex.Config, 4, command);
        Assert.Equal(0, command[0] & 4);
        device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Assert.Equal(Errno.BadAddress, plain.Slot.WriteMemory(new Iova(0x1000), [1]));
    }
}
