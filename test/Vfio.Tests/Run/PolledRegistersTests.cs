using System.Buffers.Binary;
using Vfio.Abstractions;
using Vfio.Guard;
using Vfio.Run;

namespace Vfio.Tests.Run;

/// <summary>Doorbells that become memory while they are rung often: no ring is lost or late, whatever the page is meanwhile.</summary>
public sealed class PolledRegistersTests
{
    private const int Rings = 20_000;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_ring_arrives_and_before_what_the_program_does_next(bool isPolled)
    {
        using ProgramOutput output = new();
        using GuardedFunction bells = new(new BellFunction(isPolled));
        RunProgram program = new(TestPrograms.Find("vfio-rings"), $"{Rings}") { StandardOutput = output.File };
        using VfioRun run = VfioRun.Start(program, [new RunDevice(bells.Open)]);
        int code = await run.Exit.WaitAsync(HangGuard.Timeout);
        Assert.True(code == 0, output.Text);

        // Polled, most are no faults; a pause of the whole machine closes the page.
        Assert.Equal(isPolled, run.Counts.MappedAccesses < Rings * 3 / 4);
        Assert.True(run.Counts.RegisterWrites >= Rings, $"{run.Counts}");
    }

    /// <summary>Doorbells in the second page of BAR0, which write what rang to memory at 0x100000, and the last one in a register before
    /// them.</summary>
    private sealed class BellFunction : EmulatedFunction, IPolledRegisters
    {
        private const ulong MemoryStart = 0x100000, Bells = 0x1000;
        private readonly bool _isPolled;
        private uint _last;

        internal BellFunction(bool isPolled)
            : base(new FunctionDescription("bells", 0x1234, 0x0003))
        {
            _isPolled = isPolled;
            AddBar(0, new Content(this));
        }

        bool IPolledRegisters.IsPolled(RegionIndex region, ulong page) => _isPolled && region == RegionIndex.Bar(0) && page == Bells;

        private sealed class Content(BellFunction function) : BarContent
        {
            public override ulong Length => 2 * Bells;

            public override void Read(ulong offset, Span<byte> destination)
            {
                destination.Clear();
                if (offset == 0 && destination.Length == sizeof(uint))
                    BinaryPrimitives.WriteUInt32LittleEndian(destination, function._last);
            }

            public override void Write(ulong offset, ReadOnlySpan<byte> source)
            {
                if (offset < Bells || source.Length != sizeof(uint))
                    return;
                function._last = BinaryPrimitives.ReadUInt32LittleEndian(source);
                function.Slot.WriteMemory(new Iova(MemoryStart + (offset - Bells)), source);
            }
        }
    }
}
