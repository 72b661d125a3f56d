namespace Vfio.Devices.Edu;

/// <summary>One transfer of the DMA engine.</summary>
/// <param name="Memory">Where in memory, already cut to the width of the device's addresses.</param>
/// <param name="At">Where in the device's buffer, in bytes.</param>
/// <param name="Count">How many bytes; 0 when the range that was asked for is not inside the device's buffer.</param>
/// <param name="ToMemory">From the device to memory, rather than the other way.</param>
internal readonly record struct EduTransfer(Iova Memory, int At, int Count, bool ToMemory);
