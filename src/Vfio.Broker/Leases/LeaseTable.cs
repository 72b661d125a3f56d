using Microsoft.Extensions.Logging;
using Vfio.Broker.Audit;
using Vfio.Broker.Policies;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Leases;

namespace Vfio.Broker.Leases;

/// <summary>Who has which device: gives, takes back, and records both.</summary>
/// <remarks>
/// <para>Any thread may use it. Decisions are made under a lock, in memory; a device is opened, served and closed by a thread of the
/// lease, so
/// that no device and no user keeps others waiting.</para>
/// <para>A lease goes from <see cref="LeaseState.Opening"/> to <see cref="LeaseState.Ending"/> and never back, and its device is free
/// again when
/// it was closed: reset, with bus mastering off, no interrupt bound and no memory mapped.</para>
/// </remarks>
internal sealed partial class LeaseTable
{
    // A reply with so many leases fits into an empty queue of a socket.
    private const int LeasesInReply = 64;

    /// <summary>So many refusals of a user are written to the audit at once.</summary>
    internal const int RefusalBurst = 100;

    /// <summary>So many lines about what a user was given, gave back and revoked.</summary>
    internal const int GrantBurst = 1000;

    // How long a device that its last user has closed may take until it is free.
    private static readonly TimeSpan LongestClose = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AcceptPause = TimeSpan.FromMilliseconds(100);
    private const string GoneReason = "the user that asked for it is gone";
    private readonly Lock _lock = new();
    private readonly SortedDictionary<int, Lease> _leases = [];
    private readonly Dictionary<string, Lease> _byKey = new(StringComparer.Ordinal);
    private readonly DeviceFinder _finder;
    private readonly LeaseWorker _worker;
    private readonly AuditBudget _refusals = new(RefusalBurst), _grants = new(GrantBurst);
    private readonly AuditLog _audit;
    private readonly ILogger _logger;
    private readonly Action _changed;
    private volatile BrokerPolicy _policy;
    private int _lastId;
    private bool _isStopped;

    /// <summary>Makes an empty one.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="finder">Finds devices.</param>
    /// <param name="handshakeTimeout">How long a user may take to negotiate.</param>
    /// <param name="handsOver">Whether another broker may take leases over.</param>
    /// <param name="audit">What happens is written there; the caller keeps it.</param>
    /// <param name="logger">Faults are logged there.</param>
    /// <param name="changed">Called when <see cref="Check"/> may be due earlier than it said.</param>
    internal LeaseTable(BrokerPolicy policy, DeviceFinder finder, TimeSpan handshakeTimeout, bool handsOver, AuditLog audit, ILogger logger, Action changed)
    {
        _policy = policy;
        _finder = finder;
        _audit = audit;
        _logger = logger;
        _changed = changed;
        _worker = new LeaseWorker(handshakeTimeout, handsOver, logger);
    }

