using Vfio.Broker.Policies;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.Broker.Leases;

/// <content>The handover of leases to another broker; their users notice only a pause.</content>
internal sealed partial class LeaseTable
{
    private static readonly TimeSpan SettleTimeout = TimeSpan.FromSeconds(5), SettlePause = TimeSpan.FromMilliseconds(5);
    private bool _isHandingOver;

    /// <summary>The highest number of a lease so far.</summary>
    internal int LastId
    {
        get
        {
            lock (_lock)
                return _lastId;
        }

        set
        {
            lock (_lock)
                _lastId = Math.Max(_lastId, value);
        }
    }

    /// <summary>Hands all leases over, one after the other. Meanwhile nothing is given, nor after it succeeded.</summary>
    /// <param name="successor">The other broker.</param>
    /// <exception cref="VfioException">EBUSY: a lease is being opened or taken back; EOPNOTSUPP: one cannot be handed over; ECONNRESET: the
    /// successor did not take one. Leases that it did not take go on here.</exception>
    internal void HandOver(HandoverExchange successor)
    {
        lock (_lock)
            _isHandingOver = true;
        bool isDone = false;
        try
        {
            foreach (Lease lease in WaitUntilSettled())
                HandOver(lease, successor);
            isDone = true;
        }
        finally
        {
            lock (_lock)
                _isHandingOver = isDone;
            if (!isDone)
                ListenAgain();
        }
    }

    /// <summary>The handover as a whole has failed: things are given again.</summary>
    internal void StayHere()
    {
        lock (_lock)
            _isHandingOver = false;
        ListenAgain();
    }

    /// <summary>Takes a lease of another broker over.</summary>
    /// <param name="from">What it sent; owned from here on, also when this throws.</param>
    /// <param name="accept">Tells it that the lease is here. When that throws, the lease is not.</param>
    /// <returns>The lease, the connection that it ends with, and the socket whose clients get the device.</returns>
    /// <exception cref="VfioException">It cannot be taken over.</exception>
    internal (Lease Lease, FileDescriptor? Owner, FileDescriptor? Listener) TakeOver(HandoverReader from, Action accept)
    {
        FileDescriptor? owner = null, listener = null;
        Lease? lease = null;
        bool isTaken = false, hasThread = false;
        try
        {
            HandedLease handed = HandedLease.Read(from.ReadBytes(HandedLease.MaxBytes)) ?? throw from.Broken("a lease");
            owner = from.ReadOptional();
            listener = from.ReadOptional();
            lease = Add(handed);
            if (from.ReadBool())
            {
                hasThread = true;
                RunTakenOver(lease, from, accept);
            }
            else
            {
                lease.State = LeaseState.Held;
                lease.Leave();
                from.End();
                accept();
            }

            isTaken = true;
            _changed();
            return (lease, owner, listener);
        }
        finally
        {
            if (!isTaken)
            {
                owner?.Dispose();
                listener?.Dispose();
                if (lease is not null && !hasThread)
                    Remove(lease);
            }

            if (!hasThread)
                from.Dispose();
        }
    }

    private Lease Add(HandedLease handed)
    {
        BrokerPolicy policy = _policy;
        Candidate device = _finder.Find(policy, handed.Device).FirstOrDefault(found => found.Address == handed.Address)
            ?? new Candidate(new PolicyDevice(handed.Device, handed.Address, null, null, []), handed.Device, handed.Address, null);
        Lease lease = handed.Make(device);
        lock (_lock)
        {
            if (_leases.ContainsKey(lease.Id) || _byKey.ContainsKey(lease.Key))
                throw new VfioException("taking over", handed.Device, Errno.Exists, "this broker has such a lease");
            _leases.Add(lease.Id, lease);
            _byKey.Add(lease.Key, lease);
            _lastId = Math.Max(_lastId, lease.Id);
        }

        BrokerTelemetry.Leases.Add(1);
        return lease;
    }

    private void Remove(Lease lease)
    {
        BrokerTelemetry.Leases.Add(-1);
        lock (_lock)
        {
            _leases.Remove(lease.Id);
            _byKey.Remove(lease.Key);
        }
    }

