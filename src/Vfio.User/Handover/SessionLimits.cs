namespace Vfio.User.Handover;

/// <summary>The limits that a session negotiated with its client.</summary>
/// <param name="ServerTransferBytes">Data bytes that the client may send in one message.</param>
/// <param name="ClientTransferBytes">Data bytes that the client takes in one message.</param>
/// <param name="MaxMappings">The most live mappings.</param>
/// <param name="MaxDescriptors">Descriptors that the client takes in one message.</param>
internal readonly record struct SessionLimits(int ServerTransferBytes, int ClientTransferBytes, int MaxMappings, int MaxDescriptors);
