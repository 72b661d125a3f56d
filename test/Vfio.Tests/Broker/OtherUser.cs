using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.Broker;

/// <summary>Connections of another user, as the kernel sees them: for a moment the thread that connects is that user's.</summary>
/// <remarks>A system call made directly changes the ids of one thread; the C library's functions would change those of all.</remarks>
internal static class OtherUser
{
    private static readonly (int Groups, int Group, int User) Calls =
        RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? (159, 149, 147) : (116, 119, 117);

    /// <summary>Skips a test where ids cannot be changed.</summary>
    internal static void Need() => Assert.SkipUnless(UserAccount.IsRoot, "only root can connect as another user");

    /// <summary>Connects as a user.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="user">Its user, and its own group.</param>
    /// <param name="groups">Its other groups.</param>
    internal static UnixSocket Connect(string path, uint user, params int[] groups)
    {
        UnixSocket? socket = null;
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                // So that all code is there, and no other thread is made meanwhile.
                UnixSocket.Connect(path).Dispose();
                Assert.Equal(0, Call(Calls.Groups, groups.Length, groups, 0));
                Assert.Equal(0, Call(Calls.Group, -1, (int)user, -1));
                Assert.Equal(0, Call(Calls.User, -1, (int)user, -1));
                try
                {
                    socket = UnixSocket.Connect(path);
                }
                finally
                {
                    _ = Call(Calls.User, -1, 0, -1);
                }
            }
            catch (Exception refusal)
            {
                failure = refusal;
            }
        });
        thread.Start();
        thread.Join();
        Assert.Null(failure);
        return socket!;
    }

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern nint Call(long number, int first, int second, int third);

    [DllImport("libc", EntryPoint = "syscall")]
    private static extern nint Call(long number, int first, int[] second, int third);
}
