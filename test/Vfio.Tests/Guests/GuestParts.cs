using System.Diagnostics;

namespace Vfio.Tests.Guests;

/// <summary>QEMU, kernel and initramfs, as <c>test/guest/parts</c> got them.</summary>
internal sealed record GuestParts(string Kernel, string Initramfs)
{
    private static readonly Lazy<(GuestParts? Parts, string Reason, string? Headers)> Found = new(Find);

    /// <summary>Headers of the kernel, newer than this machine's and the guests'; null where they are missing.</summary>
    public static string? Headers => Found.Value.Headers;

    /// <summary>The program that becomes QEMU.</summary>
    public static string Qemu { get; } = Repository.PathOf("test", "guest", "qemu");

    /// <summary>The parts; the test is skipped where they are missing.</summary>
    public static GuestParts Need()
    {
        (GuestParts? parts, string reason, _) = Found.Value;
        Assert.SkipWhen(parts is null, reason);
        return parts!;
    }

    private static (GuestParts? Parts, string Reason, string? Headers) Find()
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
        return process.ExitCode == 0 ? (new GuestParts(paths["kernel"], paths["initramfs"]), "", paths.GetValueOrDefault("headers")) : (null, reason, null);
    }
}
