namespace Vfio.Tests.Fuzz;

/// <summary>A message of a session that is tried: perhaps broken.</summary>
/// <param name="Bytes">All of it, with its header.</param>
/// <param name="Descriptors">How many descriptors go with it: of the files that the fuzzer has, in turn.</param>
/// <param name="Cut">Where it is sent in two parts; 0 for in one.</param>
internal sealed record FuzzMessage(byte[] Bytes, int Descriptors = 0, int Cut = 0);
