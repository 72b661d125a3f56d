using Vfio.Guard;
using Vfio.Guard.Dma;

namespace Vfio.Tests.Guard;

public sealed class ReaderLockTests
{
    [Fact]
    public async Task No_reader_sees_what_a_writer_has_not_finished()
    {
        // More readers than lanes, so that hosts and guests of lanes are among them.
        const int Readers = 2 * ReaderLock.Lanes;
        ReaderLock gate = new();
        long first = 0;
        long second = 0;
        long torn = 0;
        int reading = Readers;
        Task[] readers = [.. Enumerable.Range(0, Readers).Select(_ => Task.Factory.StartNew(Read, TaskCreationOptions.LongRunning))];
        while (Volatile.Read(ref reading) > 0)
        {
            gate.EnterWrite();
            first++;
            Thread.Yield();
            second++;
            gate.ExitWrite();
        }

        await Task.WhenAll(readers);
        Assert.Equal(0, torn);

        void Read()
        {
            for (int i = 0; i < 3_000; i++)
            {
                int ticket = gate.EnterRead();
                if (Volatile.Read(ref first) != Volatile.Read(ref second))
                    Interlocked.Increment(ref torn);
                gate.ExitRead(ticket);
            }

            Interlocked.Decrement(ref reading);
        }
    }
}
