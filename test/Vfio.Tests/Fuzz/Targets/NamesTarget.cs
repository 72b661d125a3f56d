using Vfio.Pci;
using Vfio.Pci.Names;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>The texts and the database that names come from; the database starts with a byte that no text does.</summary>
internal static class NamesTarget
{
    public static void Run(byte[] bytes)
    {
        bool isDatabase = bytes is [(byte)'K', ..];
        PciIds names = PciIds.From(
            () => isDatabase ? TextReader.Null : new StringReader(System.Text.Encoding.Latin1.GetString(bytes)),
            () => isDatabase ? HardwareDatabase.Read(bytes) : null);
        _ = names.Subsystem(0x1234, 0x0001, 0x1234, 0x0002);
        _ = names.Class(0x0106);
        _ = names.Interface(0x0101, 0x8a);
    }
}
