using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>Whether this machine's console is on a function: a serial line, a screen, a keyboard.</summary>
internal sealed class ConsoleUse(KernelPaths paths)
{
    /// <summary>The uses; one clause each.</summary>
    internal IEnumerable<string> Of(KernelFunction function, DeviceTree tree)
    {
        foreach (TreeDevice line in tree.Devices.Where(device => !device.IsBlock && IsConsole(device.Number!.Value)))
            yield return $"{line.Name} is a console of the kernel";
        if (Shown() is not { } shown)
            yield break;
        if (IsOn(shown.Name, function, tree))
            yield return $"the console is shown on it; take it off with 'echo 0 > {Path.Combine(shown.Folder, "bind")}'";
        foreach (string keyboard in Keyboards(tree))
            yield return $"the console's keyboard is {keyboard}";
    }

    /// <summary>Whether <c>/proc/consoles</c> has a device: its number is the last word of a line.</summary>
    private bool IsConsole(DeviceNumber number)
    {
        string path = Path.Combine(paths.Proc, "consoles");
        return File.Exists(path) && File.ReadLines(path).Any(
            line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., string last] && last == $"{number}");
    }

    /// <summary>The driver that shows the text consoles; null when none does.</summary>
    private (string Folder, string Name)? Shown()
    {
        string all = Path.Combine(paths.Sysfs, "class/vtconsole");
        return Directory.Exists(all)
            ? Directory.EnumerateDirectories(all).Order(StringComparer.Ordinal)
                .Where(folder => DeviceTree.ReadLine(Path.Combine(folder, "bind")) == "1")
                .Select(folder => (Folder: folder, Name: DeviceTree.ReadLine(Path.Combine(folder, "name"))))
                .Where(console => !console.Name.Contains("dummy", StringComparison.Ordinal))
                .Select(console => ((string, string)?)console)
                .FirstOrDefault()
            : null;
    }

    /// <summary>Consoles are on the first framebuffer; one that the firmware left, and plain VGA, are on the adapter that was there at boot.</summary>
    private bool IsOn(string console, KernelFunction function, DeviceTree tree)
    {
        bool isBootDisplay = function.Sysfs.Text("boot_vga") == "1";
        if (!console.Contains("frame buffer", StringComparison.Ordinal))
            return isBootDisplay;
        string all = Path.Combine(paths.Sysfs, "class/graphics");
        string? first = Directory.Exists(all)
            ? Directory.EnumerateFileSystemEntries(all, "fb?*").Where(entry => char.IsAsciiDigit(Path.GetFileName(entry)[2]))
                .OrderBy(entry => Path.GetFileName(entry).Length).ThenBy(entry => entry, StringComparer.Ordinal).FirstOrDefault()
            : null;
        string? folder = first is null ? null : Directory.ResolveLinkTarget(first, returnFinalTarget: true)?.FullName ?? first;
        return folder is not null && (tree.Holds(folder) || (isBootDisplay && folder.Contains("/platform/", StringComparison.Ordinal)));
    }

    /// <summary>Input devices below the function that the kernel's own keyboard handler listens to, in the form of
    /// <c>/proc/bus/input/devices</c>: a paragraph each.</summary>
    private IEnumerable<string> Keyboards(DeviceTree tree)
    {
        string path = Path.Combine(paths.Proc, "bus/input/devices");
        if (!File.Exists(path))
            yield break;
        foreach (string paragraph in File.ReadAllText(path).Split("\n\n"))
        {
            string[] lines = paragraph.Split('\n');
            string folder = paths.Sysfs + Value(lines, "S: Sysfs=");
            if (tree.Holds(folder) && Value(lines, "H: Handlers=").Split(' ').Contains("kbd") && HasKeys(Value(lines, "B: KEY=")))
                yield return PrintableText.Of(Value(lines, "N: Name=").Trim('"'));
        }
    }

    /// <summary>Whether it has the keys of a keyboard: power buttons and mice have the handler too. Bits 1 to 31 are Escape to S.</summary>
    private static bool HasKeys(string bits) =>
        bits.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., string last]
        && ulong.TryParse(last, System.Globalization.NumberStyles.AllowHexSpecifier, null, out ulong low)
        && (low & 0xfffffffe) == 0xfffffffe;

    private static string Value(string[] lines, string key) =>
        lines.FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?[key.Length..].Trim() ?? "";
}
