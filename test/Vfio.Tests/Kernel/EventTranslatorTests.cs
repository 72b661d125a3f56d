using System.Text;
using Vfio.Kernel;
using Vfio.Kernel.Events;

namespace Vfio.Tests.Kernel;

/// <summary>Events made of messages as the kernel writes them.</summary>
public sealed class EventTranslatorTests : IDisposable
{
    private const string Function = "0000:01:00.0";
    private readonly FakeSysfs _sysfs = new();

    public void Dispose() => _sysfs.Dispose();

    [Theory]
    [InlineData("add", DeviceEventKind.Added)]
    [InlineData("remove", DeviceEventKind.Removed)]
    [InlineData("change", DeviceEventKind.Changed)]
    [InlineData("move", DeviceEventKind.Changed)]
    public void Actions_become_kinds(string action, DeviceEventKind kind)
    {
        DeviceEvent? found = Translate(Message(action));
        Assert.Equal((kind, Function), (found!.Kind, found.Device));
        Assert.Equal(FakeSysfs.Address(Function), found.Function);
    }

    [Fact]
    public void A_driver_that_was_unbound_is_the_one_that_was_bound()
    {
        _sysfs.Add(Function, "nvme", group: 1);
        EventTranslator translator = new(new PciTopology(_sysfs.Root));
        Assert.Equal("nvme", translator.Translate(Parse(Message("unbind"))!)!.Driver);
        Assert.Equal("vfio-pci", translator.Translate(Parse(Message("bind", "DRIVER=vfio-pci"))!)!.Driver);
        DeviceEvent unbound = translator.Translate(Parse(Message("unbind"))!)!;
        Assert.Equal((DeviceEventKind.Unbound, "vfio-pci"), (unbound.Kind, unbound.Driver));
        Assert.Null(translator.Translate(Parse(Message("unbind"))!)!.Driver);
    }

    [Fact]
    public void A_change_of_the_number_of_virtual_functions_is_an_event()
    {
        string count = Path.Combine(_sysfs.Add(Function, "igb", group: 1), "sriov_numvfs");
        File.WriteAllText(count, "0\n");
        EventTranslator translator = new(new PciTopology(_sysfs.Root));
        File.WriteAllText(count, "4\n");
        DeviceEvent changed = translator.Translate(Parse(Message("change"))!)!;
        Assert.Equal((DeviceEventKind.VirtualFunctionsChanged, 4), (changed.Kind, changed.VirtualFunctions));
        Assert.Equal(DeviceEventKind.Changed, translator.Translate(Parse(Message("change"))!)!.Kind);
    }

    [Fact]
    public void An_AER_message_is_an_error_with_the_kernels_word()
    {
        DeviceEvent error = Translate(Message("change", "ERROR_EVENT=BEGIN_RECOVERY", "DEVICE_ONLINE=0"))!;
        Assert.Equal((DeviceEventKind.Error, "BEGIN_RECOVERY"), (error.Kind, error.Detail));
    }

    [Fact]
    public void An_owners_wish_says_how_long_there_is()
    {
        DeviceEvent wish = Translate(Message("change", "SYNTH_UUID=0", "SYNTH_ARG_RETURNWITHIN=30"))!;
        Assert.Equal((DeviceEventKind.ReleaseRequested, TimeSpan.FromSeconds(30)), (wish.Kind, wish.Within));
        Assert.Equal($"{Function} release requested within 30 s", wish.ToString());
    }

    [Fact]
    public void An_owner_may_wish_it_back_without_a_limit()
    {
        DeviceEvent wish = Translate(Message("change", "SYNTH_UUID=0", "SYNTH_ARG_RETURNWITHIN=never"))!;
        Assert.Equal((DeviceEventKind.ReleaseRequested, null), (wish.Kind, wish.Within));
        Assert.Equal($"{Function} release requested", wish.ToString());
    }

    [Fact]
    public void Other_subsystems_are_passed_over() => Assert.Null(Translate(Message("add").Replace("SUBSYSTEM=pci", "SUBSYSTEM=net", StringComparison.Ordinal)));

    [Theory]
    [InlineData("")]
    [InlineData("libudev\0\0\0")]
    [InlineData("@/devices/x\0A=1\0")]
    [InlineData("no end")]
    public void What_is_no_message_of_the_kernel_is_none(string text) => Assert.Null(Parse(text));

    [Fact]
    public void Values_without_a_key_or_an_end_are_taken_as_they_are()
    {
        Uevent uevent = Parse("add@/devices/x\0=1\0nothing\0\0A=1=2\0B=cut")!;
        Assert.Equal(("add", "1=2", "cut"), (uevent.Action, uevent["A"], uevent["B"]));
        Assert.Null(uevent["nothing"]);
    }

    private static string Message(string action, params string[] more) =>
        string.Join('\0', [$"{action}@/devices/pci0000:00/{Function}", $"ACTION={action}", "SUBSYSTEM=pci", $"PCI_SLOT_NAME={Function}", .. more, "SEQNUM=1", ""]);

    private static Uevent? Parse(string text) => Uevent.Parse(Encoding.ASCII.GetBytes(text));

    private DeviceEvent? Translate(string text) => new EventTranslator(new PciTopology(_sysfs.Root)).Translate(Parse(text)!);
}
