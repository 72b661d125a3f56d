using Vfio.Native.Waiting;

namespace Vfio.User;

/// <content>What is known without being asked: that the server is gone.</content>
public sealed partial class VfioUserClient
{
    /// <summary>The one thread of this process for connections that nobody else watches.</summary>
    private static readonly EventLoop Connections = new("vfio-user connections");

    private readonly TaskCompletionSource _removed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _removalLock = new();
    private EventRegistration? _closing;

    /// <inheritdoc/>
    /// <remarks>A server that broke the protocol, or did not answer in time, is gone too. One that is waited for is gone when it did not come
    /// back within <see cref="VfioUserClientOptions.ReconnectTimeout"/>.</remarks>
    public Task Removed
    {
        get
        {
            lock (_removalLock)
            {
                if (_reconnector is null && !_removed.Task.IsCompleted)
                    _closing ??= _first.WatchClosing(Connections, OnGone);
            }

            return _removed.Task;
        }
    }

    private void OnGone() => _removed.TrySetResult();

    private void EndRemoval()
    {
        lock (_removalLock)
        {
            _removed.TrySetCanceled();
            _closing?.Cancel();
        }
    }
}
