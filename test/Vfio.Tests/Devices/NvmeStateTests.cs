using System.Buffers;
using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.Guard.Bars;
using Vfio.Tests.Testing;

namespace Vfio.Tests.Devices;

/// <summary>The state of a drive as bytes: what goes on elsewhere, and what a forged state can do.</summary>
public sealed class NvmeStateTests
{
    private const byte GetLogPage = 0x02, SetFeatures = 0x09, GetFeatures = 0x0a, EventRequest = 0x0c, FormatNvm = 0x80, WriteUncorrectable = 0x04;
    private const int Data = NvmeRig.Data;

    [Fact]
    public void A_drive_goes_on_elsewhere_with_queues_features_events_and_counters()
    {
        FakeStorage storage = new();
        ManualClock clock = new();
        using NvmeFunction first = new(storage, Two, clock);
        using NvmeFunction second = new(storage, Two, clock);
        using SlotRig nvme = new(first);
        nvme.Enable();
        Assert.Equal(0, nvme.Admin(SetFeatures, dword10: 0x04, dword11: 350).Status);
        Assert.Equal(0, nvme.Admin(SetFeatures, dword10: 0x0b, dword11: 0x02).Status);
        Assert.Equal(0, nvme.Admin(SetFeatures, dword10: 0x06, dword11: 0).Status);
        Assert.Equal(0, nvme.Admin(FormatNvm, dword10: 1, space: 2).Status);
        nvme.CreatePair(1);
        nvme.CreatePair(2);
        for (int i = 0; i < 21; i++)
            Assert.Equal(0, nvme.Range(1, NvmeRig.Write, (ulong)i, 1));
        Assert.Equal(0, nvme.Range(2, WriteUncorrectable, 100, 1, prp1: 0));
        ushort request = nvme.BeginAdmin(EventRequest);
        clock.Advance(TimeSpan.FromHours(3));

        nvme.MoveTo(second);

        for (int i = 0; i < 21; i++)
            Assert.Equal(0, nvme.Range(1, NvmeRig.Read, (ulong)i, 1));
        Assert.Equal(0x281, nvme.Range(2, NvmeRig.Read, 100, 1));
        Assert.Equal((0, 350u), nvme.Admin(GetFeatures, dword10: 0x04));
        Assert.Equal((0, 0u), nvme.Admin(GetFeatures, dword10: 0x06));
        Assert.Equal(0, nvme.Admin(0x06, Data, 0, space: 2).Status);
        Assert.Equal(1, nvme.Peek(Data + 26, 1)[0]);
        ushort set = nvme.BeginAdmin(SetFeatures, dword10: 0x04, dword11: 300);
        (ushort Id, int Status, uint Result)[] ended = [nvme.Take(0), nvme.Take(0)];
        Assert.Contains((set, 0, 0u), ended);
        Assert.Contains((request, 0, 0x0002_0101u), ended);
        clock.Advance(TimeSpan.FromHours(2));
        Assert.Equal(0, nvme.Admin(GetLogPage, Data, 0x007f_0002, space: 0xffff_ffff).Status);
        Assert.Equal((21ul, 21ul, 5ul), (nvme.Peek64(Data + 64), nvme.Peek64(Data + 80), nvme.Peek64(Data + 128)));
    }

    [Fact]
    public void Doorbells_in_memory_go_on_elsewhere()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        Assert.Equal(0, nvme.Admin(0x7c, 0x70000, prp2: 0x71000).Status);
        nvme.MoveTo(second);

