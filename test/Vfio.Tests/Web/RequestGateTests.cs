using System.Net;
using Vfio.Tests.Browser;
using Vfio.Web.Serving;
using WebRequest = Vfio.Cli.Verbs.WebRequest;

namespace Vfio.Tests.Web;

/// <summary>Who may ask the server of <c>vfio web</c>, over HTTP.</summary>
public sealed class RequestGateTests
{
    [Fact]
    public async Task Whoever_has_the_token_gets_a_cookie_that_no_script_and_no_other_site_has()
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        HttpResponseMessage entrance = await client.GetAsync(served.Address);
        string cookie = Assert.Single(entrance.Headers.GetValues("Set-Cookie"));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", cookie, StringComparison.OrdinalIgnoreCase);
        HttpResponseMessage page = await SendAsync(client, served, "/", cookie: cookie.Split(';')[0]);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        string policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self'", policy);
        Assert.Contains("frame-ancestors 'none'", policy);
        Assert.DoesNotContain("unsafe", policy);
        string html = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain("<script>", html);
        Assert.DoesNotContain(" style=", html);
        Assert.DoesNotContain(Token(served), html);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/api/registers?device=0")]
    [InlineData("/api/live")]
    [InlineData("/assets/app.js")]
    [InlineData("/?token=0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("/?token=")]
    public async Task Nothing_is_answered_without_the_token(string path)
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        foreach (string root in new[] { "", served.Root })
        {
            HttpResponseMessage answer = await client.GetAsync(new Uri(served.Origin + root + path));
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            Assert.False(answer.Headers.Contains("Set-Cookie"));
            Assert.DoesNotContain("1234", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData("evil.example", null, null, HttpStatusCode.MisdirectedRequest)]
    [InlineData("127.0.0.1.nip.io", null, null, HttpStatusCode.MisdirectedRequest)]
    [InlineData(null, "http://evil.example", null, HttpStatusCode.Forbidden)]
    [InlineData(null, "null", null, HttpStatusCode.Forbidden)]
    [InlineData(null, null, "cross-site", HttpStatusCode.Forbidden)]
    [InlineData(null, null, "same-site", HttpStatusCode.Forbidden)]
    [InlineData(null, null, "same-origin", HttpStatusCode.OK)]
    [InlineData(null, null, "none", HttpStatusCode.OK)]
    public async Task Other_hosts_and_origins_are_refused_with_the_right_cookie_too(string? host, string? origin, string? site, HttpStatusCode status)
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        HttpResponseMessage answer = await SendAsync(client, served, "/", Cookie(served), host, origin, site);
        Assert.Equal(status, answer.StatusCode);
    }

    [Fact]
    public async Task What_changes_something_needs_an_origin()
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        Assert.Equal(HttpStatusCode.Forbidden, (await SendAsync(client, served, "/api/keep?device=0", Cookie(served), method: HttpMethod.Post)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(client, served, "/api/keep?device=0", Cookie(served), origin: served.Origin, method: HttpMethod.Post)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await SendAsync(client, served, "/api/keep?device=0", Cookie(served))).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await SendAsync(client, served, "/", Cookie(served), method: HttpMethod.Delete)).StatusCode);
    }

    [Fact]
    public async Task A_token_opens_no_other_server()
    {
        await using ServedPage one = await StartAsync(), other = await StartAsync();
        using HttpClient client = Client();
        HttpResponseMessage answer = await client.GetAsync(new Uri($"{other.Origin}/?token={Token(one)}"));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal(64, Token(one).Length);
        Assert.NotEqual(Token(one), Token(other));
    }

