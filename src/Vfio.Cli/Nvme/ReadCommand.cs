using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Nvme;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Cli.Nvme;

/// <summary>Reads a range of a namespace to a file or to standard output.</summary>
internal static class ReadCommand
{
    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("read", "Read a range to standard output or a file.");
        NumberOption<ulong> offset = NvmeArguments.Offset();
        NumberOption<ulong> count = new(
            "--count", NumberRules.Size<ulong>(0, SharedOptions.MaxOffset, 4096), 4096, "How many bytes; 0 for all up to the end.");
        Option<string?> file = new("--output", "-o") { HelpName = "file", Description = "The file to write; by default standard output." };
        NumberOption<uint> id = NvmeArguments.Namespace();
        command.Add(offset);
        command.Add(count);
        command.Add(file);
        command.Add(id);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(file) is null && !Console.IsOutputRedirected)
                throw new MisuseException("A disk's data is binary: add --output FILE, or a pipe such as '| xxd'.");
            using NvmeController controller = NvmeArguments.Open(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            using NvmeBlockDevice disk = controller.FindNamespace(parsed.GetValue(id)).Open();
            ulong start = parsed.GetValue(offset);
            ulong bytes = parsed.GetValue(count);
            if (bytes == 0 && start <= (ulong)disk.Length)
                bytes = (ulong)disk.Length - start;
            NvmeArguments.CheckRange(disk, start, bytes);
            using Stream output = parsed.GetValue(file) is { } path ? UserFile.Create(path) : StandardStream.Output;
            Copy(disk, (long)start, (long)bytes, output);
        });
        return command;
    }

    private static void Copy(NvmeBlockDevice disk, long offset, long count, Stream output)
    {
        byte[] piece = new byte[Math.Min(NvmeArguments.PieceBytes, count)];
        using Progress progress = new("read", count);
        for (long done = 0; done < count; progress.Report(done))
        {
            Span<byte> next = piece.AsSpan(0, (int)Math.Min(piece.Length, count - done));
            disk.Read(offset + done, next);
            output.Write(next);
            done += next.Length;
        }

        output.Flush();
    }
}
