namespace Vfio.Broker.Audit;

/// <summary>How many lines of each user are written to the audit, so that a user who asks without end does not fill a disk. Those that are
/// not written are counted.</summary>
/// <remarks>Any thread may use it.</remarks>
/// <param name="burst">So many at once; after these, one a second.</param>
internal sealed class AuditBudget(int burst)
{
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
                if (_users.Count >= MaxUsers)
                    _users.Clear();
                budget = (burst, now, 0);
            }

            long earned = (now - budget.Since) / MillisecondsEach;
            int left = (int)Math.Min(burst, budget.Left + earned);
            bool isWritten = left > 0;
            isLast = left == 1;
            missed = budget.Missed;
            _users[user] = (isWritten ? left - 1 : 0, budget.Since + (earned * MillisecondsEach), isWritten ? 0 : missed + 1);
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
}
