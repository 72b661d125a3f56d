using Vfio.Native.Kernel;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Network;

/// <summary>A network interface of this machine: what the port sends, Linux receives there, and the other way round.</summary>
internal sealed class TapBackend : NetBackend
{
    private const int BufferBytes = 68 << 10;
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private readonly TapFile _tap;
    private volatile bool _isStopping;
    private BackgroundThread? _thread;

    /// <summary>Opens the interface, which is made when it is not there.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="VfioException">This user may not, or another process has it.</exception>
    internal TapBackend(string name) => _tap = TapFile.Open(name);

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame) => _tap.Write(frame);

    /// <inheritdoc/>
    protected override void OnAttached() => _thread = new BackgroundThread("net tap", Run);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _isStopping = true;
        _thread?.Join();
        _tap.Dispose();
    }

    private void Run()
    {
        byte[] buffer = new byte[BufferBytes];
        while (!_isStopping)
        {
            // Without the interface the descriptor is ready all the time.
            if (!Poll.WaitReadable(_tap.Descriptor, LookEvery))
                continue;
            int count = _tap.Read(buffer);
            if (count <= 0)
            {
                Thread.Sleep(1);
                continue;
            }

            ReadOnlySpan<byte> frame = buffer.AsSpan(0, count);
            while (!_isStopping && Port is { } port && !port.TryReceive(frame))
                port.WaitForRoom(count, LookEvery);
        }
    }
}
