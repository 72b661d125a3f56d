using System.Globalization;
using Vfio.Pci;

namespace Vfio;

/// <summary>The address of a device, as a text that the command and the library accept.</summary>
/// <remarks>
/// <para><c>0000:01:00.0</c> or <c>pci:0000:01:00.0</c>: a function of this machine. <c>0000:01:00.0?guard=1</c> opens it through the guard;
/// with <c>&amp;reset=optional</c> also one that cannot be reset.</para>
/// <para><c>mdev:83b8f4f2-509f-382f-3c1e-e6bfe0fa1001</c>: a mediated device of this machine.</para>
/// <para><c>unix:/run/x.sock</c>: a vfio-user server. <c>unix:/run/x.sock?reconnect=5s</c> waits that long for a server that went away,
/// and <c>?timeout=5s</c> is the timeout of its answers, <c>?timeout=infinite</c> for no limit; <c>ms</c>, <c>s</c>, <c>min</c> and <c>h</c> are units, and
/// <c>&amp;</c> stands between two options. <c>?capture=FILE</c> writes the messages to a file, for Wireshark.</para>
/// <para><c>lease:NAME</c>: a device that the broker of this machine assigns to this user, by its name, its pool or its address.
/// <c>lease:NAME?broker=/run/vfio/broker.sock</c> names the broker's socket; <c>timeout</c> is as for <c>unix:</c>.</para>
/// <para><c>model:edu</c>, <c>model:NAME?option=value&amp;option=value</c>: a guarded model in this process. <c>model:replay?from=FILE&amp;mode=strict</c> is
/// a recorded device; the modes are those of <see cref="Vfio.Tracing.ReplayMode"/>.</para>
/// </remarks>
internal sealed record DeviceAddress
{
    internal const string ReconnectWord = "reconnect";
    private const string CaptureWord = "capture";
    private const string TimeoutWord = "timeout", BrokerWord = "broker";
    private const string GuardWord = "guard", ResetWord = "reset";
    private const double LongestSeconds = 24 * 60 * 60;

    private DeviceAddress(AddressScheme scheme, string text) => (Scheme, Text) = (scheme, text);

    /// <summary>The kind of address.</summary>
    public AddressScheme Scheme { get; }

    /// <summary>The whole address with its scheme.</summary>
    public string Text { get; }

    /// <summary>With <see cref="AddressScheme.Pci"/>: the function's address.</summary>
    public PciAddress Function { get; private init; }

    /// <summary>With <see cref="AddressScheme.Pci"/>: whether it is opened through the guard.</summary>
    public bool IsGuarded { get; private init; }

    /// <summary>With <see cref="IsGuarded"/>: whether it is opened also when it cannot be reset.</summary>
    public bool AllowsWithoutReset { get; private init; }

    /// <summary>With <see cref="AddressScheme.Mediated"/>: its UUID.</summary>
    public Guid Uuid { get; private init; }

    /// <summary>With <see cref="AddressScheme.Unix"/>: the socket's file. With <see cref="AddressScheme.Model"/>: the model's
    /// name. With <see cref="AddressScheme.Lease"/>: what the broker is asked for.</summary>
    public string Place { get; private init; } = "";

    /// <summary>With <see cref="AddressScheme.Model"/>: what follows the question mark.</summary>
    public IReadOnlyDictionary<string, string> Options { get; private init; } = new Dictionary<string, string>();

    /// <summary>With <see cref="AddressScheme.Unix"/>: how long to wait for a server that went away; zero for no wait.</summary>
    public TimeSpan Reconnect { get; private init; }

    /// <summary>With <see cref="AddressScheme.Unix"/>: the file that its messages are captured in; null for none.</summary>
    public string? Capture { get; private init; }

    /// <summary>With <see cref="AddressScheme.Lease"/>: the broker's socket; null for the usual place.</summary>
    public string? Broker { get; private init; }

    /// <summary>With <see cref="AddressScheme.Unix"/> or <see cref="AddressScheme.Lease"/>: the timeout of accepting a client, and of each request;
    /// <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for no limit; null if the address has none.</summary>
    public TimeSpan? Timeout { get; private init; }

