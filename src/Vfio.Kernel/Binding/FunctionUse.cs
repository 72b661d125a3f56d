using System.Globalization;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>What this machine uses a function for, so that taking it away would hurt.</summary>
internal sealed class FunctionUse(KernelPaths paths)
{
    private const int InterfaceUp = 1;

    /// <summary>Each use in words; empty when there is none.</summary>
    internal IReadOnlyList<string> Of(PciAddress address) => [.. Disks(address), .. Interfaces(address)];

    private IEnumerable<string> Disks(PciAddress address)
    {
        foreach (string disk in ClassMembers("block", address))
        {
            string name = Path.GetFileName(disk);
            string number = ReadLine(Path.Combine(disk, "dev"));
            foreach (string line in Lines("self/mountinfo"))
            {
                // mountinfo: id, parent, major:minor, root, mount point (proc(5)).
                string[] words = line.Split(' ');
                if (words.Length > 4 && words[2] == number)
                    yield return $"{name} is mounted at {words[4]}";
            }

            if (Lines("swaps").Any(line => line.StartsWith($"/dev/{name} ", StringComparison.Ordinal)))
                yield return $"{name} is swap";
            string holders = Path.Combine(disk, "holders");
            foreach (string holder in Directory.Exists(holders) ? Directory.EnumerateFileSystemEntries(holders) : [])
                yield return $"{name} is part of {Path.GetFileName(holder)}";
        }
    }

    private IEnumerable<string> Interfaces(PciAddress address)
    {
        foreach (string link in ClassMembers("net", address))
        {
            string name = Path.GetFileName(link);
            if ((ParseHex(ReadLine(Path.Combine(link, "flags"))) & InterfaceUp) != 0)
                yield return $"the interface {name} is up";
            if (Lines("net/route").Any(line => line.StartsWith(name + '\t', StringComparison.Ordinal)))
                yield return $"a route goes through {name}";
        }
    }

    /// <summary>What of a class hangs on the function: links in <c>/sys/class</c> that lead below its folder.</summary>
    private IEnumerable<string> ClassMembers(string name, PciAddress address)
    {
        string folder = Path.Combine(paths.Sysfs, "class", name);
        if (!Directory.Exists(folder))
            yield break;
        foreach (string entry in Directory.EnumerateFileSystemEntries(folder).Order(StringComparer.Ordinal))
        {
            string? target = Directory.ResolveLinkTarget(entry, returnFinalTarget: true)?.FullName;
            if (target is not null && target.Contains($"/{address}/", StringComparison.Ordinal))
                yield return target;
        }
    }

    private IEnumerable<string> Lines(string name)
    {
        string path = Path.Combine(paths.Proc, name);
        return File.Exists(path) ? File.ReadLines(path) : [];
    }

    private static string ReadLine(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : "";

    private static int ParseHex(string text) =>
        text.StartsWith("0x", StringComparison.Ordinal) ? int.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : 0;
}
