using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native.Kernel;

/// <summary>A file of the kernel's VFIO or iommufd that is asked with ioctl(2).</summary>
/// <param name="descriptor">The open file; owned by this object.</param>
/// <param name="name">Its name, for messages.</param>
internal abstract unsafe class KernelFile(FileDescriptor descriptor, string name) : IDisposable
{
    private static readonly TimeSpan LockTimeout = TimeSpan.FromSeconds(2);

    /// <summary>The open file.</summary>
    internal FileDescriptor Descriptor { get; } = descriptor;

    /// <summary>Its name, for messages.</summary>
    internal string Name { get; } = name;

    /// <inheritdoc/>
    public void Dispose() => Descriptor.Dispose();

    /// <summary>Opens a file under <c>/dev</c> for reading and writing.</summary>
    /// <exception cref="VfioException">The kernel refused; <paramref name="hint"/> says what to do where the errno is known.</exception>
    internal static FileDescriptor Open(string path, Func<Errno, string?> hint)
    {
        int number = LibC.open(path, LibC.O_RDWR | LibC.O_CLOEXEC);
        return number >= 0
            ? new FileDescriptor(number)
            : throw VfioException.FromLastError("open", path, hint((Errno)Marshal.GetLastPInvokeError()));
    }

    /// <summary>Whether this process may open a file for reading and writing.</summary>
    internal static bool MayOpen(string path) => LibC.access(path, LibC.R_OK | LibC.W_OK) == 0;

    /// <summary>Asks, again when a signal comes first, and for a while when somebody else has the function's lock.</summary>
    /// <remarks>To open and to reset a function the kernel only tries its lock, and answers EAGAIN. Who wakes the function, or writes to
    /// it in sysfs, has it for milliseconds; who removes it may wait for this process, which is why the wait has an end.</remarks>
    /// <returns>What the kernel returned; -1 with the errno set when it refused.</returns>
    private protected int TryCall(KernelRequest request, void* argument)
    {
        Deadline end = new(LockTimeout);
        while (true)
        {
            int result = LibC.ioctl(Descriptor.Number, (nuint)request, argument);
            if (result >= 0)
                return result;
            switch ((Errno)Marshal.GetLastPInvokeError())
            {
                case Errno.Interrupted:
                    break;
                case Errno.TryAgain when !end.HasPassed:
                    Thread.Sleep(1);
                    break;
                default:
                    return result;
            }
        }
    }

    /// <summary>Asks.</summary>
    /// <param name="request">What is asked.</param>
    /// <param name="argument">Its argument, which outlives the call.</param>
    /// <param name="operation">The request as the caller wrote it: requests to different kinds of file share numbers.</param>
    /// <returns>What the kernel returned, 0 or above.</returns>
    /// <exception cref="VfioException">The kernel refused.</exception>
    private protected int Call(KernelRequest request, void* argument, [CallerArgumentExpression(nameof(request))] string operation = "")
    {
        int result = TryCall(request, argument);
        return result >= 0 ? result : throw VfioException.FromLastError(operation[(operation.LastIndexOf('.') + 1)..], Name);
    }
}
