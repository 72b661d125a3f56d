using System.Diagnostics;
using Vfio.Cli.Show;
using Vfio.Pci;
using Vfio.Pci.Decoding;
using Vfio.Pci.Dumps;
using Vfio.Pci.Names;

namespace Vfio.Tests.Pci;

/// <summary>The machine's <c>lspci</c>, and how far it agrees with the decoder.</summary>
internal static class Lspci
{
    private static readonly string? NamesFile =
        new[] { "/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids" }.FirstOrDefault(File.Exists);

    /// <summary>The program; null where it is not installed.</summary>
    public static string? Program { get; } = new[] { "/usr/bin/lspci", "/sbin/lspci", "/usr/sbin/lspci" }.FirstOrDefault(File.Exists);

    public static PciIds Names { get; } = InstalledNames.Read();

    public static void SkipUnlessThere() => Assert.SkipWhen(Program is null || NamesFile is null, "lspci and pci.ids are not installed");

    public static string Run(params string[] arguments)
    {
        ProcessStartInfo start = new(Program!, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"lspci {string.Join(' ', arguments)}: {errors.Result}");
        return output;
    }

    /// <summary>What <c>lspci -vvv</c> says of a dump.</summary>
    public static string Decode(IEnumerable<DumpedFunction> functions)
    {
        string file = Path.GetTempFileName();
        try
        {
            using (StreamWriter writer = new(file))
                LspciDump.Write(writer, functions);
            return Run("-F", file, "-vvv");
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The lines of <c>lspci</c> for one function that the decoder does not have. The decoder may have more lines.</summary>
    public static IEnumerable<string> Missing(string theirs, FunctionDocument ours, ConfigSpace space)
    {
        HashSet<string> lines = [.. ours.Lines.Select(Normal)];
        return theirs.Split('\n').Where(line => line.Length > 0).Where(line => !IsException(line, space)).Select(Normal)
            .Where(line => !lines.Contains(line));
    }

    private static string Normal(string line) => line.EndsWith(" <?>", StringComparison.Ordinal) ? line[..^4] : line;

    private static bool IsException(string line, ConfigSpace space) =>
        // The upper half of a 64-bit BAR, taken for a BAR of its own.
        IsUpperHalf(line, space)
        // A kind that this lspci does not know, and the decoder does.
        || line.Contains("] Extended Capability ID 0x", StringComparison.Ordinal)
        || line.Contains("] Capability ID 0x", StringComparison.Ordinal)
        // How lists end that are broken; the decoder says it in its own words.
        || line.EndsWith("<access denied>", StringComparison.Ordinal)
        || line.EndsWith("<chain looped>", StringComparison.Ordinal)
        || line.EndsWith("<chain broken>", StringComparison.Ordinal)
        || line.StartsWith("\tKernel modules", StringComparison.Ordinal)
        // Before 3.13 a wrong mask for Error, and only the lower half of the frequencies.
        || line.StartsWith("\t\tDOESta", StringComparison.Ordinal)
        || line.StartsWith("\t\tLink Frequency Capability", StringComparison.Ordinal)
        // Speeds that came after it.
        || line.Contains("Supported Link Speeds: RsvdP", StringComparison.Ordinal)
        // A line end that was forgotten.
        || line.Contains("McastCap", StringComparison.Ordinal);

    private static bool IsUpperHalf(string line, ConfigSpace space)
    {
        if (!line.StartsWith("\tRegion ", StringComparison.Ordinal))
            return false;
        bool isUpper = false;
        for (int index = 0; index < line[8] - '0'; index++)
            isUpper = !isUpper && (space.Read32(0x10 + (4 * index)) & 7) == 4;
        return isUpper;
    }
}
