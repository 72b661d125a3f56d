using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>An IOMMU group of the machine, and who has it.</summary>
/// <remarks>Its members are read and changed under <see cref="ServedMachine.Lock"/>. Either one program has the group's file open, or
/// programs have functions of it open by their own files.</remarks>
/// <param name="machine">The machine.</param>
/// <param name="number">Its number.</param>
internal sealed class MachineGroup(ServedMachine machine, int number)
{
    /// <summary>The machine.</summary>
    internal ServedMachine Machine { get; } = machine;

    /// <summary>Its number.</summary>
    internal int Number { get; } = number;

    /// <summary>Its functions.</summary>
    internal List<MachineFunction> Functions { get; } = [];

    /// <summary>Whether the group's file is open.</summary>
    internal bool IsOpen { get; set; }

    /// <summary>How many of its functions are bound to an iommufd by their own files.</summary>
    internal int CdevOpens { get; set; }

    /// <summary>Opens the group's file.</summary>
    /// <returns>ENOENT: vfio-pci has no function of it; EBUSY: it is open, or a function of it is by its own file.</returns>
    internal Errno Open(out ServedFile? file)
    {
        lock (Machine.Lock)
        {
            if (!Functions.Exists(function => function.IsBound))
            {
                file = null;
                return Errno.NoEntry;
            }

            bool isFree = !IsOpen && CdevOpens == 0;
            IsOpen |= isFree;
            file = isFree ? new ServedGroup(this) : null;
            return isFree ? Errno.None : Errno.Busy;
        }
    }
}
