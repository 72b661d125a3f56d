using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Nvme;

namespace Vfio.Cli.Verbs;

/// <summary>Drives an NVM Express disk.</summary>
internal sealed class NvmeVerb() : Verb("nvme", "Drive an NVMe disk: identify, read, write, bench.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio nvme 0000:01:00.0 identify", "the controller and its namespaces"),
        new("vfio nvme 0000:01:00.0 read --offset 0 --count 4096 | xxd", "the first 4 KiB of namespace 1"),
        new("vfio nvme 0000:01:00.0 write image.raw --offset 1048576 --yes", "write a file from 1 MiB on; overwrites the data there"),
        new("vfio nvme 0000:01:00.0 bench --depth 32 --seconds 10", "random reads of 4 KiB: time, rate, CPU time an I/O"),
        new("vfio nvme 0000:01:00.0 bench --depth 1 --interrupts", "the same, asleep until the disk interrupts"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(IdentifyCommand.Create(address, timeout));
        command.Add(ReadCommand.Create(address, timeout));
        command.Add(WriteCommand.Create(address, timeout));
        command.Add(BenchCommand.Create(address, timeout));
    }
}
