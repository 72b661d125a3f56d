using System.Runtime.CompilerServices;
using Vfio.Cli.Show;
using Vfio.Cli.Verbs;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Tracing;
using Vfio.User.Leases;
using Vfio.Web.Devices;
using Vfio.Web.Events;

namespace Vfio.Web.Serving;

/// <summary>All that the page shows.</summary>
internal sealed class WatchState : IDisposable
{
    private readonly ConditionalWeakTable<byte[], RegisterNames> _names = [];
    private readonly RegisterNames _users;

    private WatchState(WebRequest request)
    {
        (Request, _users) = (request, RegisterNames.For(default, request.Names));
        Trace = request.Socket is not null || request.Trace is not null ? new TraceView(request.Keep, _users) : null;
    }

    /// <summary>What was asked for.</summary>
    internal WebRequest Request { get; }

    /// <summary>The devices; of a trace file, the first that was opened in it.</summary>
    internal List<WatchedDevice> Devices { get; } = [];

    /// <summary>The trace; null where nothing is traced.</summary>
    internal TraceView? Trace { get; }

    /// <summary>Config spaces that were kept.</summary>
    internal Moments Moments { get; } = new();

    /// <summary>Whether events may still come.</summary>
    internal bool IsLive => Request.Socket is not null;

    /// <summary>Opens all.</summary>
    /// <exception cref="VfioException">A device or the trace cannot be opened.</exception>
    internal static WatchState Open(WebRequest request)
    {
        WatchState state = new(request);
        try
        {
            foreach (string address in request.Addresses)
                state.Devices.Add(WatchedDevice.Find(address, request.Open, request.Socket is not null));
            if (request.Trace is { } file)
                state.Load(file);
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>What can be compared: devices now, kept moments, and the begins of sessions.</summary>
    internal IEnumerable<(string Key, string Name, byte[] Config)> Pictures =>
    [
        .. Devices.Select((device, i) => ($"now{i}", $"{device.View.Name}, {(device.IsOpen ? "now" : "last seen")}", device.Config)),
        .. Moments.Kept.Select(moment => ($"kept{moment.Number}", moment.Name, moment.Config)),
        .. (Trace?.Sessions.Sessions ?? []).Where(session => session.Config.Length > 0)
            .Select(session => ($"session{session.Number}", $"{session.Device}, begin of session {session.Number}", session.Config)),
    ];

    /// <summary>The names of a device's registers; found once for each config space that it had.</summary>
    internal RegisterNames NamesOf(WatchedDevice device) =>
        device.View.IsPci ? _names.GetValue(device.Config, config => RegisterNames.For(config, _users)) : _users;

    /// <summary>Asks the broker.</summary>
    /// <exception cref="VfioException">It does not answer.</exception>
    internal IReadOnlyList<LeaseRecord> AskBroker()
    {
        using BrokerClient broker = BrokerClient.Connect(Request.Broker, Request.Open.Timeout);
        return broker.ListLeases();
    }

    /// <inheritdoc/>
    public void Dispose() => Devices.ForEach(device => device.Dispose());

    private void Load(string file)
    {
        Trace!.Load(file);
        if (Devices.Count == 0 && Trace.Sessions.Sessions.FirstOrDefault(session => session.Config.Length > 0) is { } session)
        {
            ConfigSpace space = new(session.Config);
            Devices.Add(WatchedDevice.Of(new FunctionView(session.Device, space, new FunctionFacts { Names = FunctionView.Names })));
        }
    }
}
