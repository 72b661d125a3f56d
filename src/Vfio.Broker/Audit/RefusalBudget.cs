namespace Vfio.Broker.Audit;

/// <summary>How many refusals of each user are written to the audit, so that a user who asks without end does not fill a disk.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class RefusalBudget
{
    /// <summary>So many at once.</summary>
    internal const int Burst = 100;

    // After these, one in so many milliseconds.
    private const int MillisecondsEach = 1000, MaxUsers = 4096;
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, (int Left, long Since)> _users = [];

    /// <summary>Takes one.</summary>
    /// <param name="user">Whose refusal it is.</param>
    /// <param name="isLast">Whether the refusals that follow are not written.</param>
    /// <returns>False when it is not to be written.</returns>
    internal bool TryTake(uint user, out bool isLast)
    {
        lock (_lock)
        {
            long now = Environment.TickCount64;
            if (!_users.TryGetValue(user, out (int Left, long Since) budget))
            {
                if (_users.Count >= MaxUsers)
                    _users.Clear();
                budget = (Burst, now);
            }

            long earned = (now - budget.Since) / MillisecondsEach;
            int left = (int)Math.Min(Burst, budget.Left + earned);
            bool isWritten = left > 0;
            isLast = left == 1;
            _users[user] = (isWritten ? left - 1 : 0, budget.Since + (earned * MillisecondsEach));
            return isWritten;
        }
    }
}
