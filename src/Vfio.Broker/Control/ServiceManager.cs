using System.Diagnostics;
using System.Globalization;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Broker.Control;

/// <summary>The service manager that started this process, as systemd is one: hears when the broker is ready, reloads and stops, and that
/// it
/// is alive. See sd_notify(3) and sd_watchdog_enabled(3).</summary>
/// <remarks>In a few lines, rather than by Microsoft.Extensions.Hosting.Systemd, which knows neither reload nor watchdog nor sockets, and
/// brings configuration, files and dependency injection into a command that has to start in a hundredth of a second.</remarks>
internal sealed class ServiceManager : IDisposable
{
    private readonly NotifySocket? _socket;
    private IntervalTimer? _watchdog;

    private ServiceManager(NotifySocket? socket) => _socket = socket;

    /// <summary>Finds the manager by the environment, which children of this process do not get.</summary>
    internal static ServiceManager Find()
    {
        const string Variable = "NOTIFY_SOCKET";
        string? address = Environment.GetEnvironmentVariable(Variable);
        Environment.SetEnvironmentVariable(Variable, null);
        return new ServiceManager(address is null ? null : NotifySocket.TryConnect(address));
    }

    /// <summary>The broker answers.</summary>
    internal void Ready(string status) => _socket?.Send($"READY=1\nSTATUS={status}");

    /// <summary>The policy is being read again; <see cref="Ready"/> follows.</summary>
    internal void Reloading() => _socket?.Send(string.Create(
        CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1_000_000)}"));

    /// <summary>The broker ends.</summary>
    internal void Stopping() => _socket?.Send("STOPPING=1");

    /// <summary>Tells the manager regularly that the loop is alive, if it wants to know.</summary>
    internal void Watch(EventLoop loop)
    {
        bool isOurs = Environment.GetEnvironmentVariable("WATCHDOG_PID") is not { } process
            || process == Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        bool isWanted = long.TryParse(Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds);
        if (_socket is null || !isOurs || !isWanted || microseconds < 2)
            return;
        IntervalTimer timer = _watchdog = new IntervalTimer(TimeSpan.FromMicroseconds(microseconds / 2));
        loop.Add(timer.Descriptor, _ =>
        {
            timer.Rearm();
            _socket.Send("WATCHDOG=1");
        });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watchdog?.Dispose();
        _socket?.Dispose();
    }
}
