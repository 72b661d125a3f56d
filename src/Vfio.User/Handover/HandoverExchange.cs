using System.Diagnostics.CodeAnalysis;
using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Wire;

namespace Vfio.User.Handover;

/// <summary>A connection between a server and its successor.</summary>
/// <remarks>Only processes of one user, and root, may hand over to each other. One thread uses it.</remarks>
/// <param name="socket">The connection; owned.</param>
internal sealed class HandoverExchange(UnixSocket socket) : IDisposable
{
    private const int MaxBytes = 256 << 20;
    private const int MaxDescriptors = 1 << 16;
    private const int PieceBytes = 64 << 10;

    /// <summary>Whether the other process may take part.</summary>
    internal bool IsTrusted => socket.PeerUserId is uint user && (user == 0 || user == UserAccount.CurrentId);

    /// <summary>Sends a message.</summary>
    /// <returns>False when the other side is gone, or does not receive it in time.</returns>
    internal bool TrySend(HandoverKind kind, ReadOnlySpan<byte> payload, IReadOnlyList<FileDescriptor> descriptors, Deadline deadline)
    {
        HandoverHeader header = new()
        {
            Mark = HandoverHeader.ExpectedMark,
            Version = HandoverHeader.CurrentVersion,
            Kind = kind,
            Length = (uint)payload.Length,
            DescriptorCount = (uint)descriptors.Count,
        };
        if (!TrySend(Blittable.AsBytes(ref header), default, deadline))
            return false;

        // As many at a time as a message carries, each time with at least one byte of data.
        for (int sent = 0; sent < descriptors.Count; sent += UnixSocket.MaxDescriptors)
        {
            FileDescriptor[] some = [.. descriptors.Skip(sent).Take(UnixSocket.MaxDescriptors)];
            if (!TrySend(payload[..1], some, deadline))
                return false;
            payload = payload[1..];
        }

        return TrySend(payload, default, deadline);
    }

    /// <summary>Sends a refusal with its reason; whether it arrives does not matter.</summary>
    internal void Refuse(string why)
    {
        byte[] text = Encoding.UTF8.GetBytes(why);
        TrySend(HandoverKind.Refuse, text.AsSpan(0, Math.Min(text.Length, HandoverHeader.MaxTextBytes)), [], new Deadline(TimeSpan.FromSeconds(1)));
    }

    /// <summary>Receives a message.</summary>
    /// <param name="expected">The kind that is expected.</param>
    /// <param name="deadline">When to give up.</param>
    /// <exception cref="VfioException">EBUSY: it is a refusal, with its text; EPROTO: it is something else; ETIMEDOUT;
    /// ECONNRESET: the other side is gone.</exception>
    internal HandoverReader Receive(HandoverKind expected, Deadline deadline)
    {
        DescriptorQueue descriptors = new();
        try
        {
            HandoverHeader header = Blittable.Read<HandoverHeader>(ReceiveBytes(Blittable.SizeOf<HandoverHeader>(), descriptors, deadline));
            if (header.Mark != HandoverHeader.ExpectedMark)
                throw Failure(Errno.Protocol, "what answers there is not a server that hands over");
            if (header.Version != HandoverHeader.CurrentVersion)
                throw Failure(Errno.Protocol, $"it speaks version {header.Version} of the format, this is {HandoverHeader.CurrentVersion}");
            bool isRight = header.Kind == expected || header.Kind == HandoverKind.Refuse;
            if (!isRight || header.Length > MaxBytes || header.DescriptorCount > MaxDescriptors)
                throw Failure(Errno.Protocol, $"it sent {header.Kind} of {header.Length} bytes, not {expected}");
            byte[] payload = ReceiveBytes((int)header.Length, descriptors, deadline);
            if (header.Kind == HandoverKind.Refuse)
                throw Failure(Errno.Busy, Encoding.UTF8.GetString(payload));
            if (descriptors.Count != (int)header.DescriptorCount)
                throw Failure(Errno.TooManyOpenFiles, $"{descriptors.Count} of {header.DescriptorCount} descriptors came");
            return new HandoverReader(payload, descriptors);
        }
        catch
        {
            descriptors.Dispose();
            throw;
        }
    }

    /// <summary>Gives contents, and waits until they are taken.</summary>
    /// <remarks>After a time-out the connection is shut down, so that either both sides know of the taking or none does.</remarks>
    /// <param name="contents">What is given.</param>
    /// <param name="timeout">How long the other side may take.</param>
    /// <param name="why">Why they were not taken.</param>
    internal bool TryGive(HandoverWriter contents, TimeSpan timeout, [NotNullWhen(false)] out string? why)
    {
        Deadline deadline = new(timeout);
        why = null;
        try
        {
            if (TrySend(HandoverKind.Give, contents.Written, contents.Descriptors, deadline))
            {
                Receive(HandoverKind.Taken, deadline).Dispose();
                return true;
            }

            why = "the successor does not take it";
            return false;
        }
        catch (VfioException refusal) when (refusal.Errno != Errno.TimedOut)
        {
            why = refusal.Message;
            return false;
        }
        catch (VfioException)
        {
            // What it has sent until now counts; after this it cannot send anything.
            Shutdown();
        }

        try
        {
            Receive(HandoverKind.Taken, new Deadline(TimeSpan.Zero)).Dispose();
            return true;
        }
        catch (VfioException refusal)
        {
            why = refusal.Message;
            return false;
        }
    }

    /// <summary>Ends the connection for both sides, though what the other side has sent can still be received.</summary>
    internal void Shutdown() => socket.Shutdown();

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private static VfioException Failure(Errno error, string why) => new("handover", "the other server", error, why);

    private bool TrySend(ReadOnlySpan<byte> bytes, ReadOnlySpan<FileDescriptor> descriptors, Deadline deadline)
    {
        while (bytes.Length > 0)
        {
            int count = socket.Send(bytes, default, descriptors, wait: false, out Errno error);
            if (count >= 0)
            {
                bytes = bytes[count..];
                descriptors = default;
            }
            else if (error != Errno.TryAgain || deadline.HasPassed)
            {
                return false;
            }
            else
            {
                Poll.WaitWritable(socket.Descriptor, deadline.Left);
            }
        }

        return true;
    }

    /// <remarks>Memory is allocated as bytes arrive, not as they are announced.</remarks>
    private byte[] ReceiveBytes(int length, DescriptorQueue descriptors, Deadline deadline)
    {
        byte[] bytes = new byte[Math.Min(length, PieceBytes)];
        for (int done = 0; done < length;)
        {
            if (done == bytes.Length)
                Array.Resize(ref bytes, (int)Math.Min(length, 2L * bytes.Length));
            int count = socket.Receive(bytes.AsSpan(done), descriptors, wait: false, out Errno error);
            if (count > 0 && error == Errno.TooManyOpenFiles)
                throw Failure(error, "raise the limit on open files (ulimit -n)");
            done += Math.Max(0, count);
            if (count == 0 || (count < 0 && error != Errno.TryAgain))
                throw Failure(count == 0 ? Errno.ConnectionReset : error, "it is gone");
            if (count < 0 && !Poll.WaitReadable(socket.Descriptor, deadline.Left) && deadline.HasPassed)
                throw Failure(Errno.TimedOut, "it did not send in time");
        }

        return bytes;
    }
}
