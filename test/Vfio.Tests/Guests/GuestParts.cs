using System.Diagnostics;

namespace Vfio.Tests.Guests;

/// <summary>QEMU, kernel and initramfs, as <c>test/guest/parts</c> got them.</summary>
internal sealed record GuestParts(string Kernel, string Initramfs)
{
    private static readonly Lazy<(GuestParts? Parts, string Reason, Dictionary<string, string> Paths)> Found = new(Find);

    /// <summary>Headers of the kernel, newer than this machine's and the guests'; null where they are missing.</summary>
    public static string? Headers => Found.Value.Paths.GetValueOrDefault("headers");

    /// <summary>The program that becomes QEMU.</summary>
    public static string Qemu { get; } = Repository.PathOf("test", "guest", "qemu");

    /// <summary>The parts; the test is skipped where they are missing.</summary>
    public static GuestParts Need()
    {
        (GuestParts? parts, string reason, _) = Found.Value;
        Assert.SkipWhen(parts is null, reason);
        return parts!;
    }

    /// <summary>Linux as a program, and its initramfs; the test is skipped where they are missing.</summary>
    public static (string Kernel, string Initramfs) NeedUserModeLinux()
    {
        Dictionary<string, string> paths = Found.Value.Paths;
        bool isThere = paths.TryGetValue("uml", out string? kernel) & paths.TryGetValue("uml-initramfs", out string? initramfs);
        Assert.SkipUnless(isThere, "no user-mode Linux in the cache of test parts; run test/guest/parts");
        return (kernel!, initramfs!);
    }

    private static (GuestParts? Parts, string Reason, Dictionary<string, string> Paths) Find()
    {
        ProcessStartInfo start = new(Repository.PathOf("test", "guest", "parts"), ["--have"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        string reason = process.StandardError.ReadToEnd().Trim();
        Dictionary<string, string> paths = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('=', 2)).ToDictionary(words => words[0], words => words[1]);
        process.WaitForExit();
        return process.ExitCode == 0 ? (new GuestParts(paths["kernel"], paths["initramfs"]), "", paths) : (null, reason, paths);
    }
}
