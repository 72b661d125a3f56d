using System.Diagnostics.CodeAnalysis;
using Vfio.Native;

namespace Vfio;

/// <summary>A PCI function as its owner sees it, below the guard: its own config space, BARs and interrupts.</summary>
/// <remarks>
/// <para>An emulated device is such a function. The guard is the only caller, and calls it one call at a time; a
/// function's own threads may call its <see cref="IPciSlot"/> at any time.</para>
/// <para>The function checks no user's rights: the guard does.</para>
/// </remarks>
public interface IPciFunction : IDisposable
{
    /// <summary>A name for messages, for example <c>edu</c>.</summary>
    string Name { get; }

    /// <summary>Size of config space in bytes: 256 or 4096.</summary>
    int ConfigLength { get; }

    /// <summary>The ways to reset it, in order of preference.</summary>
    IReadOnlyList<ResetMethod> ResetMethods { get; }

    /// <summary>The ids when this is a virtual function, whose config space has none (SR-IOV 1.1, section 3.4.1); else null.</summary>
    VirtualFunctionIds? VirtualIds { get; }

    /// <summary>Requests an optional feature: <see cref="IMigratableFunction"/>, or an interface of the caller's own.</summary>
    /// <typeparam name="TFeature">The interface of the feature.</typeparam>
    /// <param name="feature">The feature; null when there is none.</param>
    /// <returns>Whether the function has it and can do it; fixed. False also where <see cref="IMigratableFunction.CanMigrate"/>
    /// is.</returns>
    /// <remarks>A function that wraps another forwards the request.</remarks>
    bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        bool isAble = typeof(TFeature) != typeof(IMigratableFunction) || this is IMigratableFunction { CanMigrate: true };
        feature = isAble ? this as TFeature : null;
        return feature is not null;
    }

    /// <summary>Attaches the function to its slot; called once, before anything else.</summary>
    void Connect(IPciSlot slot);

    /// <summary>Reads config space.</summary>
    /// <param name="offset">A multiple of <paramref name="width"/>, inside <see cref="ConfigLength"/>.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    uint ReadConfig(int offset, int width);

    /// <summary>Writes config space.</summary>
    /// <param name="offset">A multiple of <paramref name="width"/>, inside <see cref="ConfigLength"/>.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    /// <param name="value">The value.</param>
    void WriteConfig(int offset, int width, uint value);

    /// <summary>Size of a BAR or the ROM in bytes; 0 when absent, and for the upper half of a 64-bit BAR.</summary>
    ulong GetLength(RegionIndex region);

    /// <summary>The memory behind a BAR that may be mapped as a whole; null when accesses must reach the function.</summary>
    SharedMemory? GetMemory(RegionIndex region);

    /// <summary>The doorbells of a BAR: whoever assigns the function makes the eventfds, and a signal
    /// arrives as one <see cref="WriteRegion"/> of the doorbell's width, with its <see cref="Doorbell.Match"/> or 0.</summary>
    IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => [];

    /// <summary>Reads a BAR or the ROM; the range is inside it.</summary>
    void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination);

    /// <summary>Writes a BAR; the range is inside it.</summary>
    void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Resets it. When this returns, the function uses no memory and sends no interrupts, and its registers are as after
    /// power-on.</summary>
    /// <returns>The error, or <see cref="Errno.None"/>.</returns>
    Errno Reset(ResetMethod method);
}

/// <summary>Vendor and device id of a virtual function, as its physical function has them.</summary>
public readonly record struct VirtualFunctionIds(ushort Vendor, ushort Device);

/// <summary>Ways to reset one function, as the kernel's <c>reset_method</c> attribute names them.</summary>
public enum ResetMethod
{
    /// <summary>Specific to the device.</summary>
    DeviceSpecific,

    /// <summary>Function level reset of PCI Express (Device Control, bit 15).</summary>
    Flr,

    /// <summary>Function level reset of Advanced Features (AF Control, bit 0).</summary>
    AfFlr,

    /// <summary>Power state D3hot and back to D0, where No_Soft_Reset is clear.</summary>
    PowerManagement,

    /// <summary>The whole bus, when no other function is on it.</summary>
    Bus,
}
