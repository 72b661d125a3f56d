using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Vfio.Cli.Html;
using Vfio.Cli.Output;

namespace Vfio.Web.Serving;

/// <summary>The server of a page, on loopback.</summary>
internal sealed class WebHost : IAsyncDisposable
{
    private const int MostConnections = 64;

    // Nothing but its own scripts and styles, from here; nothing is sent elsewhere; no page has it in a frame; no text becomes markup.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

    private static readonly Dictionary<string, (string Type, byte[] Bytes)> Assets = ReadAssets();
    private readonly WebApplication _app;
    private readonly WatchState _state;
    private readonly Api _api;
    private readonly LiveFeed _feed;
    private readonly CancellationTokenSource _stop = new();
    private Task _looking = Task.CompletedTask;
    private readonly SemaphoreSlim _scans = new(1);
    private RequestGate _gate = new(0);

    private WebHost(WatchState state)
    {
        (_state, _api, _feed) = (state, new Api(state), new LiveFeed(state));

        // No file and no variable of the environment says what it listens to.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(Configure);
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    /// <summary>What to open in a browser.</summary>
    internal Uri Address { get; private set; } = new("http://localhost");

    /// <summary>Below which path everything is that the page asks for.</summary>
    internal string Root => _gate.Root;

    /// <summary>Starts one.</summary>
    /// <param name="state">What it shows; owned by the caller.</param>
    /// <exception cref="VfioException">The port is in use, or may not be used.</exception>
    internal static async Task<WebHost> StartAsync(WatchState state)
    {
        WebHost host = new(state);
        try
        {
            await host._app.StartAsync().ConfigureAwait(false);
        }
        catch (Exception refusal) when (refusal is IOException or SocketException)
        {
            await host.DisposeAsync().ConfigureAwait(false);
            (Errno errno, string hint) = refusal is SocketException { SocketErrorCode: SocketError.AccessDenied }
                ? (Errno.AccessDenied, "ports below 1024 need CAP_NET_BIND_SERVICE; choose another with --port, or 0 for any")
                : (Errno.AddressInUse, "choose another with --port, or 0 for any");
            throw new VfioException("listening on loopback", $"port {state.Request.Port}", errno, hint);
        }

        int port = new Uri(host._app.Urls.Single()).Port;
        host._gate = new RequestGate(port);
        host.Address = new Uri($"http://127.0.0.1:{port}/?token={host._gate.Token}");
        host._looking = host._feed.LookAsync(host._stop.Token);
        return host;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _looking.ConfigureAwait(false);
        using CancellationTokenSource soon = new(TimeSpan.FromSeconds(2));
        await _app.StopAsync(soon.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
        _scans.Dispose();
    }

    private void Configure(KestrelServerOptions options)
    {
        options.AddServerHeader = false;
        options.Limits.MaxConcurrentConnections = MostConnections;
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.MaxRequestHeadersTotalSize = 16 << 10;
        options.Limits.MaxRequestLineSize = 4 << 10;
        options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        options.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
        options.Listen(IPAddress.Loopback, _state.Request.Port, listen => listen.Protocols = HttpProtocols.Http1);
    }

    private Task HandleAsync(HttpContext context)
    {
        HttpRequest request = context.Request;
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
        RequestFacts facts = new(
            request.Method, request.Path.Value ?? "", request.Host.Value ?? "", request.Headers.Origin.FirstOrDefault(),
            request.Headers["Sec-Fetch-Site"].FirstOrDefault(), request.Query["token"].FirstOrDefault(), request.Cookies[_gate.CookieName]);
        switch (_gate.Judge(facts))
        {
            case Entry.Allowed:
                return AnswerAsync(context, facts with { Path = facts.Path[(_gate.Root.Length - 1)..] });
            case Entry.WithToken:
                CookieOptions options = new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Path = _gate.Root };
                context.Response.Cookies.Append(_gate.CookieName, _gate.Token, options);
                return WriteAsync(context, "text/html; charset=utf-8", WatchPage.Entrance(_gate.Root));
            case Entry.NoMethod:
                return RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, "GET and POST are answered");
            case Entry.WrongHost:
                return RefuseAsync(context, StatusCodes.Status421MisdirectedRequest, "this host name is not the server's");
            case Entry.OtherOrigin:
                return RefuseAsync(context, StatusCodes.Status403Forbidden, "pages of other origins are not answered");
            default:
                return RefuseAsync(context, StatusCodes.Status403Forbidden, "open the address that 'vfio web' printed: it has the token");
        }
    }

