using Vfio.Devices;
using Vfio.Guard;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>Whether an assigned function masters the bus before its user says so is the provider's decision.</summary>
public sealed class StartAsBusMasterTests
{
    [Theory]
    [InlineData(false, Errno.OperationNotPermitted)]
    [InlineData(true, Errno.BadAddress)]
    public void A_function_reaches_memory_at_once_only_when_its_provider_decided_so(bool start, Errno expected)
    {
        PlainFunction function = new(new FunctionDescription("x", 1, 2) { HasFlr = true });
        using GuardedFunction guard = new(function, policy: new GuardPolicy { StartAsBusMaster = start });
        using IVfioDevice device = guard.Open();
        Assert.Equal(expected, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        Assert.Equal(expected, function.Slot.TranslateMemory(new Iova(0), 1, DmaAccess.Read, out _));
        device.Reset();
        Assert.Equal(expected, function.Slot.ReadMemory(new Iova(0), new byte[1]));
    }

    [Fact]
    public void Every_model_opens_with_bus_mastering_off_unless_its_address_says_otherwise()
    {
        foreach (string name in ModelCatalog.Names)
        {
            Assert.Equal(0, CommandOf(name, []) & 4);
            Assert.Equal(0, CommandOf(name, new() { ["busmaster"] = "off" }) & 4);
            Assert.Equal(4, CommandOf(name, new() { ["busmaster"] = "on" }) & 4);
            VfioException refusal = Assert.Throws<VfioException>(() => CommandOf(name, new() { ["busmaster"] = "maybe" }));
            Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        }

        static int CommandOf(string name, Dictionary<string, string> options)
        {
            using GuardedFunction guard = ModelCatalog.CreateGuarded(name, options);
            using IVfioDevice device = guard.Open();
            byte[] command = new byte[2];
            device.ReadRegion(RegionIndex.Config, 4, command);
            return command[0];
        }
    }

    [Fact]
    public void What_the_user_writes_holds_and_a_reset_through_config_space_disables_it()
    {
        PlainFunction function = new(new FunctionDescription("x", 1, 2) { HasFlr = true });
        using GuardedFunction guard = new(function, policy: new GuardPolicy { StartAsBusMaster = true });
        using IVfioDevice device = guard.Open();
        device.WriteRegion(RegionIndex.Config, 4, [3, 0]);
        Assert.Equal(Errno.OperationNotPermitted, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        device.WriteRegion(RegionIndex.Config, 4, [7, 0]);
        Assert.Equal(Errno.BadAddress, function.Slot.ReadMemory(new Iova(0), new byte[1]));
        byte[] at = new byte[1];
        device.ReadRegion(RegionIndex.Config, 0x34, at);
        device.WriteRegion(RegionIndex.Config, at[0] + 4ul, [1]); // Advanced Features control: initiate FLR
        Assert.Equal(Errno.OperationNotPermitted, function.Slot.ReadMemory(new Iova(0), new byte[1]));
    }

    [Fact]
    public void No_interrupt_has_a_listener_and_nothing_is_mapped_while_no_user_has_it()
    {
        PlainFunction function = new(new FunctionDescription("x", 1, 2) { InterruptPin = 1 });
        using GuardedFunction guard = new(function);
        Assert.False(function.Slot.HasListener(InterruptIndex.Intx, 0));
        Assert.Equal(0, function.Slot.MappingCount);
        using IVfioDevice device = guard.Open();
        Assert.False(function.Slot.HasListener(InterruptIndex.Intx, 1));
        Assert.False(function.Slot.HasListener(InterruptIndex.Msix, -1));
        Assert.False(function.Slot.HasListener(new InterruptIndex(77), 0));
    }
}
