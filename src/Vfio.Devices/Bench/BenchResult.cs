using Vfio.Native;

namespace Vfio.Devices.Bench;

/// <summary>How a <see cref="BenchTransfer"/> ended.</summary>
/// <param name="Status">Why it stopped, or <see cref="Errno.None"/>.</param>
/// <param name="Segments">Mappings that the range of the last repeat lies in.</param>
/// <param name="Bytes">Bytes of all the repeats that succeeded.</param>
/// <param name="Nanoseconds">How long it took.</param>
internal readonly record struct BenchResult(Errno Status, int Segments, ulong Bytes, ulong Nanoseconds);
