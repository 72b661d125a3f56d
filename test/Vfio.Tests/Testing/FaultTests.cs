using FsCheck;
using FsCheck.Fluent;
using Vfio.Testing;

namespace Vfio.Tests.Testing;

/// <summary>Faults as people write them.</summary>
public sealed class FaultTests
{
    public static TheoryData<string, Fault> Texts => new()
    {
        { "unplug", Fault.Unplugs() },
        { "unplug@1000", Fault.Unplugs().From(1000) },
        { "read=bar0:0x1c", Fault.ReadsOnes(RegionIndex.Bar0, 0x1c) },
        { "read=bar5:28=3@2+4", Fault.ReadsAs(RegionIndex.Bar(5), 28, 3).From(2).Times(4) },
        { "read=CONFIG:0", Fault.ReadsOnes(RegionIndex.Config, 0) },
        { "lose-write=bar0:0x1000-0x1fff", Fault.LosesWrites(RegionIndex.Bar0, 0x1000, 0x1fff) },
        { "lose-write=config:4", Fault.LosesWrites(RegionIndex.Config, 4, 4) },
        { "lose-interrupt@3+1", Fault.LosesInterrupts().From(3).Times(1) },
        { "late-interrupt=500us", Fault.DelaysInterrupts(TimeSpan.FromMicroseconds(500)) },
        { "late-interrupt=60s", Fault.DelaysInterrupts(TimeSpan.FromMinutes(1)) },
        { "refuse-dma", Fault.RefusesDma((Errno)12) },
        { "refuse-dma=28@2", Fault.RefusesDma((Errno)28).From(2) },
        { "fail-reset=enodev", Fault.FailsReset((Errno)19) },
    };

    [Theory]
    [MemberData(nameof(Texts))]
    public void A_fault_is_read_from_text(string text, Fault fault) => Assert.Equal(fault, Fault.Parse(text));

    [Theory]
    [InlineData("", "KIND")]
    [InlineData("unplug@", "KIND")]
    [InlineData("unplug@0", "after @")]
    [InlineData("unplug@1+0", "after +")]
    [InlineData("unplug=1", "argument")]
    [InlineData("explode", "kind of fault")]
    [InlineData("read", "argument")]
    [InlineData("read=bar6:0", "register")]
    [InlineData("read=bar0:0x", "register")]
    [InlineData("read=bar0:0-4", "range")]
    [InlineData("lose-write=bar0:4-0", "before its begin")]
    [InlineData("lose-write=bar0:4=1", "no value")]
    [InlineData("lose-write=bar0:99999999999999999999", "register")]
    [InlineData("late-interrupt", "argument")]
    [InlineData("late-interrupt=61s", "60s")]
    [InlineData("late-interrupt=0ms", "60s")]
    [InlineData("refuse-dma=EWHAT", "errno")]
    [InlineData("refuse-dma=0", "errno")]
    [InlineData("refuse-dma=4096", "errno")]
    public void What_is_no_fault_is_refused_with_the_reason_and_an_example(string text, string reason)
    {
        FormatException refusal = Assert.Throws<FormatException>(() => Fault.Parse(text));
        Assert.Contains(reason, refusal.Message);
        Assert.Contains("unplug@1000", refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void Any_text_is_a_fault_or_a_FormatException() => Prop.ForAll<string>(text =>
    {
        try
        {
            _ = Fault.Parse(text ?? "");
        }
        catch (FormatException)
        {
            // Refused.
        }
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Numbers_of_events_and_delays_have_a_range()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Fault.Unplugs().From(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Fault.Unplugs().Times(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Fault.DelaysInterrupts(TimeSpan.Zero));
        Assert.Throws<ArgumentOutOfRangeException>(() => Fault.DelaysInterrupts(TimeSpan.FromMinutes(2)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Fault.LosesWrites(RegionIndex.Bar0, 4, 0));
    }
}
