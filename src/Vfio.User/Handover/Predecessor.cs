using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>The server that this process takes over from.</summary>
internal sealed class Predecessor : IDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private readonly HandoverExchange _talk;
    private bool _isAnswered;

    private Predecessor(HandoverExchange talk, HandoverReader contents) => (_talk, Contents) = (talk, contents);

    /// <summary>All that it handed over. It is suspended until <see cref="Accept"/> or <see cref="Refuse"/>.</summary>
    internal HandoverReader Contents { get; }

    /// <summary>Asks the server that listens at a path.</summary>
    /// <exception cref="VfioException">No server listens there (ECONNREFUSED, ENOENT), another user does (EACCES), it refused (EBUSY), it
    /// did
    /// not answer in time (ETIMEDOUT), or it is no such server (EPROTO).</exception>
    internal static Predecessor Ask(string path)
    {
        HandoverExchange talk = new(UnixSocket.Connect(path, LongestWait));
        try
        {
            if (!talk.IsTrusted)
                throw new VfioException("taking over", path, Errno.AccessDenied, "another user listens there");
            Deadline deadline = new(LongestWait);
            talk.TrySend(HandoverKind.Ask, default, [], deadline);
            return new Predecessor(talk, talk.Receive(HandoverKind.Give, deadline));
        }
        catch (VfioException refusal)
        {
            talk.Dispose();
            throw new VfioException("taking over", path, refusal.Errno, refusal.Message);
        }
    }

    /// <summary>Takes over from here.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: it did not wait; nothing that it handed over may be used any more.</exception>
    internal void Accept()
    {
        _isAnswered = true;
        if (!_talk.TrySend(HandoverKind.Taken, default, [], new Deadline(TimeSpan.FromSeconds(1))))
            throw new VfioException("taking over", "the other server", Errno.TimedOut, "it did not wait, and continues by itself");
    }

    /// <summary>Refuses with a reason, unless it was answered; the predecessor continues.</summary>
    internal void Refuse(string why)
    {
        if (!_isAnswered)
            _talk.Refuse(why);
        _isAnswered = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Contents.Dispose();
        _talk.Dispose();
    }
}
