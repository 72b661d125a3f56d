using Vfio.Guard;

namespace Vfio.Tests.Readme;

/// <summary>What the README shows is compiled, runs, and is what it shows.</summary>
public sealed class ReadmeTests
{
    [Theory]
    [InlineData("FactorialDriver.cs", "README.md")]
    [InlineData("CounterDevice.cs", "README.md")]
    [InlineData("CounterServer.cs", "README.md")]
    [InlineData("FactorialDriver.cs", "src/Vfio.Open/README.md")]
    [InlineData("CounterDevice.cs", "src/Vfio.Devices/README.md")]
    [InlineData("CounterServer.cs", "src/Vfio.Devices/README.md")]
    public void An_example_is_in_the_readme_as_it_is_compiled(string file, string readme)
    {
        string source = File.ReadAllText(Repository.PathOf("test", "Vfio.Tests", "Readme", file));
        string example = source[(source.IndexOf('\n', StringComparison.Ordinal) + 1)..].Replace("namespace Vfio.Tests.Readme;\n\n", "", StringComparison.Ordinal);
        Assert.Contains($"```csharp\n{example}```", File.ReadAllText(Repository.PathOf(readme)));
    }

    [Fact]
    public void The_driver_drives_the_model() => Assert.Equal(3_628_800u, FactorialDriver.Compute("model:edu", 10));

    [Fact]
    public void The_driver_drives_the_same_device_over_a_socket()
    {
        using ServerProcess server = new();
        Assert.Equal(3_628_800u, FactorialDriver.Compute("unix:" + server.SocketPath, 10));
    }

    [Fact]
    public void The_device_counts_and_interrupts()
    {
        using GuardedFunction guard = new(new CounterDevice());
        CountTo11(guard.Open());
    }

    [Fact]
    public async Task The_server_serves_the_device()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("vfio-test-");
        string socket = Path.Combine(folder.FullName, "s");
        using CancellationTokenSource stop = new();
        Task serving = Task.Run(() => CounterServer.Serve(socket, stop.Token));
        Assert.True(SpinWait.SpinUntil(() => File.Exists(socket) || serving.IsCompleted, HangGuard.Timeout));
        CountTo11(VfioDevice.Open("unix:" + socket));
        await stop.CancelAsync();
        await serving;
        folder.Delete();
    }

    private static void CountTo11(IVfioDevice device)
    {
        using PciDevice counter = new(device);
        Bar registers = counter.OpenBar(0);
        using InterruptSet interrupts = counter.Interrupts.Enable(1);
        counter.EnableBusMaster();
        registers.Write32(4, 5);
        registers.Write32(4, 6);
        Assert.True(interrupts[0].Wait(HangGuard.Timeout));
        Assert.Equal(11u, registers.Read32(0));
    }
}
