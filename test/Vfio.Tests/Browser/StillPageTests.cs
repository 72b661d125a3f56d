using Microsoft.Playwright;
using Vfio.Cli.Html;
using Vfio.Cli.Show;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Names;

namespace Vfio.Tests.Browser;

/// <summary><c>vfio show --html</c> in a browser.</summary>
[Collection(nameof(BrowserCollection))]
public sealed class StillPageTests(BrowserFixture browser) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-still-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "device.html");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Bits_are_explained_at_the_pointer_and_by_keyboard()
    {
        await using OpenPage open = await OpenAsync("model:igb");
        ILocator detail = open.Page.Locator(".detail");

        // COMMAND, offset 4, bit 2: Bus Master Enable, which a user of the function may change.
        await open.Page.Locator("tr[data-offset='4'] .run[data-low='2']").HoverAsync();
        await Assertions.Expect(detail).ToContainTextAsync("BusMaster");
        await Assertions.Expect(detail).ToContainTextAsync("bit 2 of Control, offset 0x004");
        await Assertions.Expect(detail).ToContainTextAsync("passed through: a write reaches the hardware");
        await Assertions.Expect(detail).ToContainTextAsync("Header: PCI Express Base 6.0, section 7.5.1");

        // One stop for the tab key, and arrows from there: right to the device id, down to the command register.
        await open.Page.Locator(".run[tabindex='0']").FocusAsync();
        await Assertions.Expect(detail).ToContainTextAsync("bits 15:0 of VendorID");
        await Assertions.Expect(detail).ToContainTextAsync("0x8086");
        await open.Page.Keyboard.PressAsync("ArrowRight");
        await Assertions.Expect(detail).ToContainTextAsync("bits 15:0 of DeviceID");
        await open.Page.Keyboard.PressAsync("ArrowDown");
        await Assertions.Expect(detail).ToContainTextAsync("of Control");
        Assert.Equal(1, await open.Page.Locator(".map .run[tabindex='0']").CountAsync());
        await Assertions.Expect(open.Page.Locator(".run:focus")).ToHaveAttributeAsync("aria-describedby", "f0-detail");
        Assert.Empty(open.Complaints);
    }

    [Fact]
    public async Task Each_capability_has_its_section_and_the_rules_are_told_apart_without_colour()
    {
        await using OpenPage open = await OpenAsync("model:nvme");
        await Assertions.Expect(open.Page.Locator("h3", new() { HasText = "MSI-X" })).ToContainTextAsync("PCI Express Base 6.0, section 7.7.2");
        await Assertions.Expect(open.Page.Locator("h3", new() { HasText = "[4c] Express" })).ToContainTextAsync("PCI Express Base 6.0, section 7.5.3");
        string[] borders = await open.Page.EvaluateAsync<string[]>(
            "[...document.querySelectorAll('.legend .run')].slice(0, 4).map(run => getComputedStyle(run).borderBottomStyle)");
        Assert.Equal(4, borders.Distinct().Count());
    }

    [Theory]
    [InlineData(1280, false)]
    [InlineData(1280, true)]
    [InlineData(400, false)]
    [InlineData(400, true)]
    public async Task It_fits_wide_and_narrow_windows_in_light_and_dark(int width, bool dark)
    {
        await using OpenPage open = await OpenAsync("model:igb", width, dark);
        Assert.False(await open.IsTooWideAsync());
        int back = await open.Page.EvaluateAsync<int>("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])");
        Assert.Equal(dark, back < 128);
        await open.Page.Locator("tr[data-offset='4'] .run[data-low='2']").HoverAsync();
        await open.PictureAsync($"still-{width}-{(dark ? "dark" : "light")}");
    }

    [Fact]
    public async Task Names_are_text_and_the_file_asks_for_nothing()
    {
        const string Hostile = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>\"'&";
        byte[] config = new byte[64];
        (config[0], config[1], config[2], config[3]) = (0x34, 0x12, 0x78, 0x56);
        FunctionFacts facts = new() { Names = PciIds.From(() => new StringReader($"1234  {Hostile}\n\t5678  {Hostile}\n")), Driver = Hostile };
        FunctionView view = new(Hostile, new ConfigSpace(config), facts);
        File.WriteAllText(Path, StillPage.Of([view, view], DateTime.UnixEpoch));
        await using OpenPage open = await browser.OpenAsync();
        await open.Page.GotoAsync($"file://{Path}");
        await Assertions.Expect(open.Page.Locator("#f0 h1")).ToContainTextAsync($"{Hostile} {Hostile}");
        await Assertions.Expect(open.Page.Locator("#f0 .facts")).ToContainTextAsync($"Driver{Hostile}");
        Assert.Equal((0, 1), (await open.Page.Locator("img").CountAsync(), await open.Page.Locator("script").CountAsync()));
        Assert.DoesNotContain("owned", (await open.Page.TitleAsync())[..5]);
        Assert.Equal([$"file://{Path}"], open.Requests);
    }

    [Fact]
    public async Task Its_policy_runs_no_other_script()
    {
        await using OpenPage open = await OpenAsync("model:edu");
        await open.Page.EvaluateAsync("""
            (() => {
                const script = document.createElement("script");
                script.textContent = "document.title = 'owned'";
                document.body.append(script);
            })()
            """);
        Assert.NotEqual("owned", await open.Page.TitleAsync());
        Assert.Contains(open.Complaints, line => line.Contains("Content Security Policy", StringComparison.Ordinal));
    }

    private async Task<OpenPage> OpenAsync(string address, int width = 1280, bool dark = false)
    {
        OpenPage open = await browser.OpenAsync(width, dark);
        File.WriteAllText(Path, StillPage.Of([FunctionView.Open(address, new VfioDeviceOptions())], DateTime.UnixEpoch));
        await open.Page.GotoAsync($"file://{Path}");
        return open;
    }
}