    /// <summary>How many leases there are.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
                return _leases.Count;
        }
    }

    /// <summary>Another policy from now on. Leases go on as they were given; holders whom it would refuse are notified.</summary>
    internal void SetPolicy(BrokerPolicy policy)
    {
        _policy = policy;
        Lease[] leases;
        lock (_lock)
            leases = [.. _leases.Values];
        foreach (Lease lease in leases.Where(lease => lease.Owner is not null))
        {
            if (policy.Find(lease.Holder, lease.Device) is not { IsRefusal: false })
                lease.Owner?.TryAnswer(new BrokerReply { Event = BrokerEvents.PolicyChanged });
        }
    }

    /// <summary>Gives a device, or refuses it; answers later, when the device was reset.</summary>
    /// <remarks>A device that is just being closed is waited for, so that a user who closes it can open it again.</remarks>
    /// <param name="requester">Who asks.</param>
    /// <param name="name">Which device.</param>
    /// <param name="isHeld">Whether the lease ends with the requester, and not with the connection to the device.</param>
    internal void Give(IRequester requester, string name, bool isHeld) => Give(requester, name, isHeld, new Deadline(LongestClose));

    private void Give(IRequester requester, string name, bool isHeld, Deadline deadline)
    {
        BrokerPolicy policy = _policy;
        IReadOnlyList<Candidate> devices = _finder.Find(policy, name);

        // Before the lock: it may take long the first time.
        _ = requester.Caller.UserName;
        Lease? lease;
        LeaseDecision decision = default;
        Task? closing = null;
        lock (_lock)
        {
            lease = isHeld ? null : FindHeld(requester.Caller, name);
            if (_isStopped)
            {
                lease = null;
                decision = new(Errno.Shutdown, "the broker is stopping", null, null);
            }
            else if (_isHandingOver)
            {
                lease = null;
                decision = new(Errno.TryAgain, "the broker is being replaced; ask again", null, null);
            }
            else if (lease is { HasThread: true })
            {
                decision = new(Errno.Busy, lease.DescribeHolder() + " and it is open", lease.Device, lease.Rule);
                closing = lease.IsClosing || lease.State == LeaseState.Opening ? lease.Left : null;
                lease = null;
            }
            else if (lease is not null)
            {
                lease.Enter();
                lease.State = LeaseState.Opening;
            }
            else
            {
                decision = LeaseDecision.Of(policy, requester.Caller, name, devices, HolderOf, rule => CountOf(requester.Caller, rule));
                if (decision.Error == Errno.None)
                    lease = Add(decision, requester.Caller, isHeld);
                else if (decision.Error is Errno.Busy or Errno.OperationNotPermitted)
                    closing = FindClosing(requester.Caller, devices)?.Ended.Task;
            }
        }

        if (lease is not null)
            Start(lease, requester, name, isHeld);
        else if (closing is not null && !deadline.HasPassed)
            _ = GiveLaterAsync(closing, requester, name, isHeld, deadline);
        else
            Refuse(requester, name, isHeld, decision);
    }

    private async Task GiveLaterAsync(Task closing, IRequester requester, string name, bool isHeld, Deadline deadline)
    {
        // Whether it came or not: what follows decides anew.
        await Task.WhenAny(closing, Task.Delay(deadline.Left)).ConfigureAwait(false);
        try
        {
            Give(requester, name, isHeld, deadline);
        }
        catch (Exception failure)
        {
            BrokerLog.RequestFailed(_logger, failure);
            requester.TryAnswer(new BrokerReply { Errno = (int)Errno.InputOutput, Reason = "the broker failed; its log has the reason" });
        }
    }

    /// <summary>Gives the device of a lease to the clients of its holder's socket, one after the other.</summary>
    /// <param name="lease">A lease that is held.</param>
    /// <param name="listener">The socket; owned from here on, also when this throws.</param>
    /// <param name="loop">The thread that waits for clients.</param>
    /// <exception cref="VfioException">The lease has ended, or has a socket already.</exception>
    internal void Listen(Lease lease, UnixListener listener, EventLoop loop)
    {
        if (lease.Rule.Terms.IsDirect)
        {
            listener.Dispose();
            throw new VfioException("listening", lease.Device.Name, Errno.NotSupported, "its lease is direct: there is no vfio-user for the clients of a socket");
        }

        LeaseListener place = new(listener, loop, () => Accept(lease));
        bool isTaken = false;
        lock (_lock)
        {
            if (lease.State != LeaseState.Ending && lease.Listener is null)
            {
                lease.Listener = place;
                isTaken = true;
            }
        }

        if (isTaken)
            return;
        place.Dispose();
        throw new VfioException("listening", lease.Device.Name, Errno.Busy, "the lease has ended, or has a socket already");
    }

    private void Accept(Lease lease)
    {
        lock (_lock)
        {
            // While somebody has it open, clients wait.
            if (_isHandingOver || lease.State != LeaseState.Held || lease.HasThread || lease.Listener is null)
                return;
            lease.Enter();
            lease.State = LeaseState.Opening;
        }

        // The socket is the user's too, who can make an accept wait: only the lease's own thread does.
        Start(lease, new Stranger(lease.Holder), lease.Device.Name, isHeld: false, accepts: true);
    }

    /// <summary>Says which leases there are: to who may see all, all, else the caller's own.</summary>
    /// <param name="requester">Who asks.</param>
    /// <param name="after">Only those with a greater number.</param>
    internal void List(IRequester requester, int after)
    {
        bool seesAll = IsAdministrator(requester.Caller);
        List<LeaseRecord> found = [];
        lock (_lock)
        {
            found.AddRange(_leases.Values
                .Where(lease => lease.Id > after && (seesAll || lease.Holder.UserId == requester.Caller.UserId))
                .Take(LeasesInReply + 1)
                .Select(lease => lease.Describe()));
        }

        bool more = found.Count > LeasesInReply;
        requester.TryAnswer(new BrokerReply { Leases = more ? found[..LeasesInReply] : found, More = more ? true : null });
    }

    /// <summary>Takes a device back, for who may; answers when it is back.</summary>
    /// <param name="requester">Who asks.</param>
    /// <param name="id">Which lease.</param>
    /// <param name="now">At once, without the time that the rule gives to the holder.</param>
    internal void Revoke(IRequester requester, int id, bool now)
    {
        Caller caller = requester.Caller;
        Lease? lease;
        lock (_lock)
            lease = _leases.GetValueOrDefault(id);
        bool maySee = lease is not null && (lease.Holder.UserId == caller.UserId || IsAdministrator(caller));
        AuditRecord record = new("revoke") { Caller = caller, Lease = id, Device = maySee ? lease!.Device.Name : null };
        if (!maySee)
        {
            // Whether others have a lease of that number is none of this user's business.
            WriteRefusal(record with { Error = Errno.NoEntry, Reason = lease is null ? "there is none" : "it is another user's" });
            requester.TryAnswer(new BrokerReply { Errno = (int)Errno.NoEntry, Reason = "this user has no lease of that number" });
            return;
        }

        TryWriteDone(record);
        _ = AnswerWhenEnded(requester, lease!);
        TimeSpan time = lease!.Rule.Terms.ReturnTime;
        string why = $"revoked by user {caller.UserId}";
        if (now || time == TimeSpan.Zero || caller.UserId == lease.Holder.UserId)
            End(lease, why);
        else
            Want(lease, why, time);
    }

    /// <summary>Ends a lease: its session, whatever it does, and then takes the device back. Does not wait.</summary>
    internal void End(Lease lease, string reason)
    {
        bool isIdle;
        lock (_lock)
        {
            if (lease.State == LeaseState.Ending || lease.HasDeparted)
                return;
            lease.State = LeaseState.Ending;
            lease.EndReason = reason;
            isIdle = !lease.HasThread;
            lease.Run?.Stop(reason);
        }

        if (isIdle)
            Finish(lease);
    }

    /// <summary>Ends what is over its time.</summary>
    /// <returns>When to call it again at the latest.</returns>
    internal Deadline Check()
    {
        List<(Lease Lease, string Reason)> over = [];
        Deadline next = Deadline.Never;
        lock (_lock)
        {
            foreach (Lease lease in _leases.Values.Where(lease => lease.State != LeaseState.Ending))
            {
                if (lease.End.HasPassed)
                    over.Add((lease, lease.WantedBy ?? "its time is over"));
                else if (lease.IdleCheck.HasPassed && IsUnused(lease))
                    over.Add((lease, $"it was not used for {lease.Rule.Terms.IdleTime!.Value.TotalSeconds} s"));
                next = Deadline.Earlier(next, Deadline.Earlier(lease.End, lease.IdleCheck));
            }
        }

        foreach ((Lease lease, string reason) in over)
            End(lease, reason);
        return next;
    }

    /// <summary>Ends all leases, and gives no more.</summary>
    /// <param name="timeout">How long to wait for devices that are slow to come back.</param>
    /// <returns>Whether all are back.</returns>
    internal bool Stop(TimeSpan timeout)
    {
        Lease[] leases;
        lock (_lock)
        {
            _isStopped = true;
            leases = [.. _leases.Values];
        }

        foreach (Lease lease in leases)
            End(lease, "the broker stops");
        bool areBack = Task.WaitAll([.. leases.Select(lease => lease.Ended.Task)], timeout);
        foreach ((uint user, int missed) in _grants.TakeMissed())
            _audit.TryWrite(RepeatsOf(new Caller(user, user, [], 0, null), missed));
        return areBack;
    }

    /// <summary>Whether a user may see and revoke every lease.</summary>
    internal bool IsAdministrator(Caller caller) =>
        caller.UserId == 0 || caller.UserId == UserAccount.CurrentId || _policy.Administrators.Contains(caller);

    private static async Task AnswerWhenEnded(IRequester requester, Lease lease)
    {
        await lease.Ended.Task.ConfigureAwait(false);
        requester.TryAnswer(lease.HasDeparted
            ? new BrokerReply { Errno = (int)Errno.TryAgain, Reason = "another broker has the lease now; ask it" }
            : new BrokerReply());
    }

    /// <summary>Whether a lease was not used since the last check; under the lock.</summary>
    private static bool IsUnused(Lease lease)
    {
        long messages = lease.MessagesBefore + (lease.Run?.MessageCount ?? 0);
        bool isUnused = messages == lease.MessagesAtCheck && lease.Run is not { IsInUse: true };
        lease.MessagesAtCheck = messages;
        lease.IdleCheck = new Deadline(lease.Rule.Terms.IdleTime!.Value);
        return isUnused;
    }

    private void Want(Lease lease, string reason, TimeSpan time)
    {
        Action? request;
        lock (_lock)
        {
            if (lease.State == LeaseState.Ending || lease.WantedBy is not null)
                return;
            lease.WantedBy = reason;
            lease.End = Deadline.Earlier(lease.End, new Deadline(time));
            request = lease.Run?.RequestBack;
        }

        lease.Owner?.TryAnswer(new BrokerReply { Event = BrokerEvents.Wanted, Within = time.TotalSeconds, Reason = reason });
        try
        {
            request?.Invoke();
        }
        catch (VfioException)
        {
            // Its user closes the device now.
        }

        _changed();
    }

    private Lease Add(in LeaseDecision decision, Caller caller, bool isHeld)
    {
        Lease lease = new(++_lastId, decision.Device!, caller, decision.Rule!, isHeld);
        _leases.Add(lease.Id, lease);
        _byKey.Add(lease.Key, lease);
        BrokerTelemetry.Leases.Add(1);
        return lease;
    }

    private Lease? FindHeld(Caller caller, string name) => _leases.Values.FirstOrDefault(lease =>
        lease is { IsHeld: true, State: not LeaseState.Ending } && lease.Holder.UserId == caller.UserId
        && (lease.Device.Name == name || lease.Device.Address == name));

    private Lease? FindClosing(Caller caller, IReadOnlyList<Candidate> devices) =>
        devices.Select(device => _byKey.GetValueOrDefault(Lease.KeyOf(device))).FirstOrDefault(lease => lease is { IsClosing: true })
        ?? _leases.Values.FirstOrDefault(lease => lease.Holder.UserId == caller.UserId && lease.IsClosing);

    private string? HolderOf(Candidate device) => _byKey.GetValueOrDefault(Lease.KeyOf(device))?.DescribeHolder();

    private int CountOf(Caller caller, PolicyRule rule) =>
        _leases.Values.Count(lease => lease.Holder.UserId == caller.UserId && lease.Rule.Name == rule.Name);

    private void Start(Lease lease, IRequester requester, string asked, bool isHeld, bool accepts = false)
    {
        Thread thread = new(() => Run(lease, requester, asked, isHeld, accepts)) { IsBackground = true, Name = $"lease {lease.Id}" };
        try
        {
            thread.Start();
        }
        catch (OutOfMemoryException)
        {
            // No thread can be made now.
            Fail(lease, requester, asked, isHeld, Errno.TryAgain, "the broker is out of memory or threads");
            Leave(lease);
        }
    }

    /// <summary>The life of a lease's thread: opens the device, answers, serves, closes.</summary>
    private void Run(Lease lease, IRequester requester, string asked, bool isHeld, bool accepts)
    {
        bool isVain = false;
        try
        {
            UnixSocket? client = accepts ? lease.Listener?.TryAccept() : null;
            isVain = accepts && client is null;
            if (isHeld)
                Probe(lease, requester, asked);
            else if (!isVain)
                Serve(lease, requester, asked, client);
        }
        catch (VfioException refusal)
        {
            Fail(lease, requester, asked, isHeld, refusal.Errno == Errno.None ? Errno.InputOutput : refusal.Errno, refusal.Message);
        }
        catch (Exception failure)
        {
            // A fault of this process or of the device's code: other leases continue.
            BrokerLog.LeaseFailed(_logger, failure, lease.Id, lease.Device.Name);
            Fail(lease, requester, asked, isHeld, Errno.InputOutput, "the broker failed; its log has the reason");
        }
        finally
        {
            Leave(lease, isVain);
        }

        // After this its user may open it at once.
        if (isHeld && lease.State != LeaseState.Ending && !requester.TryAnswer(new BrokerReply { Lease = lease.Describe() }, lease: lease))
            End(lease, GoneReason);
    }

    private void Probe(Lease lease, IRequester requester, string asked)
    {
        // Opened and closed once: a device that cannot be reset is not given.
        _worker.Probe(lease);
        lock (_lock)
        {
            if (lease.State == LeaseState.Ending)
                throw new VfioException("giving", lease.Device.Name, Errno.Busy, lease.EndReason);
        }

        Record(lease, requester, asked, "hold");
        lease.Owner = requester;
        BrokerTelemetry.Grants.Add(1);
    }

    private void Serve(Lease lease, IRequester requester, string asked, UnixSocket? connection)
    {
        if (lease.Rule.Terms.IsDirect)
            _worker.ServeDirect(lease, requester.Caller.ProcessId, Give, Done);
        else
            _worker.Serve(lease, connection, Give, Done);

        void Give(LeaseRun run)
        {
            lock (_lock)
            {
                if (lease.State == LeaseState.Ending)
                    throw new VfioException("giving", lease.Device.Name, Errno.Busy, lease.EndReason);
                lease.Run = run;
                lease.State = LeaseState.Open;
            }

            Record(lease, requester, asked, "open");
            if (!requester.TryAnswer(new BrokerReply { Lease = lease.Describe(), Direct = run.Direct }, run.ClientEnd))
                throw new VfioException("giving", lease.Device.Name, Errno.ConnectionReset, GoneReason);
            BrokerTelemetry.Grants.Add(1);
            _changed();
        }

        void Done() => Forget(lease);
    }

    /// <summary>Its user has the device no more.</summary>
    private void Forget(Lease lease)
    {
        lock (_lock)
        {
            if (!lease.IsHeld)
                lease.EndReason ??= lease.Run?.EndReason;
            lease.MessagesBefore += lease.Run?.MessageCount ?? 0;
            lease.Run = null;
        }
    }

    private void Record(Lease lease, IRequester requester, string asked, string name)
    {
        if (!TryWriteDone(RecordOf(name, lease, requester, asked)))
            throw new VfioException("giving", lease.Device.Name, Errno.InputOutput, "the audit cannot be written; tell the administrator");
    }

    private static AuditRecord RecordOf(string name, Lease lease, IRequester requester, string asked) => new(name)
    {
        Caller = requester.Caller,
        Asked = asked,
        Device = lease.Device.Name,
        Address = lease.Device.Address,
        Rule = lease.Rule.Name,
        Lease = lease.Id,
    };

    private void WriteRefusal(in AuditRecord record)
    {
        if (!_refusals.TryTake(record.Caller!.UserId, out bool isLast, out _))
            return;
        _audit.TryWrite(record);
        if (isLast)
            _audit.TryWrite(new AuditRecord("silence") { Caller = record.Caller, Reason = "more refusals of this user are not written for now" });
    }

    /// <summary>Writes what was done for a user; of a user who has very much done, how often.</summary>
    /// <returns>False when the audit cannot be written.</returns>
    private bool TryWriteDone(in AuditRecord record)
    {
        // As long as it cannot be written, no line is left out: what has to be on record must not happen.
        if (!_grants.TryTake(record.Caller!.UserId, out _, out int missed) && !_audit.HasFailed)
            return true;
        return (missed == 0 || _audit.TryWrite(RepeatsOf(record.Caller, missed))) && _audit.TryWrite(record);
    }

    private static AuditRecord RepeatsOf(Caller caller, int missed) =>
        new("repeats") { Caller = caller, Count = missed, Reason = "so many lines of this user were not written, because they were too many" };

    private void Refuse(IRequester requester, string asked, bool isHeld, in LeaseDecision decision)
    {
        BrokerTelemetry.Refusals.Add(1);
        WriteRefusal(new AuditRecord(isHeld ? "hold" : "open")
        {
            Caller = requester.Caller,
            Asked = asked,
            Device = decision.Device?.Name,
            Address = decision.Device?.Address,
            Rule = decision.Rule?.Name,
            Error = decision.Error,
            Reason = decision.Reason,
        });
        requester.TryAnswer(new BrokerReply { Errno = (int)decision.Error, Reason = decision.Reason });
    }

    private void Fail(Lease lease, IRequester requester, string asked, bool isHeld, Errno error, string reason)
    {
        BrokerTelemetry.Refusals.Add(1);
        WriteRefusal(RecordOf(isHeld ? "hold" : "open", lease, requester, asked) with { Error = error, Reason = reason });

        // A user who holds the device keeps it, and may try again; what is asked before this thread is done waits for it.
        lock (_lock)
        {
            if (isHeld || !lease.IsHeld || lease.State == LeaseState.Ending)
            {
                lease.State = LeaseState.Ending;
                lease.EndReason ??= reason;
            }
            else
            {
                lease.State = LeaseState.Open;
            }
        }

        requester.TryAnswer(new BrokerReply { Errno = (int)error, Reason = reason });
    }

    /// <summary>The lease's thread is done with the device, which is closed.</summary>
    private void Leave(Lease lease, bool isVain = false)
    {
        bool isOver;
        lock (_lock)
        {
            isOver = !lease.IsHeld || lease.State == LeaseState.Ending || lease.HasDeparted;
            lease.State = isOver ? LeaseState.Ending : LeaseState.Held;
            lease.Leave();
            if (!isOver && lease.Listener is { } place)
                Arm(place, isVain);
        }

        if (isOver)
            Finish(lease);
    }

    private static void Arm(LeaseListener place, bool isVain)
    {
        // Its user has accepted the client, or no descriptor is left: not at once again, or it would be tried without a pause.
        if (!isVain)
            place.Arm();
        else if (!Poll.IsHungUp(place.Descriptor))
            _ = Task.Delay(AcceptPause).ContinueWith(_ => place.Arm(), TaskScheduler.Default);
    }

    /// <summary>The device is back: once for each lease.</summary>
    private void Finish(Lease lease)
    {
        lease.Listener?.Dispose();
        if (lease.HasDeparted)
        {
            BrokerTelemetry.Leases.Add(-1);
            lock (_lock)
            {
                _leases.Remove(lease.Id);
                _byKey.Remove(lease.Key);
            }

            lease.Owner?.Depart();
            lease.Ended.TrySetResult();
            return;
        }

        // In this order: on record the end of a lease is before whatever follows from it.
        TryWriteDone(new AuditRecord("end")
        {
            Caller = lease.Holder,
            Device = lease.Device.Name,
            Address = lease.Device.Address,
            Rule = lease.Rule.Name,
            Lease = lease.Id,
            Reason = lease.EndReason ?? "its user closed it",
            Seconds = (DateTimeOffset.UtcNow - lease.Since).TotalSeconds,
        });
        BrokerTelemetry.Leases.Add(-1);
        lock (_lock)
        {
            _leases.Remove(lease.Id);
            _byKey.Remove(lease.Key);
        }

        lease.Owner?.TryAnswer(new BrokerReply { Event = BrokerEvents.Ended, Reason = lease.EndReason });
        lease.Ended.TrySetResult();
    }

    /// <summary>A client of a holder's socket, who has asked nothing here and is told nothing.</summary>
    private sealed class Stranger(Caller holder) : IRequester
    {
        public Caller Caller => holder;

        public FileDescriptor? Descriptor => null;

        public void Depart()
        {
        }

        public bool TryAnswer(BrokerReply reply, FileDescriptor? descriptor = null, Lease? lease = null) => true;
    }
}
