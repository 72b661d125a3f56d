using System.Numerics;
using System.Runtime.CompilerServices;
using Vfio.Driver;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Memory;
using Vfio.Native.Waiting;
using Vfio.Pci.Config;

namespace Vfio;

/// <summary>Registers and memory of a device: a BAR, or the ROM. Every access is exactly one bus access of the width in its name.</summary>
/// <remarks>
/// <para>Where the provider lets it be mapped an access is one load or store; elsewhere (the pages of an MSI-X table, a device
/// behind a socket) it is one message. The caller sees no difference but the time it takes.</para>
/// <para>Order. A write comes after every earlier write of this thread, to a <see cref="DmaBuffer"/> or a register: the device that
/// sees the doorbell and then reads the descriptor sees the descriptor. On x86-64 stores stay in order by themselves, and
/// BARs are mapped uncached; on arm64 a <c>dmb ishst</c> stands before a store with release (<c>stlr</c>). The other side is the
/// device's own order: it reads memory after the doorbell arrived; a model takes the message, or loads with acquire, first.
/// A read comes before every later read of this thread (<c>ldar</c> on arm64): descriptors that a status register
/// announced are read after it.</para>
/// <para>Any thread may use it; nothing is allocated. Offsets are <see cref="long"/>, as elsewhere in .NET, so that sums of
/// <see cref="int"/> need no cast. A range that leaves the BAR or an offset that is no multiple of the width is an
/// <see cref="ArgumentOutOfRangeException"/>; a device that does not answer is a <see cref="VfioException"/>: ENODEV when it was
/// removed, also of a BAR that is mapped, where the touch of memory that is gone would otherwise end the process.</para>
/// </remarks>
public sealed class Bar : IDisposable
{
    private readonly IVfioDevice _device;
    private readonly List<BarWindows> _stale = [];
    private volatile BarWindows _windows;
    private bool _disposed;

    internal Bar(IVfioDevice device, RegionInfo region)
    {
        _device = device;
        Index = region.Index;
        Length = checked((long)region.Length);
        _windows = new BarWindows(region);
    }

    /// <summary>Which one.</summary>
    public RegionIndex Index { get; }

    /// <summary>Size in bytes.</summary>
    public long Length { get; }

    /// <summary>Whether it was disposed.</summary>
    internal bool IsDisposed => _disposed;

    /// <summary>Whether an access at this offset is a load or store, rather than a message.</summary>
    public bool IsMapped(long offset) => Find(offset, 1, out _) is not null;

