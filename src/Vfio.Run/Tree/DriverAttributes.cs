using System.Globalization;
using Vfio.Pci;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>What writes to sysfs do: bind a function to vfio-pci or unbind it, choose its driver, reset it, write its config space.
/// <c>drivers/base/bus.c</c> and <c>drivers/pci/pci-driver.c</c> of the kernel.</summary>
/// <remarks>What the kernel would refuse does nothing. Used by the thread that answers system calls.</remarks>
/// <param name="machine">The functions.</param>
/// <param name="tree">The files.</param>
internal sealed class DriverAttributes(ServedMachine machine, MachineTree tree)
{
    private const string NoOverride = "(null)", ConfigFile = "/config";
    private const int BarsStart = 0x10, BarsEnd = 0x28, RomStart = 0x30, RomEnd = 0x34;
    private readonly State[] _functions = [.. tree.Functions.Select(facts => new State(facts))];
    private readonly List<DriverId> _ids = [];

    /// <summary>Whether a write to a file has an effect.</summary>
    /// <param name="path">Its path, without links on the way.</param>
    internal bool Has(string path) => FindAction(path) is not null || FindConfig(path) is not null;

    /// <summary>Does what a write asks.</summary>
    /// <param name="path">The file.</param>
    /// <param name="text">What was written.</param>
    internal void Write(string path, string text) => FindAction(path)?.Invoke(text.Trim(' ', '\n', '\0'));

    /// <summary>The function whose config space a file shows; null for another file.</summary>
    internal FunctionFacts? FindConfig(string path) => path.EndsWith(ConfigFile, StringComparison.Ordinal)
        ? _functions.FirstOrDefault(function => SysfsFiles.FolderOf(function.Facts.Address) + ConfigFile == path)?.Facts
        : null;

    /// <summary>Config space as it is now: of an open function its user's, with the addresses that its BARs have on the bus; of another one as it
    /// was at the start.</summary>
    internal byte[] ReadConfig(FunctionFacts facts)
    {
        byte[] bytes = [.. facts.Config.Bytes];
        byte[] live = new byte[bytes.Length];
        if (!machine.TryReadConfig(facts.Address, live))
            return bytes;
        bytes.AsSpan(BarsStart, BarsEnd - BarsStart).CopyTo(live.AsSpan(BarsStart));
        bytes.AsSpan(RomStart, RomEnd - RomStart).CopyTo(live.AsSpan(RomStart));
        return live;
    }

    /// <summary>Shows config space as it is now.</summary>
    internal void RefreshConfig(FunctionFacts facts) => tree.Writer.Change(SysfsFiles.FolderOf(facts.Address) + ConfigFile, ReadConfig(facts));

    /// <summary>Writes what a program changed in config space; the addresses of BARs are not its to change.</summary>
    internal void WriteConfig(FunctionFacts facts, int offset, ReadOnlySpan<byte> bytes)
    {
        if (offset + bytes.Length <= BarsStart || offset >= RomEnd || (offset >= BarsEnd && offset + bytes.Length <= RomStart))
            machine.WriteConfig(facts.Address, offset, bytes);
    }

    private Action<string>? FindAction(string path)
    {
        switch (path)
        {
            case SysfsFiles.Bus + "/drivers_probe":
                return name => With(name, Probe);
            case SysfsFiles.Driver + "/bind":
                return name => With(name, function =>
                {
                    if (Matches(function))
                        Bind(function);
                });
            case SysfsFiles.Driver + "/unbind":
                return name => With(name, Unbind);
            case SysfsFiles.Driver + "/new_id":
                return AddId;
            case SysfsFiles.Driver + "/remove_id":
                return text => _ids.RemoveAll(id => DriverId.Parse(text) is { } parsed && id.Vendor == parsed.Vendor && id.Device == parsed.Device);
        }

        foreach (State function in _functions)
        {
            string folder = SysfsFiles.FolderOf(function.Facts.Address);
            if (!path.StartsWith(folder, StringComparison.Ordinal))
                continue;
            switch (path[folder.Length..])
            {
                case "/driver_override":
                    return name => Override(function, name);
                case "/reset":
                    return _ => machine.Reset(function.Facts.Address);
            }
        }

        return null;
    }

