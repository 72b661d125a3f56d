using System.Text;

namespace Vfio.Kernel.Topology;

/// <summary>The folder of a device in sysfs. Each attribute and link is read at the time of the call.</summary>
/// <param name="path">The folder.</param>
/// <param name="device">The device's name, for messages.</param>
internal sealed class SysfsFolder(string path, string device)
{
    /// <summary>The path.</summary>
    internal string FullPath => path;

    /// <summary>The device's name.</summary>
    internal string Device => device;

    /// <summary>The driver that is bound to the device; null when none is.</summary>
    internal string? Driver => LinkName("driver");

    /// <summary>Number of its IOMMU group; null when it is in none.</summary>
    internal string? IommuGroup => LinkName("iommu_group");

    /// <summary>Its cdev below <c>/dev/vfio</c>: <c>devices/vfio0</c>; null when it is not assigned, or the kernel is older than 6.6.</summary>
    internal string? VfioDevice
    {
        get
        {
            string nodes = Path.Combine(path, "vfio-dev");
            string? node = Directory.Exists(nodes) ? Directory.EnumerateDirectories(nodes).Select(Path.GetFileName).FirstOrDefault() : null;
            return node is not null && Exists(Path.Combine("vfio-dev", node, "dev")) ? $"devices/{node}" : null;
        }
    }

    /// <summary>Whether it has an attribute.</summary>
    internal bool Exists(string name) => File.Exists(Path.Combine(path, name));

    /// <summary>An attribute's text; null when there is no such attribute.</summary>
    internal string? Text(string name) => Exists(name) ? Read(name, File.ReadAllText).Trim() : null;

    /// <summary>The name of a link's target; null when there is no such link.</summary>
    internal string? LinkName(string name)
    {
        string link = Path.Combine(path, name);
        return Path.Exists(link) ? Directory.ResolveLinkTarget(link, returnFinalTarget: false)?.Name : null;
    }

    /// <summary>Reads an attribute.</summary>
    /// <exception cref="VfioException">EACCES: this user may not read it; ENODEV: the device is gone.</exception>
    internal T Read<T>(string name, Func<string, T> read)
    {
        try
        {
            return read(Path.Combine(path, name));
        }
        catch (UnauthorizedAccessException)
        {
            throw new VfioException($"reading {name}", device, Errno.AccessDenied, "ask as root");
        }
        catch (IOException refusal)
        {
            throw Directory.Exists(path)
                ? new VfioException($"reading {name}", device, Errno.InputOutput, refusal.Message)
                : new VfioException($"reading {name}", device, Errno.NoDevice, "list the functions that are here with 'vfio ls'");
        }
    }

    /// <summary>Writes an attribute.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    internal void Write(string name, string value)
    {
        // By the name as given, without resolving links: the device's folder is a link.
        string attributePath = Path.GetFullPath(Path.Combine(path, name));
        try
        {
            using FileStream attribute = new(attributePath, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            attribute.Write(Encoding.ASCII.GetBytes(value));
        }
        catch (UnauthorizedAccessException)
        {
            throw new VfioException($"writing {Path.GetFileName(name)}", device, Errno.AccessDenied, "only root may");
        }
        catch (IOException refusal)
        {
            // .NET keeps the errno of a refused write in the low bits.
            Errno errno = (refusal.HResult & 0xffff) is > 0 and < 4096 and int number ? (Errno)number : Errno.NoDevice;
            throw new VfioException($"writing {value.Trim()} to {Path.GetFileName(name)}", device, errno);
        }
    }
}
