using System.Collections.Concurrent;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Broker;

/// <summary>Who asks, by what the kernel kept of the process when it connected, and never by what it says.</summary>
/// <param name="UserId">User.</param>
/// <param name="GroupId">The user's own group.</param>
/// <param name="Groups">Its other groups.</param>
/// <param name="ProcessId">The process; 0 where it cannot be seen from here.</param>
/// <param name="Program">What the process runs now; null where this process may not know. For the record only: the process can run
/// something else meanwhile.</param>
internal sealed record Caller(uint UserId, uint GroupId, IReadOnlyList<uint> Groups, int ProcessId, string? Program)
{
    private const int MaxNames = 1024;
    private static readonly ConcurrentDictionary<uint, string> Names = new();

    /// <summary>The user's name, for people.</summary>
    /// <remarks>Looked up once: users have no names but in files or directories that are slow to ask.</remarks>
    internal string UserName
    {
        get
        {
            if (Names.Count >= MaxNames)
                Names.Clear();
            return Names.GetOrAdd(UserId, UserAccount.NameOf);
        }
    }

    /// <summary>Who is at the other end of a connection.</summary>
    /// <exception cref="VfioException">The connection is closed.</exception>
    internal static Caller Of(UnixSocket socket)
    {
        int process = socket.PeerProcessId;
        return new Caller(socket.PeerUserId, socket.PeerGroupId, socket.PeerGroups(), process, ProgramOf(process));
    }

    /// <summary>A user of this machine, as a process that the user's login starts.</summary>
    internal static Caller Of(UserAccount user) => new(user.UserId, user.GroupId, user.FindGroups(), 0, null);

    // A user decides how long it is, and it is in every line of the audit and of the list of leases.
    private const int MostProgramLetters = 128;

    private static string? ProgramOf(int process)
    {
        try
        {
            string? path = File.ResolveLinkTarget($"/proc/{process}/exe", returnFinalTarget: false)?.FullName;
            return path?.Length > MostProgramLetters ? path[^MostProgramLetters..] : path;
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            // Of another user's process only root may ask what file it runs; its short name is everybody's.
        }

        try
        {
            return File.ReadAllText($"/proc/{process}/comm").TrimEnd('\n');
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
