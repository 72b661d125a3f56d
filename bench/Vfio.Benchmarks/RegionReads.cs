using BenchmarkDotNet.Attributes;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Benchmarks;

/// <summary>A 4-byte read of a register: in this process, and over a socket to a server on another thread.</summary>
[MemoryDiagnoser]
public class RegionReads
{
    private readonly byte[] _value = new byte[4];
    private readonly CancellationTokenSource _end = new();
    private GuardedFunction? _local;
    private GuardedFunction? _served;
    private VfioUserServer? _server;
    private IVfioDevice? _model;
    private IVfioDevice? _client;
    private Task? _serving;
    private UnixSocket? _serverEnd;

    /// <summary>Opens the same device both ways.</summary>
    [GlobalSetup]
    public void Open()
    {
        _local = new GuardedFunction(new EduFunction());
        _model = _local.Open();
        _served = new GuardedFunction(new EduFunction());
        _server = new VfioUserServer(_served.Open, new VfioUserServerOptions());
        (UnixSocket clientEnd, _serverEnd) = UnixSocket.CreatePair();
        _serving = Task.Factory.StartNew(() => _server.Serve(_serverEnd, _end.Token), TaskCreationOptions.LongRunning);
        _client = new VfioUserClient(clientEnd, "the benchmark's server");
    }

    /// <summary>Through the guard, in this process.</summary>
    [Benchmark(Baseline = true)]
    public byte InProcess()
    {
        _model!.ReadRegion(RegionIndex.Bar0, 0, _value);
        return _value[0];
    }

    /// <summary>Through client, socket, server and guard.</summary>
    [Benchmark]
    public byte OverSocket()
    {
        _client!.ReadRegion(RegionIndex.Bar0, 0, _value);
        return _value[0];
    }

    /// <summary>Ends the session.</summary>
    [GlobalCleanup]
    public void Close()
    {
        _client!.Dispose();
        _serving!.Wait();
        _serverEnd!.Dispose();
        _server!.Dispose();
        _model!.Dispose();
        _local!.Dispose();
        _served!.Dispose();
        _end.Dispose();
    }
}
