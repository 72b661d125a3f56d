using Vfio.Broker.Policies;
using Vfio.Native.Waiting;
using Vfio.User.Leases;

namespace Vfio.Broker.Leases;

/// <summary>A device in a user's hands.</summary>
/// <remarks>What changes is guarded by the lock of <see cref="LeaseTable"/>.</remarks>
/// <param name="id">Its number.</param>
/// <param name="device">The device.</param>
/// <param name="holder">Who has it.</param>
/// <param name="rule">By which rule.</param>
/// <param name="isHeld">Whether it ends with the connection to the broker, and not with that to the device.</param>
internal sealed class Lease(int id, Candidate device, Caller holder, PolicyRule rule, bool isHeld)
{
    private readonly string _user = holder.UserName;
    private TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Its number.</summary>
    internal int Id => id;

    /// <summary>The device.</summary>
    internal Candidate Device => device;

    /// <summary>Who has it.</summary>
    internal Caller Holder => holder;

    /// <summary>By which rule.</summary>
    internal PolicyRule Rule => rule;

    /// <summary>Whether it ends with the connection to the broker.</summary>
    internal bool IsHeld => isHeld;

    /// <summary>Since when.</summary>
    internal DateTimeOffset Since { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>When it ends by itself: by its time, or because it is wanted back.</summary>
    internal Deadline End { get; set; } = new(rule.Terms.LeaseTime ?? Timeout.InfiniteTimeSpan);

    /// <summary>When to check whether it is in use.</summary>
    internal Deadline IdleCheck { get; set; } = new(rule.Terms.IdleTime ?? Timeout.InfiniteTimeSpan);

    /// <summary>How many messages its sessions had when that was checked last.</summary>
    internal long MessagesAtCheck { get; set; } = -1;

    /// <summary>How many messages its sessions had that are over.</summary>
    internal long MessagesBefore { get; set; }

    /// <summary>What it is in.</summary>
    internal LeaseState State { get; set; } = LeaseState.Opening;

    /// <summary>Whether it is another broker's now: nothing of it ends here.</summary>
    internal volatile bool HasDeparted;

    /// <summary>Why it ends; null while it does not.</summary>
    internal string? EndReason { get; set; }

    /// <summary>Who wants it back; null for nobody.</summary>
    internal string? WantedBy { get; set; }

    /// <summary>Whether a thread works for it: opens the device, serves or closes it.</summary>
    internal bool HasThread => !_left.Task.IsCompleted;

    /// <summary>Complete when no thread works for it any more.</summary>
    internal Task Left => _left.Task;

    /// <summary>What its user has open; null when the device is not open.</summary>
    internal LeaseRun? Run { get; set; }

    /// <summary>Whether its user is done with it, and the device is about to be free.</summary>
    internal bool IsClosing => State == LeaseState.Ending || (Run is { } run ? run.IsOver : State == LeaseState.Open);

    /// <summary>The socket of its user whose clients get the device; null for none.</summary>
    internal LeaseListener? Listener { get; set; }

    /// <summary>The connection that it ends with; null for none.</summary>
    internal IRequester? Owner { get; set; }

    /// <summary>Complete when it has ended and the device is back.</summary>
    internal TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What no other lease may have at the same time.</summary>
    internal string Key => KeyOf(device);

    /// <summary>What makes a device one: its address. A model is made for each lease, so there it is the name.</summary>
    internal static string KeyOf(Candidate device) =>
        device.Address.StartsWith("model:", StringComparison.Ordinal) ? $"name:{device.Name}" : Candidate.PlaceOf(device.Address);

    /// <summary>A thread works for it from now on.</summary>
    internal void Enter() => _left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>No thread works for it any more.</summary>
    internal void Leave() => _left.TrySetResult();

    /// <summary>It as others are told of it.</summary>
    internal LeaseRecord Describe() => new()
    {
        Id = id,
        Device = device.Name,
        Address = device.Address,
        UserId = holder.UserId,
        User = _user,
        ProcessId = holder.ProcessId,
        Program = holder.Program,
        Rule = rule.Name,
        Since = Since,
        Until = DateTimeOffset.UtcNow + End.Remaining,
        IsHeld = isHeld,
        IsDirect = rule.Terms.IsDirect,
        State = State.ToString().ToLowerInvariant(),
    };

    /// <summary>Who has it, as a reason for a refusal.</summary>
    internal string DescribeHolder() => $"user {_user} has had it since {Since.ToLocalTime():yyyy-MM-dd HH:mm:ss} (lease {id})";
}

/// <summary>What a lease is in.</summary>
internal enum LeaseState
{
    /// <summary>The device is being reset and opened.</summary>
    Opening,

    /// <summary>Its user has the device open.</summary>
    Open,

    /// <summary>Its user holds it, and nobody has it open.</summary>
    Held,

    /// <summary>The device is being taken back.</summary>
    Ending,
}

/// <summary>Who asked for something, and can be answered.</summary>
internal interface IRequester
{
    /// <summary>Who it is.</summary>
    Caller Caller { get; }

    /// <summary>Its connection, to be handed over; null where there is none.</summary>
    Vfio.Native.FileDescriptor? Descriptor { get; }

    /// <summary>Closes its connection here; another broker has it.</summary>
    void Depart();

    /// <summary>Answers, or notifies; never waits. Any thread may call it.</summary>
    /// <param name="reply">The answer.</param>
    /// <param name="descriptor">What is passed with it; null for nothing. The caller keeps it.</param>
    /// <param name="lease">The lease that ends with this requester from now on; null for none.</param>
    /// <returns>False when it is gone, or does not read.</returns>
    bool TryAnswer(BrokerReply reply, Vfio.Native.FileDescriptor? descriptor = null, Lease? lease = null);
}
