using System.Diagnostics.CodeAnalysis;
using Vfio.Native;

namespace Vfio.Tests.Guard;

/// <summary>A function in front of another, whose calls fail with ENODEV from a chosen one on, or that one alone.</summary>
internal sealed class FaultyFunction(IPciFunction function) : IPciFunction
{
    private int _calls = int.MinValue;
    private int _failing;
    private bool _failsOnce;

    /// <summary>How many calls came since <see cref="FailFrom"/>.</summary>
    public int Calls => Math.Max(0, _calls);

    /// <summary>What a failing call throws.</summary>
    public Func<Exception> Fault { get; set; } = () => new VfioException("access", "faulty", Errno.NoDevice);

    public string Name => function.Name;

    public int ConfigLength => function.ConfigLength;

    public IReadOnlyList<ResetMethod> ResetMethods => function.ResetMethods;

    public VirtualFunctionIds? VirtualIds => function.VirtualIds;

    public List<(int Offset, int Width)> ConfigReads { get; } = [];

    public List<(int Offset, int Width, uint Value)> ConfigWrites { get; } = [];

    /// <summary>The call with this number fails, from 0 on; and all after it, unless it is that one alone.</summary>
    public void FailFrom(int call, bool once)
    {
        _failing = call;
        _failsOnce = once;
        _calls = 0;
    }

    /// <summary>Nothing fails any more.</summary>
    public void Mend() => _calls = int.MinValue;

    public bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class => function.TryGet(out feature);

    public void Connect(IPciSlot slot) => function.Connect(slot);

    public uint ReadConfig(int offset, int width)
    {
        Count();
        ConfigReads.Add((offset, width));
        return function.ReadConfig(offset, width);
    }

    public void WriteConfig(int offset, int width, uint value)
    {
        Count();
        ConfigWrites.Add((offset, width, value));
        function.WriteConfig(offset, width, value);
    }

    public ulong GetLength(RegionIndex region) => function.GetLength(region);

    public SharedMemory? GetMemory(RegionIndex region) => function.GetMemory(region);

    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        Count();
        function.ReadRegion(region, offset, destination);
    }

    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        Count();
        function.WriteRegion(region, offset, source);
    }

    public Errno Reset(ResetMethod method)
    {
        Count();
        return function.Reset(method);
    }

    public void Dispose() => function.Dispose();

    private void Count()
    {
        int call = _calls;
        if (call < 0)
            return;
        _calls++;
        if (_failsOnce ? call == _failing : call >= _failing)
            throw Fault();
    }
}
