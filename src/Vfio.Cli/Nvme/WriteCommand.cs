using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Nvme;

namespace Vfio.Cli.Nvme;

/// <summary>Writes a file to a namespace.</summary>
internal static class WriteCommand
{
    private const string StandardInput = "-";

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("write", "Write a file to the disk; what is there is lost.");
        Argument<string> file = new("file") { Description = "The file to read, whole blocks; - for standard input." };
        NumberOption<ulong> offset = NvmeArguments.Offset();
        NumberOption<uint> id = NvmeArguments.Namespace();
        Option<bool> yes = new("--yes") { Description = "Confirm that the data there is overwritten." };
        command.Add(file);
        command.Add(offset);
        command.Add(id);
        command.Add(yes);
        command.SetAction(parsed =>
        {
            if (!parsed.GetValue(yes))
                throw new MisuseException("Writing overwrites the data there: add --yes.");
            string path = parsed.GetValue(file)!;
            using Stream input = path == StandardInput ? Console.OpenStandardInput() : UserFile.OpenRead(path);
            using NvmeController controller = NvmeArguments.Open(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            using NvmeBlockDevice disk = controller.FindNamespace(parsed.GetValue(id)).Open();
            long written = Copy(input, disk, parsed.GetValue(offset));
            parsed.InvocationConfiguration.Output.WriteLine($"wrote {written} bytes to {disk.Namespace} at {parsed.GetValue(offset)}");
        });
        return command;
    }

    private static long Copy(Stream input, NvmeBlockDevice disk, ulong offset)
    {
        byte[] piece = new byte[NvmeArguments.PieceBytes];
        ulong total = input.CanSeek ? (ulong)input.Length : 0;
        NvmeArguments.CheckRange(disk, offset, total);
        using Progress progress = new("write", (long)total);
        long done = 0;
        while (input.ReadAtLeast(piece, piece.Length, throwOnEndOfStream: false) is > 0 and int count)
        {
            NvmeArguments.CheckRange(disk, offset + (ulong)done, (ulong)count);
            disk.Write((long)offset + done, piece.AsSpan(0, count));
            done += count;
            progress.Report(done);
        }

        disk.Flush();
        return done;
    }
}
