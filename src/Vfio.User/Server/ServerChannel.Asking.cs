using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.User.Server;

/// <content>Whether the client has sent another request while a device waits for the client.</content>
internal sealed partial class ServerChannel
{
    /// <summary>Whether a command has arrived behind those that are being carried out, or none will any more. Any thread.</summary>
    internal bool HasMoreCommands
    {
        get
        {
            ReceiveWhileSending();
            using ParkingLock.Scope inside = _lock.Enter();
            return _in.HasMessage || EndReason is not null;
        }
    }
}
