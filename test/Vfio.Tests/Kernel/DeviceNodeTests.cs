using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Tests.Kernel;

/// <summary>What the kernel says of real block devices: loop devices made here, where this user may.</summary>
public sealed class DeviceNodeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-loop-").FullName;
    private string? _loop;

    public void Dispose()
    {
        if (_loop is not null)
        {
            Run("umount", Path.Combine(_folder, "mnt"));
            Run("losetup", "-d", _loop);
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_mounted_file_system_is_in_use_and_one_that_is_not_is_free()
    {
        DeviceNumber number = MakeLoop();
        Assert.Equal(0, (int)DeviceNode.AskExclusive(_loop!, number));
        string place = Path.Combine(_folder, "mnt");
        Directory.CreateDirectory(place);
        (int status, string output) = Run("mount", _loop!, place);
        Assert.SkipWhen(status != 0, $"nothing can be mounted here: {output}");
        Assert.Equal(16, (int)DeviceNode.AskExclusive(_loop!, number));
        Assert.Equal(0, Run("umount", place).Status);
        Assert.Equal(0, (int)DeviceNode.AskExclusive(_loop!, number));
    }

    [Fact]
    public void A_program_that_has_a_disk_exclusively_is_a_use()
    {
        DeviceNumber number = MakeLoop();
        Assert.SkipWhen(Run("python3", "--version").Status != 0, "python3 is not there");
        using Process process = Process.Start(new ProcessStartInfo(
            "python3", ["-c", $"import os; f=os.open('{_loop}', os.O_RDONLY|os.O_EXCL); os.write(1, b'held\\n'); os.read(0, 1)"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        Assert.Equal("held", process.StandardOutput.ReadLine());
        Assert.Equal(16, (int)DeviceNode.AskExclusive(_loop!, number));
        process.StandardInput.Close();
        process.WaitForExit();
        Assert.Equal(0, (int)DeviceNode.AskExclusive(_loop!, number));
    }

    [Fact]
    public void A_node_that_is_a_link_or_another_device_is_not_opened()
    {
        DeviceNumber number = MakeLoop();
        string link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, _loop!);
        Assert.Equal(2, (int)DeviceNode.AskExclusive(link, number));
        Assert.Equal(2, (int)DeviceNode.AskExclusive(_loop!, number with { Minor = number.Minor + 1 }));
        Assert.Equal(2, (int)DeviceNode.AskExclusive("/dev/null", new DeviceNumber(1, 3)));
        Assert.Equal(2, (int)DeviceNode.AskExclusive(Path.Combine(_folder, "nothing"), number));
        Assert.Equal(2, (int)Assert.Throws<VfioException>(() => DeviceNode.ChangeOwner(link, number, 0, 0)).Errno);
    }

    private DeviceNumber MakeLoop()
    {
        Assert.SkipUnless(UserAccount.IsRoot, "only root makes loop devices");
        string image = Path.Combine(_folder, "image");
        using (FileStream file = File.Create(image))
            file.SetLength(4 << 20);
        Assert.SkipWhen(Run("mkfs.ext4", "-q", image).Status != 0, "mkfs.ext4 is not there");
        (int status, string output) = Run("losetup", "--find", "--show", image);
        Assert.SkipWhen(status != 0, $"no loop device can be made here: {output}");
        _loop = output.Trim();
        Assert.True(DeviceNumber.TryParse(File.ReadAllText($"/sys/class/block/{Path.GetFileName(_loop)}/dev"), out DeviceNumber number));
        Assert.SkipWhen(FileStatus.TryGet(_loop, follow: false) is not { Kind: FileKind.BlockDevice }, $"{_loop} has no node");
        return number;
    }

    private static (int Status, string Output) Run(string program, params string[] words)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, words)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            process.StandardInput.Close();
            string output = process.StandardOutput.ReadToEnd(), error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + error);
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            return (-1, missing.Message);
        }
    }
}
