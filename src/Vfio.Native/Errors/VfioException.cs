using System.Runtime.InteropServices;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio;

/// <summary>A refusal by the kernel, a peer or a device: the operation, its target, the errno, and what to do.</summary>
/// <remarks>The message is one line of printable text, ready for a person: what was being done, why it failed, what to do, and the errno,
/// last. Misuse of this library is an <see cref="ArgumentException"/> instead.</remarks>
public sealed class VfioException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="operation">What was asked, for example <c>VFIO_DEVICE_RESET</c> or <c>read of BAR0 at 0x10</c>.</param>
    /// <param name="target">The device or file that refused.</param>
    /// <param name="errno">The error number.</param>
    /// <param name="hint">Why, or what to do about it; a clause without a full stop.</param>
    public VfioException(string operation, string target, Errno errno, string? hint = null)
        : base(
            $"{PrintableText.Of(OperationText.Of(operation, target))}: {TextOf(errno)}" +
            $"{(hint is null ? "" : "; " + PrintableText.Of(hint))} " +
            $"({(OperationText.NameOf(operation) is { } name ? name + ", " : "")}errno {(int)errno})")
    {
        Operation = operation;
        Target = target;
        Errno = errno;
        HResult = (int)errno; // as .NET has it in an IOException of a system call
    }

    /// <summary>What was asked.</summary>
    public string Operation { get; }

    /// <summary>The device or file that refused.</summary>
    public string Target { get; }

    /// <summary>The error number as the kernel or the peer returned it.</summary>
    public Errno Errno { get; }

    /// <summary>Makes the exception from the errno of the last system call of this thread.</summary>
    /// <param name="operation">What was asked.</param>
    /// <param name="target">The device or file that refused.</param>
    /// <param name="hint">Why, or what to do about it.</param>
    public static VfioException FromLastError(string operation, string target, string? hint = null) =>
        new(operation, target, (Errno)Marshal.GetLastPInvokeError(), hint);

    /// <summary>Makes the exception, EINVAL, from a library's refusal of a value that came from a user.</summary>
    /// <param name="operation">What was asked.</param>
    /// <param name="target">The device or file.</param>
    /// <param name="refusal">The refusal, whose reason becomes the hint without the name of the parameter.</param>
    /// <param name="place">Where the value came from, before the reason.</param>
    internal static VfioException FromArgument(string operation, string target, ArgumentException refusal, string place = "") =>
        new(operation, target, Errno.InvalidArgument, place + refusal.Message.Split(" (Parameter")[0]);

    /// <summary>The errno in the C library's words, with its number.</summary>
    /// <param name="errno">The error number.</param>
    public static string Describe(Errno errno) => $"{TextOf(errno)} (errno {(int)errno})";

    private static string TextOf(Errno errno) => Marshal.GetPInvokeErrorMessage((int)errno);
}
