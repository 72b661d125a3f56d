namespace Vfio.User.Handover;

/// <summary>What a session agreed on with its client.</summary>
/// <param name="ServerTransferBytes">Data bytes that the client may send in one message.</param>
/// <param name="ClientTransferBytes">Data bytes that it takes in one.</param>
/// <param name="MaxMappings">Live mappings.</param>
/// <param name="MaxDescriptors">Descriptors that it takes in one message.</param>
internal readonly record struct SessionLimits(int ServerTransferBytes, int ClientTransferBytes, int MaxMappings, int MaxDescriptors);