    /// <summary>Runs a session on a thread of its own, and waits until it is this broker's.</summary>
    private void RunTakenOver(Lease lease, HandoverReader from, Action accept)
    {
        TaskCompletionSource taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Thread thread = new(() =>
        {
            try
            {
                _worker.TakeOver(
                    lease,
                    from,
                    accept,
                    run =>
                    {
                        lock (_lock)
                        {
                            lease.Run = run;
                            lease.State = LeaseState.Open;
                        }

                        taken.SetResult();
                    },
                    () => Forget(lease));
            }
            catch (Exception failure)
            {
                if (!taken.TrySetException(failure))
                    BrokerLog.LeaseFailed(_logger, failure, lease.Id, lease.Device.Name);
            }
            finally
            {
                from.Dispose();
                if (taken.Task.IsFaulted)
                    Remove(lease);
                else
                    Leave(lease);
            }
        })
        {
            IsBackground = true,
            Name = $"lease {lease.Id}",
        };
        thread.Start();
        taken.Task.GetAwaiter().GetResult();
    }

    /// <summary>All leases, when none is being opened or taken back.</summary>
    private Lease[] WaitUntilSettled()
    {
        Deadline deadline = new(SettleTimeout);
        while (true)
        {
            Lease[] leases;
            lock (_lock)
                leases = [.. _leases.Values];
            Lease? moving = leases.FirstOrDefault(lease => lease.State is LeaseState.Opening or LeaseState.Ending || lease.IsClosing);
            if (moving is null)
            {
                if (leases.FirstOrDefault(lease => lease.Run is { Handover: null }) is { } fixedHere)
                {
                    throw new VfioException("handover", $"lease {fixedHere.Id} of {fixedHere.Device.Name}", Errno.NotSupported,
                        "it cannot be handed over, as functions of this machine cannot; revoke it first");
                }

                return leases;
            }

            if (deadline.HasPassed)
                throw new VfioException("handover", $"lease {moving.Id} of {moving.Device.Name}", Errno.Busy, "it is being opened or taken back");
            Thread.Sleep(SettlePause);
        }
    }

    private void HandOver(Lease lease, HandoverExchange successor)
    {
        string? refusal = null;
        for (Deadline deadline = new(SettleTimeout); !deadline.HasPassed; Thread.Sleep(SettlePause))
        {
            LeaseHandover? session;
            lock (_lock)
            {
                // It has ended meanwhile.
                if (!_leases.ContainsKey(lease.Id))
                    return;
                session = lease.Run?.Handover;
                if (session is null && (lease.State != LeaseState.Held || lease.HasThread))
                    continue;

                // What ends it from here on waits for what becomes of it.
                if (session is null)
                    lease.Enter();
            }

            if (session is null)
            {
                HandOverIdle(lease, successor);
                return;
            }

            Task<HandoverAnswer> answer = session.Ask(successor);
            if (!answer.Wait(deadline.Left) && session.TryWithdraw())
                break;
            switch (answer.Result)
            {
                case HandoverAnswer.Taken:
                    lease.Ended.Task.Wait(SettleTimeout);
                    return;
                case HandoverAnswer.NotTaken:
                    throw NotTaken(lease);
                default:
                    // Its user closed the device in this moment, or it may be possible in the next.
                    refusal = session.Refusal;
                    break;
            }
        }

        // No user keeps the other leases from the next broker: only this one's is lost.
        End(lease, $"another broker took over, and this device could not be handed to it: {refusal ?? "its client kept the session busy"}");
        lease.Ended.Task.Wait(SettleTimeout);
    }

    /// <summary>Hands over a lease whose device nobody has open; as a thread of the lease.</summary>
    private void HandOverIdle(Lease lease, HandoverExchange successor)
    {
        try
        {
            HandoverWriter contents = LeaseHandover.Begin(lease);
            contents.Write(false);
            lease.HasDeparted = LeaseHandover.TryGive(successor, contents);
        }
        finally
        {
            Leave(lease);
        }

        if (!lease.HasDeparted)
            throw NotTaken(lease);
    }

    private static VfioException NotTaken(Lease lease) =>
        new("handover", $"lease {lease.Id} of {lease.Device.Name}", Errno.ConnectionReset, "the successor did not take it");

    /// <summary>Clients of holders' sockets that came meanwhile are served.</summary>
    private void ListenAgain()
    {
        Lease[] leases;
        lock (_lock)
            leases = [.. _leases.Values];
        foreach (Lease lease in leases)
            lease.Listener?.Arm();
    }
}
