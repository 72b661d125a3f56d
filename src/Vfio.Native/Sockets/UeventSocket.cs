using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>Receives the kernel's messages on its devices: a netlink socket of NETLINK_KOBJECT_UEVENT, in the kernel's own group.</summary>
/// <remarks>Needs no privileges. Anybody with CAP_SYS_ADMIN may send to the group, and anybody to this socket alone: what does not come
/// from the kernel is dropped. One thread receives. See netlink(7).</remarks>
internal sealed unsafe class UeventSocket : IDisposable
{
    /// <summary>Longest message of the kernel, in bytes (UEVENT_BUFFER_SIZE and the line before it), and then some.</summary>
    public const int MaxBytes = 8192;

    private const int AddressFamily = 16, Raw = 3, Uevents = 15, KernelGroup = 1;
    private const int PassCredentials = 16, Credentials = 2, ReceiveBuffer = 8;
    private const int QueueBytes = 1 << 20;
    private const int ControlHeaderBytes = 16, ControlBytes = 64;
    private const uint Overflow = 65534;

    /// <summary>Opens it: messages from here on are received.</summary>
    /// <exception cref="VfioException">The kernel has no such sockets, or no descriptors are left.</exception>
    public UeventSocket()
    {
        int number = LibC.socket(AddressFamily, Raw | LibC.SOCK_CLOEXEC | LibC.SOCK_NONBLOCK, Uevents);
        if (number < 0)
            throw VfioException.FromLastError("socket", "the kernel's uevents");
        Descriptor = new FileDescriptor(number);
        NetlinkAddress address = new() { Family = AddressFamily, Groups = KernelGroup };
        int on = 1, bytes = QueueBytes;

        // The queue is as long as the system allows: a disk that comes with its partitions is a hundred messages.
        _ = LibC.setsockopt(number, LibC.SOL_SOCKET, ReceiveBuffer, &bytes, sizeof(int));
        if (LibC.setsockopt(number, LibC.SOL_SOCKET, PassCredentials, &on, sizeof(int)) == 0
            && LibC.bind(number, &address, (uint)sizeof(NetlinkAddress)) == 0)
        {
            return;
        }

        VfioException refusal = VfioException.FromLastError("bind", "the kernel's uevents");
        Descriptor.Dispose();
        throw refusal;
    }

    /// <summary>The socket, to wait on; owned by this object.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Takes the next message, without waiting.</summary>
    /// <param name="message">A buffer of <see cref="MaxBytes"/>.</param>
    /// <param name="error">Why there is none: <see cref="Errno.TryAgain"/> when nothing happened; <see cref="Errno.NoBuffers"/> when the
    /// queue was full and messages are lost, reported once.</param>
    /// <returns>Its length in bytes; 0 for one that the kernel did not send; -1 with <paramref name="error"/>.</returns>
    public int Receive(Span<byte> message, out Errno error)
    {
        byte* control = stackalloc byte[ControlBytes];
        NetlinkAddress sender = default;
        nint count;
        fixed (byte* bytes = message)
        {
            LibC.IoVector vector = new() { Base = bytes, Length = (nuint)message.Length };
            LibC.MessageHeader header = new()
            {
                Name = &sender,
                NameLength = (uint)sizeof(NetlinkAddress),
                Vectors = &vector,
                VectorCount = 1,
                Control = control,
                ControlLength = ControlBytes,
            };
            do
                count = MessageCalls.Receive(Descriptor.Number, &header, LibC.MSG_CMSG_CLOEXEC);
            while (count < 0 && Marshal.GetLastSystemError() == (int)Errno.Interrupted);
            error = count < 0 ? (Errno)Marshal.GetLastSystemError() : Errno.None;
            if (count < 0)
                return -1;
            return IsKernels(sender, control, header.ControlLength) ? (int)count : 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Descriptor.Dispose();

    /// <summary>Only the kernel has the port number 0 and the process id 0. Its root is a stranger in a container's user namespace.</summary>
    private static bool IsKernels(in NetlinkAddress sender, byte* control, nuint controlLength)
    {
        // struct cmsghdr, then struct ucred: pid, uid, gid.
        if (sender.Port != 0 || sender.Groups != KernelGroup || controlLength < ControlHeaderBytes + (3 * sizeof(int))
            || *(int*)(control + 8) != LibC.SOL_SOCKET || *(int*)(control + 12) != Credentials)
        {
            return false;
        }

        int process = *(int*)(control + ControlHeaderBytes);
        uint user = *(uint*)(control + ControlHeaderBytes + 4);
        return process == 0 && (user is 0 or Overflow);
    }

    /// <summary><c>struct sockaddr_nl</c>.</summary>
    private struct NetlinkAddress
    {
        internal ushort Family;
        internal ushort Padding;
        internal uint Port;
        internal uint Groups;
    }
}
