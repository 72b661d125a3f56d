using System.Runtime.InteropServices;
using Vfio.Native.Interop;
using Vfio.Native.Memory;

namespace Vfio.Native.Waiting;

/// <summary>Waits for any number of descriptors. See epoll(7).</summary>
/// <remarks>Any thread may add, arm and remove while another waits. A removed descriptor may be reported once more by a wait that
/// was under way: the waiter drops tokens that it does not know any longer.</remarks>
internal sealed unsafe class Epoll : IDisposable
{
    private const int MaxReports = 64;

    // struct epoll_event is packed on x86-64 only: the token starts at byte 4 there, and at 8 elsewhere.
    private static readonly int TokenOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;
    private static readonly int EntryLength = TokenOffset + sizeof(ulong);
    private readonly FileDescriptor _poller;

    /// <summary>Makes one that watches nothing.</summary>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    internal Epoll()
    {
        int number = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
        _poller = number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("epoll_create1", "this process");
    }

    /// <summary>When a descriptor is reported.</summary>
    internal enum Mode : uint
    {
        /// <summary>For as long as it is readable.</summary>
        Level = LibC.EPOLLIN,

        /// <summary>Edge-triggered: once each time that something to read comes, though earlier bytes were not read; at first when it is
        /// readable.</summary>
        Edge = LibC.EPOLLIN | LibC.EPOLLET,

        /// <summary>Once, when it is readable, and again after each <see cref="Arm"/>.</summary>
        Once = LibC.EPOLLIN | LibC.EPOLLONESHOT,

        /// <summary>Once, when the peer of a socket has closed it; a hangup is reported without being asked for.</summary>
        Hangup = LibC.EPOLLONESHOT,
    }

    /// <summary>Watches a descriptor.</summary>
    /// <param name="descriptor">Stays open until it is removed.</param>
    /// <param name="token">What <see cref="Wait"/> reports.</param>
    /// <param name="mode">When.</param>
    /// <exception cref="VfioException">The kernel refused; EEXIST: that number is watched already.</exception>
    internal void Add(FileDescriptor descriptor, ulong token, Mode mode) => Control(LibC.EPOLL_CTL_ADD, descriptor, (uint)mode, token);

    /// <summary>Arms a descriptor of <see cref="Mode.Once"/> for one more report.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    internal void Arm(FileDescriptor descriptor, ulong token) =>
        Control(LibC.EPOLL_CTL_MOD, descriptor, LibC.EPOLLIN | LibC.EPOLLONESHOT, token);

    /// <summary>Stops watching a descriptor.</summary>
    /// <exception cref="VfioException">It is not watched.</exception>
    internal void Remove(FileDescriptor descriptor) => Control(LibC.EPOLL_CTL_DEL, descriptor, 0, 0);

    /// <summary>Waits until there is a descriptor to report.</summary>
    /// <param name="tokens">Where the tokens of the readable ones go; what was armed is no longer. At most 64 are used.</param>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>How many; 0 when the time ran out or a signal came.</returns>
    internal int Wait(Span<ulong> tokens, TimeSpan timeout)
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
