using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

public sealed class ParkingLockTests
{
    private const int Threads = 4, Rounds = 20_000;

    [Fact]
    public async Task One_thread_at_a_time_is_inside()
    {
        ParkingLock gate = new();
        int count = 0;
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < Rounds; i++)
            {
                using ParkingLock.Scope inside = gate.Enter();
                count++;
            }
        })));
        Assert.Equal(Threads * Rounds, count);
    }

    [Fact]
    public async Task Two_threads_hand_a_ball_to_each_other_and_sleep_meanwhile()
    {
        ParkingLock gate = new();
        int ball = 0;
        await Task.WhenAll(Task.Factory.StartNew(() => Play(0), TaskCreationOptions.LongRunning),
            Task.Factory.StartNew(() => Play(1), TaskCreationOptions.LongRunning));
        Assert.Equal(2 * Rounds, ball);

        void Play(int side)
        {
            for (int i = 0; i < Rounds; i++)
            {
                using ParkingLock.Scope inside = gate.Enter();
                while (ball % 2 != side)
                    gate.Sleep(Deadline.Never);
                ball++;
                gate.WakeAll();
            }
        }
    }

    [Fact]
    public void A_sleep_that_is_not_woken_ends_at_its_deadline()
    {
        ParkingLock gate = new();
        using ParkingLock.Scope inside = gate.Enter();
        TimeSpan moment = TimeSpan.FromMilliseconds(5);
        long begin = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begin) < moment)
            gate.Sleep(new Deadline(moment));
    }
}
