using System.Buffers.Binary;
using Vfio.Kernel;
using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Leases;

namespace Vfio;

/// <summary>Opens devices that a broker assigns.</summary>
internal static class LeasedDevice
{
    /// <summary>Asks the broker, and opens what it gives: a connection of vfio-user, or the kernel's descriptors.</summary>
    /// <param name="address">A lease's address.</param>
    /// <param name="options">The client's options.</param>
    /// <exception cref="VfioException">The broker refused, or what it gave is not what it should be.</exception>
    internal static IVfioDevice Open(DeviceAddress address, VfioUserClientOptions options)
    {
        using BrokerClient broker = BrokerClient.Connect(address.Broker, options.Timeout);
        BrokerReply reply = broker.Open(address.Place, out UnixSocket connection);
        string name = BrokerClient.NameOf(reply, address.Place);
        if (reply.Direct is null)
            return new VfioUserClient(connection, name, options);
        try
        {
            return Adopt(reply.Direct, connection, name, options.Timeout);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static OwnedDevice Adopt(string direct, UnixSocket connection, string name, TimeSpan timeout)
    {
        VfioInterface vfioInterface = direct switch
        {
            "group" => VfioInterface.Group,
            "cdev" => VfioInterface.Cdev,
            _ => throw new VfioException("open", name, Errno.Protocol, "the broker passes the device in a way that this version does not know"),
        };
        using DescriptorQueue descriptors = new();
        Deadline deadline = new(timeout);
        Span<byte> numberBytes = stackalloc byte[sizeof(uint)];
        int count;
        Errno error;
        while ((count = connection.Receive(numberBytes, descriptors, wait: false, out error)) < 0 && error == Errno.TryAgain)
        {
            if (!Poll.WaitReadable(connection.Descriptor, deadline.Left) && deadline.HasPassed)
                throw new VfioException("open", name, Errno.TimedOut, "the broker does not pass the device in time");
        }

        if (count != numberBytes.Length || descriptors.Count != 2)
            throw new VfioException("open", name, count < 0 ? error : Errno.Protocol, "the broker did not pass the device's descriptors");
        uint number = BinaryPrimitives.ReadUInt32LittleEndian(numberBytes);
        KernelDevice device = PassableDevice.Adopt(vfioInterface, descriptors.Take()!, descriptors.Take()!, number, name, out DmaSpace space);

        // The connection last: the broker takes the device back when it is closed, and it must be free by then.
        return new OwnedDevice(device, space, connection);
    }
}
