using Microsoft.Extensions.Logging;

namespace Vfio.Kernel.Device;

/// <summary>The log messages of devices of the kernel.</summary>
internal static partial class KernelLog
{
    [LoggerMessage(50, LogLevel.Debug, "{Device}: opened by the {Interface} interface")]
    internal static partial void Opened(ILogger logger, string device, VfioInterface @interface);

    [LoggerMessage(51, LogLevel.Information, "{Device}: this user may not open {Node} and /dev/iommu both, so its group is opened")]
    internal static partial void FellBack(ILogger logger, string device, string node);
}
