using System.CommandLine;
using Vfio.Broker;
using Vfio.Broker.Leases;
using Vfio.Broker.Policies;
using Vfio.Cli.Leases;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Topology;
using Vfio.Native;

namespace Vfio.Cli.Verbs;

/// <summary>Checks and explains policies of the broker.</summary>
internal sealed class PolicyVerb() : Verb("policy", "Check and explain a policy of the broker.")
{
    // What a broker of this machine reads, with the unit files of the package.
    private const string UsualPath = "/etc/vfio/policy.json";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio policy check /etc/vfio/policy.json", "everything that is wrong, with line and column"),
        new("vfio policy explain alice nic-vf", "which rule decides whether alice gets one, and on which terms"),
        new("vfio policy schema > policy.schema.json", "the JSON schema, for editors"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        command.Add(CheckCommand());
        command.Add(ExplainCommand());
        Command schema = new("schema", "Print the JSON schema of policies.");
        schema.SetAction(parsed => parsed.InvocationConfiguration.Output.Write(PolicySchema.Read()));
        command.Add(schema);
    }

    private static Command CheckCommand()
    {
        Argument<string> file = new("file") { Description = "The policy." };
        Option<bool> json = SharedOptions.Json();
        Command command = new("check", "Check that a policy is valid.") { file, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetValue(file)!;
            TextWriter output = parsed.InvocationConfiguration.Output;
            BrokerPolicy? policy = PolicyReader.Read(PolicyFile.ReadBytes(path, checkOwner: false), out IReadOnlyList<PolicyFault> faults);
            if (parsed.GetValue(json))
                Json.Print(output, writer => PolicyPrinter.Write(writer, path, policy, faults));
            else if (policy is null)
                PolicyPrinter.Print(output, path, faults);
            else
                output.WriteLine($"{path} is valid: {policy.Devices.Count} devices, {policy.Rules.Count} rules");
            return policy is null ? CommandLine.Refused : 0;
        });
        return command;
    }

    private static Command ExplainCommand()
    {
        Argument<string> user = new("user") { Description = "A user of this machine, by name." };
        Argument<string> device = new("device") { Description = "A name of a device or a pool, or an address." };
        Option<string> file = new("--policy") { HelpName = "file", Description = $"The policy; {UsualPath} unless given.", DefaultValueFactory = _ => UsualPath };
        Option<bool> json = SharedOptions.Json();
        Command command = new("explain", "Say which rule decides, and what would be given.") { user, device, file, json };
        command.SetAction(parsed =>
        {
            string name = parsed.GetValue(device)!;
            TextWriter output = parsed.InvocationConfiguration.Output;
            BrokerPolicy policy = PolicyFile.Load(parsed.GetValue(file)!, checkOwner: false);
            UserAccount account = UserAccount.Find(parsed.GetValue(user)!);

            // Who has what now is the broker's knowledge: this is about the policy alone.
            LeaseDecision decision = LeaseDecision.Of(
                policy, Caller.Of(account), name, new DeviceFinder(new PciTopology(new KernelPaths().Sysfs)).Find(policy, name), _ => null, _ => 0);
            if (parsed.GetValue(json))
                Json.Print(output, writer => PolicyPrinter.Write(writer, account.Name, name, decision));
            else
                PolicyPrinter.Print(output, account.Name, name, decision);
            return decision.Error == Errno.None ? 0 : CommandLine.Refused;
        });
        return command;
    }
}
