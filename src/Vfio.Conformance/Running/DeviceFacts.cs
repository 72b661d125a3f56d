using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>What a server says of itself and its device, asked once before the checks.</summary>
internal sealed record DeviceFacts
{
    /// <summary>What it offered.</summary>
    internal Capabilities Capabilities { get; private init; }

    /// <summary>DEVICE_GET_INFO.</summary>
    internal DeviceInfoMessage Info { get; private init; }

    /// <summary>DEVICE_GET_REGION_INFO of each index.</summary>
    internal IReadOnlyList<RegionInfoMessage> Regions { get; private init; } = [];

    /// <summary>DEVICE_GET_IRQ_INFO of each index.</summary>
    internal IReadOnlyList<IrqInfoMessage> Interrupts { get; private init; } = [];

    /// <summary>Vendor in bits 15:0 and device in bits 31:16 of a PCI function; 0 where they cannot be read.</summary>
    internal uint Identity { get; private init; }

    /// <summary>Whether region 7 is config space.</summary>
    internal bool IsPci => Info.Flags.HasFlag(DeviceFlags.Pci);

    /// <summary>Data bytes that the server takes in one message.</summary>
    internal ulong MaxTransferBytes => Capabilities.MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes;

    /// <summary>One byte more than that, in as many bits as a count has.</summary>
    internal uint TooManyBytes => (uint)Math.Min(MaxTransferBytes, uint.MaxValue - 1) + 1;

    /// <summary>Descriptors that the server takes in one message, and this side sends.</summary>
    internal int MaxDescriptors => (int)Math.Min(Capabilities.MaxMessageDescriptors ?? 1, UnixSocket.MaxDescriptors);

    /// <summary>Asks.</summary>
    internal static DeviceFacts Learn(Trial trial)
    {
        Peer peer = trial.Open();
        if (!CapabilitiesJson.TryRead(peer.Agreed!.VersionData, out Capabilities capabilities))
            throw CheckEndedException.Violation("the reply to VERSION has no capabilities that can be read");
        DeviceInfoMessage info = peer.MustDo(Requests.DeviceInfo()).At<DeviceInfoMessage>(0);
        if (info.RegionCount > 1000 || info.InterruptCount > 1000)
            throw CheckEndedException.Violation($"{info.RegionCount} regions and {info.InterruptCount} kinds of interrupt cannot be");
        List<RegionInfoMessage> regions = [];
        for (uint i = 0; i < info.RegionCount; i++)
        {
            Received reply = peer.Ask(Requests.RegionInfo(i));
            regions.Add(reply.IsRefusal ? new RegionInfoMessage { Index = i } : reply.At<RegionInfoMessage>(0));
        }

        List<IrqInfoMessage> interrupts = [];
        for (uint i = 0; i < info.InterruptCount; i++)
        {
            Received reply = peer.Ask(Requests.IrqInfo(i));
            interrupts.Add(reply.IsRefusal ? new IrqInfoMessage { Index = i } : reply.At<IrqInfoMessage>(0));
        }

        DeviceFacts facts = new() { Capabilities = capabilities, Info = info, Regions = regions, Interrupts = interrupts };
        if (!facts.HasConfig)
            return facts;
        Received identity = peer.Ask(Requests.Read(7, 0, 4));
        return facts with { Identity = identity.IsRefusal ? 0 : identity.At<uint>(16) };
    }

    /// <summary>Config space, as a place for accesses without side effects.</summary>
    internal RegionInfoMessage Config => HasConfig ? Regions[7] : throw CheckEndedException.Skip("the device has no config space");

    /// <summary>The first region that has all of these flags and at least a size.</summary>
    internal RegionInfoMessage RegionWith(RegionFlags flags, string otherwise)
    {
        foreach (RegionInfoMessage region in Regions)
        {
            if (region.Size > 0 && ((RegionFlags)region.Flags & flags) == flags)
                return region;
        }

        throw CheckEndedException.Skip(otherwise);
    }

    /// <summary>An index without a region.</summary>
    internal uint AbsentRegion
    {
        get
        {
            foreach (RegionInfoMessage region in Regions)
            {
                if (region.Size == 0)
                    return region.Index;
            }

            throw CheckEndedException.Skip("the device has a region at every index");
        }
    }

    /// <summary>The kind of interrupt with most vectors that eventfds can be bound to, of those that a device fires.</summary>
    internal IrqInfoMessage Interrupt
    {
        get
        {
            IrqInfoMessage best = default;
            foreach (IrqInfoMessage interrupt in Interrupts)
            {
                if (interrupt.Index < 3 && interrupt.Count > best.Count && interrupt.Flags.HasFlag(InterruptFlags.EventFd))
                    best = interrupt;
            }

            return best.Count > 0 ? best : throw CheckEndedException.Skip("the device has no interrupt that takes an eventfd");
        }
    }

    private bool HasConfig => IsPci && Regions.Count > 7 && Regions[7].Size >= 64;
}
