using Vfio.Cli.Verbs;
using Vfio.Drivers.Edu;
using Vfio.Tracing;
using Vfio.Tracing.Format;
using Vfio.User;
using Vfio.Web.Serving;

namespace Vfio.Tests.Browser;

/// <summary>What <c>vfio web</c> serves, in this process.</summary>
internal sealed class ServedPage : IAsyncDisposable
{
    private readonly WatchState _state;
    private readonly WebHost _host;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    private ServedPage(WatchState state, WebHost host)
    {
        (_state, _host) = (state, host);
        _serving = state.Request.Socket is { } socket ? WebService.ServeAsync(state, socket, TextWriter.Null, _stop.Token) : Task.CompletedTask;
    }

    /// <summary>What to open, with the token.</summary>
    internal Uri Address => _host.Address;

    /// <summary>Its scheme, host and port.</summary>
    internal string Origin => _host.Address.GetLeftPart(UriPartial.Authority);

    /// <summary>Below which path everything is, without the slash at its end.</summary>
    internal string Root => _host.Root.TrimEnd('/');

    /// <summary>Starts one.</summary>
    internal static async Task<ServedPage> StartAsync(WebRequest request)
    {
        WatchState state = WatchState.Open(request);
        return new ServedPage(state, await WebHost.StartAsync(state));
    }

    /// <summary>A user of the device at the socket.</summary>
    internal VfioUserClient Connect()
    {
        string socket = _state.Request.Socket!;
        Assert.True(SpinWait.SpinUntil(() => File.Exists(socket) || _serving.IsCompleted, HangGuard.Timeout));
        return VfioUserClient.Connect(socket);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _stop.CancelAsync();
        await _serving;
        _state.Dispose();
        _stop.Dispose();
    }
}

/// <summary>A driver that computes, interrupts, moves memory, and reaches where nothing is mapped.</summary>
internal sealed class EduSession : IDisposable
{
    private readonly EduDriver _edu;
    private readonly DmaBuffer _memory;

    internal EduSession(IVfioDevice device)
    {
        _edu = new EduDriver(device);
        Assert.Equal(3628800u, _edu.Factorial(10));
        Assert.Equal(120u, _edu.Factorial(5));
        _memory = _edu.Device.AllocateDma(4096);
        _edu.CopyToDevice(_memory, 0, 64);
        Assert.False(_edu.TryReadMemory(new Iova(0x0800_0000), new byte[64]));
    }

    /// <summary>Where memory is mapped that the device read once.</summary>
    internal Iova Memory => _memory.Start;

    /// <summary>Uses a register once more.</summary>
    internal void Compute() => Assert.Equal(6u, _edu.Factorial(3));

    /// <inheritdoc/>
    public void Dispose()
    {
        _memory.Dispose();
        _edu.Dispose();
    }
}

/// <summary>Trace files of a device that has a name, and reads one register again and again.</summary>
internal static class TraceFiles
{
    internal static void Write(string path, string name, int events)
    {
        using TraceFileWriter file = new(File.Create(path), start: 0);
        Add(file, TraceEventKind.Open, 0, System.Text.Encoding.UTF8.GetBytes(name));
        byte[] config = new byte[256];
        (config[0], config[1], config[2], config[3]) = (0x34, 0x12, 0xe8, 0x11);
        Add(file, TraceEventKind.ConfigSpace, 0, config);
        for (int i = 0; i < events; i++)
        {
            file.Write(
                new TraceRecord { Kind = TraceEventKind.Read, Time = (ulong)i * 1000, Session = 1, Length = 4, Place = 8, Value = (ulong)i, Duration = 100 }, default);
        }

        file.Flush();
    }

    private static void Add(TraceFileWriter file, TraceEventKind kind, ulong time, byte[] data)
    {
        byte[] payload = new byte[TraceRecord.RecordsFor(data.Length) * TraceRecord.Bytes];
        data.CopyTo(payload, 0);
        file.Write(
            new TraceRecord { Kind = kind, Time = time, Session = 1, Length = (uint)data.Length, PayloadRecords = (ushort)(payload.Length / TraceRecord.Bytes) }, payload);
    }
}
