using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Captures;

namespace Vfio.User.Transport;

/// <summary>Sends whole messages, however slowly the other side reads them, up to a deadline.</summary>
/// <remarks>Not thread-safe: messages must not be interleaved.</remarks>
/// <param name="socket">The connection; the caller keeps it.</param>
/// <param name="timeout">How long the other side may take to read one send; infinite for ever.</param>
/// <param name="receive">Called when the other side's queue is full and bytes of it wait here, so that two sides that both send do not
/// wait for each other; returns false when it could receive none.</param>
/// <param name="capture">Where messages are captured before they are sent; null for nowhere.</param>
internal sealed class MessageSender(UnixSocket socket, TimeSpan timeout, Func<bool> receive, CapturePoint? capture = null)
{
    /// <summary>A deadline in addition to the timeout; never unless set.</summary>
    internal Deadline Limit { get; set; } = Deadline.Never;

    /// <summary>Sends both parts, and the descriptors with the first byte.</summary>
    /// <returns>The error, which breaks the stream; or <see cref="Errno.None"/>.</returns>
    internal Errno Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<FileDescriptor> descriptors)
    {
        capture?.Sending(first, second, descriptors.Length);
        SendTime time = default;
        while (true)
        {
            int count = socket.Send(first, second, descriptors, wait: false, out Errno error);
            if (count >= 0)
            {
                descriptors = default;
                int ofFirst = Math.Min(count, first.Length);
                first = first[ofFirst..];
                second = second[(count - ofFirst)..];
                if (first.Length == 0 && second.Length == 0)
                    return Errno.None;
            }

            if (!IsWorthAnotherTry(count, ref time, ref error))
                return error;
        }
    }

    /// <summary>Sends bytes, and after them part of mapped memory without a copy.</summary>
    /// <returns>As the other.</returns>
    internal Errno Send(ReadOnlySpan<byte> first, SharedMemory memory, ulong offset, int length)
    {
        capture?.Sending(first, memory, offset, length);
        SendTime time = default;
        while (true)
        {
            int count = socket.Send(first, memory, offset, length, wait: false, out Errno error);
            if (count >= 0)
            {
                int ofFirst = Math.Min(count, first.Length);
                first = first[ofFirst..];
                offset += (ulong)(count - ofFirst);
                length -= count - ofFirst;
                if (first.Length == 0 && length == 0)
                    return Errno.None;
            }

            if (!IsWorthAnotherTry(count, ref time, ref error))
                return error;
        }
    }

    /// <summary>After a partial send: waits for space in the queue if there is none.</summary>
    private bool IsWorthAnotherTry(int count, ref SendTime time, ref Errno error)
    {
        if (count < 0 && error != Errno.TryAgain)
            return false;
        if (!time.HasBegun)
        {
            time = new SendTime(true, Deadline.Earlier(new Deadline(timeout), Limit));
        }
        else if (time.End.HasPassed)
        {
            error = Errno.TimedOut;
            return false;
        }

        if (count < 0)
            WaitForRoom(time.End);
        return true;
    }

    private void WaitForRoom(Deadline deadline)
    {
        while (!deadline.HasPassed)
        {
            (bool readable, bool writable) = Poll.WaitEither(socket.Descriptor, deadline.Left);
            if (writable)
                return;
            if (readable && !receive())
            {
                Poll.WaitWritable(socket.Descriptor, deadline.Left);
                return;
            }
        }
    }

    /// <summary>The deadline of one send; it starts when the send did not complete at once.</summary>
    private readonly record struct SendTime(bool HasBegun, Deadline End);
}
