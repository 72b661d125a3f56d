using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>The supervisor's end of a filter: receives system calls and answers them (seccomp_unotify(2)).</summary>
/// <remarks>One thread receives. A call whose thread was killed meanwhile has no answer any more; that is no error here.</remarks>
internal sealed unsafe class NotificationListener : IDisposable
{
    private const nuint Receive = 0xc050_2100, Send = 0xc018_2101, AddDescriptorRequest = 0x4018_2103, SetFlags = 0x4008_2104;
    private const uint ContinueFlag = 1, AddAndSend = 2;
    private const nint WakeOnThisCore = 1;

    // Before 6.11 the receiving call sleeps on when the last process has ended; poll(2) tells of it.
    private static readonly bool EndIsReceived = Environment.OSVersion.Version >= new Version(6, 11);
    private readonly FileDescriptor _descriptor;

    internal NotificationListener(FileDescriptor descriptor)
    {
        _descriptor = descriptor;
        descriptor.IsUnknown = false;

        // Linux 6.6: the answered thread runs on this core at once, where its memory is warm; elsewhere it waits for the scheduler.
        _ = LibC.ioctl(descriptor.Number, SetFlags, (void*)WakeOnThisCore);
    }

    /// <summary>Waits for the next call.</summary>
    /// <returns>False when no process with the filter is left.</returns>
    internal bool TryReceive(out Notification notification)
    {
        while (true)
        {
            if (!EndIsReceived && !WaitForCall())
            {
                notification = default;
                return false;
            }

            Notification received = default;
            if (LibC.ioctl(_descriptor.Number, Receive, &received) == 0)
            {
                notification = received;
                return true;
            }

            // ENOENT: its thread was killed between two looks of the kernel's, or the last of them has ended.
            Errno errno = (Errno)Marshal.GetLastPInvokeError();
            if (errno != Errno.Interrupted && (errno != Errno.NoEntry || IsOver))
            {
                notification = default;
                return false;
            }
        }
    }

    /// <summary>Answers a call.</summary>
    /// <param name="id">Which.</param>
    /// <param name="result">What it returns: 0 or above, or a negative errno.</param>
    internal void Answer(ulong id, long result)
    {
        Response response = new() { Id = id };
        if (result < 0)
            response.Error = (int)result;
        else
            response.Value = result;
        _ = LibC.ioctl(_descriptor.Number, Send, &response);
    }

    /// <summary>Lets the kernel do the call.</summary>
    internal void Continue(ulong id)
    {
        Response response = new() { Id = id, Flags = ContinueFlag };
        _ = LibC.ioctl(_descriptor.Number, Send, &response);
    }

    /// <summary>Gives the process that made a call a descriptor.</summary>
    /// <param name="id">The call.</param>
    /// <param name="file">The file.</param>
    /// <param name="isClosedOnExec">Whether the descriptor is close-on-exec.</param>
    /// <param name="isAnswer">Whether the call is answered with its number.</param>
    /// <returns>The number, or a negative errno; the call is not answered then.</returns>
    internal int AddDescriptor(ulong id, FileDescriptor file, bool isClosedOnExec, bool isAnswer)
    {
        Addition addition = new()
        {
            Id = id,
            Flags = isAnswer ? AddAndSend : 0,
            Source = (uint)file.Number,
            NewFlags = isClosedOnExec ? (uint)LibC.O_CLOEXEC : 0,
        };
        int number = LibC.ioctl(_descriptor.Number, AddDescriptorRequest, &addition);
        return number >= 0 ? number : -Marshal.GetLastPInvokeError();
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    private bool WaitForCall()
    {
        LibC.PollEntry entry = new() { Descriptor = _descriptor.Number, Events = LibC.POLLIN };
        return LibC.poll(&entry, 1, -1) <= 0 || (entry.Returned & (LibC.POLLIN | LibC.POLLHUP)) != LibC.POLLHUP;
    }

    private bool IsOver
    {
        get
        {
            LibC.PollEntry entry = new() { Descriptor = _descriptor.Number, Events = LibC.POLLIN };
            return LibC.poll(&entry, 1, 0) > 0 && (entry.Returned & LibC.POLLHUP) != 0;
        }
    }

    /// <summary><c>struct seccomp_notif_resp</c>.</summary>
    private struct Response
    {
        internal ulong Id;
        internal long Value;
        internal int Error;
        internal uint Flags;
    }

    /// <summary><c>struct seccomp_notif_addfd</c>.</summary>
    private struct Addition
    {
        internal ulong Id;
        internal uint Flags;
        internal uint Source;
        internal uint NewNumber;
        internal uint NewFlags;
    }
}
