using System.ComponentModel;
using Vfio.Cli.Output;

namespace Vfio.Tests.Cli;

/// <summary>Every exception is a line for people and an exit code.</summary>
public sealed class FailureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Files_that_cannot_be_used_say_what_why_and_what_to_do()
    {
        string missing = Path.Combine(_folder, "missing"), within = Path.Combine(_folder, "file", "x");
        File.WriteAllText(Path.Combine(_folder, "file"), "");
        Assert.Equal($"opening {missing}: No such file or directory; check the path (errno 2)", Refusal(() => UserFile.OpenRead(missing)));
        Assert.Equal($"opening {_folder}: Is a directory; give a file, not a directory (errno 21)", Refusal(() => UserFile.OpenRead(_folder)));
        Assert.Equal($"creating {_folder}: Is a directory; give a file, not a directory (errno 21)", Refusal(() => UserFile.Create(_folder)));
        Assert.Matches(@"^creating .*/file/x: .* \(errno \d+\)$", Refusal(() => UserFile.Create(within)));
        Assert.Matches(@"^opening a\\x00b: .* \(errno 22\)$", Refusal(() => UserFile.OpenRead("a\0b")));
        Assert.Matches(@"^opening : .* \(errno 22\)$", Refusal(() => UserFile.OpenRead("")));
        Assert.Matches(@"\(errno \d+\)$", Refusal(() => UserFile.Create(Path.Combine(_folder, new string('x', 300)))));
        Assert.Matches(@"\(errno \d+\)$", Refusal(() => UserFile.Create("/proc/nothing")));
    }

    [Fact]
    public void What_dotnet_says_is_translated()
    {
        Failure denied = Failure.Of(new UnauthorizedAccessException("Access to the path is denied.", new IOException("Permission denied", 13)));
        Assert.Equal(1, denied.ExitCode);
        Assert.Contains("Permission denied; check who may use it", denied.Line);
        Assert.EndsWith("(errno 13)", denied.Line);
        Assert.Contains("'/x/y'".Trim('\''), Failure.Of(new UnauthorizedAccessException("Access to the path '/x/y' is denied.")).Line);
        Assert.Contains("No space left on device; free some space", Failure.Of(new IOException("No space left on device : '/dev/full'", 28)).Line);
        Assert.Contains("(errno 2)", Failure.Of(new Win32Exception(2, "An error occurred trying to start process 'x' with working directory '/'.")).Line);
    }

    [Fact]
    public void A_closed_reader_gets_no_error()
    {
        Assert.Equal(new Failure(null, 141), Failure.Of(new VfioException("write", "standard output", Errno.BrokenPipe)));
        Assert.NotNull(Failure.Of(new VfioException("write", "/run/x.sock", Errno.BrokenPipe)).Line);
    }

    public static TheoryData<Exception> Faults =>
    [
        new NullReferenceException(),
        new InvalidCastException("Unable to cast object of type 'System.String' to type 'Vfio.PciDevice'."),
        new InvalidOperationException("Sequence contains no elements"),
        new ArgumentOutOfRangeException("count"),
        new TypeInitializationException("Vfio.Cli.X", new InvalidOperationException("x")),
        new AggregateException(new NotSupportedException("x"), new IOException("y")),
        new KeyNotFoundException("The given key 'System.Int32' was not present in the dictionary."),
        new OutOfMemoryException(),
        new StackGuard(),
    ];

    [Theory]
    [MemberData(nameof(Faults), DisableDiscoveryEnumeration = true)]
    public void Faults_of_our_own_show_no_type_and_no_stack(Exception fault)
    {
        Failure failure = Failure.Of(fault);
        Assert.InRange(failure.ExitCode, 1, 125);
        Assert.DoesNotMatch(@"System\.|Vfio\.|Exception|   at |\n|Object reference", failure.Line);
    }

    private static string Refusal(Func<FileStream> open) => Assert.Throws<VfioException>(() => open().Dispose()).Message;

    private sealed class StackGuard() : Exception("Exception of type 'Vfio.Tests.Cli.FailureTests+StackGuard' was thrown.");
}
