namespace Vfio.Tests.User;

/// <summary>Memory that cannot be shared.</summary>
internal sealed class PrivateMemory(int length) : DmaMemory
{
    private readonly byte[] _bytes = new byte[length];

    internal bool IsFreed { get; private set; }

    public override Errno Read(ulong offset, Span<byte> destination)
    {
        _bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        return Errno.None;
    }

    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        source.CopyTo(_bytes.AsSpan((int)offset));
        return Errno.None;
    }

    protected override void Free() => IsFreed = true;
}
