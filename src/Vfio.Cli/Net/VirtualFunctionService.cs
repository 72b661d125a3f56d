using Vfio.Drivers.Igb;
using Vfio.Native.Waiting;

namespace Vfio.Cli.Net;

/// <summary>Answers drivers of a port's virtual functions while the port is driven; does nothing for a port without them.</summary>
internal sealed class VirtualFunctionService : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);
    private readonly CancellationTokenSource _end = new();
    private readonly BackgroundThread? _thread;

    /// <summary>Begins.</summary>
    internal VirtualFunctionService(IgbPort port)
    {
        if (port.VirtualFunctions == 0)
            return;
        _thread = new BackgroundThread("virtual functions", () => Serve(port));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        _thread?.Join();
        _end.Dispose();
    }

    private void Serve(IgbPort port)
    {
        try
        {
            while (!_end.IsCancellationRequested)
            {
                // Whether or not somebody asked: one who asks without end gets an answer an interval, and no processor.
                port.ServeVirtualFunctions();
                _end.Token.WaitHandle.WaitOne(Interval);
            }
        }
        catch (VfioException)
        {
            // Whoever drives the port meets the same, and says so.
        }
    }
}
