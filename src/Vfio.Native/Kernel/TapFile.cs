using System.Text;
using Vfio.Native.Interop;

namespace Vfio.Native.Kernel;

/// <summary>A network interface of this machine whose cable ends here: a tap. See Documentation/networking/tuntap.rst of Linux.</summary>
/// <remarks>One thread may read while another writes. Reads and writes do not wait.</remarks>
internal sealed unsafe class TapFile : IDisposable
{
    private const string Device = "/dev/net/tun";
    private const nuint SetInterface = 0x4004_54ca;
    private const short Tap = 0x0002, NoInformation = 0x1000;
    private const int NameBytes = 16, RequestBytes = 40;

    private TapFile(FileDescriptor descriptor) => Descriptor = descriptor;

    /// <summary>The open file, to wait on; owned by this object.</summary>
    internal FileDescriptor Descriptor { get; }

    /// <summary>Opens an interface, which is made when it is not there; one that was made here goes when this is disposed.</summary>
    /// <param name="name">Its name: 1 to 15 bytes.</param>
    /// <exception cref="VfioException">EINVAL: no such name; EPERM: this user may not; EBUSY: another process has it.</exception>
    internal static TapFile Open(string name)
    {
        byte* request = stackalloc byte[RequestBytes];
        Span<byte> bytes = new(request, RequestBytes);
        bytes.Clear();
        if (Encoding.UTF8.GetByteCount(name) is 0 or >= NameBytes || name.AsSpan().ContainsAny('/', '\0', '%'))
            throw new VfioException("open of a tap", name, Errno.InvalidArgument, $"its name has 1 to {NameBytes - 1} bytes");
        Encoding.UTF8.GetBytes(name, bytes);
        BitConverter.TryWriteBytes(bytes[NameBytes..], (short)(Tap | NoInformation));
        int number = LibC.open(Device, LibC.O_RDWR | LibC.O_CLOEXEC | LibC.O_NONBLOCK);
        if (number < 0)
            throw VfioException.FromLastError("open", Device);
        FileDescriptor descriptor = new(number);

        // SAFETY: the kernel reads and writes the 40 bytes of struct ifreq.
        if (LibC.ioctl(number, SetInterface, request) == 0)
            return new TapFile(descriptor);
        VfioException refusal = VfioException.FromLastError(
            "open of a tap", name, "as root: ip tuntap add mode tap user NAME; or give the program CAP_NET_ADMIN");
        descriptor.Dispose();
        throw refusal;
    }

    /// <summary>Reads a frame.</summary>
    /// <returns>Its length; 0 when there is none now; -1 when the interface is gone.</returns>
    internal int Read(Span<byte> frame)
    {
        fixed (byte* first = frame)
        {
            nint count = LibC.read(Descriptor.Number, first, (nuint)frame.Length);
            return count >= 0 ? (int)count : IsForNow ? 0 : -1;
        }
    }

    /// <summary>Writes a frame, or drops it when the interface is down or its queue is full.</summary>
    internal void Write(ReadOnlySpan<byte> frame)
    {
        fixed (byte* first = frame)
            _ = LibC.write(Descriptor.Number, first, (nuint)frame.Length);
    }

    /// <inheritdoc/>
    public void Dispose() => Descriptor.Dispose();

    private static bool IsForNow =>
        (Errno)System.Runtime.InteropServices.Marshal.GetLastPInvokeError() is Errno.TryAgain or Errno.Interrupted or Errno.InputOutput;
}
