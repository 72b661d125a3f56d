using Vfio.Guard;
using Vfio.Guard.Hardware;
using Vfio.Kernel;
using Vfio.Kernel.Binding;

namespace Vfio;

/// <summary>Opens functions of this machine through the guard.</summary>
internal static class GuardedKernel
{
    /// <summary>Opens the function at an address.</summary>
    /// <param name="address">The function.</param>
    /// <param name="options">How to open it.</param>
    /// <exception cref="VfioException">As <see cref="KernelDevice.Open"/>; ENOTTY: it cannot be reset.</exception>
    internal static GuardedHardware Open(DeviceAddress address, KernelDeviceOptions options)
    {
        KernelFunction function = new PciTopology().Find(address.Function);

        // While it is open it cannot be released: its permits are those of this assignment.
        KernelDevice device = KernelDevice.Open(address.Function, options);
        ConfigPermit[] permits;
        try
        {
            permits = [.. new PermitStore().Of(function).Select(permit => new ConfigPermit(permit.Offset, permit.ReadBits, permit.WriteBits))];
        }
        catch
        {
            device.Dispose();
            throw;
        }

        return new GuardedHardware(
            device, new GuardPolicy { AllowWithoutReset = address.AllowsWithoutReset }, permits, values => Restore(function, values));
    }

    /// <summary>Writes what permitted registers held, past the kernel's reset at close. Only root can; without root the reset decides what
    /// they hold.</summary>
    private static void Restore(KernelFunction function, IReadOnlyCollection<OwnerValue> values)
    {
        // Released meanwhile: its driver's registers are not ours.
        if (!IsAssigned(function))
            return;
        foreach (OwnerValue value in values)
            function.TryRestoreConfig(value.Offset, value.Width, value.Mask, value.Value);
    }

    private static bool IsAssigned(KernelFunction function)
    {
        try
        {
            return function.VfioDriver is not null;
        }
        catch (VfioException)
        {
            // It was removed.
            return false;
        }
    }
}
