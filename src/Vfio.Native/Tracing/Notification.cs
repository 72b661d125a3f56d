using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Native.Tracing;

/// <summary>A system call that waits for its answer: <c>struct seccomp_notif</c>, with <c>struct seccomp_data</c> in it; 80 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Notification
{
    /// <summary>What the answer has to name.</summary>
    internal ulong Id;

    /// <summary>The thread that made the call.</summary>
    internal int Thread;

    /// <summary>No flag is defined.</summary>
    internal uint Flags;

    /// <summary>Which call.</summary>
    internal SystemCall Number;

    /// <summary>AUDIT_ARCH_*.</summary>
    internal uint Architecture;

    /// <summary>Where the thread is.</summary>
    internal ulong InstructionPointer;

    /// <summary>Its arguments.</summary>
    internal CallArguments Arguments;
}

/// <summary>The six arguments of a system call.</summary>
[InlineArray(6)]
internal struct CallArguments
{
    private ulong _first;
}