    /// <summary>Parses an address.</summary>
    /// <exception cref="VfioException">EINVAL: the text is no address.</exception>
    public static DeviceAddress Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.StartsWith("unix:", StringComparison.Ordinal) && text.Length > 5)
            return Unix(text);
        if (text.StartsWith("model:", StringComparison.Ordinal) && text.Length > 6)
            return Model(text);
        if (text.StartsWith("lease:", StringComparison.Ordinal) && text.Length > 6)
            return Lease(text);
        if (text.StartsWith("mdev:", StringComparison.Ordinal) && Guid.TryParseExact(text[5..], "D", out Guid uuid))
            return new DeviceAddress(AddressScheme.Mediated, $"mdev:{uuid}") { Uuid = uuid };
        string function = text.StartsWith("pci:", StringComparison.Ordinal) ? text[4..] : text;
        string[] parts = function.Split('?', 2);
        return PciAddress.TryParse(parts[0], out PciAddress address)
            ? parts.Length == 1 ? new DeviceAddress(AddressScheme.Pci, address.ToString()) { Function = address } : Guarded(text, address, parts[1])
            : throw new VfioException(
                "address", text, Errno.InvalidArgument, "write 0000:01:00.0, unix:/run/x.sock, model:edu, lease:NAME or mdev:UUID");
    }

    /// <summary>The address.</summary>
    public override string ToString() => Text;

    private static DeviceAddress Guarded(string text, PciAddress function, string given)
    {
        Dictionary<string, string> options = OptionsOf(text, given);
        foreach ((string name, string value) in options)
        {
            if ((name, value) is not ((GuardWord, "0" or "1") or (ResetWord, "optional" or "required")))
                throw new VfioException("address", text, Errno.InvalidArgument, "a function has the options guard=1 and reset=optional");
        }

        bool isGuarded = options.GetValueOrDefault(GuardWord) == "1";
        if (!isGuarded && options.ContainsKey(ResetWord))
            throw new VfioException("address", text, Errno.InvalidArgument, "reset is the guard's option: add guard=1");
        return new DeviceAddress(AddressScheme.Pci, isGuarded ? $"{function}?{given}" : function.ToString())
        {
            Function = function,
            Options = options,
            IsGuarded = isGuarded,
            AllowsWithoutReset = options.GetValueOrDefault(ResetWord) == "optional",
        };
    }

    private static DeviceAddress Unix(string text)
    {
        // A file's name may have a question mark: only text of the form of options is parsed as options.
        int mark = text.LastIndexOf('?');
        if (mark < 0 || !text[mark..].Contains('='))
            return new DeviceAddress(AddressScheme.Unix, text) { Place = text[5..] };
        Dictionary<string, string> options = OptionsOf(text, text[(mark + 1)..]);
        if (options.Keys.FirstOrDefault(name => name is not (ReconnectWord or TimeoutWord or CaptureWord)) is string unknown)
            throw new VfioException("address", text, Errno.InvalidArgument, $"a socket has no option '{unknown}': it has timeout, reconnect and capture");
        return new DeviceAddress(AddressScheme.Unix, text)
        {
            Place = mark > 5 ? text[5..mark] : throw new VfioException("address", text, Errno.InvalidArgument, "there is no path in it"),
            Reconnect = options.TryGetValue(ReconnectWord, out string? reconnect) ? TimeOf(text, reconnect) : TimeSpan.Zero,
            Timeout = options.TryGetValue(TimeoutWord, out string? timeout) ? LimitOf(text, timeout) : null,
            Capture = options.GetValueOrDefault(CaptureWord),
            Options = options,
        };
    }

    private static DeviceAddress Model(string text)
    {
        string[] parts = text[6..].Split('?', 2);
        Dictionary<string, string> options = parts.Length == 2 ? OptionsOf(text, parts[1]) : [];
        return new DeviceAddress(AddressScheme.Model, text) { Place = parts[0], Options = options };
    }

    private static DeviceAddress Lease(string text)
    {
        string[] parts = text[6..].Split('?', 2);
        Dictionary<string, string> options = parts.Length == 2 ? OptionsOf(text, parts[1]) : [];
        if (options.Keys.FirstOrDefault(name => name is not (BrokerWord or TimeoutWord)) is string unknown)
            throw new VfioException("address", text, Errno.InvalidArgument, $"a lease has no option '{unknown}': it has broker and timeout");
        return new DeviceAddress(AddressScheme.Lease, text)
        {
            Place = parts[0].Length > 0 ? parts[0] : throw new VfioException("address", text, Errno.InvalidArgument, "there is no name in it"),
            Broker = options.GetValueOrDefault(BrokerWord),
            Timeout = options.TryGetValue(TimeoutWord, out string? timeout) ? LimitOf(text, timeout) : null,
            Options = options,
        };
    }

    private static Dictionary<string, string> OptionsOf(string text, string given)
    {
        Dictionary<string, string> options = [];
        foreach (string option in given.Split('&'))
        {
            string[] words = option.Split('=', 2);
            if (words.Length != 2 || words[0].Length == 0 || !options.TryAdd(words[0], words[1]))
                throw new VfioException("address", text, Errno.InvalidArgument, $"'{option}' is not one option=value, given once");
        }

        return options;
    }

    private static TimeSpan LimitOf(string text, string value)
    {
        if (value is "infinite" or "none")
            return System.Threading.Timeout.InfiniteTimeSpan;
        return TryParseTime(value, out TimeSpan limit) && limit > TimeSpan.Zero
            ? limit
            : throw new VfioException(
                "address", text, Errno.InvalidArgument, $"'{value}' is no timeout of up to a day: write 500ms, 5s, 2min or infinite");
    }

    private static TimeSpan TimeOf(string text, string value) => TryParseTime(value, out TimeSpan time)
        ? time
        : throw new VfioException("address", text, Errno.InvalidArgument, $"'{value}' is no time of up to a day, such as 500ms, 5s or 2min");

    private static bool TryParseTime(string value, out TimeSpan time)
    {
        (string Unit, double Seconds)[] units = [("ms", 1e-3), ("s", 1), ("min", 60), ("m", 60), ("h", 3600)];
        foreach ((string unit, double seconds) in units)
        {
            if (!value.EndsWith(unit, StringComparison.Ordinal))
                continue;
            ReadOnlySpan<char> digits = value.AsSpan(0, value.Length - unit.Length);
            if (uint.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) && number * seconds <= LongestSeconds)
            {
                time = TimeSpan.FromSeconds(number * seconds);
                return true;
            }
        }

        time = default;
        return false;
    }
}

/// <summary>Kinds of device addresses.</summary>
internal enum AddressScheme
{
    /// <summary>A function of this machine.</summary>
    Pci,

    /// <summary>A vfio-user server.</summary>
    Unix,

    /// <summary>A guarded model in this process.</summary>
    Model,

    /// <summary>A mediated device of this machine.</summary>
    Mediated,

    /// <summary>A device that a broker assigns.</summary>
    Lease,
}
