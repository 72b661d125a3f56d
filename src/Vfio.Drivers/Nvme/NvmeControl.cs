using Vfio.Native;
using Vfio.Native.Waiting;
using static Vfio.Drivers.Nvme.NvmeRegisters;

namespace Vfio.Drivers.Nvme;

/// <summary>Turns a controller on and off, and tells when it is broken or gone.</summary>
internal sealed class NvmeControl : ILiveness
{
    /// <summary>A controller that keeps its data for longer than this at shutdown is left to itself.</summary>
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(5);

    private readonly PciDevice _device;

    internal NvmeControl(PciDevice device, Bar registers)
    {
        _device = device;
        Registers = registers;
        Capabilities = new NvmeCapabilities(registers.Read32(NvmeRegisters.Capabilities), registers.Read32(NvmeRegisters.Capabilities + 4));
        if (Capabilities is { Low: uint.MaxValue, High: uint.MaxValue })
            throw Gone("reading of its capabilities");
        if (!Capabilities.HasNvmCommandSet)
            throw new VfioException("use as a disk", Name, Errno.NotSupported, "it has no NVM command set");
        if (Capabilities.MinPageBytes > PageBytes)
        {
            throw new VfioException(
                "use as a disk", Name, Errno.NotSupported,
                $"its smallest memory page is {Capabilities.MinPageBytes} bytes, not {PageBytes}");
        }
    }

    internal string Name => _device.Name;

    internal Bar Registers { get; }

    internal NvmeCapabilities Capabilities { get; }

    /// <summary>Doorbells in memory; null where the controller has none.</summary>
    internal NvmeShadowDoorbells? Shadow { get; set; }

    internal NvmeVersion Version => new(Registers.Read32(NvmeRegisters.Version));

    /// <summary>Stops it: registers as after power-on, queues gone, no more DMA.</summary>
    internal void Disable()
    {
        uint configuration = Registers.Read32(Configuration);
        if (configuration == uint.MaxValue)
            throw Gone("reset");
        if ((configuration & Enable) != 0)
        {
            // Not before it is ready: section 3.1.5, CC.EN. A controller that failed never gets there.
            WaitUntil(status => status.IsReady || status.IsFatal, Capabilities.ReadyTimeout, "reset", "it was not ready to be disabled");
            Registers.Write32(Configuration, configuration & ~(Enable | ShutdownMask));
        }

        WaitUntil(status => !status.IsReady, Capabilities.ReadyTimeout, "reset", "it stays ready");
    }

    /// <summary>Starts it with its admin queues.</summary>
    internal void Start(Iova submissions, Iova completions, int entries)
    {
        uint size = (uint)(entries - 1);
        Registers.Write32(AdminQueueAttributes, size << 16 | size);
        WriteAddress(AdminSubmissionQueue, submissions);
        WriteAddress(AdminCompletionQueue, completions);
        Registers.Write32(Configuration, EntrySizes | Enable);
        WaitUntil(
            status => status.IsFatal ? throw Fatal("enabling") : status.IsReady,
            Capabilities.ReadyTimeout, "enabling", "it does not become ready");
    }

    /// <summary>Has it bring its data to rest, then stops it.</summary>
    internal void ShutDown()
    {
        uint configuration = Registers.Read32(Configuration);
        if (configuration == uint.MaxValue || (configuration & Enable) == 0)
            return;
        Registers.Write32(Configuration, configuration & ~ShutdownMask | ShutdownNormal);
        WaitUntil(status => status.IsShutDown || status.IsFatal, ShutdownTimeout, "shutdown", "it does not complete");
        Disable();
    }

    /// <summary>Looks whether the controller still is what it was when it was started.</summary>
    /// <exception cref="VfioException">ENODEV: it is gone; EIO: it failed, or somebody disabled it.</exception>
    public void ThrowIfDead(string operation)
    {
        NvmeControllerStatus status = ReadStatus(operation);
        if (status.IsFatal)
            throw Fatal(operation);
        if (!status.IsReady && !_device.IsPresent)
            throw Gone(operation);
        if (!status.IsReady)
            throw new VfioException(operation, Name, Errno.InputOutput, "the controller is disabled: somebody reset it");
    }

    /// <summary>Where the tail of a submission queue is written; the doorbell after it is the head of its completion queue.</summary>
    internal long TailDoorbell(int queue) => Doorbells + (2L * queue * Capabilities.DoorbellStrideBytes);

    /// <summary>Begins to wait for completions.</summary>
    internal NvmeWait BeginWait(string operation, TimeSpan timeout) => new(this, operation, timeout);

    /// <summary>The error of a command that was not completed.</summary>
    internal VfioException NotInTime(string operation, TimeSpan timeout) =>
        new(operation, Name, Errno.TimedOut, $"no completion within {timeout.TotalSeconds} s");

    private NvmeControllerStatus ReadStatus(string operation)
    {
        NvmeControllerStatus status = new(Registers.Read32(Status));
        return status.IsGone ? throw Gone(operation) : status;
    }

    private void WaitUntil(Func<NvmeControllerStatus, bool> condition, TimeSpan timeout, string operation, string otherwise)
    {
        Deadline end = new(timeout);
        SpinWait spin = default;
        while (!condition(ReadStatus(operation)))
        {
            if (end.HasPassed)
                throw new VfioException(operation, Name, Errno.TimedOut, $"{otherwise} within {timeout.TotalSeconds} s");
            spin.SpinOnce();
        }
    }

    private void WriteAddress(long register, Iova address)
    {
        Registers.Write32(register, (uint)address.Value);
        Registers.Write32(register + 4, (uint)(address.Value >> 32));
    }

    private VfioException Fatal(string operation) =>
        new(operation, Name, Errno.InputOutput, "the controller reports a fatal error (CSTS.CFS); open it again to reset it");

    private VfioException Gone(string operation) =>
        new(operation, Name, Errno.NoDevice, "it was removed, or lost power");
}
