using System.Buffers.Binary;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary>A busy device goes from one server process to another, over sockets, and goes on.</summary>
public sealed class MigrationTests
{
    private const ulong Memory = 0x10000;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_busy_edu_moves_to_another_process_and_goes_on_computing(bool preCopy)
    {
        using ServerProcess first = new();
        using ServerProcess second = new();
        using SharedDmaMemoryOf memory = new(0x4000);
        using EventFd interrupt = EventFd.Create();
        byte[] state;
        uint[] registers;
        using (VfioUserClient source = VfioUserClient.Connect(first.SocketPath))
        {
            Prepare(source, memory.Dma, interrupt);
            memory.Shared.TryWrite(0, [.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 31))]);
            Transfer(source, Memory, 0x40000, 4096, 1);
            WaitFor(interrupt);
            Write(source, 0x64, 0x100);
            Write(source, 0x04, 0x01020304);
            Assert.Equal(4096ul, source.StartDirtyTracking(4096, []));
            Transfer(source, 0x40000, Memory + 0x2000, 4096, 3);
            WaitFor(interrupt);
            Write(source, 0x60, 0x40);
            WaitFor(interrupt);

            if (preCopy)
                source.SetMigrationState(MigrationState.PreCopy);
            // Started last: wherever it is when the device stops, it ends here or there.
            Write(source, 0x20, 0x80);
            Write(source, 0x08, 12);
            state = DeviceState.Save(source);
            registers = Registers(source);
            byte[] bitmap = new byte[8];
            source.ReportDirtyPages(new Iova(Memory), 0x4000, 4096, bitmap);
            Assert.Equal(0b100, bitmap[0]);
        }

        ulong early = interrupt.Drain();
        using VfioUserClient target = VfioUserClient.Connect(second.SocketPath);
        DeviceState.Restore(target, state);
        Prepare(target, memory.Dma, interrupt, isRestored: true);
        Assert.Equal(registers, Registers(target));
        target.SetMigrationState(MigrationState.Running);

        Assert.True(SpinWait.SpinUntil(() => Read(target, 0x08) == 479001600, TestTimeout)); // 12!
        Assert.True(SpinWait.SpinUntil(() => (Read(target, 0x24) & 1) != 0, TestTimeout));
        Assert.Equal(0x41u | (registers[4] & 0x100), Read(target, 0x24));
        if (early == 0)
            WaitFor(interrupt);
        memory.Shared.TryWrite(0x1000, new byte[4096]);
        Write(target, 0x64, uint.MaxValue);
        Transfer(target, 0x40000, Memory + 0x1000, 4096, 3);
        WaitFor(interrupt);
        byte[] copy = new byte[4096];
        memory.Shared.TryRead(0x1000, copy);
        Assert.Equal([.. Enumerable.Range(0, 4096).Select(i => (byte)(i * 31))], copy);
        Write(target, 0x08, 5);
        Assert.True(SpinWait.SpinUntil(() => Read(target, 0x08) == 120, TestTimeout));
    }

    [Fact]
    public void A_state_that_somebody_made_up_does_not_end_the_server()
    {
        using ServerProcess server = new();
        for (int round = 0; round < 20; round++)
        {
            using VfioUserClient client = VfioUserClient.Connect(server.SocketPath);
            byte[] state = DeviceState.Save(client);
            new Random(round).NextBytes(state.AsSpan(round * 16 % state.Length));
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => DeviceState.Restore(client, state)).Errno);
        }

        using VfioUserClient last = VfioUserClient.Connect(server.SocketPath);
        Assert.Equal(MigrationState.Running, last.MigrationState);
        Assert.Equal(0x010000edu, Read(last, 0));
    }

    private static void Prepare(VfioUserClient client, DmaMemory memory, EventFd interrupt, bool isRestored = false)
    {
        client.MapDma(new DmaMapping(new Iova(Memory), 0x4000, DmaAccess.ReadWrite, memory, 0));
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msi, InterruptAction.Trigger, 0, [interrupt.Descriptor]));
        if (!isRestored)
            client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
    }

    private static uint[] Registers(VfioUserClient client) =>
        [.. new ulong[] { 0x00, 0x04, 0x08, 0x20, 0x24, 0x80, 0x84, 0x88, 0x8c, 0x90, 0x94, 0x98, 0x9c }.Select(at => Read(client, at))];

    private static void Transfer(VfioUserClient client, ulong source, ulong destination, ulong count, uint command)
    {
        foreach ((ulong at, ulong value) in new[] { (0x80ul, source), (0x88ul, destination), (0x90ul, count) })
            client.WriteRegion(RegionIndex.Bar0, at, BitConverter.GetBytes(value));
        Write(client, 0x98, command | 4);
    }

    private static void WaitFor(EventFd interrupt) => Assert.True(interrupt.Wait(TestTimeout), "no interrupt came");

    private static uint Read(VfioUserClient client, ulong offset)
    {
        byte[] bytes = new byte[4];
        client.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private static void Write(VfioUserClient client, ulong offset, uint value) =>
        client.WriteRegion(RegionIndex.Bar0, offset, BitConverter.GetBytes(value));

    /// <summary>Memory for DMA, freed at the end of a test.</summary>
    private sealed class SharedDmaMemoryOf(ulong length) : IDisposable
    {
        internal SharedDmaMemory Dma { get; } = new(SharedMemory.Create("moving", length));

        internal SharedMemory Shared => Dma.Shared;

        public void Dispose() => Dma.Release();
    }
}
