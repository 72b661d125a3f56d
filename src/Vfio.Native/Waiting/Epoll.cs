using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>Waits for any number of descriptors, each armed for one report at a time or watched for good. See epoll(7).</summary>
/// <remarks>Any thread may add, arm and remove while another waits. A removed descriptor may be reported once more by a wait that
/// was under way: the waiter drops tokens that it does not know any longer.</remarks>
public sealed unsafe class Epoll : IDisposable
{
    private const int MaxReports = 64;

    // struct epoll_event is packed on x86-64 only: the token starts at byte 4 there, and at 8 elsewhere.
    private static readonly int TokenOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int EntryLength = TokenOffset + sizeof(ulong);
    private readonly FileDescriptor _poller;

    /// <summary>Makes one that watches nothing.</summary>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public Epoll()
    {
        int number = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
        _poller = number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("epoll_create1", "this process");
    }

    /// <summary>Watches a descriptor, armed: the next time it is readable, or at once when it is, it is reported.</summary>
    /// <param name="descriptor">Stays open until it is removed.</param>
    /// <param name="token">What <see cref="Wait"/> reports.</param>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public void Add(FileDescriptor descriptor, ulong token) =>
        Control(LibC.EPOLL_CTL_ADD, descriptor, LibC.EPOLLIN | LibC.EPOLLONESHOT, token);

    /// <summary>Watches a descriptor for good: it is reported once each time that something to read comes, though nobody read what came
    /// before.</summary>
    /// <param name="descriptor">Stays open until it is removed.</param>
    /// <param name="token">What <see cref="Wait"/> reports.</param>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public void AddEdges(FileDescriptor descriptor, ulong token) =>
        Control(LibC.EPOLL_CTL_ADD, descriptor, LibC.EPOLLIN | LibC.EPOLLET, token);

    /// <summary>Arms a watched descriptor for one more report.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public void Arm(FileDescriptor descriptor, ulong token) =>
        Control(LibC.EPOLL_CTL_MOD, descriptor, LibC.EPOLLIN | LibC.EPOLLONESHOT, token);

    /// <summary>Stops watching a descriptor.</summary>
    /// <exception cref="VfioException">It is not watched.</exception>
    public void Remove(FileDescriptor descriptor) => Control(LibC.EPOLL_CTL_DEL, descriptor, 0, 0);

    /// <summary>Waits until there is a descriptor to report.</summary>
    /// <param name="tokens">Where the tokens of the readable ones go; what was armed is no longer. At most 64 are used.</param>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>How many; 0 when the time ran out or a signal came.</returns>
    public int Wait(Span<ulong> tokens, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfZero(tokens.Length);
        byte* entries = stackalloc byte[MaxReports * EntryLength];
        int count = LibC.epoll_wait(_poller.Number, entries, Math.Min(tokens.Length, MaxReports), Poll.Milliseconds(timeout));
        for (int i = 0; i < count; i++)
            tokens[i] = Blittable.Read<ulong>(new ReadOnlySpan<byte>(entries + (i * EntryLength) + TokenOffset, sizeof(ulong)));
        return Math.Max(0, count);
    }

    /// <inheritdoc/>
    public void Dispose() => _poller.Dispose();

    private void Control(int operation, FileDescriptor descriptor, uint events, ulong token)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        byte* entry = stackalloc byte[EntryLength];
        Blittable.Write(new Span<byte>(entry, sizeof(uint)), events);
        Blittable.Write(new Span<byte>(entry + TokenOffset, sizeof(ulong)), token);
        if (LibC.epoll_ctl(_poller.Number, operation, descriptor.Number, entry) != 0)
            throw VfioException.FromLastError("epoll_ctl", $"descriptor {descriptor.Number}");
    }
}
