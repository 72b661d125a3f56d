using Vfio.User.Leases;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>Requests to a broker, and its replies; what was understood is written, and understood again.</summary>
internal static class BrokerTarget
{
    public static void Run(byte[] bytes)
    {
        if (BrokerJson.ReadRequest(bytes) is { } request && BrokerJson.ReadRequest(BrokerJson.Line(request)) != request)
            throw new InvalidOperationException($"{request} is written as something else");

        // A number can be too large to be written again.
        if (BrokerJson.ReadReply(bytes) is { } reply && double.IsFinite(reply.Within ?? 0) && !BrokerJson.Line(BrokerJson.ReadReply(BrokerJson.Line(reply))!).SequenceEqual(BrokerJson.Line(reply)))
            throw new InvalidOperationException($"{reply} is written as something else");
    }
}
