using System.Reflection;
using System.Runtime.CompilerServices;
using Vfio.Native;

namespace Vfio.Tests.Layout;

/// <summary>What stands before a device, or a function, has all that is behind it.</summary>
public sealed class WrapperTests
{
    private const BindingFlags OwnFields = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    /// <summary>Something that only the device behind a wrapper has.</summary>
    private interface IMark;

    public static TheoryData<string> Devices => [.. Wrappers(typeof(IVfioDevice)).Select(type => type.FullName!)];

    public static TheoryData<string> Functions => [.. Wrappers(typeof(IPciFunction)).Select(type => type.FullName!)];

    [Fact]
    public void The_wrappers_that_there_are_are_found()
    {
        Assert.Contains("Vfio.OwnedDevice", Wrappers(typeof(IVfioDevice)).Select(type => type.FullName));
        Assert.Contains("Vfio.Tracing.TracedDevice", Wrappers(typeof(IVfioDevice)).Select(type => type.FullName));
        Assert.Contains("Vfio.Testing.FaultyDevice", Wrappers(typeof(IVfioDevice)).Select(type => type.FullName));
        Assert.Contains("Vfio.Tests.Guard.FaultyFunction", Wrappers(typeof(IPciFunction)).Select(type => type.FullName));
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void A_device_before_another_passes_on_what_it_is_asked_for(string wrapper)
    {
        MarkedDevice behind = new();
        IVfioDevice device = (IVfioDevice)Before(Find(wrapper), typeof(IVfioDevice), behind);
        Assert.True(device.TryGet(out IMark? mark), $"{wrapper} does not forward TryGet");
        Assert.Same(behind, mark);
    }

    [Theory]
    [MemberData(nameof(Functions))]
    public void A_function_before_another_passes_on_what_it_is_asked_for(string wrapper)
    {
        MarkedFunction behind = new();
        IPciFunction function = (IPciFunction)Before(Find(wrapper), typeof(IPciFunction), behind);
        Assert.True(function.TryGet(out IMark? mark), $"{wrapper} does not forward TryGet");
        Assert.Same(behind, mark);
    }

    [Fact]
    public void A_wrapper_of_the_library_leaves_no_member_to_its_default()
    {
        foreach (Type wrapper in Wrappers(typeof(IVfioDevice)).Where(type => type.Assembly != typeof(WrapperTests).Assembly))
        {
            IEnumerable<string> defaults = wrapper.GetInterfaceMap(typeof(IVfioDevice)).TargetMethods
                .Where(method => method.IsPublic && method.DeclaringType == typeof(IVfioDevice)).Select(method => method.Name);
            Assert.True(!defaults.Any(), $"{wrapper} does not forward {string.Join(", ", defaults)}");
        }
    }

    private static IEnumerable<Type> Wrappers(Type face) =>
        from file in Directory.EnumerateFiles(AppContext.BaseDirectory, "Vfio*.dll").Order()
        from type in Assembly.LoadFrom(file).GetTypes()
        where type is { IsClass: true, IsAbstract: false, ContainsGenericParameters: false } && face.IsAssignableFrom(type)
        where InnerFields(type, face).Any()
        select type;

    private static IEnumerable<FieldInfo> InnerFields(Type type, Type face)
    {
        for (Type? owner = type; owner is not null; owner = owner.BaseType)
        {
            foreach (FieldInfo field in owner.GetFields(OwnFields).Where(field => field.FieldType == face))
                yield return field;
        }
    }

    private static Type Find(string wrapper) =>
        Wrappers(typeof(IVfioDevice)).Concat(Wrappers(typeof(IPciFunction))).First(type => type.FullName == wrapper);

    private static object Before(Type wrapper, Type face, object behind)
    {
        object made = RuntimeHelpers.GetUninitializedObject(wrapper);
        foreach (FieldInfo field in InnerFields(wrapper, face))
            field.SetValue(made, behind);
        return made;
    }

    private sealed class MarkedDevice : IVfioDevice, IMark
    {
        public string Name => "marked";

        public DeviceInfo Info => default;

        public RegionInfo GetRegion(RegionIndex region) => throw new NotSupportedException();

        public InterruptInfo GetInterrupt(InterruptIndex index) => throw new NotSupportedException();

        public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => throw new NotSupportedException();

        public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => throw new NotSupportedException();

        public void SetInterrupts(in InterruptRequest request) => throw new NotSupportedException();

        public void MapDma(in DmaMapping mapping) => throw new NotSupportedException();

        public ulong UnmapDma(Iova start, ulong length) => throw new NotSupportedException();

        public void UnmapAllDma() => throw new NotSupportedException();

        public void Reset() => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class MarkedFunction : IPciFunction, IMark
    {
        public string Name => "marked";

        public int ConfigLength => 256;

        public IReadOnlyList<ResetMethod> ResetMethods => [];

        public VirtualFunctionIds? VirtualIds => null;

        public void Connect(IPciSlot slot) => throw new NotSupportedException();

        public uint ReadConfig(int offset, int width) => throw new NotSupportedException();

        public void WriteConfig(int offset, int width, uint value) => throw new NotSupportedException();

        public ulong GetLength(RegionIndex region) => 0;

        public SharedMemory? GetMemory(RegionIndex region) => null;

        public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) => throw new NotSupportedException();

        public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source) => throw new NotSupportedException();

        public Errno Reset(ResetMethod method) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
