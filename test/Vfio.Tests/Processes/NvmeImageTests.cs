using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Vfio.Drivers.Nvme;
using Vfio.Tests.Devices;
using Vfio.User;

namespace Vfio.Tests.Processes;

/// <summary><c>vfio serve model:nvme?image=PATH</c> on real files: whose it is, what it may do to it, and what durable means, with the
/// kernel's failures made by strace.</summary>
public sealed class NvmeImageTests : IDisposable
{
    private const int ImageBytes = 1 << 20;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-image-").FullName;
    private readonly string _image;

    public NvmeImageTests()
    {
        _image = Path.Combine(_folder, "disk.raw");
        File.WriteAllBytes(_image, new byte[ImageBytes]);
    }

    private string Disk => "model:nvme?image=" + _image;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("EIO")]
    [InlineData("ENOSPC")]
    [InlineData("EDQUOT")]
    public void A_flush_that_the_kernel_fails_is_an_error_for_the_driver_and_stays_one(string errno)
    {
        // The kernel reports the error once: the second fsync succeeds.
        using Traced server = UnderStrace($"inject=fsync,fdatasync:error={errno}:when=1");
        using NvmeController controller = new(VfioUserClient.Connect(server.SocketPath));
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
        disk.Write(0, new byte[512]);
        for (int i = 0; i < 3; i++)
        {
            VfioException failure = Assert.Throws<VfioException>(disk.Flush);
            Assert.Equal(Errno.InputOutput, failure.Errno);
            Assert.Contains("write fault", failure.Message);
        }
    }

    [Theory]
    [InlineData("EIO")]
    [InlineData("ENOSPC")]
    public void A_write_that_the_kernel_fails_is_an_error_for_the_driver(string errno)
    {
        using Traced server = UnderStrace($"inject=pwrite64:error={errno}");
        using NvmeController controller = new(VfioUserClient.Connect(server.SocketPath));
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
        Assert.Contains("write fault", Assert.Throws<VfioException>(() => disk.Write(0, new byte[512])).Message);
        disk.Flush();
    }

    [Fact]
    public void Writes_with_force_unit_access_and_without_a_cache_are_synced_each()
    {
        string log = Path.Combine(_folder, "calls");
        using (Traced server = UnderStrace(null, log))
        using (DeviceRig nvme = new(VfioUserClient.Connect(server.SocketPath)))
        {
            nvme.Enable();
            nvme.CreatePair(1);
            for (int i = 0; i < 10; i++)
                Assert.Equal(0, nvme.Io(1, NvmeRig.Write, (ulong)i));
            Assert.Equal(0, Syncs(log));
            for (int i = 0; i < 50; i++)
                Assert.Equal(0, nvme.Io(1, NvmeRig.Write, (ulong)i, NvmeRig.ForceUnitAccess));
            NvmeRig.WaitUntil(() => Syncs(log) >= 50);
            Assert.Equal(0, nvme.Admin(0x09, dword10: 6, dword11: 0).Status);
            for (int i = 0; i < 50; i++)
                Assert.Equal(0, nvme.Io(1, NvmeRig.Write, (ulong)i));
            NvmeRig.WaitUntil(() => Syncs(log) >= 101);
            Assert.Equal(101, Syncs(log));
        }
    }

    [Fact]
    public void While_the_kernel_takes_long_to_sync_other_queues_a_reset_and_the_end_of_the_client_do_not_wait()
    {
        using Traced server = UnderStrace("inject=fsync,fdatasync:delay_enter=60000000");
        using (DeviceRig nvme = new(VfioUserClient.Connect(server.SocketPath)))
        {
            nvme.Enable();
            nvme.CreatePair(1);
            nvme.CreatePair(2);
            nvme.Begin(1, NvmeRig.Flush);
            for (int i = 0; i < 10; i++)
            {
                Assert.Equal(0, nvme.Io(2, NvmeRig.Read));
                Assert.Equal(0, nvme.Admin(0x06, NvmeRig.Data, 1).Status);
            }

            Assert.False(nvme.IsCompleted(1));
            nvme.Disable();
            nvme.Enable();
            nvme.CreatePair(1);
            Assert.Equal(0, nvme.Io(1, NvmeRig.Write));
            nvme.Begin(1, NvmeRig.Flush);
        }

        using DeviceRig next = new(VfioUserClient.Connect(server.SocketPath));
        next.Enable();
        next.CreatePair(1);
        Assert.Equal(0, next.Io(1, NvmeRig.Read));
    }

    [Fact]
    public void An_image_has_one_server_and_the_error_of_another_names_it()
    {
        using ServerProcess first = ServerProcess.Of(Disk);
        VfioCommand.Result second = Serve(Disk);
        Assert.NotEqual(0, second.ExitCode);
        string line = Assert.Single(second.Errors.Trim().Split('\n'));
        Assert.Contains(first.Id.ToString(CultureInfo.InvariantCulture), line);
        Assert.Contains(_image, line);
        VfioCommand.Result reader = Serve(Disk + "&readonly=1");
        Assert.NotEqual(0, reader.ExitCode);
        first.Terminate();
        using ServerProcess third = ServerProcess.Of(Disk);
    }

    [Fact]
    public void An_image_that_is_only_read_has_several_servers_and_none_that_writes()
    {
        byte[] before = File.ReadAllBytes(_image);
        using ServerProcess first = ServerProcess.Of(Disk + "&readonly=1");
        using ServerProcess second = ServerProcess.Of(Disk + "&readonly=1");
        Assert.NotEqual(0, Serve(Disk).ExitCode);
        using NvmeController controller = new(VfioUserClient.Connect(second.SocketPath));
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
        disk.Read(0, new byte[4096]);
        VfioException refusal = Assert.Throws<VfioException>(() => disk.Write(0, new byte[512]));
        Assert.Equal(Errno.OperationNotPermitted, refusal.Errno);
        Assert.Contains("write protected", refusal.Message);
        Assert.Equal(before, File.ReadAllBytes(_image));
    }

    [Fact]
    public void An_image_that_was_cut_off_is_never_grown_again()
    {
        using ServerProcess server = ServerProcess.Of(Disk);
        using NvmeController controller = new(VfioUserClient.Connect(server.SocketPath));
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
        disk.Write(ImageBytes - 512, new byte[512]);
        Resize(ImageBytes / 2);
        foreach (long at in new[] { ImageBytes - 512, ImageBytes / 2, ImageBytes - 4096 })
        {
            Assert.Contains("write fault", Assert.Throws<VfioException>(() => disk.Write(at, new byte[512])).Message);
            Assert.Contains("unrecovered read", Assert.Throws<VfioException>(() => disk.Read(at, new byte[512])).Message);
        }

        Assert.Equal(ImageBytes / 2, new FileInfo(_image).Length);
        disk.Write((ImageBytes / 2) - 512, new byte[512]);

        // What was lost is not durable, and does not come back when the file gets its old length.
        Assert.Throws<VfioException>(disk.Flush);
        Resize(ImageBytes);
        Assert.Throws<VfioException>(() => disk.Read(ImageBytes - 512, new byte[512]));
        Assert.Throws<VfioException>(disk.Flush);
    }

    [Fact]
    public void What_is_neither_file_nor_block_device_is_refused_in_one_line_at_once()
    {
        string fifo = Path.Combine(_folder, "fifo");
        Run("mkfifo", fifo);
        string socketPath = Path.Combine(_folder, "socket");
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(socketPath));
        string link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, fifo);
        string empty = Path.Combine(_folder, "empty");
        File.WriteAllBytes(empty, new byte[511]);
        string[] paths = [fifo, _folder, socketPath, "/dev/null", link, empty, Path.Combine(_folder, "missing")];
        foreach (string path in paths)
        {
            foreach (string more in new[] { "", "&readonly=1" })
            {
                VfioCommand.Result refused = Serve($"model:nvme?image={path}{more}");
                Assert.NotEqual(0, refused.ExitCode);
                Assert.Contains(path, Assert.Single(refused.Errors.Trim().Split('\n')));
            }
        }
    }

    [Fact]
    public void A_file_that_may_not_be_written_says_how_to_have_it()
    {
        // The kernel lets no user, not even root, open an attribute without a store method for writing.
        const string Unwritable = "/sys/kernel/notes";
        Assert.SkipUnless(File.Exists(Unwritable), "this kernel has no /sys/kernel/notes");
        VfioCommand.Result refused = Serve("model:nvme?image=" + Unwritable);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("readonly=1", Assert.Single(refused.Errors.Trim().Split('\n')));
    }

    [Fact]
    public void A_block_device_is_an_image_for_one_alone()
    {
        string? loop = TryAttachLoop();
        Assert.SkipWhen(loop is null, "no loop device can be attached here");
        try
        {
            using (ServerProcess server = ServerProcess.Of("model:nvme?image=" + loop))
            {
                using NvmeController controller = new(VfioUserClient.Connect(server.SocketPath));
                using NvmeBlockDevice disk = controller.FindNamespace(1).Open();
                Assert.Equal(ImageBytes, disk.Length);
                disk.Write(ImageBytes - 512, [.. Enumerable.Repeat((byte)7, 512)]);
                disk.Flush();
                Assert.Equal(7, File.ReadAllBytes(_image)[^1]);
                Assert.Contains("errno 16", Serve("model:nvme?image=" + loop).Errors);
            }
        }
        finally
        {
            Run("losetup", "-d", loop);
        }
    }

    [Fact]
    public void A_successor_gets_the_image_of_the_server_that_it_replaces()
    {
        using Servers servers = new(_folder, Disk);
        using VfioUserClient client = VfioUserClient.Connect(
            servers.SocketPath, new VfioUserClientOptions { ReconnectTimeout = TimeSpan.FromSeconds(60) });
        byte[] value = new byte[4];
        servers.ReplaceDuring(
            end =>
            {
                do
                {
                    client.ReadRegion(RegionIndex.Config, 0, value);
                }
                while (!end.IsCancellationRequested);
            },
            times: 2);
        client.ReadRegion(RegionIndex.Config, 0, value);
        Assert.Equal([0x46, 0x56, 0x56, 0x4e], value);

        // Only the last of them has it.
        Assert.NotEqual(0, Serve(Disk).ExitCode);
    }

    [Fact]
    public void A_live_drive_moves_to_another_server_twenty_times_and_loses_nothing()
    {
        const int Times = 20, Blocks = ImageBytes / 4096;
        using Servers servers = new(_folder, Disk);
        using (NvmeController controller = new(VfioUserClient.Connect(
            servers.SocketPath, new VfioUserClientOptions { ReconnectTimeout = TimeSpan.FromSeconds(60) })))
        using (NvmeBlockDevice disk = controller.FindNamespace(1).Open())
        {
            byte[] sent = new byte[4096];
            byte[] received = new byte[4096];
            int[] last = new int[Blocks];
            int count = 0;
            servers.ReplaceDuring(
                end =>
                {
                    do
                    {
                        int block = count % Blocks;
                        if (last[block] != 0)
                        {
                            disk.Read(block * 4096L, received);
                            Assert.Equal(last[block], BitConverter.ToInt32(received, 8));
                        }

                        last[block] = ++count;
                        BitConverter.TryWriteBytes(sent.AsSpan(8), count);
                        disk.Write(block * 4096L, sent);
                    }
                    while (!end.IsCancellationRequested);
                },
                Times);
            disk.Flush();
            byte[] image = File.ReadAllBytes(_image);
            Assert.All(Enumerable.Range(0, Blocks), block => Assert.Equal(last[block], BitConverter.ToInt32(image, (block * 4096) + 8)));
        }

        // The last one has the image for itself.
        Assert.NotEqual(0, Serve(Disk).ExitCode);
        Assert.NotEqual(0, Serve(Disk + "&readonly=1").ExitCode);
        servers.AssertNothingLeaks();
    }

    [Fact]
    public void Blocks_that_are_given_back_are_holes_in_the_image()
    {
        const byte WriteZeroes = 0x08, DatasetManagement = 0x09;
        File.WriteAllBytes(_image, [.. Enumerable.Repeat((byte)7, ImageBytes)]);
        long full = PlaceOf(_image);
        using ServerProcess server = ServerProcess.Of(Disk);
        using DeviceRig nvme = new(VfioUserClient.Connect(server.SocketPath));
        nvme.Enable();
        nvme.CreatePair(1);
        byte[] range = new byte[16];
        BitConverter.TryWriteBytes(range.AsSpan(4), 512);
        BitConverter.TryWriteBytes(range.AsSpan(8), 1024L);
        nvme.Poke(NvmeRig.Data, range);
        nvme.Submit(1, DatasetManagement, NvmeRig.Data, 0, 4, 0, space: 1);
        Assert.Equal(0, nvme.Take(1).Status);
        Assert.InRange(PlaceOf(_image), 1, full - (256 << 10));
        long rest = PlaceOf(_image);
        Assert.Equal(0, nvme.Range(1, WriteZeroes, 0, 512, prp1: 0, dword12: 1 << 25));
        Assert.InRange(PlaceOf(_image), 1, rest - (256 << 10));
        byte[] image = File.ReadAllBytes(_image);
        Assert.Equal(ImageBytes, image.Length);
        Assert.All(Enumerable.Range(0, 2048), block => Assert.Equal(block < 512 || block is >= 1024 and < 1536 ? 0 : 7, image[block * 512]));
    }

    /// <summary>How many bytes of a file take place.</summary>
    private static long PlaceOf(string path)
    {
        using Process process = Process.Start(new ProcessStartInfo("stat", ["-c", "%b", path]) { RedirectStandardOutput = true })!;
        string blocks = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return 512 * long.Parse(blocks, CultureInfo.InvariantCulture);
    }

    private void Resize(long length) =>
        Run("truncate", "-s", length.ToString(CultureInfo.InvariantCulture), _image);

    private Traced UnderStrace(string? injection, string? log = null)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/strace"), "strace is not installed");
        string[] fault = injection is null ? [] : ["-e", injection];
        string traced = injection is null ? "trace=fsync,fdatasync" : $"trace={injection.Split('=', ':')[1]}";
        return new Traced(ServerProcess.Under(["strace", "-f", "-q", "--seccomp-bpf", "-o", log ?? "/dev/null", "-e", traced, .. fault], Disk));
    }

    private static int Syncs(string log) => File.ReadLines(log).Count(line => line.Contains("sync(", StringComparison.Ordinal));

    private VfioCommand.Result Serve(string address) =>
        VfioCommand.Run("serve", address, "--socket", Path.Combine(_folder, Guid.NewGuid().ToString("N")[..8]));

    private string? TryAttachLoop()
    {
        if (Environment.UserName != "root" || !File.Exists("/usr/sbin/losetup") || !File.Exists("/dev/loop-control"))
            return null;
        using Process process = Process.Start(new ProcessStartInfo("losetup", ["-f", "--show", _image])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        string name = process.StandardOutput.ReadToEnd().Trim();
        process.WaitForExit();
        return process.ExitCode == 0 ? name : null;
    }

    private static void Run(string program, params string[] words)
    {
        using Process process = Process.Start(program, words);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>A server under strace, which would go on without it.</summary>
    private sealed class Traced(ServerProcess server) : IDisposable
    {
        internal string SocketPath => server.SocketPath;

        public void Dispose()
        {
            server.Terminate();
            server.Dispose();
        }
    }
}