    /// <summary>Reads 8 bits.</summary>
    public byte Read8(long offset)
    {
        if (Find(offset, 1, out ulong inside) is { } memory)
            return Checked(memory, memory.Read8(inside), offset);
        byte value = 0;
        _device.ReadRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Reads 16 bits at a multiple of 2.</summary>
    public ushort Read16(long offset)
    {
        if (Find(offset, 2, out ulong inside) is { } memory)
            return Checked(memory, memory.Read16(inside), offset);
        ushort value = 0;
        _device.ReadRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Reads 32 bits at a multiple of 4.</summary>
    public uint Read32(long offset)
    {
        if (Find(offset, 4, out ulong inside) is { } memory)
            return Checked(memory, memory.Read32(inside), offset);
        uint value = 0;
        _device.ReadRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Reads 64 bits at a multiple of 8.</summary>
    public ulong Read64(long offset)
    {
        if (Find(offset, 8, out ulong inside) is { } memory)
            return Checked(memory, memory.Read64(inside), offset);
        ulong value = 0;
        _device.ReadRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
        return value;
    }

    /// <summary>Writes 8 bits, after every earlier write of this thread.</summary>
    public void Write8(long offset, byte value)
    {
        SharedMemory? memory = Find(offset, 1, out ulong inside);
        MemoryOrder.WriteBarrier();
        if (memory is null)
        {
            _device.WriteRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
            return;
        }

        memory.Write8(inside, value);
        if (memory.IsLost)
            ThrowIfGone(isLost: true, offset);
    }

    /// <summary>Writes 16 bits at a multiple of 2, after every earlier write of this thread.</summary>
    public void Write16(long offset, ushort value)
    {
        SharedMemory? memory = Find(offset, 2, out ulong inside);
        MemoryOrder.WriteBarrier();
        if (memory is null)
        {
            _device.WriteRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
            return;
        }

        memory.Write16(inside, value);
        if (memory.IsLost)
            ThrowIfGone(isLost: true, offset);
    }

    /// <summary>Writes 32 bits at a multiple of 4, after every earlier write of this thread.</summary>
    public void Write32(long offset, uint value)
    {
        SharedMemory? memory = Find(offset, 4, out ulong inside);
        MemoryOrder.WriteBarrier();
        if (memory is null)
        {
            _device.WriteRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
            return;
        }

        memory.Write32(inside, value);
        if (memory.IsLost)
            ThrowIfGone(isLost: true, offset);
    }

    /// <summary>Writes 64 bits at a multiple of 8, after every earlier write of this thread.</summary>
    public void Write64(long offset, ulong value)
    {
        SharedMemory? memory = Find(offset, 8, out ulong inside);
        MemoryOrder.WriteBarrier();
        if (memory is null)
        {
            _device.WriteRegion(Index, (ulong)offset, Blittable.AsBytes(ref value));
            return;
        }

        memory.Write64(inside, value);
        if (memory.IsLost)
            ThrowIfGone(isLost: true, offset);
    }

    /// <summary>Reads a register as its type: one access of the type's size.</summary>
    /// <typeparam name="T">A struct, enum or number of 1, 2, 4 or 8 bytes without references, such as a record struct over the raw value.
    /// </typeparam>
    /// <param name="offset">A multiple of the size.</param>
    /// <exception cref="ArgumentException">The type has another size.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public T Read<T>(long offset)
        where T : unmanaged => Blittable.SizeOf<T>() switch
        {
            sizeof(byte) => Blittable.Reinterpret<byte, T>(Read8(offset)),
            sizeof(ushort) => Blittable.Reinterpret<ushort, T>(Read16(offset)),
            sizeof(uint) => Blittable.Reinterpret<uint, T>(Read32(offset)),
            sizeof(ulong) => Blittable.Reinterpret<ulong, T>(Read64(offset)),
            _ => throw NoRegister<T>(),
        };

    /// <summary>Writes a register as its type: one access of the type's size, after every earlier write of this thread.</summary>
    /// <typeparam name="T">As for <see cref="Read{T}(long)"/>.</typeparam>
    /// <param name="offset">A multiple of the size.</param>
    /// <param name="value">What is written. A number is as wide as its type: <c>0</c> is an <see cref="int"/>, and so 4 bytes.</param>
    /// <exception cref="ArgumentException">The type has another size.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write<T>(long offset, T value)
        where T : unmanaged
    {
        switch (Blittable.SizeOf<T>())
        {
            case sizeof(byte): Write8(offset, Blittable.Reinterpret<T, byte>(value)); break;
            case sizeof(ushort): Write16(offset, Blittable.Reinterpret<T, ushort>(value)); break;
            case sizeof(uint): Write32(offset, Blittable.Reinterpret<T, uint>(value)); break;
            case sizeof(ulong): Write64(offset, Blittable.Reinterpret<T, ulong>(value)); break;
            default: throw NoRegister<T>();
        }
    }

    /// <summary>Copies out of device memory with the widest accesses that are aligned, in ascending order.</summary>
    /// <param name="offset">Where it starts.</param>
    /// <param name="destination">Where it goes.</param>
    /// <param name="maxWidth">The widest access that the device takes: 1, 2, 4 or 8 bytes.</param>
    public void Read(long offset, Span<byte> destination, int maxWidth = 8)
    {
        CheckRange(offset, destination.Length, maxWidth);
        while (destination.Length > 0)
        {
            int width = AccessWidth.Natural((ulong)offset, destination.Length, maxWidth);
            switch (width)
            {
                case 1: destination[0] = Read8(offset); break;
                case 2: Blittable.Write(destination, Read16(offset)); break;
                case 4: Blittable.Write(destination, Read32(offset)); break;
                default: Blittable.Write(destination, Read64(offset)); break;
            }

            offset += width;
            destination = destination[width..];
        }
    }

    /// <summary>Copies into device memory with the widest accesses that are aligned, in ascending order.</summary>
    /// <param name="offset">Where it starts.</param>
    /// <param name="source">The bytes.</param>
    /// <param name="maxWidth">The widest access that the device takes: 1, 2, 4 or 8 bytes.</param>
    public void Write(long offset, ReadOnlySpan<byte> source, int maxWidth = 8)
    {
        CheckRange(offset, source.Length, maxWidth);
        while (source.Length > 0)
        {
            int width = AccessWidth.Natural((ulong)offset, source.Length, maxWidth);
            switch (width)
            {
                case 1: Write8(offset, source[0]); break;
                case 2: Write16(offset, Blittable.Read<ushort>(source)); break;
                case 4: Write32(offset, Blittable.Read<uint>(source)); break;
                default: Write64(offset, Blittable.Read<ulong>(source)); break;
            }

            offset += width;
            source = source[width..];
        }
    }

    /// <summary>Writes several registers in their order, after every earlier write of this thread: one message for those that are not
    /// mapped, where the provider takes it as one.</summary>
    /// <param name="writes">The writes; the BAR does each as an access of its own.</param>
    public void Write(ReadOnlySpan<RegisterWrite> writes)
    {
        const int MostAtOnce = 64;
        foreach (RegisterWrite write in writes)
        {
            long offset = ToOffset(write);
            CheckRange(offset, write.Width, write.Width);
            Find(offset, write.Width, out _);
        }

        Span<RegisterWrite> messages = stackalloc RegisterWrite[Math.Min(writes.Length, MostAtOnce)];
        int count = 0;
        MemoryOrder.WriteBarrier();
        foreach (RegisterWrite write in writes)
        {
            bool isMapped = Find(ToOffset(write), write.Width, out _) is not null;
            if (isMapped || count == MostAtOnce)
                Flush(messages, ref count);
            if (isMapped)
                WriteMapped(write);
            else
                messages[count++] = write with { Region = Index };
        }

        Flush(messages, ref count);
    }

    /// <summary>Reads a register until some of its bits have a value; gives the processor away in between.</summary>
    /// <param name="offset">Where the 32-bit register is.</param>
    /// <param name="mask">The bits.</param>
    /// <param name="value">What they shall be.</param>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    public bool WaitFor32(long offset, uint mask, uint value, TimeSpan timeout)
    {
        Deadline end = new(timeout);
        SpinWait spin = default;
        while ((Read32(offset) & mask) != value)
        {
            if (end.HasPassed)
                return false;
            spin.SpinOnce();
        }

        return true;
    }

    /// <summary>Unmaps it. Nobody else may be using it then.</summary>
    public void Dispose()
    {
        _disposed = true;
        _windows.Dispose();
        _stale.ForEach(windows => windows.Dispose());
    }

    /// <summary>Maps the region of a device that was restarted; by messages alone where it cannot be mapped any more.</summary>
    internal void MapAnew(in RegionInfo region)
    {
        // An access may be under way in the old windows: they stay until this is disposed.
        _stale.Add(_windows);
        _windows = new BarWindows(region);
    }

    private void Flush(ReadOnlySpan<RegisterWrite> messages, ref int count)
    {
        if (count > 0)
            _device.WriteRegions(messages[..count]);
        count = 0;
    }

    private void WriteMapped(in RegisterWrite write)
    {
        long offset = ToOffset(write);
        switch (write.Width)
        {
            case 1: Write8(offset, (byte)write.Value); break;
            case 2: Write16(offset, (ushort)write.Value); break;
            case 4: Write32(offset, (uint)write.Value); break;
            default: Write64(offset, write.Value); break;
        }
    }

    /// <summary>Converts an offset; one beyond <see cref="long"/> becomes one that the range check refuses.</summary>
    private static long ToOffset(in RegisterWrite write) => (long)Math.Min(write.Offset, long.MaxValue);

    private static ArgumentException NoRegister<T>()
        where T : unmanaged => new($"{typeof(T)} has {Blittable.SizeOf<T>()} bytes: a register has 1, 2, 4 or 8", nameof(T));

    /// <summary>A value that was read, if there was somebody to read it from. A device that was removed gives all ones at first, and then
    /// no memory at all.</summary>
    private T Checked<T>(SharedMemory memory, T value, long offset)
        where T : unmanaged, IBinaryInteger<T>
    {
        if (memory.IsLost || value == T.AllBitsSet)
            ThrowIfGone(memory.IsLost, offset);
        return value;
    }

    /// <summary>Throws when the device was removed, which its config space shows; otherwise only when its memory was lost.</summary>
    private void ThrowIfGone(bool isLost, long offset)
    {
        string operation = $"access of {Index} at 0x{offset:x}";
        if (!Presence.IsPresent(_device))
            throw new VfioException(operation, _device.Name, Errno.NoDevice, "it was removed; dispose it");
        if (isLost)
            throw new VfioException(operation, _device.Name, Errno.InputOutput, "its memory is gone: it is in a sleep state, or its decoding is off; open it again");
    }

    private SharedMemory? Find(long offset, int width, out ulong inside)
    {
        // Unsigned, so that a negative offset is beyond the end.
        if ((ulong)offset > (ulong)(Length - width) || Length < width || (offset & (width - 1)) != 0 || _disposed)
            ThrowBadAccess(offset, width);
        return _windows.Find((ulong)offset, width, out inside);
    }

    private void CheckRange(long offset, int count, int maxWidth)
    {
        if (maxWidth is not (1 or 2 or 4 or 8))
            throw new ArgumentOutOfRangeException(nameof(maxWidth), maxWidth, "1, 2, 4 or 8");
        if ((ulong)offset > (ulong)Length || count > Length - offset || _disposed)
            ThrowBadAccess(offset, count, alignment: 1);
    }

    private void ThrowBadAccess(long offset, int width) => ThrowBadAccess(offset, width, alignment: width);

    private void ThrowBadAccess(long offset, int count, int alignment)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        throw new ArgumentOutOfRangeException(
            nameof(offset),
            $"a {count}-byte access at 0x{offset:x} does not fit the 0x{Length:x} bytes of {Index} of {_device.Name}: "
            + AllowedOffsets.For(count, Length, alignment));
    }
}
