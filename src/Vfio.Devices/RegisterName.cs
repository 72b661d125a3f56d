namespace Vfio.Devices;

/// <summary>A register of a known device.</summary>
/// <param name="Offset">Its offset in BAR0, in bytes.</param>
/// <param name="Bytes">Its width in bytes.</param>
/// <param name="Name">Its name.</param>
internal readonly record struct RegisterName(ulong Offset, int Bytes, string Name);
