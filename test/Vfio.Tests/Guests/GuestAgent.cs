using System.Globalization;

namespace Vfio.Tests.Guests;

/// <summary>The agent inside a guest: a request is a line, for a command of <c>test/guest/agent</c> or for a shell.</summary>
internal sealed class GuestAgent(GuestLine line)
{
    private const string Mark = "= ";

    /// <summary>Waits until the guest has started.</summary>
    public void WaitUntilReady()
    {
        while (!line.Read().EndsWith(Mark + "ready", StringComparison.Ordinal))
            continue;
    }

    /// <summary>Asks, and gives the output and the errno or exit code.</summary>
    public (int Status, string Output) Ask(string request)
    {
        line.Write(request);
        List<string> output = [];
        while (true)
        {
            string answer = line.Read();
            if (answer.StartsWith(Mark, StringComparison.Ordinal))
                return (int.Parse(answer[Mark.Length..], CultureInfo.InvariantCulture), string.Join('\n', output).TrimEnd('\n'));
            output.Add(answer);
        }
    }

    /// <summary>Asks for what has to succeed, and gives the output.</summary>
    public string Do(string request)
    {
        (int status, string output) = Ask(request);
        Assert.True(status == 0, $"in the guest, '{request}' gave {status}: {output}");
        return output;
    }

    /// <summary>Asks for a number.</summary>
    public ulong Number(string request)
    {
        string output = Do(request);
        return Convert.ToUInt64(output, output.StartsWith("0x", StringComparison.Ordinal) ? 16 : 10);
    }

    /// <summary>Asks until the guest says yes.</summary>
    public void WaitFor(string request)
    {
        (int status, string output) = Ask($"for i in $(seq 12000); do if {request}; then exit 0; fi; usleep 50000; done; exit 1");
        Assert.True(status == 0, $"in the guest, '{request}' does not come true {output}");
    }
}
