using Vfio.User;

namespace Vfio.Conformance;

/// <summary>Checks of one request each: the request, and the outcome that is expected.</summary>
internal static class Expect
{
    /// <summary>A request that must be refused; the connection must stay usable.</summary>
    internal static Check Refused(string name, string section, string rule, Func<Peer, Request> make) =>
        new(name, section, rule, trial => Refuse(trial, make, Outcome.Violation));

    /// <summary>A request that a careful server refuses, though the specification does not require it.</summary>
    internal static Check RefusedBetter(string name, string section, string rule, Func<Peer, Request> make) =>
        new(name, section, rule, trial => Refuse(trial, make, Outcome.Differs));

    /// <summary>A request that must succeed; the connection must stay usable.</summary>
    internal static Check Done(string name, string section, string rule, Func<Peer, Request> make) =>
        new(name, section, rule, trial =>
        {
            Peer peer = trial.Open();
            peer.MustDo(make(peer));
            peer.MustGoOn();
            return Outcome.Pass();
        });

    /// <summary>A request that may succeed or be refused, but must be answered; the connection must stay usable.</summary>
    internal static Check Answered(string name, string section, string rule, Func<Peer, Request> make) =>
        new(name, section, rule, trial =>
        {
            Peer peer = trial.Open();
            Received reply = peer.Ask(make(peer));
            peer.MustGoOn();
            return Outcome.Pass(reply.IsRefusal ? $"refused: {reply.Refusal}" : "accepted");
        });

    /// <summary>An exchange that the specification allows and that some implementations do not support: a failure is a difference.</summary>
    internal static Check Habit(string name, string section, string rule, Func<Trial, Outcome> attempt) => new(name, section, rule, trial =>
    {
        try
        {
            return attempt(trial);
        }
        catch (CheckEndedException ended) when (ended.Outcome.Verdict == Verdict.Violation)
        {
            return Outcome.Differs(ended.Outcome.Reason);
        }
    });

    /// <summary>A request whose argsz is smaller than the fixed reply: refused, or answered with at most argsz bytes.</summary>
    internal static Check Fits(string name, string section, uint argSize, Func<Peer, uint, Request> make) =>
        new(name, section, $"argsz {argSize} is the most that the reply's payload may have: the request is refused or the reply fits.",
            trial =>
        {
            Peer peer = trial.Open();
            Received reply = peer.Ask(make(peer, argSize));
            peer.MustGoOn();
            if (!reply.IsRefusal && reply.Body.Length > argSize)
                return Outcome.Violation($"the reply has {reply.Body.Length} bytes for an argsz of {argSize}");
            return Outcome.Pass(reply.IsRefusal ? $"refused: {reply.Refusal}" : $"{reply.Body.Length} bytes");
        });

    /// <summary>A message whose framing is broken: it must be refused, or the connection closed; it must not be executed.</summary>
    /// <param name="peer">The connection.</param>
    /// <param name="message">The bytes to send.</param>
    /// <param name="silenceIsFine">Whether a server may wait for the rest that a size announces.</param>
    internal static Outcome NotObeyed(Peer peer, ReadOnlySpan<byte> message, bool silenceIsFine = false)
    {
        peer.Send(message);
        return peer.Await(out Received? reply) switch
        {
            Arrival.Closed => Outcome.Pass("the server closed the connection"),
            Arrival.Silence when silenceIsFine => Outcome.Differs("the server waits for the rest, however long"),
            Arrival.Silence => Outcome.Violation("the server neither refused nor closed"),
            _ when reply!.IsRefusal => Outcome.Pass($"refused: {reply.Refusal}"),
            _ => Outcome.Violation($"it was carried out: {MessageText.NameOf(reply.Header.Command)} was answered with success"),
        };
    }

    private static Outcome Refuse(Trial trial, Func<Peer, Request> make, Func<string, Outcome> otherwise)
    {
        Peer peer = trial.Open();
        Received reply = peer.Ask(make(peer));
        peer.MustGoOn();
        return reply.IsRefusal ? Outcome.Pass(reply.Refusal) : otherwise("it was accepted");
    }
}
