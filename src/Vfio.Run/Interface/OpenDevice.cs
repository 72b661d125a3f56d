using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>An open device: what its files share.</summary>
internal sealed class OpenDevice
{
    /// <summary>Takes over a device that was just opened.</summary>
    /// <param name="function">Which function it is.</param>
    /// <param name="device">The device; owned from here on.</param>
    internal OpenDevice(MachineFunction function, IVfioDevice device)
    {
        Function = function;
        Device = device;
        try
        {
            Regions = new RegionCommands(device, function.Group.Machine.Mapping);
            Interrupts = new InterruptCommands(device);
            Dirty = new DirtyPages(device);
            Features = new FeatureCommands(device, Dirty, Power);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Which function it is.</summary>
    internal MachineFunction Function { get; }

    /// <summary>The device.</summary>
    internal IVfioDevice Device { get; }

    /// <summary>Its regions.</summary>
    internal RegionCommands Regions { get; }

    /// <summary>Its interrupts.</summary>
    internal InterruptCommands Interrupts { get; }

    /// <summary>The pages that it writes.</summary>
    internal DirtyPages Dirty { get; }

    /// <summary>Its low power state.</summary>
    internal LowPower Power { get; } = new();

    /// <summary>Its optional features.</summary>
    internal FeatureCommands Features { get; }

    /// <summary>Its iommufd, and what it is there; null when it is bound to none.</summary>
    internal (ServedIommu Iommu, IommuDevice Number)? Bound { get; set; }

    /// <summary>Where it finds memory; null for nowhere.</summary>
    internal AddressSpace? Space { get; private set; }

    /// <summary>Lets it use an address space, which it leaves when it is closed. It uses none so far.</summary>
    /// <exception cref="VfioException">It refuses a mapping.</exception>
    internal void Attach(AddressSpace space)
    {
        space.Attach(this);
        Space = space;
    }

    /// <summary>Takes the address space from it.</summary>
    internal void Detach()
    {
        Space?.Detach(this);
        Space = null;
    }

    /// <summary>VFIO_DEVICE_RESET.</summary>
    internal Errno Reset()
    {
        if (!Device.Info.CanReset)
            return Errno.InvalidArgument;
        Regions.Reset();
        Features.AfterReset();
        return Errno.None;
    }

    /// <summary>Closes it: no interrupts, no memory, reset, and no number in an iommufd.</summary>
    internal void Close()
    {
        FindLeaks();
        Dirty.Drop();
        Power.Dispose();
        Features.AfterReset();
        if (Space is null)
            Device.Dispose();
        else
            Space.Close(this);
        Space = null;
        if (Bound is { } bound)
            bound.Iommu.Unbind(bound.Number);
    }

    private void FindLeaks()
    {
        RunRecord record = Function.Group.Machine.Record;
        string name = Function.Address.ToString();
        try
        {
            if (Regions.IsBusMaster())
                record.AddLeak(name, "bus mastering was on when it was closed");
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            // It is gone.
        }

        foreach (string kind in Interrupts.InUse)
            record.AddLeak(name, $"{kind} had an eventfd when it was closed");
    }
}
