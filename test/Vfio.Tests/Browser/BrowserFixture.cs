using Microsoft.Playwright;

namespace Vfio.Tests.Browser;

/// <summary>One Chromium for all tests that look at pages.</summary>
public sealed class BrowserFixture : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>Where pictures of pages are kept, to be looked at.</summary>
    public static string Pictures { get; } = Repository.PathOf("artifacts", "screenshots");

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
            return;
        Assertions.SetDefaultExpectTimeout((float)HangGuard.Timeout.TotalMilliseconds);
        _playwright = await Playwright.CreateAsync();

        // Tests run as root in many a container, where Chromium has no sandbox.
        _browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Chromium,
            Args = ["--no-sandbox"],
            Timeout = (float)HangGuard.Timeout.TotalMilliseconds,
        });
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        _playwright?.Dispose();
    }

    /// <summary>An empty page, in a window of its own without cookies.</summary>
    /// <param name="width">The window's, in CSS pixels.</param>
    /// <param name="dark">Whether the user prefers dark.</param>
    internal async Task<OpenPage> OpenAsync(int width = 1280, bool dark = false)
    {
        Assert.SkipWhen(_browser is null, $"{Chromium} is not installed (Debian: chromium)");
        IBrowserContext context = await _browser.NewContextAsync(new()
        {
            ViewportSize = new() { Width = width, Height = 900 },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
        });
        context.SetDefaultTimeout((float)HangGuard.Timeout.TotalMilliseconds);
        return new OpenPage(context, await context.NewPageAsync());
    }
}

/// <summary>A page, and what it asked for and complained about.</summary>
internal sealed class OpenPage : IAsyncDisposable
{
    private readonly IBrowserContext _context;

    internal OpenPage(IBrowserContext context, IPage page)
    {
        _context = context;
        Page = page;
        page.Request += (_, request) => Requests.Add(request.Url);
        page.Console += (_, message) => Complaints.Add(message.Text);
        page.PageError += (_, error) => Complaints.Add(error);
    }

    /// <summary>The page.</summary>
    internal IPage Page { get; }

    /// <summary>What it has asked for.</summary>
    internal List<string> Requests { get; } = [];

    /// <summary>Errors of its scripts, and what its policy has stopped.</summary>
    internal List<string> Complaints { get; } = [];

    /// <summary>Keeps a picture of the whole page.</summary>
    internal Task PictureAsync(string name, bool fullPage = true) =>
        Page.ScreenshotAsync(new() { Path = Path.Combine(BrowserFixture.Pictures, $"{name}.png"), FullPage = fullPage });

    /// <summary>Whether something is wider than the window, so that the page itself would have to be scrolled sideways.</summary>
    internal Task<bool> IsTooWideAsync() => Page.EvaluateAsync<bool>("document.documentElement.scrollWidth > document.documentElement.clientWidth");

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}

/// <summary>Tests that share <see cref="BrowserFixture"/>.</summary>
[CollectionDefinition(nameof(BrowserCollection))]
public sealed class BrowserCollection : ICollectionFixture<BrowserFixture>;
