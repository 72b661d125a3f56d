using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A whole session of a client against the server of a guarded device.</summary>
internal static class SessionTarget
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);
    private static readonly GuardedFunction Guard = new(new EduFunction());

    private static readonly VfioUserServer Server = new(Guard.Open, new VfioUserServerOptions
    {
        MaxDataTransferBytes = 65536,
        HandshakeTimeout = Moment,
        MessageTimeout = Moment,
        SendTimeout = Moment,
        DmaTimeout = Moment,
        IdleTimeout = Moment,
        SpinTime = TimeSpan.Zero,
        LeavesCoreToClient = false,
    });

    public static void Run(byte[] bytes)
    {
        using (Pair pair = new(bytes, areMessages: true))
            Server.Serve(pair.Ours, CancellationToken.None);

        // Whatever it was, the device is free for the next.
        using IVfioDevice next = Guard.Open();
    }
}
