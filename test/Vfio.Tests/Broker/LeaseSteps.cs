using Vfio.Native.Sockets;
using Vfio.User;
using Vfio.User.Leases;

namespace Vfio.Tests.Broker;

/// <summary>What a user of a broker does from connecting to DMA, step by step. Disposed at any step, all its descriptors close at once, as
/// at
/// kill -9.</summary>
internal sealed class LeaseSteps : IDisposable
{
    private readonly List<IDisposable> _open = [];
    private readonly List<Action> _steps;
    private UnixSocket? _connection;
    private BrokerClient? _broker;
    private UnixSocket? _device;
    private PciDevice? _edu;
    private DmaBuffer? _memory;
    private int _done;

    /// <summary>Prepares; nothing is done yet.</summary>
    /// <param name="path">The broker's socket.</param>
    internal LeaseSteps(string path)
    {
        _steps =
        [
            () => _open.Add(_connection = UnixSocket.Connect(path, BrokerRig.TestTimeout)),
            () => Send("{\"do\":\"op"u8),
            () => Send("en\",\"name\":\"edu0\"}"u8),
            () => _broker = Keep(BrokerClient.Over(_connection!, path, BrokerRig.TestTimeout)),
            () =>
            {
                // The rest of the line: a line end alone would be another request.
                Send("\n"u8);
                Assert.Null(_broker!.WaitForReply(out _device).Errno);
                _open.Add(_device!);
            },
            () => _edu = Keep(new PciDevice(new VfioUserClient(_device!, "edu0"))),
            () => _memory = Keep(_edu!.AllocateDma(4096)),
            () => _edu!.Interrupts.Enable(1),
            () => _edu!.EnableBusMaster(),
            () =>
            {
                // Into memory, with an interrupt at the end.
                Bar bar = _edu!.OpenBar(0);
                bar.Write32(0x20, 0x80);
                bar.Write64(0x80, 0x40000);
                bar.Write64(0x88, _memory!.Start.Value);
                bar.Write64(0x90, 4096);
                bar.Write64(0x98, 7);
            },
        ];
    }

    /// <summary>How many steps there are.</summary>
    internal int Count => _steps.Count;

    /// <summary>Does steps until so many are done.</summary>
    internal void Do(int steps)
    {
        for (; _done < steps; _done++)
            _steps[_done]();
    }

    /// <summary>Whether what is written to its memory now stays.</summary>
    internal void AssertMemoryIsLeftAlone()
    {
        if (_memory is null)
            return;
        byte[] pattern = [.. Enumerable.Repeat((byte)0x5a, 4096)], after = new byte[4096];
        _memory.Write(0, pattern);
        _memory.Read(0, after);
        Assert.Equal(pattern, after);
    }

    public void Dispose()
    {
        // The other side sees that first, as when the kernel closes what a process leaves; nothing is undone in good order.
        _device?.Shutdown();
        _connection?.Shutdown();
        for (int i = _open.Count - 1; i >= 0; i--)
        {
            try
            {
                _open[i].Dispose();
            }
            catch (VfioException)
            {
                // It has gone before.
            }
        }
    }

    private T Keep<T>(T opened)
        where T : IDisposable
    {
        _open.Add(opened);
        return opened;
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        if (_connection!.Send(bytes, wait: true, out Errno error) != bytes.Length)
            throw new VfioException("send", "the broker", error);
    }
}
