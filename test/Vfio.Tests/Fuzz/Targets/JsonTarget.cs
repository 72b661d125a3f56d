using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>The JSON of VERSION; what was understood is written, and understood again.</summary>
internal static class JsonTarget
{
    public static void Run(byte[] bytes)
    {
        if (!CapabilitiesJson.TryRead(bytes, out Capabilities capabilities))
            return;
        if (!CapabilitiesJson.TryRead(CapabilitiesJson.Write(capabilities), out Capabilities again) || again != capabilities)
            throw new InvalidOperationException($"{capabilities} is written as {again}");
    }
}
