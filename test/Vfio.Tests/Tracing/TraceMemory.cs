namespace Vfio.Tests.Tracing;

/// <summary>Memory of a driver in a test.</summary>
/// <param name="error">What it refuses every access with.</param>
internal sealed class TraceMemory(Errno error = Errno.None) : DmaMemory
{
    internal byte[] Bytes { get; } = new byte[4096];

    public override Errno Read(ulong offset, Span<byte> destination)
    {
        Bytes.AsSpan((int)offset, destination.Length).CopyTo(destination);
        return error;
    }

    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        if (error == Errno.None)
            source.CopyTo(Bytes.AsSpan((int)offset));
        return error;
    }

    protected override void Free()
    {
    }
}
