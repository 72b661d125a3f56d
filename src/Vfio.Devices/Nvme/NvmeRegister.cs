namespace Vfio.Devices.Nvme;

/// <summary>The registers of an NVMe controller below its doorbells, in the order of <see cref="NvmeRegisters.Map"/>.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 3.1.3.</remarks>
internal enum NvmeRegister
{
    /// <summary>CAP: controller capabilities.</summary>
    Capabilities,

    /// <summary>VS: version.</summary>
    Version,

    /// <summary>INTMS: interrupt mask set; for pins and MSI, which this controller has not.</summary>
    InterruptMaskSet,

    /// <summary>INTMC: interrupt mask clear.</summary>
    InterruptMaskClear,

    /// <summary>CC: controller configuration.</summary>
    Configuration,

    /// <summary>CSTS: controller status.</summary>
    Status,

    /// <summary>NSSR: NVM subsystem reset.</summary>
    SubsystemReset,

    /// <summary>AQA: sizes of the admin queues.</summary>
    AdminQueueAttributes,

    /// <summary>ASQ: where the admin submission queue is.</summary>
    AdminSubmissionQueue,

    /// <summary>ACQ: where the admin completion queue is.</summary>
    AdminCompletionQueue,

    /// <summary>CRTO: how long it takes to be ready.</summary>
    ReadyTimeouts,
}
