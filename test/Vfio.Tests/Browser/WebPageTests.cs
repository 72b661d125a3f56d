using System.Text.RegularExpressions;
using Microsoft.Playwright;
using Vfio.Cli.Verbs;
using Vfio.Tracing;
using Vfio.User;

namespace Vfio.Tests.Browser;

/// <summary>The page of <c>vfio web</c> in a browser: each view shows what happened.</summary>
[Collection(nameof(BrowserCollection))]
public sealed class WebPageTests(BrowserFixture browser) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-web-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_device_at_a_glance_and_its_config_space_live()
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        await Assertions.Expect(open.Page.Locator("h1:visible")).ToContainTextAsync("1234");
        await Assertions.Expect(open.Page.Locator(".facts:visible")).ToContainTextAsync("1234:11e8");
        await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("waiting for a user");

        await ShowAsync(open, "config");
        ILocator command = open.Page.Locator("tr[data-offset='4']:visible");
        await Assertions.Expect(command.Locator(".run[data-field='BusMaster']")).ToHaveTextAsync("0");
        using VfioUserClient client = served.Connect();
        await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("in use");

        // COMMAND: Memory Space Enable and Bus Master Enable.
        client.WriteRegion(RegionIndex.Config, 4, [0x06, 0x00]);
        await Assertions.Expect(command.Locator(".value")).ToHaveTextAsync("0x0006");
        await Assertions.Expect(command.Locator(".run[data-field='BusMaster']")).ToHaveTextAsync("1");
        await Assertions.Expect(command.Locator(".run[data-field='BusMaster'] .changed")).ToHaveCountAsync(1);
        await open.PictureAsync("web-config-1280-light", fullPage: false);
        Assert.Empty(open.Complaints);
        Assert.All(open.Requests, url => Assert.StartsWith(served.Origin, url));
    }

    [Fact]
    public async Task Registers_the_trace_memory_and_interrupts_of_a_driver_by_name()
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        using EduSession session = new(served.Connect());

        await ShowAsync(open, "registers");
        ILocator identification = open.Page.Locator("#register-table tr", new() { HasText = "Identification" });
        await Assertions.Expect(identification).ToContainTextAsync("0x010000ed");
        await open.Page.Locator("#register-filter").FillAsync("factorial");
        await Assertions.Expect(open.Page.Locator("#register-table tbody tr")).ToHaveCountAsync(1);

        await ShowAsync(open, "trace");
        await Assertions.Expect(open.Page.Locator(".event", new() { HasText = "Identification = 0x010000ed" })).ToBeVisibleAsync();
        await open.Page.Locator("#trace-filter").FillAsync("write bar0 factorial");
        await Assertions.Expect(open.Page.Locator(".event")).ToHaveCountAsync(2);
        await Assertions.Expect(open.Page.Locator(".event").First).ToContainTextAsync("Factorial = 0x0000000a");
        await open.Page.Locator("#trace-filter").FillAsync("");
        await Assertions.Expect(open.Page.Locator("#trace-line .lane-name", new() { HasText = "bar0" })).ToBeVisibleAsync();
        await open.PictureAsync("web-trace-1280-light", fullPage: false);

        await ShowAsync(open, "dma");
        string address = $"0x{session.Memory.Value:x}";
        ILocator mapped = open.Page.Locator("#dma-table tbody tr", new() { HasText = address });
        await Assertions.Expect(mapped).ToContainTextAsync("4 KiB");
        await Assertions.Expect(mapped).ToContainTextAsync("64 bytes");
        await Assertions.Expect(open.Page.Locator("#dma-strip .block.mapped", new() { HasText = address })).ToContainTextAsync("1×");
        await Assertions.Expect(open.Page.Locator("#dma-note")).ToContainTextAsync("The guard refused 1 access to");
        await open.PictureAsync("web-dma-1280-light", fullPage: false);

        await ShowAsync(open, "interrupts");
        ILocator vector = open.Page.Locator("#irq-table tbody tr");
        await Assertions.Expect(vector).ToContainTextAsync("MSI 0");
        await Assertions.Expect(vector.Locator("td").First).ToHaveTextAsync(new Regex("^[1-9]"));
        await Assertions.Expect(vector).ToContainTextAsync("bind 0");
        await open.PictureAsync("web-interrupts-1280-light", fullPage: false);
        Assert.Empty(open.Complaints);
    }

    [Fact]
    public async Task A_user_who_has_gone_is_not_said_to_use_the_device()
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        using (served.Connect())
            await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("in use");
        await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("waiting for a user");
    }

    [Fact]
    public async Task The_keyboard_reaches_the_view_the_time_line_and_a_register()
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        using EduSession session = new(served.Connect());
        await ShowAsync(open, "trace");
        ILocator lanes = open.Page.Locator("#trace-line .lanes"), axis = open.Page.Locator("#trace-line .axis");
        await Assertions.Expect(lanes.Locator(".lane").First).ToBeVisibleAsync();
        string whole = await axis.TextContentAsync() ?? "";
        await lanes.FocusAsync();
        await open.Page.Keyboard.PressAsync("+");
        await Assertions.Expect(axis).Not.ToHaveTextAsync(whole);
        string close = await axis.TextContentAsync() ?? "";
        await open.Page.Keyboard.PressAsync("ArrowLeft");
        await Assertions.Expect(axis).Not.ToHaveTextAsync(close);

        // The skip link leads to the view that is shown.
        await open.Page.Locator(".skip").FocusAsync();
        await open.Page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(open.Page.Locator("#views")).ToBeFocusedAsync();
        await Assertions.Expect(open.Page.Locator("h1:visible")).ToHaveTextAsync("Trace");

        // New events do not take the focus away.
        await ShowAsync(open, "registers");
        await open.Page.Locator("#register-filter").FillAsync("bar0 factorial");
        ILocator row = open.Page.Locator("#register-table tbody tr");
        await Assertions.Expect(row).ToHaveCountAsync(1);
        await row.GetByRole(AriaRole.Button).FocusAsync();
        string reads = await row.Locator("td").Nth(4).TextContentAsync() ?? "";
        session.Compute();
        await Assertions.Expect(row.Locator("td").Nth(4)).Not.ToHaveTextAsync(reads);
        await Assertions.Expect(row.GetByRole(AriaRole.Button)).ToBeFocusedAsync();
        Assert.Empty(open.Complaints);
    }

    [Fact]
    public async Task Two_moments_of_a_device_side_by_side()
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        using VfioUserClient client = served.Connect();
        await ShowAsync(open, "compare");
        await open.Page.Locator("#compare-keep").ClickAsync();
        await Assertions.Expect(open.Page.Locator("#compare-left")).ToHaveValueAsync("kept1");
        await Assertions.Expect(open.Page.Locator("#compare-note")).ToContainTextAsync("are equal");
        client.WriteRegion(RegionIndex.Config, 4, [0x04, 0x00]);
        ILocator row = open.Page.Locator("#compare-table tbody tr");
        await Assertions.Expect(row).ToContainTextAsync("Header Control");
        await Assertions.Expect(row).ToContainTextAsync("BusMaster 0x0 → 0x1");

        // As many bytes change as before.
        client.WriteRegion(RegionIndex.Config, 4, [0x02, 0x00]);
        await Assertions.Expect(row).ToContainTextAsync("0x0002");
        await open.PictureAsync("web-compare-1280-light", fullPage: false);
    }

    [Fact]
    public async Task Two_devices_side_by_side_and_each_by_itself()
    {
        await using ServedPage served = await ServedPage.StartAsync(new WebRequest(["model:edu", "model:nvme"], new VfioDeviceOptions()));
        await using OpenPage open = await OpenAsync(served);
        await Assertions.Expect(open.Page.Locator(".facts:visible")).ToContainTextAsync("1234:11e8");
        await open.Page.Locator("#device").SelectOptionAsync("1");
        await Assertions.Expect(open.Page.Locator(".facts:visible")).ToContainTextAsync("5646:4e56");
        await ShowAsync(open, "compare");
        await Assertions.Expect(open.Page.Locator("#compare-note")).ToContainTextAsync("registers differ");
        ILocator vendor = open.Page.Locator("#compare-table tr", new() { HasText = "Header VendorID" });
        await Assertions.Expect(vendor).ToContainTextAsync("0x1234");
        await Assertions.Expect(vendor).ToContainTextAsync("0x5646");
        await Assertions.Expect(open.Page.Locator("#compare-table tr", new() { HasText = "MSI-X Flags" })).ToContainTextAsync("not there");

        // Only looked at: a register is read when the user says so.
        await ShowAsync(open, "registers");
        await open.Page.Locator("#register-filter").FillAsync("bar0 version");
        ILocator version = open.Page.Locator("#register-table tbody tr");
        await Assertions.Expect(version).ToHaveCountAsync(1);
        await version.GetByRole(AriaRole.Button).ClickAsync();
        await Assertions.Expect(version).ToContainTextAsync("0x00020000");
    }

    [Fact]
    public async Task A_broker_that_is_not_there_is_a_line_in_the_page()
    {
        await using ServedPage served = await ServedPage.StartAsync(
            new WebRequest([], new VfioDeviceOptions()) { ShowsLeases = true, Broker = Path.Combine(_folder, "no-broker.sock") });
        await using OpenPage open = await browser.OpenAsync();
        await open.Page.GotoAsync(served.Address.ToString());
        await Assertions.Expect(open.Page.Locator("#lease-note")).ToContainTextAsync("no-broker.sock");
    }

    [Theory]
    [InlineData(1280, true)]
    [InlineData(400, false)]
    [InlineData(400, true)]
    public async Task Every_view_fits_wide_and_narrow_windows_in_light_and_dark(int width, bool dark)
    {
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served, width, dark);
        using EduSession session = new(served.Connect());
        foreach (string view in new[] { "device", "config", "registers", "trace", "dma", "interrupts", "compare" })
        {
            await ShowAsync(open, view);
            await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("events");
            Assert.False(await open.IsTooWideAsync(), view);
            await open.PictureAsync($"web-{view}-{width}-{(dark ? "dark" : "light")}", fullPage: false);
        }

        Assert.Empty(open.Complaints);
    }

    [Fact]
    public async Task What_a_peer_calls_itself_is_text()
    {
        const string Hostile = "<img src=x onerror=alert(1)>";
        string file = Path.Combine(_folder, "hostile.vfiotrace");
        TraceFiles.Write(file, Hostile, events: 10);
        await using ServedPage served = await ServedPage.StartAsync(new WebRequest([], new VfioDeviceOptions()) { Trace = file });
        await using OpenPage open = await OpenAsync(served);
        await ShowAsync(open, "trace");
        await Assertions.Expect(open.Page.Locator(".event", new() { HasText = Hostile })).ToBeVisibleAsync();
        await ShowAsync(open, "compare");
        await Assertions.Expect(open.Page.Locator("#compare-left option").First).ToContainTextAsync(Hostile);
        Assert.Equal(0, await open.Page.Locator("img").CountAsync());
        Assert.Empty(open.Complaints);
    }

    [Fact]
    public async Task A_million_events_are_scrolled_without_gaps()
    {
        const int Count = 1_000_000;
        string file = Path.Combine(_folder, "long.vfiotrace");
        TraceFiles.Write(file, "long", Count);
        await using ServedPage served = await ServedPage.StartAsync(new WebRequest([], new VfioDeviceOptions()) { Trace = file, Keep = 1 << 21 });
        await using OpenPage open = await OpenAsync(served);
        await ShowAsync(open, "trace");
        ILocator list = open.Page.Locator("#trace-list");
        await Assertions.Expect(open.Page.Locator("#trace-count")).ToContainTextAsync("events");
        foreach (double share in new[] { 0, 0.31, 0.77, 1 })
        {
            await list.EvaluateAsync("(list, share) => { list.scrollTop = share * (list.scrollHeight - list.clientHeight); }", share);
            long[] numbers = await VisibleAsync(open);
            Assert.Equal(Enumerable.Range(0, numbers.Length).Select(i => numbers[0] + i), numbers);
            Assert.InRange(numbers.Length, 10, 60);
        }

        long last = (await VisibleAsync(open))[^1];
        await list.FocusAsync();
        await open.Page.Keyboard.PressAsync("End");
        await Assertions.Expect(open.Page.Locator(".event.cursor .n")).ToHaveTextAsync($"{last}");
        await open.Page.Keyboard.PressAsync("Home");
        await Assertions.Expect(open.Page.Locator(".event.cursor .n")).ToHaveTextAsync("0");
    }

    /// <summary>Makes the pictures of docs/look.md and README: docs/images/make runs it.</summary>
    [Fact(Explicit = true)]
    public async Task The_pictures_of_the_documentation()
    {
        string images = Repository.PathOf("docs", "images");
        await using ServedPage served = await ServedPage.StartAsync(Request("model:edu"));
        await using OpenPage open = await OpenAsync(served);
        using EduSession session = new(served.Connect());
        await ShowAsync(open, "config");
        await Assertions.Expect(open.Page.Locator("#state")).ToContainTextAsync("in use");
        await open.Page.Locator("tr[data-offset='4']:visible .run[data-field='BusMaster']").HoverAsync();
        await TakeAsync("config", 760);
        await ShowAsync(open, "trace");
        await Assertions.Expect(open.Page.Locator(".event", new() { HasText = "VendorID" })).ToBeVisibleAsync();
        await open.Page.Locator("#trace-filter").FillAsync("bar0 -config");
        await Assertions.Expect(open.Page.Locator(".lane-name", new() { HasText = "config" })).ToHaveCountAsync(0);
        await Assertions.Expect(open.Page.Locator(".event", new() { HasText = "VendorID" })).ToHaveCountAsync(0);
        await TakeAsync("trace", 760);

        Task TakeAsync(string name, int height) => open.Page.ScreenshotAsync(new()
        {
            Path = Path.Combine(images, $"web-{name}.png"),
            Clip = new() { X = 0, Y = 0, Width = 1280, Height = height },
        });
    }

    /// <summary>The numbers of the events that are seen, when all of them are there.</summary>
    private static async Task<long[]> VisibleAsync(OpenPage open)
    {
        IJSHandle numbers = await open.Page.WaitForFunctionAsync("""
            () => {
                const box = document.querySelector("#trace-list").getBoundingClientRect();
                const seen = [...document.querySelectorAll(".event")]
                    .filter(row => { const place = row.getBoundingClientRect(); return place.top >= box.top && place.bottom <= box.bottom; })
                    .map(row => Number(row.querySelector(".n").textContent));
                return seen.length >= 10 && !seen.some(Number.isNaN) ? seen : false;
            }
            """);
        return await numbers.JsonValueAsync<long[]>();
    }

    private static Task ShowAsync(OpenPage open, string view) => open.Page.Locator($"header nav a[href='#{view}']").ClickAsync();

    private WebRequest Request(string address) => new([address], new VfioDeviceOptions())
    {
        Socket = Path.Combine(_folder, "device.sock"),
        Options = new TraceOptions { SeesDma = true },
    };

    private async Task<OpenPage> OpenAsync(ServedPage served, int width = 1280, bool dark = false)
    {
        OpenPage open = await browser.OpenAsync(width, dark);
        await open.Page.GotoAsync(served.Address.ToString());
        await Assertions.Expect(open.Page.Locator("h1:visible")).ToBeVisibleAsync();
        return open;
    }
}
