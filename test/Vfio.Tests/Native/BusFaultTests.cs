using System.Diagnostics;
using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Native;

/// <summary>A touch of mapped memory that is gone. Each is tried in a process of its own, which a mistake would end.</summary>
public sealed class BusFaultTests
{
    private const int Pages = 4;
    private static readonly ulong Page = (ulong)Environment.SystemPageSize;

    [Fact]
    public void A_watched_mapping_that_is_gone_is_an_error_and_the_process_lives()
    {
        (int exitCode, string output) = RunAlone(nameof(Touch_watched_memory_that_is_gone));
        Assert.True(exitCode == 0, output);
    }

    [Fact]
    public void A_fault_elsewhere_goes_to_the_runtime_which_ends_the_process()
    {
        (int exitCode, string output) = RunAlone(nameof(Touch_other_memory_that_is_gone));
        Assert.NotEqual(0, exitCode);
        Assert.Contains("Fatal error", output);
        Assert.Contains(nameof(Touch_other_memory_that_is_gone), output);
    }

    [Fact]
    public void The_machine_code_is_what_an_assembler_makes_of_its_comments()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/as") && File.Exists("/usr/bin/objcopy"), "binutils is not installed");
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture is Architecture.X64, "an assembler for x86-64");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("vfio-as-");
        string source = Path.Combine(folder.FullName, "s"), made = Path.Combine(folder.FullName, "o"), bytes = Path.Combine(folder.FullName, "b");
        try
        {
            File.WriteAllText(source, ".intel_syntax noprefix\n" + string.Join('\n', CommentsOf("X64")) + "\n");
            Run("as", "-o", made, source);
            Run("objcopy", "-O", "binary", "-j", ".text", made, bytes);
            Assert.Equal(
                Convert.ToHexString(File.ReadAllBytes(bytes)),
                Convert.ToHexString(BusFaultCode.X64(0x1122334455667788, 0x400, 0x99aabbccddeeff00)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact(Explicit = true)]
    public void Touch_watched_memory_that_is_gone()
    {
        using FileDescriptor file = TruncatableFile();
        using SharedMemory before = SharedMemory.MapWatched(file, 0, Page * Pages, writable: true);
        using SharedMemory memory = SharedMemory.MapWatched(file, 0, Page * Pages, writable: true);
        memory.Write32(0, 0x12345678);
        memory.Write64((Page * 2) + 8, 1);
        Assert.False(memory.IsLost);
        MemoryFile.Resize(file, Page);

        Assert.Equal(0x12345678u, memory.Read32(0));
        Assert.False(memory.IsLost);
        Assert.Equal(0ul, memory.Read64((Page * 2) + 8));
        Assert.True(memory.IsLost);
        Assert.False(before.IsLost);
        memory.Write32(Page * 3, 5);
        before.Write8(Page + 1, 1);
        Assert.True(before.IsLost);
        Assert.False(memory.TryRead(0, new byte[4]));
        Assert.False(memory.TryWrite(Page * 2, new byte[4]));

        // Entries are used again, and a new mapping is not lost.
        for (int i = 0; i < 2000; i++)
        {
            using SharedMemory again = SharedMemory.MapWatched(file, 0, Page, writable: true);
            Assert.Equal(0x12345678u, again.Read32(0));
            Assert.False(again.IsLost);
        }

        // Null references are the runtime's own business still.
        string?[] nothing = [null];
        Assert.Throws<NullReferenceException>(() => nothing[0]!.Length);
    }

    [Fact(Explicit = true)]
    public void Touch_other_memory_that_is_gone()
    {
        using FileDescriptor file = TruncatableFile();
        using SharedMemory watched = SharedMemory.MapWatched(file, 0, Page, writable: true);
        using SharedMemory memory = SharedMemory.Map(file, 0, Page * Pages, writable: true);
        MemoryFile.Resize(file, Page);
        memory.Read32(Page * 2);
    }

    private static FileDescriptor TruncatableFile() => MemoryFile.CreateUnsealed("vanishing", Page * Pages);

    /// <summary>The assembly in the comments of a method, with the numbers that the test gives it.</summary>
    private static IEnumerable<string> CommentsOf(string method)
    {
        string[] lines = File.ReadAllLines(Repository.PathOf("src", "Vfio.Native", "Memory", "BusFaultCode.cs"));
        IEnumerable<string> body = lines.SkipWhile(line => !line.Contains($"byte[] {method}(", StringComparison.Ordinal)).TakeWhile(line => line.Trim() != "];");
        foreach (string line in body.Where(line => line.Contains(" // ", StringComparison.Ordinal)))
        {
            string text = line[(line.IndexOf(" // ", StringComparison.Ordinal) + 4)..];
            string label = text.StartsWith(' ') ? "" : text[..2];
            string code = text[2..].Trim().Split("   ")[0].Replace("qword [", "qword ptr [", StringComparison.Ordinal);
            if (code.Split(' ') is [['j', not 'm', ..] jump, string target])
                code = $"{jump} {target}{(line.Contains("0xed", StringComparison.Ordinal) || line.Contains("0xb7", StringComparison.Ordinal) ? 'b' : 'f')}";
            code = code.Replace("mov r8, table", "movabs r8, 0x1122334455667788", StringComparison.Ordinal)
                .Replace("entries", "0x400", StringComparison.Ordinal)
                .Replace("mov rax, previous", "movabs rax, 0x99aabbccddeeff00", StringComparison.Ordinal);
            yield return $"{label} {code}";
        }
    }

    private static (int ExitCode, string Output) RunAlone(string method)
    {
        using Process child = Process.Start(new ProcessStartInfo(
            Environment.ProcessPath!, ["-explicit", "only", "-noLogo", "-noColor", "-method", $"{typeof(BusFaultTests).FullName}.{method}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.Contains("Starting:", output);
        return (child.ExitCode, output + errors.Result);
    }

    private static void Run(string program, params string[] words)
    {
        using Process process = Process.Start(program, words);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
