using System.Runtime.InteropServices;
using Vfio.Devices.Edu;
using Vfio.Devices.Nvme;
using Vfio.Guard;
using Vfio.Pci;
using Vfio.Run;
using Vfio.Tests.Guests.Inside;

namespace Vfio.Tests.Run;

/// <summary>Runs the tests of the library that a guest has, on functions that Linux assigns, on models under <see cref="VfioRun"/>. The answers
/// of the two have to be the same.</summary>
public sealed class LibraryUnderRunTests
{
    [Fact]
    public async Task The_library_does_under_run_what_it_does_on_functions_that_Linux_assigns()
    {
        using ProgramOutput output = new();
        string dotnet = Path.GetFullPath("../../../dotnet", RuntimeEnvironment.GetRuntimeDirectory());
        Type[] tests = [typeof(AssignedFunctionTests), typeof(GuardedAssignedTests)];
        RunProgram program = new(dotnet, [typeof(LibraryUnderRunTests).Assembly.Location, InsideRunner.Word, .. tests.Select(type => type.FullName!)])
        {
            StandardOutput = output.File,
            StandardError = output.File,
            Environment = new Dictionary<string, string?> { [Place.Variable] = Place.Run, ["DOTNET_EnableDiagnostics"] = "0" },
        };
        using VfioRun run = VfioRun.Start(program, [Model(1, new EduFunction()), Model(2, new EduFunction()), Model(3, NvmeFunction.InMemory(1 << 20))]);
        int code = await run.Exit.WaitAsync(HangGuard.Timeout);
        Assert.True(code == 0, output.Text);

        // Of 31 and interfaces; without those that are about the kernel.
        Assert.EndsWith(InsideRunner.Summary(total: 31, failed: 0, skipped: 8), output.Text.TrimEnd());
    }

    private static RunDevice Model(byte bus, EmulatedFunction function) => new(new GuardedFunction(function).Open) { Address = new PciAddress(0, bus, 0, 0) };
}
