using System.CommandLine;
using System.Globalization;
using Vfio.User.Leases;

namespace Vfio.Cli.Verbs;

/// <summary>Takes a lease back.</summary>
internal sealed class RevokeVerb() : Verb("revoke", "Take a device of the broker back from its user; one's own, or for an administrator anybody's.")
{
    // Longer than any time that a sensible policy gives a holder.
    private static readonly TimeSpan LongestWait = TimeSpan.FromHours(1);

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio revoke edu0", "by the device's name; its user has the time of the rule to give it back"),
        new("vfio revoke 12 --now", "by the lease's number, at once"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> lease = new("lease") { Description = "A lease's number, or its device's name; see 'vfio leases'." };
        Option<bool> now = new("--now") { Description = "At once, without the time that the rule gives to the user." };
        Option<string?> place = SharedOptions.Broker();
        command.Add(lease);
        command.Add(now);
        command.Add(place);
        command.SetAction(parsed =>
        {
            string word = parsed.GetValue(lease)!;
            using BrokerClient broker = BrokerClient.Connect(parsed.GetValue(place), LongestWait);
            int id = int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
                ? number
                : broker.ListLeases().FirstOrDefault(one => one.Device == word || one.Address == word)?.Id
                    ?? throw new VfioException("revoke", word, Errno.NoEntry, "this user sees no lease of such a device; see 'vfio leases'");
            broker.Ask(new BrokerRequest { Do = BrokerVerbs.Revoke, Lease = id, Now = parsed.GetValue(now) ? true : null }, $"lease {id}");
            parsed.InvocationConfiguration.Output.WriteLine($"lease {id} has ended");
        });
    }
}
