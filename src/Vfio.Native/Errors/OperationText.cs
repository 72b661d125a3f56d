using System.Buffers;

namespace Vfio.Native.Errors;

/// <summary>What was being done, in plain words with the target in their place.</summary>
internal static class OperationText
{
    private static readonly SearchValues<char> Capitals = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

    // An operation is a system call, a request to the kernel, a command of vfio-user, or a noun or verb of ours. The last need words only
    // where "reset on X" would read badly.
    private static readonly Dictionary<string, string> Texts = new(StringComparer.Ordinal)
    {
        ["accept"] = "accepting a client on {0}",
        ["address"] = "reading the address {0}",
        ["asking the broker"] = "asking the broker at {0}",
        ["bind"] = "binding {0}",
        ["check"] = "choosing checks by {0}",
        ["connect"] = "connecting to {0}",
        ["connecting to the broker"] = "connecting to the broker at {0}",
        ["create"] = "creating {0}",
        ["dup"] = "duplicating {0}",
        ["epoll_create1"] = "making an event queue for {0}",
        ["epoll_ctl"] = "waiting for {0}",
        ["eventfd"] = "making an eventfd for {0}",
        ["factorial"] = "computing a factorial with {0}",
        ["fcntl(F_ADD_SEALS)"] = "sealing {0}",
        ["fstat"] = "looking at {0}",
        ["giving"] = "giving {0}",
        ["handover"] = "handing over {0}",
        ["hold"] = "holding {0}",
        ["assigning"] = "assigning {0}",
        ["listen"] = "listening on {0}",
        ["reading the policy"] = "reading the policy {0}",
        ["revoke"] = "revoking {0}",
        ["look-up of user"] = "looking up the user {0}",
        ["mapping"] = "mapping {0}",
        ["making the folder"] = "making the folder {0}",
        ["memfd_create"] = "making the memory file {0}",
        ["migration"] = "migrating {0}",
        ["open"] = "opening {0}",
        ["opening"] = "opening {0}",
        ["opening as a disk"] = "opening {0} as a disk",
        ["random reads"] = "reading {0} at random",
        ["reading functions"] = "reading functions from {0}",
        ["reading a table"] = "reading a device table at {0}",
        ["reading the register table"] = "reading the register table {0}",
        ["reading the trace"] = "reading the trace {0}",
        ["reading the undo record"] = "reading the undo record {0}",
        ["reconnecting"] = "reconnecting to {0}",
        ["replaying"] = "replaying {0}",
        ["reset"] = "resetting {0}",
        ["setsockopt"] = "setting up {0}",
        ["seccomp"] = "putting a filter of system calls before {0}",
        ["socket"] = "making a socket for {0}",
        ["socket address"] = "reading the socket path {0}",
        ["socketpair"] = "making sockets for {0}",
        ["starting"] = "starting {0}",
        ["taking over"] = "taking over from {0}",
        ["the connection"] = "talking to {0}",
        ["timerfd_create"] = "making a timer for {0}",
        ["timerfd_settime"] = "setting a timer of {0}",
        ["tracing"] = "tracing {0}",
        ["unbind"] = "unbinding {0}",
        ["use"] = "using {0}",
        ["use as a disk"] = "using {0} as a disk",
        ["use of a passed descriptor"] = "using the passed {0}",
        ["use of interrupts"] = "using interrupts of {0}",
        ["virtual functions"] = "changing the virtual functions of {0}",
        ["watching files"] = "watching files of {0}",
        ["write"] = "writing to {0}",
        ["writing the trace"] = "writing the trace {0}",

        ["DEVICE_GET_INFO"] = "asking {0} what device it has",
        ["DEVICE_GET_REGION_INFO"] = "asking {0} about a region",
        ["DEVICE_GET_IRQ_INFO"] = "asking {0} about an interrupt",
        ["DEVICE_RESET"] = "resetting {0}",
        ["DEVICE_SET_IRQS"] = "setting up interrupts of {0}",
        ["DMA_MAP"] = "mapping memory for {0}",
        ["DMA_UNMAP"] = "unmapping memory of {0}",
        ["MIG_DATA_READ"] = "saving the state of {0}",
        ["MIG_DATA_WRITE"] = "restoring the state of {0}",
        ["REGION_READ"] = "reading a region of {0}",
        ["REGION_WRITE"] = "writing to a region of {0}",
        ["VERSION"] = "agreeing on a version with {0}",

        ["IOMMU_DESTROY"] = "releasing an object of {0}",
        ["IOMMU_GET_HW_INFO"] = "asking {0} about the IOMMU",
        ["IOMMU_HWPT_ALLOC"] = "making a page table with {0}",
        ["IOMMU_HWPT_GET_DIRTY_BITMAP"] = "asking {0} what was written",
        ["IOMMU_HWPT_SET_DIRTY_TRACKING"] = "starting or stopping dirty tracking with {0}",
        ["IOMMU_IOAS_ALLOC"] = "making an address space with {0}",
        ["IOMMU_IOAS_IOVA_RANGES"] = "asking {0} for the addresses that devices can use",
        ["IOMMU_IOAS_MAP"] = "mapping memory with {0}",
        ["IOMMU_IOAS_UNMAP"] = "unmapping memory with {0}",
        ["VFIO_CHECK_EXTENSION"] = "asking {0} what it can do",
        ["VFIO_DEVICE_ATTACH_IOMMUFD_PT"] = "giving {0} an address space",
        ["VFIO_DEVICE_BIND_IOMMUFD"] = "binding {0} to iommufd",
        ["VFIO_DEVICE_DETACH_IOMMUFD_PT"] = "taking the address space from {0}",
        ["VFIO_DEVICE_FEATURE"] = "using a feature of {0}",
        ["VFIO_DEVICE_GET_INFO"] = "asking what device {0} is",
        ["VFIO_DEVICE_GET_IRQ_INFO"] = "asking about an interrupt of {0}",
        ["VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"] = "asking what a bus reset of {0} reaches",
        ["VFIO_DEVICE_GET_REGION_INFO"] = "asking about a region of {0}",
        ["VFIO_DEVICE_PCI_HOT_RESET"] = "resetting the bus of {0}",
        ["VFIO_DEVICE_RESET"] = "resetting {0}",
        ["VFIO_DEVICE_SET_IRQS"] = "setting up interrupts of {0}",
        ["VFIO_GET_API_VERSION"] = "asking {0} for its version",
        ["VFIO_GROUP_GET_DEVICE_FD"] = "opening {0}",
        ["VFIO_GROUP_GET_STATUS"] = "asking for the status of {0}",
        ["VFIO_GROUP_SET_CONTAINER"] = "putting {0} into a container",
        ["VFIO_IOMMU_DIRTY_PAGES"] = "asking {0} what was written",
        ["VFIO_IOMMU_GET_INFO"] = "asking {0} about the IOMMU",
        ["VFIO_IOMMU_MAP_DMA"] = "mapping memory with {0}",
        ["VFIO_IOMMU_UNMAP_DMA"] = "unmapping memory with {0}",
        ["VFIO_MIG_GET_PRECOPY_INFO"] = "asking {0} how much state is left",
        ["VFIO_SET_IOMMU"] = "choosing the kind of IOMMU for {0}",
    };

    /// <summary>Says what was done with what.</summary>
    internal static string Of(string operation, string target) => Texts.TryGetValue(operation, out string? text)
        ? text.Replace("{0}", target, StringComparison.Ordinal)
        : $"{operation} on {target}";

    /// <summary>The operation's own name, beside the plain words, for a reader who looks it up: requests to the kernel and commands have
    /// one.</summary>
    internal static string? NameOf(string operation) =>
        operation.Length > 1 && !operation.AsSpan().ContainsAnyExcept(Capitals) ? operation : null;
}
