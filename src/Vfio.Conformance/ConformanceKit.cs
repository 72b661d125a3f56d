using System.Diagnostics;

namespace Vfio.Conformance;

/// <summary>Checks a server against every sentence of the vfio-user specification.</summary>
/// <remarks>Each check has connections of its own, and every wait has a timeout. If the server exits, or does not accept the next client, the
/// check at which this happens is a violation.</remarks>
public static class ConformanceKit
{
    /// <summary>All checks, in the order in which they are run.</summary>
    public static IReadOnlyList<Check> Checks { get; } =
    [
        .. VersionChecks.All, .. VersionDataChecks.All, .. HeaderChecks.All, .. StreamChecks.All, .. NoReplyChecks.All,
        .. DeviceInfoChecks.All, .. RegionInfoChecks.All, .. IrqInfoChecks.All, .. SetIrqsChecks.All, .. SignalChecks.All,
        .. DmaMapChecks.All, .. DmaUnmapChecks.All, .. RegionReadChecks.All, .. RegionWriteChecks.All, .. WriteMultiChecks.All,
        .. RegionIoFdsChecks.All, .. DmaTransferChecks.All, .. ResetChecks.All, .. FeatureChecks.All, .. MigrationChecks.All,
        .. DescriptorChecks.All, .. DisconnectChecks.All,
    ];

    /// <summary>Runs the checks one after the other.</summary>
    /// <param name="options">The server and the checks.</param>
    /// <param name="found">Called with each result.</param>
    /// <param name="starting">Called before each check, with its number from 0 and the number of checks.</param>
    /// <exception cref="VfioException">No server listens at the path.</exception>
    public static ConformanceReport Run(
        ConformanceOptions options, Action<CheckResult>? found = null, Action<Check, int, int>? starting = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        Check[] chosen = [.. Checks.Where(options.Chosen ?? (_ => true))];
        List<CheckResult> results = [];
        using ServerUnderTest server = new(options);
        int done = 0;
        try
        {
            RunAll();
        }
        catch (OperationCanceledException) when (options.Cancellation.IsCancellationRequested)
        {
            // The results so far are the report.
        }

        return new ConformanceReport(options.Path, results) { Untried = chosen[done..] };

        void RunAll()
        {
            // Reading the device's facts is a check like the others, and is in the report when it fails.
            DeviceFacts? device = null;
            const string Rule = "A server agrees on a version and says what regions and interrupts its device has.";
            CheckResult survey = Try(server, null, new Check("survey.describes-itself", "Device Information", Rule, trial =>
            {
                device = DeviceFacts.Learn(trial);
                return Outcome.Pass();
            }));
            if (device is null)
                Add(survey);
            else
                server.LearnHowItEnds();
            _ = server.TakeDeath();

            string? gone = null;
            for (; done < chosen.Length; done++)
            {
                options.Cancellation.ThrowIfCancellationRequested();
                starting?.Invoke(chosen[done], done, chosen.Length);
                CheckResult result = gone is null
                    ? Try(server, device, chosen[done])
                    : new CheckResult(chosen[done], Outcome.Skipped(gone), [], TimeSpan.Zero);
                if (gone is null && FindDeath(server) is string death)
                {
                    result = new CheckResult(result.Check, Outcome.Violation(death), result.Exchange, result.Time);
                    gone = IsGone(server) ? $"the server is gone since {chosen[done].Name}" : null;
                }

                Add(result);
            }
        }

        void Add(CheckResult result)
        {
            results.Add(result);
            found?.Invoke(result);
        }
    }

    /// <summary>Runs one check; any failure in it is its result.</summary>
    internal static CheckResult Try(ServerUnderTest server, DeviceFacts? device, Check check)
    {
        long start = Stopwatch.GetTimestamp();
        using Trial trial = new(server, device);
        Outcome outcome;
        try
        {
            outcome = check.Try(trial);
        }
        catch (CheckEndedException ended)
        {
            outcome = ended.Outcome;
        }
        catch (Exception fault) when (server.WasReached && fault is not OperationCanceledException)
        {
            // A failure of this side, or of a process that exited while it was read: the other checks still run.
            outcome = Outcome.Skipped($"it could not be tried: {fault.Message}");
        }

        return new CheckResult(check, outcome, [.. trial.Exchange], Stopwatch.GetElapsedTime(start));
    }

    /// <summary>Whether the server still accepts a client, and if not, why.</summary>
    private static string? FindDeath(ServerUnderTest server)
    {
        if (server.TakeDeath() is string death)
            return death;
        return IsGone(server) ? "after that, the server does not take a client any more" : server.TakeDeath();
    }

    private static bool IsGone(ServerUnderTest server)
    {
        using Trial trial = new(server, null);
        try
        {
            trial.Open();
            return false;
        }
        catch (CheckEndedException)
        {
            return true;
        }
    }
}