    private void With(string name, Action<State> action)
    {
        if (Array.Find(_functions, function => function.Facts.Address.ToString() == name) is { } found)
            action(found);
    }

    private void Override(State function, string name)
    {
        function.Override = name.Length == 0 ? null : name;
        tree.Writer.Text($"{SysfsFiles.FolderOf(function.Facts.Address)}/driver_override", function.Override ?? NoOverride, isSettable: true);
    }

    private void AddId(string text)
    {
        if (DriverId.Parse(text) is not { } id || _ids.Contains(id))
            return;
        _ids.Add(id);
        Array.ForEach(_functions, Probe);
    }

    private void Probe(State function)
    {
        if (Matches(function))
            Bind(function);
    }

    /// <summary>Whether the driver takes a function: it is chosen for it, or has its id and no other is.</summary>
    private bool Matches(State function) => function.Override is { } name ? name == SysfsFiles.DriverName : _ids.Exists(id => id.IsOf(function.Facts.Config));

    private void Bind(State function)
    {
        if (function.IsBound)
            return;
        ServedDevice served = function.Facts.Function;
        if (!IsGroupBound(served))
        {
            tree.Nodes.AddGroup(served);
            SysfsFiles.WriteGroup(tree.Writer, served);
        }

        function.IsBound = true;
        tree.Nodes.AddCdev(served);
        SysfsFiles.WriteBound(tree.Writer, function.Facts);
        machine.SetBound(function.Facts.Address, isBound: true);
    }

    private void Unbind(State function)
    {
        if (!function.IsBound)
            return;
        ServedDevice served = function.Facts.Function;
        function.IsBound = false;
        machine.SetBound(function.Facts.Address, isBound: false);
        SysfsFiles.RemoveBound(tree.Writer, function.Facts);
        tree.Nodes.RemoveCdev(served);
        if (IsGroupBound(served))
            return;
        SysfsFiles.RemoveGroup(tree.Writer, served);
        tree.Nodes.RemoveGroup(served);
    }

    private bool IsGroupBound(ServedDevice served) => Array.Exists(_functions, function => function.IsBound && function.Facts.Function.Group == served.Group);

    private sealed class State(FunctionFacts facts)
    {
        internal FunctionFacts Facts { get; } = facts;

        internal bool IsBound { get; set; } = true;

        internal string? Override { get; set; } = SysfsFiles.DriverName;
    }

    /// <summary>Ids that were added to the driver: vendor and device; vendor and device of the subsystem, class and mask where they are given.
    /// </summary>
    private sealed record DriverId(uint Vendor, uint Device, uint SubsystemVendor, uint SubsystemDevice, uint Class, uint ClassMask)
    {
        private const uint Any = uint.MaxValue;

        internal static DriverId? Parse(string text)
        {
            string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            uint[] numbers = [Any, Any, Any, Any, 0, 0];
            for (int i = 0; i < Math.Min(words.Length, numbers.Length); i++)
            {
                if (!uint.TryParse(words[i], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out numbers[i]))
                    return null;
            }

            return words.Length < 2 ? null : new DriverId(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]);
        }

        internal bool IsOf(ConfigSpace config) => IsOr(Vendor, config.VendorId) && IsOr(Device, config.DeviceId)
            && IsOr(SubsystemVendor, config.Read16(0x2c)) && IsOr(SubsystemDevice, config.Read16(0x2e)) && (((config.Read32(8) >> 8) ^ Class) & ClassMask) == 0;

        private static bool IsOr(uint wanted, uint value) => wanted == Any || wanted == value;
    }
}
