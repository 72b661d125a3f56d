namespace Vfio.Drivers.Ethernet;

/// <summary>A frame in one of a port's buffers: which buffer, and how much of it is the frame.</summary>
/// <param name="Buffer">The buffer's number, from 0 to below <see cref="EthernetBuffers.Count"/>.</param>
/// <param name="Length">Bytes from the destination address to the end of the data; neither preamble nor frame check sequence.</param>
public readonly record struct EthernetFrame(int Buffer, int Length);
