namespace Vfio.Drivers.Ethernet;

/// <summary>A port of an Ethernet controller that a program drives: frames out, frames in, in batches, without a copy by the driver.</summary>
/// <remarks>
/// <para>Frames are in buffers of the port's. A buffer belongs to the caller from <see cref="Receive"/> or <see cref="Take"/> until
/// <see cref="Transmit"/> or <see cref="Return"/>; a frame that was received may be changed in place and sent. Whoever keeps buffers
/// keeps them from the device: give each back, or nothing is received once all are kept.</para>
/// <para>One thread at a time. Nothing is allocated by the members that move frames. A device that is gone or broken is a
/// <see cref="VfioException"/>; a frame that the caller does not own is an <see cref="ArgumentException"/>.</para>
/// </remarks>
public interface IEthernetPort : IDisposable
{
    /// <summary>The device's address, for messages.</summary>
    string Name { get; }

    /// <summary>The station's own address: frames to it are received.</summary>
    MacAddress Address { get; }

    /// <summary>Whether there is a link now. Frames sent without one wait or are lost, as the device does it.</summary>
    bool IsLinkUp { get; }

    /// <summary>Longest frame that is sent and received, in bytes without frame check sequence: 1514 for 1500 bytes of data, 1518 with a
    /// VLAN tag.</summary>
    int MaxFrameBytes { get; }

    /// <summary>The memory of the frames; do not dispose it.</summary>
    EthernetBuffers Buffers { get; }

    /// <summary>Whether all frames are received, also those to others.</summary>
    /// <exception cref="VfioException">EPERM: whoever runs the port does not allow it.</exception>
    bool IsPromiscuous { get; set; }

    /// <summary>Takes what was received, without waiting.</summary>
    /// <param name="frames">Where they go; the caller owns the buffers of those that come.</param>
    /// <returns>How many; 0 when there are none.</returns>
    int Receive(Span<EthernetFrame> frames);

    /// <summary>Takes buffers for frames to send.</summary>
    /// <param name="frames">Where they go, each of length 0: put bytes in with <see cref="EthernetBuffers.Write"/>, and the length with
    /// <c>with</c>.</param>
    /// <returns>How many; fewer than asked for when they are all in use.</returns>
    int Take(Span<EthernetFrame> frames);

    /// <summary>Sends frames, in order; the device is told once, however many they are.</summary>
    /// <param name="frames">Of the caller's, each from 14 to <see cref="MaxFrameBytes"/> bytes.</param>
    /// <returns>How many of them, from the first, the port took; their buffers are not the caller's any more, the others still are.
    /// Fewer than all when the device has not sent enough of the earlier ones yet.</returns>
    int Transmit(ReadOnlySpan<EthernetFrame> frames);

    /// <summary>Gives buffers back unsent.</summary>
    /// <param name="frames">Of the caller's.</param>
    void Return(ReadOnlySpan<EthernetFrame> frames);

    /// <summary>Waits until <see cref="Receive"/> has something, or returns at once when it has.</summary>
    /// <param name="timeout">How long; zero only asks; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    bool Wait(TimeSpan timeout);

    /// <summary>Waits until <see cref="Receive"/> has something; no thread is blocked meanwhile where the device interrupts.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    ValueTask WaitAsync(CancellationToken cancellationToken = default);
}
