using System.Diagnostics;
using System.IO.Compression;
using System.Text.RegularExpressions;

namespace Vfio.Tests.Processes;

/// <summary>The Debian package, built of the native file and installed in a folder. The machine's packages are not touched.</summary>
/// <remarks>Skipped where <c>./publish</c> has not made the native file, and where there is no dpkg.</remarks>
public sealed partial class DebianPackageTests(DebianPackageTests.Package package) : IClassFixture<DebianPackageTests.Package>, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-debroot-").FullName;

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_same_sources_give_the_same_package()
    {
        Need();
        string second = Do("sh", "-c", $"umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 '{Builder}' '{_folder}'").Trim();
        Assert.Equal(File.ReadAllBytes(package.File), File.ReadAllBytes(second));
    }

    [Fact]
    public void It_installs_where_just_the_C_library_is_and_leaves_nothing_when_it_is_purged()
    {
        Need();
        CreateMachine();
        string[] before = FilesOutsideDpkg();

        Dpkg("--install", package.File);
        string[] installed = FilesOutsideDpkg();
        Assert.All(new[]
        {
            "usr/bin/vfio", "usr/share/man/man1/vfio.1.gz", "usr/share/man/man1/vfio-serve.1.gz",
            "usr/lib/systemd/system/vfio-serve@.service", "usr/lib/systemd/system/vfio-serve@.socket",
            "usr/lib/systemd/system/vfio-broker.service", "usr/lib/systemd/system/vfio-broker.socket",
            "usr/lib/sysusers.d/vfio-broker.conf", "usr/lib/tmpfiles.d/vfio-broker.conf", "usr/share/doc/vfio/examples/policy.json", "usr/share/doc/vfio/examples/vfio-user.lua",
            "usr/lib/udev/rules.d/90-vfio-systemd.rules",
            "usr/share/bash-completion/completions/vfio", "usr/share/zsh/vendor-completions/_vfio",
            "usr/share/fish/vendor_completions.d/vfio.fish", "usr/share/doc/vfio/copyright", "usr/share/doc/vfio/changelog.gz",
            "usr/share/doc/vfio/README.Debian", "usr/share/doc/vfio/examples/60-vfio.rules",
        }, file => Assert.Contains(file, installed));
        Assert.Equal("", Dpkg("--verify", "vfio"));
        Assert.Equal("0x010000ed\n", RunInside("peek", "model:edu", "bar0", "0"));

        Dpkg("--remove", "vfio");
        Dpkg("--purge", "vfio");
        Assert.Equal(before, FilesOutsideDpkg());
        Assert.DoesNotContain("vfio", File.ReadAllText(PathOf("var/lib/dpkg/status")));
        Assert.Empty(Directory.EnumerateFiles(PathOf("var/lib/dpkg/info"), "vfio*"));
    }

    [Fact]
    public void Every_verb_has_a_manual_page_that_groff_reads_without_a_complaint()
    {
        Need("groff");
        Unpack();
        string[] pages = Directory.GetFiles(PathOf("usr/share/man/man1"));
        string help = Do(PathOf("usr/bin/vfio"), "--help").Split("Commands:")[1].Split("Examples:")[0];
        string[] verbs = [.. VerbInHelp().Matches(help).Select(match => $"vfio-{match.Groups[1].Value}.1.gz")];
        Assert.Contains("vfio-serve.1.gz", verbs);
        Assert.Equal(verbs.Append("vfio.1.gz").Order(StringComparer.Ordinal),
            pages.Select(page => Path.GetFileName(page)).Order(StringComparer.Ordinal));
        Assert.All(pages, page =>
        {
            string source = Path.ChangeExtension(page, null);
            using (GZipStream packed = new(File.OpenRead(page), CompressionMode.Decompress))
            using (FileStream plain = File.Create(source))
                packed.CopyTo(plain);
            string text = Do("groff", "-man", "-ww", "-Tutf8", "-P-cbou", source);
            string name = Path.GetFileNameWithoutExtension(source);
            Assert.StartsWith($"{name.ToUpperInvariant()}(1)", text);
            Assert.Contains($"\nNAME\n       {name} ", text);
            Assert.Contains("\nSYNOPSIS\n       vfio", text);
        });
    }

    [Fact]
    public void Systemd_finds_nothing_wrong_with_the_units()
    {
        Need("systemd-analyze");
        Unpack();
        string units = PathOf("usr/lib/systemd/system");
        foreach (string name in new[] { "vfio-serve@.service", "vfio-broker.service" })
        {
            string service = Path.Combine(units, name);
            string text = File.ReadAllText(service);
            Assert.Contains("ExecStart=/usr/bin/vfio ", text);
            File.WriteAllText(service, text.Replace("/usr/bin/vfio", PathOf("usr/bin/vfio"), StringComparison.Ordinal));
        }

        string complaints = Do("env", $"SYSTEMD_UNIT_PATH={units}:", "systemd-analyze", "verify", "--man=no",
            "vfio-serve@edu.socket", "vfio-serve@edu.service", "vfio-broker.socket", "vfio-broker.service");
        Assert.Equal("", complaints);
    }

    [Fact]
    public void Lintian_finds_nothing_wrong_with_it()
    {
        Need("lintian");
        Assert.Equal("", Do("lintian", "--allow-root", "--no-cfg", "--fail-on", "error,warning", package.File));
    }

    private static string Builder => Repository.PathOf("packaging", "debian", "build");

    private static void Need(string? program = null)
    {
        NativeFile.Need();
        foreach (string needed in new[] { "dpkg-deb", "dpkg", "objdump", program ?? "sh" })
            Assert.SkipUnless(Found(needed), $"{needed} is not installed");
    }

    private static bool Found(string program) =>
        "/usr/sbin:/usr/bin:/sbin:/bin".Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    private void Unpack() => Do("dpkg-deb", "--extract", package.File, _folder);

    /// <summary>Makes the folder a machine that has the C library and nothing else.</summary>
    private void CreateMachine()
    {
        Directory.CreateDirectory(PathOf("var/lib/dpkg/info"));
        Directory.CreateDirectory(PathOf("var/lib/dpkg/updates"));
        File.WriteAllText(PathOf("var/lib/dpkg/info/libc6.list"), "/.\n");
        File.WriteAllText(PathOf("var/lib/dpkg/status"), $"""
            Package: libc6
            Status: install ok installed
            Maintainer: Nobody <nobody@localhost>
            Architecture: {Do("dpkg", "--print-architecture").Trim()}
            Version: 2.36
            Description: the C library

            """);
        foreach (string library in Do("ldd", NativeFile.Path).Split().Where(word => word.StartsWith('/')))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(PathOf(library[1..]))!);
            File.Copy(library, PathOf(library[1..]));
        }
    }

    /// <summary>Runs the installed command, which has nothing but that machine: root may do that; others run it in place.</summary>
    private string RunInside(params string[] words) => Environment.IsPrivilegedProcess
        ? Do("chroot", [_folder, "/usr/bin/vfio", .. words])
        : Do(PathOf("usr/bin/vfio"), words);

    private string Dpkg(params string[] words) =>
        Do("dpkg", [$"--root={_folder}", "--force-script-chrootless", "--force-not-root", "--no-pager", .. words]);

    private string PathOf(string file) => Path.Combine(_folder, file);

    private string[] FilesOutsideDpkg() =>
    [
        .. Directory.EnumerateFiles(_folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(_folder, file))
            .Where(file => !file.StartsWith("var/lib/dpkg/", StringComparison.Ordinal)).Order(StringComparer.Ordinal),
    ];

    /// <summary>Runs a program to its end.</summary>
    /// <returns>What it printed, on either stream; it ended well.</returns>
    private static string Do(string program, params string[] words)
    {
        ProcessStartInfo start = new(program, words) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
        start.Environment["VFIO_NO_BUILD"] = "1";
        start.Environment["DPKG_DEB_COMPRESSOR_LEVEL"] = "0";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', words)}: exit code {process.ExitCode}\n{output}");
        return output;
    }

    [GeneratedRegex(@"^  ([a-z-]+) ", RegexOptions.Multiline)]
    private static partial Regex VerbInHelp();

    /// <summary>The package, built once for all tests of the class, without compression, which is most of the time that it takes.</summary>
    public sealed class Package : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("vfio-deb-").FullName;
        private readonly Lazy<string> _file;

        public Package() => _file = new(() => Do(Builder, _folder).Trim());

        internal string File => _file.Value;

        /// <inheritdoc/>
        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }
}
