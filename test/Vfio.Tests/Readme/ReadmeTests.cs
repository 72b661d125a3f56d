using Vfio.Guard;

namespace Vfio.Tests.Readme;

/// <summary>What the README shows is compiled, runs, and is what it shows.</summary>
public sealed class ReadmeTests
{
    [Theory]
    [InlineData("FactorialDriver.cs")]
    [InlineData("CounterDevice.cs")]
    public void An_example_is_in_the_readme_as_it_is_compiled(string file)
    {
        string source = File.ReadAllText(Repository.PathOf("test", "Vfio.Tests", "Readme", file));
        string example = source[(source.IndexOf('\n', StringComparison.Ordinal) + 1)..].Replace("namespace Vfio.Tests.Readme;\n\n", "", StringComparison.Ordinal);
        Assert.Contains($"```csharp\n{example}```", File.ReadAllText(Repository.PathOf("README.md")));
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
        using PciDevice counter = new(guard.Open());
        Bar registers = counter.OpenBar(0);
        using InterruptSet interrupts = counter.Interrupts.Enable(1);
        counter.EnableBusMaster();
        registers.Write32(4, 5);
        registers.Write32(4, 6);
        Assert.True(interrupts[0].Wait(TimeSpan.FromSeconds(60)));
        Assert.Equal(11u, registers.Read32(0));
    }
}
