using Vfio.Broker.Policies;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Broker.Leases;

/// <summary>Finds the devices that a name of a user's means.</summary>
/// <param name="topology">The functions of this machine.</param>
internal sealed class DeviceFinder(PciTopology topology)
{
    /// <summary>The devices of a name, in the order of the policy.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="name">An entry's name, a pool's, or the address of a function.</param>
    internal IReadOnlyList<Candidate> Find(BrokerPolicy policy, string name)
    {
        if (policy.Devices.TryGetValue(name, out PolicyDevice? entry))
            return [.. Expand(entry)];
        if (PciAddress.TryParse(name, out PciAddress function))
        {
            string address = function.ToString();
            return [.. policy.Devices.Values.SelectMany(Expand).Where(device => Candidate.PlaceOf(device.Address) == address).Take(1)];
        }

        return [.. policy.Devices.Values.Where(device => device.Pool == name).SelectMany(Expand)];
    }

    private IEnumerable<Candidate> Expand(PolicyDevice entry)
    {
        if (entry.Match is { } match)
        {
            foreach (KernelFunction function in topology.Functions)
            {
                if (FactsOf(function) is { } facts && match.Fits(facts))
                    yield return new Candidate(entry, function.Address.ToString(), function.Address.ToString(), facts);
            }
        }
        else if (entry.Address is { } address)
        {
            MatchFacts? facts = PciAddress.TryParse(Candidate.PlaceOf(address), out PciAddress place) ? FactsAt(place) : null;
            yield return new Candidate(entry, entry.Name, address, facts);
        }
    }

    private MatchFacts? FactsAt(PciAddress address)
    {
        try
        {
            return MatchFacts.Of(topology.Find(address));
        }
        catch (VfioException)
        {
            // It is not there now: no rule that refers to what it is fits.
            return null;
        }
    }

    private static MatchFacts? FactsOf(KernelFunction function)
    {
        try
        {
            return MatchFacts.Of(function);
        }
        catch (VfioException)
        {
            return null;
        }
    }
}
