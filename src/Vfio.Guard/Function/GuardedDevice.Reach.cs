namespace Vfio.Guard.Function;

/// <content>What the function's own threads query about its user's memory.</content>
internal sealed partial class GuardedDevice
{
    internal int AccessesAtOwner => _dma.AccessesAtOwner;

    internal bool IsReachedDirectly(Iova address, ulong length) => _dma.IsReachedDirectly(address, length);

    internal bool IsOwnerAsking(Iova address) => _dma.IsOwnerAsking(address);
}
