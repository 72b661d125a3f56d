namespace Vfio.Tests.Guard;

/// <summary>Memory whose owner must be asked, and that counts who holds it.</summary>
internal sealed class FakeMemory(int length) : DmaMemory
{
    public byte[] Bytes { get; } = new byte[length];

    public bool IsFreed { get; private set; }

    /// <summary>Runs in every access, before it.</summary>
    public Action? OnAccess { get; set; }

    public override Errno Read(ulong offset, Span<byte> destination)
    {
        OnAccess?.Invoke();
        Bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        return Errno.None;
    }

    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        OnAccess?.Invoke();
        source.CopyTo(Bytes.AsSpan((int)offset));
        return Errno.None;
    }

    protected override void Free() => IsFreed = true;
}
