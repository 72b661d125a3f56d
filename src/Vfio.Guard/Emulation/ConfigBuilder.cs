using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Guard.Emulation;

/// <summary>Makes the config space of a <see cref="EmulatedFunction"/> from its description.</summary>
internal sealed class ConfigBuilder
{
    private readonly FunctionDescription _description;
    private int _next = ConfigSpace.HeaderLength;
    private int _link = 0x34;
    private int _nextExtended = ConfigSpace.ConventionalLength;
    private int _extendedLink;

    internal ConfigBuilder(FunctionDescription description)
    {
        _description = description;
        Config = new EmulatedConfig(description.ConfigLength);
        AddHeader();
        if (description.PowerManagement != PowerManagementKind.None)
            AddPowerManagement();
        if (description.MsiVectors > 0)
            AddMsi();
        if (description.Msix is { } msix)
            AddMsix(msix);
        if (description.IsExpress)
            AddExpress();
        else if (description.HasFlr)
            AddAdvancedFeatures();
        foreach (CapabilityDescription capability in description.Capabilities)
            AddOther(capability);
    }

    internal EmulatedConfig Config { get; }

    /// <summary>Where each capability starts; 0 when it is absent.</summary>
    internal int PowerManagement { get; private set; }

    internal int Msi { get; private set; }

    internal int Msix { get; private set; }

    internal int Express { get; private set; }

    internal int AdvancedFeatures { get; private set; }

    private void AddHeader()
    {
        bool isVirtual = _description.VirtualIds is not null;
        Config.Define(0x00, 2, isVirtual ? 0xffffu : _description.VendorId);
        Config.Define(0x02, 2, isVirtual ? 0xffffu : _description.DeviceId);

        // A virtual function's I/O and memory enables are wired to 0 (SR-IOV 1.1, section 3.4.1.3).
        Config.Define(0x04, 2, 0, writable: isVirtual ? 0x0544u : 0x0547u);
        Config.Define(0x06, 2, 0, clearable: 0xf900);
        Config.Define(0x08, 4, (_description.ClassCode << 8) | _description.RevisionId);
        Config.Define(0x0c, 1, 0, writable: 0xff);
        Config.Define(0x2c, 2, _description.SubsystemVendorId);
        Config.Define(0x2e, 2, _description.SubsystemId);
        Config.Define(0x3c, 1, 0, writable: 0xff);
        Config.Define(0x3d, 1, _description.InterruptPin);
    }

    private void AddPowerManagement()
    {
        PowerManagement = AddStandard(0x01, 8);
        Config.Define(PowerManagement + 2, 2, 0x0003);
        uint noSoftReset = _description.PowerManagement == PowerManagementKind.NoSoftReset ? 0x0008u : 0;
        Config.Define(PowerManagement + 4, 2, noSoftReset, writable: 0x0103, clearable: 0x8000);
    }

    private void AddMsi()
    {
        int log = System.Numerics.BitOperations.Log2((uint)_description.MsiVectors);
        if (_description.MsiVectors != 1 << log || log > 5)
            throw new ArgumentException($"{_description.Name}: {_description.MsiVectors} MSI vectors; 1, 2, 4, 8, 16 or 32 is possible");
        Msi = AddStandard(0x05, _description.MsiHasMasks ? 24 : 14);
        Config.Define(Msi + 2, 2, 0x0080u | (uint)log << 1 | (_description.MsiHasMasks ? 0x0100u : 0), writable: 0x0071);
        Config.Define(Msi + 4, 4, 0, writable: 0xffff_fffc);
        Config.Define(Msi + 8, 4, 0, writable: 0xffff_ffff);
        Config.Define(Msi + 12, 2, 0, writable: 0xffff);
        if (_description.MsiHasMasks)
            Config.Define(Msi + 16, 4, 0, writable: Bits.Mask(_description.MsiVectors - 1, 0));
    }

    private void AddMsix(MsixDescription msix)
    {
        if (msix.Vectors is < 1 or > 2048)
            throw new ArgumentException($"{_description.Name}: {msix.Vectors} MSI-X vectors; 1 to 2048 are possible");
        if (((msix.TableOffset | msix.PendingOffset) & 7) != 0 || msix.Bar is < 0 or > 5 || msix.PendingBar is < 0 or > 5)
            throw new ArgumentException($"{_description.Name}: the MSI-X table and pending bits go to a multiple of 8 in BAR0 to BAR5");
        Msix = AddStandard(0x11, 12);
        Config.Define(Msix + 2, 2, (uint)msix.Vectors - 1, writable: 0xc000);
        Config.Define(Msix + 4, 4, msix.TableOffset | (uint)msix.Bar);
        Config.Define(Msix + 8, 4, msix.PendingOffset | (uint)msix.PendingBar);
    }

    /// <summary>PCI Express, version 2, endpoint with a link of one lane; PCI Express Base 6.0, section 7.5.3.</summary>
    private void AddExpress()
    {
        Express = AddStandard(0x10, 0x3c);
        Config.Define(Express + 0x02, 2, 0x0002);
        Config.Define(Express + 0x04, 4, 0x0000_8000u | (_description.HasFlr ? 0x1000_0000u : 0));
        Config.Define(Express + 0x08, 2, 0x2810, writable: 0x7fff);
        Config.Define(Express + 0x0a, 2, 0, clearable: 0x000f);
        Config.Define(Express + 0x0c, 4, 0x0000_0011);
        Config.Define(Express + 0x10, 2, 0, writable: 0x00c3);
        Config.Define(Express + 0x12, 2, 0x0011);
        Config.Define(Express + 0x2c, 4, 0x0000_0002);
        Config.Define(Express + 0x30, 2, 0x0001, writable: 0x000f);
    }

    private void AddAdvancedFeatures()
    {
        AdvancedFeatures = AddStandard(0x13, 6);
        Config.Define(AdvancedFeatures + 2, 1, 6);
        Config.Define(AdvancedFeatures + 3, 1, 0x03);
    }

    private void AddOther(CapabilityDescription capability)
    {
        int header = capability.IsExtended ? 4 : 2;
        int length = header + capability.Body.Length;
        int at = (capability.IsExtended ? AddExtended(capability, length) : AddStandard((byte)capability.Id, length)) + header;
        for (int i = 0; i < capability.Body.Length; i++)
        {
            byte writable = i < capability.Writable.Length ? capability.Writable.Span[i] : (byte)0;
            Config.Define(at + i, 1, capability.Body.Span[i], writable);
        }
    }

    private int AddStandard(byte id, int length)
    {
        int at = _next;
        CheckRoom(at, length, ConfigSpace.ConventionalLength);
        Config.Define(_link, 1, (uint)at);
        Config.Define(0x06, 2, 0x0010, clearable: 0xf900);
        Config.Define(at, 2, id);
        _link = at + 1;
        _next = (at + length + 3) & ~3;
        return at;
    }

    private int AddExtended(CapabilityDescription capability, int length)
    {
        int at = _nextExtended;
        CheckRoom(at, length, Config.Length);
        if (_extendedLink != 0)
            Config.Define(_extendedLink, 4, Config.Read(_extendedLink, 4) | (uint)at << 20);
        Config.Define(at, 4, capability.Id | (uint)capability.Version << 16);
        _extendedLink = at;
        _nextExtended = (at + length + 3) & ~3;
        return at;
    }

    private void CheckRoom(int at, int length, int end)
    {
        if (at + length > end)
            throw new ArgumentException($"{_description.Name}: a capability of {length} bytes at 0x{at:x} does not fit config space");
    }
}
