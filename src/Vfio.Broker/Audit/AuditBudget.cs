namespace Vfio.Broker.Audit;

/// <summary>How many lines of each user are written to the audit, so that a user who asks without end does not fill a disk. Those that are
/// not written are counted.</summary>
/// <remarks>Any thread may use it.</remarks>
/// <param name="burst">So many at once; after these, one a second.</param>
internal sealed class AuditBudget(int burst)
{
    /// <summary>Stands for all users beyond those that are counted one by one; no user's number.</summary>
    internal const uint OtherUsers = uint.MaxValue;

    private const int MillisecondsEach = 1000, MaxUsers = 4096;
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, (int Left, long Since, int Missed)> _users = [];

    /// <summary>Takes one.</summary>
    /// <param name="user">Whose line it is.</param>
    /// <param name="isLast">Whether the lines that follow are not written.</param>
    /// <param name="missed">How many were not written since the last one that was.</param>
    /// <returns>False when it is not to be written.</returns>
    internal bool TryTake(uint user, out bool isLast, out int missed)
    {
        lock (_lock)
        {
            long now = Environment.TickCount64;
            if (!_users.TryGetValue(user, out (int Left, long Since, int Missed) budget))
            {
                if (_users.Count >= MaxUsers && !TryMakeRoom(now))
                    user = OtherUsers;
                if (!_users.TryGetValue(user, out budget))
                    budget = (burst, now, 0);
            }

            long earned = (now - budget.Since) / MillisecondsEach;
            int left = (int)Math.Min(burst, budget.Left + earned);
            bool isWritten = left > 0;
            isLast = left == 1;

            // What others missed is not told of this user.
            missed = user == OtherUsers ? 0 : budget.Missed;
            int stillMissed = budget.Missed - (isWritten ? missed : 0) + (isWritten ? 0 : 1);
            _users[user] = (isWritten ? left - 1 : 0, budget.Since + (earned * MillisecondsEach), stillMissed);
            return isWritten;
        }
    }

    /// <summary>Takes all that were not written, by user.</summary>
    internal IReadOnlyList<(uint User, int Missed)> TakeMissed()
    {
        lock (_lock)
        {
            (uint, int)[] all = [.. _users.Where(user => user.Value.Missed > 0).Select(user => (user.Key, user.Value.Missed))];
            foreach ((uint user, _) in all)
                _users[user] = _users[user] with { Missed = 0 };
            return all;
        }
    }

    /// <summary>Forgets users who have all of their budget again, and nothing to be told of.</summary>
    /// <remarks>Never another: a user with many sub-user ids would have them forget what was spent.</remarks>
    private bool TryMakeRoom(long now)
    {
        foreach ((uint user, (int left, long since, int missed)) in _users)
        {
            if (missed == 0 && left + ((now - since) / MillisecondsEach) >= burst)
                _users.Remove(user);
        }

        return _users.Count < MaxUsers;
    }
}
