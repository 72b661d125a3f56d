namespace Vfio.Devices.Nvme;

/// <summary>The registers of an NVMe controller below its doorbells, in the order of <see cref="NvmeRegisters.Map"/>.</summary>
/// <remarks>Sections are of NVM Express Base Specification 1.4.</remarks>
internal enum NvmeRegister
{
    /// <summary>CAP: controller capabilities; section 3.1.1.</summary>
    Capabilities,

    /// <summary>VS: version; section 3.1.2.</summary>
    Version,

    /// <summary>INTMS: interrupt mask set; for pins and MSI, which this controller has not; section 3.1.3.</summary>
    InterruptMaskSet,

    /// <summary>INTMC: interrupt mask clear; section 3.1.4.</summary>
    InterruptMaskClear,

    /// <summary>CC: controller configuration; section 3.1.5.</summary>
    Configuration,

    /// <summary>CSTS: controller status; section 3.1.6.</summary>
    Status,

    /// <summary>AQA: sizes of the admin queues; section 3.1.8.</summary>
    AdminQueueAttributes,

    /// <summary>ASQ: where the admin submission queue is; section 3.1.9.</summary>
    AdminSubmissionQueue,

    /// <summary>ACQ: where the admin completion queue is; section 3.1.10.</summary>
    AdminCompletionQueue,
}
