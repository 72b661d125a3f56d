namespace Vfio.Tracing.Format;

/// <summary>Where events go to; one thread calls it.</summary>
internal interface ITraceSink : IDisposable
{
    /// <summary>Whether it takes no more events.</summary>
    bool IsDone => false;

    /// <summary>Takes an event.</summary>
    /// <param name="record">The event.</param>
    /// <param name="payload">Its data, in whole records.</param>
    /// <exception cref="IOException">It cannot be written: the trace ends.</exception>
    void Write(in TraceRecord record, ReadOnlySpan<byte> payload);

    /// <summary>Makes what was taken visible to readers; called when there is nothing more for now.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    void Flush();
}
