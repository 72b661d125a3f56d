using BenchmarkDotNet.Attributes;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Tracing;
using Vfio.Tracing.Replay;
using Vfio.User;

namespace Vfio.Benchmarks;

/// <summary>What tracing costs, and how fast a recording answers.</summary>
[MemoryDiagnoser]
public class Traces
{
    private readonly byte[] _value = new byte[4];
    private readonly string _file = Path.GetTempFileName();
    private readonly string _events = Path.GetTempFileName();
    private readonly List<IDisposable> _opened = [];
    private readonly CancellationTokenSource _end = new();
    private readonly List<Task> _serving = [];
    private IVfioDevice? _plain;
    private IVfioDevice? _traced;
    private IVfioDevice? _client;
    private IVfioDevice? _tracedClient;
    private GuardedFunction? _edu;
    private ReplaySource? _replay;

    /// <summary>Opens all devices, and records a driver.</summary>
    [GlobalSetup]
    public void Open()
    {
        DeviceTrace trace = Keep(DeviceTrace.ToFile(_events));
        _plain = Keep(new GuardedFunction(new EduFunction())).Open();
        _traced = new TracedDevice(Keep(new GuardedFunction(new EduFunction())).Open(), trace);
        foreach (IVfioDevice device in new[] { _plain, _traced })
            device.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        _client = Serve(Keep(new GuardedFunction(new EduFunction())).Open);
        GuardedFunction served = Keep(new GuardedFunction(new EduFunction()));
        _tracedClient = Serve(() => new TracedDevice(served.Open(), trace));
        _edu = Keep(new GuardedFunction(new EduFunction()));
        using (DeviceTrace recording = DeviceTrace.ToFile(_file, new TraceOptions { SeesDma = true, MaxDataBytes = 1 << 20 }))
            Drive(new TracedDevice(_edu.Open(), recording));
        _replay = new ReplaySource(_file, ReplayMode.Loose, 0, null);
    }

    /// <summary>A register write to the model in this process.</summary>
    [Benchmark(Baseline = true)]
    public void Write() => _plain!.WriteRegion(RegionIndex.Bar0, 4, _value);

    /// <summary>The same, traced to a file: the difference is what one event costs.</summary>
    [Benchmark]
    public void TracedWrite() => _traced!.WriteRegion(RegionIndex.Bar0, 4, _value);

    /// <summary>A register read over a socket.</summary>
    [Benchmark]
    public void SocketRead() => _client!.ReadRegion(RegionIndex.Bar0, 4, _value);

    /// <summary>The same with the device traced in the server.</summary>
    [Benchmark]
    public void TracedSocketRead() => _tracedClient!.ReadRegion(RegionIndex.Bar0, 4, _value);

    /// <summary>A driver of edu from its start to its end, on the model.</summary>
    [Benchmark]
    public uint DriverOnModel() => Drive(_edu!.Open());

    /// <summary>The same on a recording.</summary>
    [Benchmark]
    public uint DriverOnReplay() => Drive(_replay!.Open());

    /// <summary>Ends everything.</summary>
    [GlobalCleanup]
    public void Close()
    {
        foreach (IVfioDevice? device in new[] { _plain, _traced, _client, _tracedClient })
            device?.Dispose();
        Task.WaitAll([.. _serving]);
        _opened.Reverse();
        _opened.ForEach(one => one.Dispose());
        File.Delete(_file);
        File.Delete(_events);
    }

    private static uint Drive(IVfioDevice device)
    {
        using EduDriver edu = new(device);
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        edu.CopyToDevice(memory, 0, 1024);
        edu.CopyFromDevice(memory, 2048, 1024);
        return edu.Factorial(10) + edu.RaiseInterrupt(4);
    }

    private VfioUserClient Serve(Func<IVfioDevice> open)
    {
        VfioUserServer server = Keep(new VfioUserServer(open, new VfioUserServerOptions()));
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Keep(theirs);
        _serving.Add(Task.Factory.StartNew(() => server.Serve(theirs, _end.Token), TaskCreationOptions.LongRunning));
        VfioUserClient client = new(ours, "the benchmark's server");
        client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        return client;
    }

    private T Keep<T>(T one)
        where T : IDisposable
    {
        _opened.Add(one);
        return one;
    }
}