    private Task AnswerAsync(HttpContext context, RequestFacts facts)
    {
        if (facts is { Method: "GET", Path: "/" })
            return WriteAsync(context, "text/html; charset=utf-8", WatchPage.Of(_state));
        if (facts is { Method: "GET", Path: "/api/live" })
            return _feed.RunAsync(context, _stop.Token);
        if (facts.Method == "GET" && Assets.TryGetValue(facts.Path, out (string Type, byte[] Bytes) asset))
        {
            context.Response.ContentType = asset.Type;
            return context.Response.Body.WriteAsync(asset.Bytes, context.RequestAborted).AsTask();
        }

        return AnswerJsonAsync(context, facts);
    }

    private async Task AnswerJsonAsync(HttpContext context, RequestFacts facts)
    {
        CancellationToken gone = context.RequestAborted;
        try
        {
            if (_api.Find(facts.Method, facts.Path, context.Request.Query, gone) is not { } write)
            {
                await RefuseAsync(context, StatusCodes.Status404NotFound, "there is no such thing here").ConfigureAwait(false);
                return;
            }

            using MemoryStream bytes = new();
            await WriteJsonAsync(write, bytes, Api.Scans(facts.Path), gone).ConfigureAwait(false);
            context.Response.ContentType = "application/json";
            await context.Response.Body.WriteAsync(bytes.GetBuffer().AsMemory(0, (int)bytes.Length), gone).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            // Nobody waits for the answer any more.
        }
        catch (Exception refusal) when (!context.Response.HasStarted)
        {
            int status = refusal is VfioException or TimeoutException ? StatusCodes.Status409Conflict : StatusCodes.Status500InternalServerError;
            await RefuseAsync(context, status, Failure.Of(refusal).Line ?? "").ConfigureAwait(false);
        }
    }

    // One walk over the events at a time: many browsers would slow down the device that is served here.
    private async Task WriteJsonAsync(Action<Utf8JsonWriter> write, MemoryStream bytes, bool isScan, CancellationToken gone)
    {
        if (isScan)
            await _scans.WaitAsync(gone).ConfigureAwait(false);
        try
        {
            using Utf8JsonWriter json = new(bytes);
            write(json);
        }
        finally
        {
            if (isScan)
                _scans.Release();
        }
    }

    private static Task RefuseAsync(HttpContext context, int status, string why)
    {
        context.Response.StatusCode = status;
        return WriteAsync(context, "text/plain; charset=utf-8", $"{why}\n");
    }

    private static Task WriteAsync(HttpContext context, string type, string text)
    {
        context.Response.ContentType = type;
        return context.Response.WriteAsync(text, context.RequestAborted);
    }

    private static Dictionary<string, (string Type, byte[] Bytes)> ReadAssets()
    {
        const string Script = "text/javascript; charset=utf-8", Style = "text/css; charset=utf-8";
        return new()
        {
            ["/assets/page.css"] = (Style, System.Text.Encoding.UTF8.GetBytes(Asset.Read("page.css"))),
            ["/assets/bits.js"] = (Script, System.Text.Encoding.UTF8.GetBytes(Asset.Read("bits.js"))),
            ["/assets/web.css"] = (Style, Own("web.css")),
            ["/assets/app.js"] = (Script, Own("app.js")),
            ["/assets/trace.js"] = (Script, Own("trace.js")),
            ["/assets/chart.js"] = (Script, Own("chart.js")),
            ["/assets/tables.js"] = (Script, Own("tables.js")),
            ["/assets/icon.svg"] = ("image/svg+xml", Own("icon.svg")),
        };
    }

    private static byte[] Own(string name)
    {
        using Stream stream = typeof(WebHost).Assembly.GetManifestResourceStream($"web/{name}")!;
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
