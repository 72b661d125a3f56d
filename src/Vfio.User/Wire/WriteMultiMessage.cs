using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Start of the body of REGION_WRITE_MULTI, and all of its reply: 8 bytes.</summary>
/// <remarks>vfio-user, section "VFIO_USER_REGION_WRITE_MULTI".</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct WriteMultiMessage
{
    /// <summary>Most writes that this library puts into one message.</summary>
    internal const int MaxSent = 128;

    /// <summary>How many <see cref="RegisterWriteMessage"/> follow; in the reply: how many were done.</summary>
    public ulong Count;
}

/// <summary>One write of REGION_WRITE_MULTI: 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct RegisterWriteMessage
{
    /// <summary>Region, offset, and a count of at most 8 bytes.</summary>
    public RegionAccessMessage Access;

    /// <summary>The bytes; those from the count on are ignored.</summary>
    public ulong Data;
}
