namespace Vfio.Tracing.Recording;

/// <summary>The data of a request for interrupts, as a trace keeps it: a byte for each vector that has an eventfd or is meant.</summary>
internal static class VectorFlags
{
    // A kind has at most 2048 vectors; a request for more is refused, and its first ones say what it was.
    private const int MaxVectors = 2048;

    /// <summary>How many bytes a request has.</summary>
    internal static int CountOf(in InterruptRequest request) =>
        request.Data == InterruptData.None ? 0 : Math.Clamp(request.Count, 0, MaxVectors);

    /// <summary>Writes the bytes of a request, 0 or 1 each.</summary>
    /// <param name="request">The request.</param>
    /// <param name="flags">Receives <see cref="CountOf"/> bytes.</param>
    internal static void Write(in InterruptRequest request, Span<byte> flags)
    {
        for (int i = 0; i < flags.Length; i++)
        {
            bool isMeant = request.Data == InterruptData.Bools ? request.Bools[i] != 0 : request.Events[i] is not null;
            flags[i] = isMeant ? (byte)1 : (byte)0;
        }
    }
}
