using Vfio.Pci;

namespace Vfio.Run.Interface;

/// <summary>A function of the machine, and its open device, which several files may share.</summary>
/// <remarks>Its members are read and changed under <see cref="ServedMachine.Lock"/>.</remarks>
/// <param name="served">What it is.</param>
/// <param name="group">Its group.</param>
internal sealed class MachineFunction(ServedDevice served, MachineGroup group)
{
    private int _opens;

    /// <summary>Its address.</summary>
    internal PciAddress Address => served.Address;

    /// <summary>Its group.</summary>
    internal MachineGroup Group { get; } = group;

    /// <summary>Whether vfio-pci has it; otherwise it cannot be opened.</summary>
    internal bool IsBound { get; set; } = true;

    /// <summary>The open device; null while no program has it open.</summary>
    internal OpenDevice? Device { get; private set; }

    /// <summary>Opens the device, or counts one more who has it open.</summary>
    /// <param name="space">Where it finds memory from now on; null for nowhere yet.</param>
    /// <exception cref="VfioException">It cannot be opened, or refuses a mapping.</exception>
    internal OpenDevice Open(AddressSpace? space)
    {
        if (Device is null)
        {
            OpenDevice opened = new(this, served.Open());
            try
            {
                if (space is not null)
                    opened.Attach(space);
            }
            catch
            {
                opened.Close();
                throw;
            }

            Device = opened;
        }

        _opens++;
        return Device;
    }

    /// <summary>Counts one less; the last one closes the device.</summary>
    internal void Close()
    {
        if (--_opens > 0)
            return;
        OpenDevice? device = Device;
        Device = null;
        device?.Close();
    }
}