    [Theory]
    [InlineData("/api/registers?device=99")]
    [InlineData("/api/registers?device=-1")]
    [InlineData("/api/events?from=0")]
    [InlineData("/assets/../web.css")]
    [InlineData("/etc/passwd")]
    public async Task What_is_not_there_is_said_in_a_line(string path)
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        HttpResponseMessage answer = await SendAsync(client, served, path, Cookie(served));
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Fact]
    public async Task Browsers_beyond_the_limit_are_turned_away_and_those_before_are_told_on()
    {
        await using ServedPage served = await StartAsync();
        using HttpClient client = Client();
        List<HttpResponseMessage> listeners = [];
        for (int i = 0; i < LiveFeed.MostListeners; i++)
            listeners.Add(await SendAsync(client, served, "/api/live", Cookie(served)));
        Assert.All(listeners, listener => Assert.Equal(HttpStatusCode.OK, listener.StatusCode));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await SendAsync(client, served, "/api/live", Cookie(served))).StatusCode);
        using StreamReader told = new(await listeners[0].Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.StartsWith("data: {", await told.ReadLineAsync(TestContext.Current.CancellationToken));
        listeners.ForEach(listener => listener.Dispose());
    }

    private static Task<ServedPage> StartAsync() => ServedPage.StartAsync(new WebRequest(["model:edu"], new VfioDeviceOptions()));

    private static HttpClient Client() => new(new HttpClientHandler { UseCookies = false, AllowAutoRedirect = false, UseProxy = false }) { Timeout = HangGuard.Timeout };

    [Fact]
    public async Task The_cookie_is_not_sent_to_a_server_of_another_user_and_opens_nothing_alone()
    {
        await using ServedPage served = await StartAsync();
        using HttpClientHandler handler = new() { UseProxy = false };
        using HttpClient client = new(handler) { Timeout = HangGuard.Timeout };
        await client.GetAsync(served.Address);

        // A browser keeps cookies by host and path, and not by port.
        Assert.Empty(handler.CookieContainer.GetCookies(new Uri("http://127.0.0.1:9999/")));
        Assert.Single(handler.CookieContainer.GetCookies(new Uri($"{served.Origin}{served.Root}/api/live")));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri($"{served.Origin}{served.Root}/"))).StatusCode);

        Assert.Equal(64, served.Root.Trim('/').Length);
        Assert.NotEqual(Token(served), served.Root.Trim('/'));
        foreach (string path in new[] { "/", "/api/registers?device=0", $"/{new string('0', 64)}/", served.Root[..^1] })
        {
            using HttpRequestMessage request = new(HttpMethod.Get, new Uri(served.Origin + path));
            request.Headers.Add("Cookie", Cookie(served));
            using HttpClient other = Client();
            Assert.Equal(HttpStatusCode.Forbidden, (await other.SendAsync(request)).StatusCode);
        }
    }

    [Theory]
    [InlineData(80, "localhost", true)]
    [InlineData(80, "127.0.0.1:80", true)]
    [InlineData(8080, "localhost", false)]
    public void The_usual_port_may_be_left_out(int port, string host, bool isRight)
    {
        RequestGate gate = new(port);
        RequestFacts facts = new("POST", gate.Root, host, $"http://{host}", "same-origin", null, gate.Token);
        Assert.Equal(isRight ? Entry.Allowed : Entry.WrongHost, gate.Judge(facts));
    }

    private static string Token(ServedPage served) => served.Address.Query["?token=".Length..];

    private static string Cookie(ServedPage served) => $"vfio-web-{served.Address.Port}={Token(served)}";

    private static Task<HttpResponseMessage> SendAsync(
        HttpClient client, ServedPage served, string path, string? cookie = null, string? host = null, string? origin = null, string? site = null, HttpMethod? method = null)
    {
        HttpRequestMessage request = new(method ?? HttpMethod.Get, new Uri(served.Origin + served.Root + path));
        request.Headers.Host = host;
        foreach ((string name, string? value) in new[] { ("Cookie", cookie), ("Origin", origin), ("Sec-Fetch-Site", site) })
        {
            if (value is not null)
                request.Headers.Add(name, value);
        }

        return client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }
}
