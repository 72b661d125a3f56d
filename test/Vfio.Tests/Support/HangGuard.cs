using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests;

/// <summary>How long a test waits before it calls a wait a hang.</summary>
/// <remarks>A test that passes never waits for so long, however busy the machine is. A test with a shorter time needs it to run out, and
/// must pass when it runs out late.</remarks>
internal static class HangGuard
{
    /// <summary>Ten minutes: forty times what the slowest boot of a guest takes on a machine with work for eight times its cores.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromMinutes(10);

    /// <summary>Waits until a descriptor is readable, or its peer has gone; a signal that comes meanwhile ends no wait.</summary>
    /// <returns>False after <see cref="Timeout"/>.</returns>
    public static bool WaitReadable(FileDescriptor descriptor) => WaitOut(left => Poll.WaitReadable(descriptor, left));

    /// <summary>The same for room to write.</summary>
    /// <returns>False after <see cref="Timeout"/>.</returns>
    public static bool WaitWritable(FileDescriptor descriptor) => WaitOut(left => Poll.WaitWritable(descriptor, left));

    private static bool WaitOut(Func<TimeSpan, bool> wait)
    {
        Deadline end = new(Timeout);
        while (!wait(end.Left))
        {
            if (end.HasPassed)
                return false;
        }

        return true;
    }
}
