using System.Diagnostics;
using System.Globalization;
using System.Xml.Linq;

namespace Vfio.Tests;

/// <summary>The real <c>tshark</c> with this project's dissector, for its reading of a capture.</summary>
internal static class Tshark
{
    internal static bool IsInstalled { get; } =
        Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, "tshark")));

    private static string Script => Repository.PathOf("packaging", "wireshark", "vfio-user.lua");

    /// <summary>What it shows of each packet of a capture.</summary>
    /// <param name="capture">The file's bytes.</param>
    /// <param name="words">More options.</param>
    internal static List<Packet> Read(byte[] capture, params string[] words)
    {
        string path = Path.Combine(Path.GetTempPath(), $"vfio-{Guid.NewGuid():n}.pcapng");
        File.WriteAllBytes(path, capture);
        try
        {
            // No configuration of the user's; in UTC, so that times compare.
            string output = Run(["-r", path, "-X", $"lua_script:{Script}", "-T", "pdml", .. words]);
            return [.. XDocument.Parse(output).Root!.Elements("packet").Select(packet => new Packet(packet))];
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Runs it; it has to succeed, without an error of the script.</summary>
    internal static string Run(params string[] words)
    {
        ProcessStartInfo start = new("tshark", words) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["XDG_CONFIG_HOME"] = Path.GetTempPath();
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        Task<string> all = process.StandardOutput.ReadToEndAsync();
        if (!all.Wait(HangGuard.Timeout))
        {
            process.Kill();
            Assert.Fail("tshark does not end");
        }

        string output = all.Result;
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.Result);
        Assert.DoesNotContain("Lua", errors.Result, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Lua Error", output, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Dissector bug", output, StringComparison.OrdinalIgnoreCase);
        return output;
    }

    /// <summary>One packet, by the names of its fields.</summary>
    internal sealed class Packet(XElement packet)
    {
        private readonly XElement[] _fields = [.. packet.Descendants("field").Where(one => one.Attribute("name")!.Value.Length > 0)];

        /// <summary>What expert information says, with its kind in front: <c>vfiouser.malformed: …</c>.</summary>
        internal string[] Experts => [.. packet.Descendants("field").Where(one => NameOf(one) == "_ws.expert").Select(one =>
            $"{NameOf(one.Elements("field").First())}: {one.Elements("field").First(part => NameOf(part) == "_ws.expert.message").Attribute("show")!.Value}")];

        /// <summary>Whether it has a field.</summary>
        internal bool Has(string name) => _fields.Any(one => NameOf(one) == name);

        /// <summary>A field's value as tshark shows it.</summary>
        internal string this[string name] => All(name) is [string only] ? only : throw new InvalidOperationException($"{name}: {All(name).Length} times");

        /// <summary>The values of all fields of this name.</summary>
        internal string[] All(string name) => [.. _fields.Where(one => NameOf(one) == name).Select(one => one.Attribute("show")!.Value)];

        /// <summary>The number in a field, decimal or hexadecimal.</summary>
        internal ulong Number(string name) => ParseNumber(this[name]);

        internal ulong[] Numbers(string name) => [.. All(name).Select(ParseNumber)];

        private static string NameOf(XElement field) => field.Attribute("name")!.Value;

        private static ulong ParseNumber(string text) => text.StartsWith("0x", StringComparison.Ordinal)
            ? ulong.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
            : ulong.Parse(text, CultureInfo.InvariantCulture);
    }
}
