using System.Security.Cryptography;
using System.Text;

namespace Vfio.Web.Serving;

/// <summary>Who may ask the server for anything: whoever has the token, from a page of the server's own.</summary>
/// <remarks>
/// <para>Other users of the machine, and pages of other origins in the user's browser, reach loopback as well as the user does. The token,
/// which only the terminal shows, keeps out the first. A cookie of it would be sent along for the second; so it is SameSite=Strict, and the
/// headers that say where a request comes from are checked too. A name that another's DNS points to loopback (DNS rebinding) is not one of
/// the server's hosts.</para>
/// <para>Cookies know no ports: a browser would send the cookie to the server of another user at another port, too. So all that is served
/// is below a path that nobody can guess, and the cookie is only for that path.</para>
/// <para>Pure; any thread.</para>
/// </remarks>
internal sealed class RequestGate
{
    private const int TokenBytes = 32, HttpPort = 80;
    private readonly byte[] _tokenHash, _rootHash;
    private readonly string[] _hosts;

    /// <summary>Makes a token.</summary>
    /// <param name="port">Where the server listens.</param>
    internal RequestGate(int port)
    {
        Token = Random();
        Root = $"/{Random()}/";
        (_tokenHash, _rootHash) = (Hash(Token), Hash(Root));
        string[] names = ["127.0.0.1", "localhost"];

        // The usual port of HTTP is left out by browsers.
        _hosts = [.. names.Select(name => $"{name}:{port}"), .. port == HttpPort ? names : []];
        CookieName = $"vfio-web-{port}";
    }

    /// <summary>What has to be in the first request's address: 64 hex digits.</summary>
    internal string Token { get; }

    /// <summary>What every path but the entrance's begins with: 64 hex digits between slashes. It is not the token: an address that is
    /// shown or kept opens nothing without the cookie.</summary>
    internal string Root { get; }

    /// <summary>The cookie that has the token afterwards.</summary>
    internal string CookieName { get; }

    /// <summary>Decides on a request.</summary>
    internal Entry Judge(in RequestFacts request)
    {
        if (!_hosts.Contains(request.Host, StringComparer.OrdinalIgnoreCase))
            return Entry.WrongHost;
        if (request.Origin is { } origin && origin != $"http://{request.Host}")
            return Entry.OtherOrigin;
        if (request.Site is not (null or "same-origin" or "none") && request.QueryToken is null)
            return Entry.OtherOrigin;
        if (request.Method == "POST" && request.Origin is null)
            return Entry.OtherOrigin;
        if (request.Method is not ("GET" or "HEAD" or "POST"))
            return Entry.NoMethod;
        if (request.QueryToken is { } token)
            return request.Path == "/" && Matches(token) ? Entry.WithToken : Entry.NoToken;
        bool isInside = IsSame(request.Path[..Math.Min(request.Path.Length, Root.Length)], _rootHash);
        return isInside && request.Cookie is { } cookie && Matches(cookie) ? Entry.Allowed : Entry.NoToken;
    }

    private static string Random() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(TokenBytes));

    private bool Matches(string given) => IsSame(given, _tokenHash);

    // The time is the same for everything wrong; the hash also hides how long the right one is.
    private static bool IsSame(string given, byte[] hash) => CryptographicOperations.FixedTimeEquals(Hash(given), hash);

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}

/// <summary>What is looked at of a request.</summary>
/// <param name="Method">GET, HEAD or POST.</param>
/// <param name="Path">Its path.</param>
/// <param name="Host">The header Host.</param>
/// <param name="Origin">The header Origin; null where there is none.</param>
/// <param name="Site">The header Sec-Fetch-Site; null where there is none.</param>
/// <param name="QueryToken">The token in the address; null where there is none.</param>
/// <param name="Cookie">The cookie; null where there is none.</param>
internal readonly record struct RequestFacts(
    string Method, string Path, string Host, string? Origin, string? Site, string? QueryToken, string? Cookie);

/// <summary>What becomes of a request.</summary>
internal enum Entry
{
    /// <summary>It is answered.</summary>
    Allowed,

    /// <summary>It has the right token in its address: it gets the cookie.</summary>
    WithToken,

    /// <summary>Its host is none of the server's.</summary>
    WrongHost,

    /// <summary>It comes from a page of another origin.</summary>
    OtherOrigin,

    /// <summary>It has no token, or a wrong one.</summary>
    NoToken,

    /// <summary>Its method is none that the server knows.</summary>
    NoMethod,
}
