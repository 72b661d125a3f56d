using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Answers system calls on files of the kernel's interface.</summary>
/// <remarks>Used by the thread that answers system calls.</remarks>
internal sealed class DeviceCalls(NotificationListener listener, OpenFiles files, PolledRegisters? polled, RunRecord record) : IDisposable
{
    private const int Vectors = 1024, VectorBytes = 16;
    private const ulong Writable = 2, Shared = 1, MapTypes = 3, Anonymous = 0x20;
    private readonly AddressSpaces _spaces = new(files, record);

    /// <summary>Answers a call.</summary>
    /// <returns>False when it is the kernel's to answer.</returns>
    internal bool TryAnswer(in Notification call)
    {
        CallArguments a = call.Arguments;
        if (call.Number == SystemCall.Mmap)
            return TryRefuseMapping(call);
        if (files.Find(call.Thread, (int)a[0]) is not { } file)
            return false;

        // What it rang before comes first.
        polled?.Flush();
        ThreadCaller caller = new(call.Thread, call.Id, listener, files, _spaces);
        listener.Answer(call.Id, call.Number switch
        {
            SystemCall.Ioctl => Ioctl(caller, file, (uint)a[1], a[2]),
            SystemCall.Pread64 => file.Read(caller, a[3], a[1], a[2]),
            SystemCall.Pwrite64 => file.Write(caller, a[3], a[1], a[2]),
            _ => AccessByVectors(caller, file, call),
        });
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _spaces.Dispose();

    private long Ioctl(ThreadCaller caller, ServedFile file, uint request, ulong argument)
    {
        // What the program closed before this call is closed.
        files.CloseAbandoned();
        long result = file.Ioctl(caller, request, argument);
        record.AddIoctl(Enum.GetName((KernelRequest)request) ?? $"0x{request:x}", result);
        return result;
    }

    /// <summary>A mapping that the file allows is the kernel's to make: of a file without a byte, so that each access is a fault.</summary>
    private bool TryRefuseMapping(in Notification call)
    {
        CallArguments a = call.Arguments;
        if ((a[3] & Anonymous) != 0 || files.Find(call.Thread, (int)a[4]) is not { } file)
            return false;
        Errno error = polled is null ? Errno.NoDevice
            : (a[3] & MapTypes & Shared) == 0 ? Errno.InvalidArgument
            : file.Map(a[5], a[1], (a[2] & Writable) != 0).Error;
        if (error == Errno.None)
        {
            files.CountMapping();
            return false;
        }

        listener.Answer(call.Id, -(long)error);
        return true;
    }

    private static long AccessByVectors(ThreadCaller caller, ServedFile file, in Notification call)
    {
        CallArguments a = call.Arguments;
        ulong offset = a[3];
        long done = 0;
        Span<byte> vector = stackalloc byte[VectorBytes];
        for (ulong i = 0; i < Math.Min(a[2], Vectors); i++)
        {
            if (!caller.TryRead(a[1] + (i * VectorBytes), vector))
                return -(long)Errno.BadAddress;
            ulong address = BinaryPrimitives.ReadUInt64LittleEndian(vector), count = BinaryPrimitives.ReadUInt64LittleEndian(vector[8..]);
            long part = call.Number == SystemCall.Preadv
                ? file.Read(caller, offset + (ulong)done, address, count)
                : file.Write(caller, offset + (ulong)done, address, count);
            if (part < 0)
                return done > 0 ? done : part;
            done += part;
            if ((ulong)part < count)
                break;
        }

        return done;
    }
}
