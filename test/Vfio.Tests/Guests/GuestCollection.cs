namespace Vfio.Tests.Guests;

/// <summary>The classes whose tests share one guest, one test at a time.</summary>
[CollectionDefinition(nameof(GuestCollection))]
public sealed class GuestCollection : ICollectionFixture<GuestFixture>;
