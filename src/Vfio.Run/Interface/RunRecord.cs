using System.Diagnostics;
using System.Globalization;
using Vfio.Abstractions;

namespace Vfio.Run.Interface;

/// <summary>Counts what a program does with its devices, and writes it down where that is wanted.</summary>
/// <remarks>Any thread may use it.</remarks>
/// <param name="log">Gets a line for each; null for none.</param>
internal sealed class RunRecord(TextWriter? log)
{
    private readonly Lock _lock = new();
    private readonly long _start = Stopwatch.GetTimestamp();
    private long _calls, _ioctls, _reads, _writes, _mapped, _dmas, _dmaBytes, _dmaFaults;

    /// <summary>Whether lines are written.</summary>
    internal bool IsLogged => log is not null;

    /// <summary>What was found.</summary>
    internal FindingList Found { get; } = new();

    /// <summary>The counts so far.</summary>
    internal RunCounts Counts => new()
    {
        Calls = Volatile.Read(ref _calls),
        Ioctls = Volatile.Read(ref _ioctls),
        RegisterReads = Volatile.Read(ref _reads),
        RegisterWrites = Volatile.Read(ref _writes),
        MappedAccesses = Volatile.Read(ref _mapped),
        DmaAccesses = Volatile.Read(ref _dmas),
        DmaBytes = Volatile.Read(ref _dmaBytes),
        DmaFaults = Volatile.Read(ref _dmaFaults),
    };

    /// <summary>Counts a system call.</summary>
    internal void AddCall() => Interlocked.Increment(ref _calls);

    /// <summary>Counts an access to a mapped BAR.</summary>
    internal void AddMapped() => Interlocked.Increment(ref _mapped);

    /// <summary>Records an ioctl.</summary>
    internal void AddIoctl(string name, long result)
    {
        Interlocked.Increment(ref _ioctls);
        if (IsLogged)
            Write($"ioctl {name} = {result}");
    }

    /// <summary>Records an access to a register.</summary>
    internal void AddAccess(string device, bool isWrite, RegionIndex region, ulong offset, ReadOnlySpan<byte> bytes)
    {
        if (isWrite)
            Interlocked.Increment(ref _writes);
        else
            Interlocked.Increment(ref _reads);
        if (!IsLogged)
            return;
        string value = bytes.Length <= sizeof(ulong) ? $"0x{Reversed(bytes)}" : $"{bytes.Length} bytes";
        Write($"{(isWrite ? "write" : "read")} {device} {region} 0x{offset:x} {value}");
    }

    /// <summary>Records an access of a device to memory.</summary>
    internal void AddDma(bool isWrite, ulong address, int length, Errno error)
    {
        Interlocked.Increment(ref _dmas);
        if (error != Errno.None)
            Interlocked.Increment(ref _dmaFaults);
        else
            Interlocked.Add(ref _dmaBytes, length);
        if (IsLogged)
            Write($"dma {(isWrite ? "to" : "from")} 0x{address:x} {length} bytes{(error == Errno.None ? "" : $" = -{(int)error}")}");
    }

    /// <summary>Records an access of a device that was refused before it reached memory.</summary>
    internal void AddFault(string device, in DmaFault fault)
    {
        Found.AddFault(device, fault.IsWrite, fault.Address.Value, fault.Length, fault.Error != Errno.OperationNotPermitted);
        if (IsLogged)
            Write($"dma {device} {(fault.IsWrite ? "to" : "from")} {fault.Address} {fault.Length} bytes = -{(int)fault.Error}");
    }

    /// <summary>Records what was left behind.</summary>
    internal void AddLeak(string device, string message)
    {
        Found.Add(RunFindingKind.Leak, device, message);
        if (IsLogged)
            Write($"leak {device} {message}");
    }

    /// <summary>Records anything else.</summary>
    internal void Add(string line)
    {
        if (IsLogged)
            Write(line);
    }

    private static string Reversed(ReadOnlySpan<byte> bytes)
    {
        Span<byte> copy = stackalloc byte[sizeof(ulong)];
        bytes.CopyTo(copy);
        copy[..bytes.Length].Reverse();
        return Convert.ToHexStringLower(copy[..bytes.Length]);
    }

    /// <summary>Why the log ends early; null while it does not.</summary>
    internal Exception? LogFailure { get; private set; }

    private void Write(string line)
    {
        double seconds = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        lock (_lock)
        {
            if (LogFailure is not null)
                return;
            try
            {
                log!.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{seconds:f6} {line}"));
            }
            catch (Exception refusal) when (refusal is IOException or ObjectDisposedException)
            {
                // A full disk ends the log, and not the program.
                LogFailure = refusal;
            }
        }
    }
}
