using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>What a server that is to be replaced gives its successor: the message, and the device in it.</summary>
internal static class HandoverTarget
{
    public static void Run(byte[] bytes)
    {
        Pair pair = new(bytes, areMessages: false);
        using HandoverExchange talk = new(pair.Ours);
        try
        {
            using HandoverReader reader = talk.Receive(HandoverKind.Give, new Deadline(TimeSpan.FromMilliseconds(1)));
            _ = HandedDevice.Read(reader, []);
            reader.End();
        }
        catch (VfioException)
        {
            // EPROTO and its like: it is refused.
        }
        finally
        {
            pair.Dispose();
        }
    }
}
