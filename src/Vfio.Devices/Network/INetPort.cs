namespace Vfio.Devices.Network;

/// <summary>A port of an emulated device, as its <see cref="NetBackend"/> sees it. Any thread.</summary>
internal interface INetPort
{
    /// <summary>The longest frame that a port sends or receives, in bytes, without the frame check sequence.</summary>
    const int LongestFrame = 16 << 10;

    /// <summary>Whether frames are received now, rather than dropped.</summary>
    bool IsReceiving { get; }

    /// <summary>Receives a frame now. One that the port would drop is received too.</summary>
    /// <returns>False when there is no room for it now.</returns>
    bool TryReceive(ReadOnlySpan<byte> frame);

    /// <summary>Waits for room, for a while.</summary>
    /// <param name="bytes">Length of the frame that there was no room for.</param>
    /// <param name="timeout">How long at most.</param>
    void WaitForRoom(int bytes, TimeSpan timeout);

    /// <summary>Receives a frame, or drops and counts it when there is no room for it within a fiftieth of a second. A port that takes
    /// nothing costs its senders that once, and not again until it has taken something.</summary>
    void Receive(ReadOnlySpan<byte> frame);

    /// <summary>Has <see cref="NetBackend.IsUp"/> looked at.</summary>
    void LinkChanged();
}
