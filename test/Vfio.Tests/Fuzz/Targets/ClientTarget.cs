using Vfio.User;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A client, and a server that said everything before it was asked.</summary>
internal static class ClientTarget
{
    private static readonly VfioUserClientOptions Options = new() { Timeout = TimeSpan.FromMilliseconds(1), SpinTime = TimeSpan.Zero };

    public static void Run(byte[] bytes)
    {
        using Pair pair = new(bytes, areMessages: true);
        try
        {
            using VfioUserClient client = new(pair.Ours, "unix:fuzz", Options);
            for (uint region = 0; region < Math.Min(9, (uint)client.Info.RegionCount); region++)
                _ = client.GetRegion(new RegionIndex(region));
            byte[] four = new byte[4];
            client.ReadRegion(RegionIndex.Config, 0, four);
            client.WriteRegion(RegionIndex.Bar0, 0, four);
            client.Reset();
        }
        catch (VfioException)
        {
            // What a server says wrong is an error with its errno.
        }
    }
}
