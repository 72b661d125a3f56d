using System.Runtime.InteropServices;

namespace Vfio.User.Wire;

/// <summary>Body of VERSION and of its reply: 4 bytes, then capabilities as JSON, ended by a NUL.</summary>
/// <remarks>vfio-user, section "VFIO_USER_VERSION". See <see cref="Capabilities"/>.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct VersionMessage
{
    /// <summary>Major version: changes when the format does; must be the same on both sides.</summary>
    public ushort Major;

    /// <summary>Minor version: changes when something is added; the lower one of both sides holds.</summary>
    public ushort Minor;
}
