using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>One open of a file of the kernel's interface: a container, a group, a device, an iommufd.</summary>
/// <remarks>Any thread may call it. Its owner disposes it after the last descriptor and mapping of it is gone, in whichever process these
/// are. A call that is under way then still ends as if it were open: as in the kernel, the last call releases the file. A call that comes
/// later is EBADF. Files refer to each other too: an open device keeps its group open, a group its iommufd.</remarks>
internal abstract class ServedFile : IDisposable
{
    // The owner's reference, one for each call under way, one for each file that needs this one.
    private int _references = 1;
    private int _isDisposed;

    /// <summary>A real file whose bytes are this one's, which the program is to have in place of a file without any: the data of a migration.
    /// Null where read(2) and write(2) are <see cref="Read"/> and <see cref="Write"/>.</summary>
    public virtual FileDescriptor? Content => null;

    /// <summary>Answers ioctl(2).</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="request">The number of the request, all 32 bits.</param>
    /// <param name="argument">The third argument: a pointer into the caller's memory, or a number.</param>
    /// <returns>What the call returns: 0 or above, or a negative errno.</returns>
    public long Ioctl(ICaller caller, uint request, ulong argument) =>
        Do((caller, request, argument), static (file, call) => file.OnIoctl(call.caller, call.request, call.argument), Answer.Of);

    /// <summary>Answers pread(2); EINVAL where the kernel's file has none.</summary>
    /// <returns>The number of bytes, or a negative errno.</returns>
    public long Read(ICaller caller, ulong offset, ulong address, ulong count) =>
        Do((caller, offset, address, count), static (file, call) => file.OnRead(call.caller, call.offset, call.address, call.count), Answer.Of);

    /// <summary>Answers pwrite(2); EINVAL where the kernel's file has none.</summary>
    /// <returns>The number of bytes, or a negative errno.</returns>
    public long Write(ICaller caller, ulong offset, ulong address, ulong count) =>
        Do((caller, offset, address, count), static (file, call) => file.OnWrite(call.caller, call.offset, call.address, call.count), Answer.Of);

    /// <summary>What a shared mmap(2) of a range of it gives; ENODEV where the kernel's file cannot be mapped. A private one is EINVAL, which
    /// the tracer answers.</summary>
    public ServedMapping Map(ulong offset, ulong length, bool isWritable) =>
        Do((offset, length, isWritable), static (file, call) => file.OnMap(call.offset, call.length, call.isWritable), ServedMapping.Refused);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            Release();
    }

    /// <summary>Keeps it open until one more <see cref="Release"/>.</summary>
    /// <returns>False when it is closed.</returns>
    internal bool TryAddReference()
    {
        int before = Volatile.Read(ref _references);
        while (before > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, before + 1, before);
            if (seen == before)
                return true;
            before = seen;
        }

        return false;
    }

    /// <summary>Releases one reference; the last one closes the file.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            OnClose();
    }

    /// <summary>Makes a call while the file is open: EBADF when it is closed, and a refusal becomes its errno.</summary>
    private TResult Do<TCall, TResult>(TCall call, Func<ServedFile, TCall, TResult> makes, Func<Errno, TResult> refuses)
    {
        if (!TryAddReference())
            return refuses(Errno.BadDescriptor);
        try
        {
            return makes(this, call);
        }
        catch (Exception refusal) when (Answer.IsRefusal(refusal))
        {
            return refuses((Errno)(-Answer.Of(refusal)));
        }
        finally
        {
            Release();
        }
    }

    /// <summary>As <see cref="Ioctl"/>; a <see cref="VfioException"/> becomes its errno.</summary>
    protected abstract long OnIoctl(ICaller caller, uint request, ulong argument);

    /// <summary>As <see cref="Read"/>; a <see cref="VfioException"/> becomes its errno.</summary>
    protected virtual long OnRead(ICaller caller, ulong offset, ulong address, ulong count) => Answer.Of(Errno.InvalidArgument);

    /// <summary>As <see cref="Write"/>; a <see cref="VfioException"/> becomes its errno.</summary>
    protected virtual long OnWrite(ICaller caller, ulong offset, ulong address, ulong count) => Answer.Of(Errno.InvalidArgument);

    /// <summary>As <see cref="Map"/>; a <see cref="VfioException"/> becomes its errno.</summary>
    protected virtual ServedMapping OnMap(ulong offset, ulong length, bool isWritable) => ServedMapping.Refused(Errno.NoDevice);

    /// <summary>Undoes what was done by this file: bound interrupts, mappings, attachments, the open device. Called once, with no other call
    /// under way.</summary>
    protected abstract void OnClose();
}