        // The tail is in memory alone, and the register says only that it has moved.
        nvme.Submit(1, NvmeRig.Read, Data, 0, 0, 0, space: 1, isRung: false);
        nvme.Poke(0x70008, [1]);
        nvme.WriteRegister(0x1008, 0);
        Assert.Equal(0, nvme.Take(1).Status);
    }

    [Fact]
    public void A_read_that_waits_for_the_medium_is_done_elsewhere()
    {
        FakeStorage storage = new() { IsCold = true };
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        for (int round = 0; round < 20; round++)
        {
            HashSet<ushort> sent = [];
            for (int i = 0; i < 10; i++)
                sent.Add(nvme.Submit(1, NvmeRig.Read, Data, 0, 0, 0, space: 1, isRung: i == 9));
            if (round == 10)
                nvme.MoveTo(second);
            for (int i = 0; i < 10; i++)
                Assert.True(sent.Remove(nvme.Take(1).Id));
        }
    }

    [Fact]
    public void A_stop_waits_for_no_driver_that_takes_no_completions()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        Fill(nvme, 14);

        // Room for one of two.
        ushort compare = nvme.Submit(1, 0x05, Data, 0, 0, 0, space: 1, flags: 1, isRung: false);
        ushort write = nvme.Submit(1, NvmeRig.Write, Data, 0, 0, 0, space: 1, flags: 2);
        NvmeRig.WaitUntil(() => IsPosted(nvme, 15));
        nvme.MoveTo(second);
        for (int i = 0; i < 14; i++)
            Assert.Equal(0, nvme.Take(1).Status);
        Assert.Equal((compare, 0, 0u), nvme.Take(1));
        Assert.Equal((write, 0, 0u), nvme.Take(1));
    }

    [Fact]
    public void A_read_that_moves_twice_before_it_is_done_is_done()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using NvmeFunction third = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        Fill(nvme, 14);
        storage.IsCold = true;
        storage.Hang("read");
        HashSet<ushort> sent = [];
        for (int i = 0; i < 3; i++)
            sent.Add(nvme.Submit(1, NvmeRig.Read, Data, 0, 0, 0, space: 1, isRung: i == 2));
        NvmeRig.WaitUntil(() => storage.Log.Count(one => one == "read hangs") == 3);
        storage.Release("read");
        NvmeRig.WaitUntil(() => IsPosted(nvme, 15));
        second.Connect(nvme.Slot);
        IMigratableFunction between = second;
        between.Stop();
        Assert.True(between.TryRestore(SlotRig.Save(first)));
        nvme.MoveOn(second, third);
        for (int i = 0; i < 14; i++)
            Assert.Equal(0, nvme.Take(1).Status);
        for (int i = 0; i < 3; i++)
            Assert.True(sent.Remove(nvme.Take(1).Id));
    }

    [Fact]
    public async Task Ranges_that_are_given_back_are_no_reason_to_wait_for_their_end()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        nvme.Poke(Data, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8]);
        storage.Hang("zero");
        ushort ranges = nvme.Submit(1, 0x09, Data, 1, 4, 0, space: 1);
        NvmeRig.WaitUntil(() => storage.Log.Contains("zero hangs"));
        Task move = Task.Run(() => nvme.MoveTo(second), TestContext.Current.CancellationToken);
        NvmeRig.WaitUntil(() => first.Executor.IsPaused);
        storage.Release("zero");
        await move;
        Assert.Equal((ranges, 0, 0u), nvme.Take(1));
        Assert.Equal(3, storage.Log.Count(one => one == "discard")); // one here, and all of them there
    }

    [Fact]
    public async Task A_self_test_pauses_and_goes_on()
    {
        FakeStorage storage = new();
        using NvmeFunction function = new(storage, Two);
        using SlotRig nvme = new(function);
        nvme.Enable();
        storage.Hang("read");
        Assert.Equal(0, nvme.Admin(0x14, dword10: 2, space: uint.MaxValue).Status);
        NvmeRig.WaitUntil(() => storage.Log.Contains("read hangs"));
        IMigratableFunction migratable = function;
        Task stop = Task.Run(migratable.Stop, TestContext.Current.CancellationToken);
        NvmeRig.WaitUntil(() => function.Executor.IsPaused);
        storage.Release("read");
        await stop;
        Assert.Equal(1, storage.Log.Count(one => one == "read"));
        migratable.Start();
        NvmeRig.WaitUntil(() => storage.Log.Count(one => one == "read") == 2);
        NvmeRig.WaitUntil(() =>
        {
            Assert.Equal(0, nvme.Admin(GetLogPage, Data, 0x007f_0006).Status);
            return nvme.Peek(Data, 1)[0] == 0;
        });
        Assert.Equal(0x20, nvme.Peek(Data + 4, 1)[0]);
    }

    [Fact]
    public void A_flush_that_failed_has_failed_elsewhere_too()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        storage.FlushError = Errno.InputOutput;
        Assert.Equal(0x280, nvme.Io(1, NvmeRig.Flush));
        storage.FlushError = Errno.None;
        nvme.MoveTo(second);
        Assert.Equal(0x280, nvme.Io(1, NvmeRig.Flush));

        // Whoever brings a state may have forged it: the next user does not inherit that.
        ((IRenewableFunction)second).Renew(wasShown: false);
        nvme.Reset();
        nvme.Enable();
        nvme.CreatePair(1);
        Assert.Equal(0, nvme.Io(1, NvmeRig.Flush));
    }

    [Fact]
    public void A_refused_state_leaves_the_drive_as_it_was()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using NvmeFunction other = new(storage, new NvmeSettings(NvmeNames.OfMemory(), Namespaces: 2));
        using NvmeFunction second = new(storage, Two);
        using SlotRig nvme = new(first);
        using SlotRig target = new(second);
        nvme.Enable();
        Assert.Equal(0, nvme.Admin(FormatNvm, dword10: 1, space: 2).Status);
        byte[] state = SlotRig.Save(first);
        Assert.False(((IMigratableFunction)other).TryRestore(state)); // the state of another drive
        IMigratableFunction migratable = second;
        migratable.Stop();
        Assert.False(migratable.TryRestore(state.AsSpan(0, state.Length - 1)));
        migratable.Start();
        target.Reset();
        target.Enable();
        Assert.Equal(0, target.Admin(0x06, Data, 0, space: 2).Status);
        Assert.Equal(1024ul, target.Peek64(Data));
    }

    [Theory]
    [InlineData(2, long.MaxValue)]
    [InlineData(2, -1L)]
    [InlineData(3, long.MaxValue)]
    [InlineData(9, long.MaxValue / 2)]
    public void Counters_that_cannot_be_are_refused(int at, long value)
    {
        NvmeHealth health = new(new ManualClock(), queues: 2);
        StateWriter state = new();
        for (int i = 0; i < 3 + (6 * 3); i++)
            state.Write(i == at ? value : 5L);
        StateReader reader = new(state.Written);
        Assert.False(health.TryRestore(ref reader));
        Assert.Equal(0, health.Hours);
        health.Write(new byte[512], 0, 0);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void A_drive_that_is_only_read_takes_over_no_sanitize(int last)
    {
        StateWriter state = new();
        state.Write(last);
        state.Write(2u);
        StateReader reader = new(state.Written);
        Assert.False(new NvmeSanitize().TryRestore(ref reader, isReadOnly: true));
        reader = new(state.Written);
        Assert.True(new NvmeSanitize().TryRestore(ref reader, isReadOnly: false));
    }

    [Fact]
    public void A_forged_state_is_refused_or_does_no_harm()
    {
        FakeStorage storage = new();
        using NvmeFunction first = new(storage, Two);
        using SlotRig nvme = new(first);
        nvme.Enable();
        nvme.CreatePair(1);
        nvme.BeginAdmin(EventRequest);
        byte[] state = SlotRig.Save(first);
        Random random = new(1);
        for (int i = 0; i < 300; i++)
        {
            byte[] forged = [.. state];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
                forged[random.Next(forged.Length)] = (byte)random.Next(256);
            using NvmeFunction function = new(storage, Two);
            using SlotRig target = new(function);
            IMigratableFunction migratable = function;
            migratable.Stop();
            _ = migratable.TryRestore(forged[..(i % 2 == 0 ? forged.Length : random.Next(forged.Length))]);
            migratable.Start();
            target.Reset();
            target.Enable();
            target.CreatePair(1);
            Assert.Equal(0, target.Io(1, NvmeRig.Flush));
        }
    }

    /// <summary>Completes commands that the driver does not take.</summary>
    private static void Fill(SlotRig nvme, int count)
    {
        for (int i = 0; i < count; i++)
            nvme.Begin(1, NvmeRig.Flush);
        NvmeRig.WaitUntil(() => IsPosted(nvme, count));
    }

    /// <summary>Whether the first round of queue 1 has so many completions.</summary>
    private static bool IsPosted(SlotRig nvme, int count) => (nvme.Peek(0x3000 + (16 * (count - 1)) + 14, 1)[0] & 1) != 0;

    private static NvmeSettings Two { get; } = new(NvmeNames.OfMemory(), Namespaces: 2);
}
