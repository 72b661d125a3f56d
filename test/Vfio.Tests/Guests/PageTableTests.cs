using Vfio.Tests.Guests.Inside;

namespace Vfio.Tests.Guests;

/// <summary>iommufd's page tables on the kernel's IOMMU of software, which works where there is no other.</summary>
[Collection(nameof(GuestCollection))]
public sealed class PageTableTests(GuestFixture guest)
{
    [Fact]
    public void A_page_table_that_tracks_writes_reports_them() => LibraryTests.AssertPasses(guest.Need(), "", 1, typeof(MockIommuTests));
}
