using System.Text.Json;

namespace Vfio.Tests.Processes;

/// <summary>The demo as a user runs it.</summary>
public sealed class DemoTests
{
    [Fact]
    public void Every_step_does_what_it_says()
    {
        VfioCommand.Result demo = VfioCommand.Run("demo", "--json");
        Assert.Equal("", demo.Errors);
        using JsonDocument output = JsonDocument.Parse(demo.Output);
        Assert.All(output.RootElement.GetProperty("steps").EnumerateArray(), step => Assert.True(step.GetProperty("ok").GetBoolean(), step.ToString()));
        Assert.True(output.RootElement.GetProperty("ok").GetBoolean());
        Assert.Equal(0, demo.ExitCode);
        Assert.True(output.RootElement.GetProperty("steps").GetArrayLength() >= 18);
    }

    [Fact]
    public void As_root_the_driver_runs_as_another_user()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can start a process as another user");
        using JsonDocument output = JsonDocument.Parse(VfioCommand.Run("demo", "--json").Output);
        JsonElement who = output.RootElement.GetProperty("steps").EnumerateArray()
            .First(step => step.GetProperty("role").GetString() == "user");
        Assert.Contains("user nobody", who.GetProperty("got").GetString());
    }

    [Fact]
    public void The_demo_for_people_succeeds()
    {
        VfioCommand.Result demo = VfioCommand.Run("demo");
        Assert.Equal(0, demo.ExitCode);
        Assert.DoesNotContain("WRONG", demo.Output);
        Assert.Contains("Every step succeeded", demo.Output);
    }
}
