using Vfio.Broker.Policies;

namespace Vfio.Tests.Broker;

/// <summary>The file of a policy, which others may write to, replace or cut off while it is read.</summary>
public sealed class PolicyFileTests : IDisposable
{
    private const string One = "{ \"devices\": { \"one\": { \"address\": \"model:edu\" } }, \"rules\": [] }";
    private const string Two = "{ \"devices\": { \"two\": { \"address\": \"model:edu\" }, \"three\": { \"address\": \"model:edu\" } }, \"rules\": [] }";
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-policy-").FullName;

    private string PolicyPath => Path.Combine(_folder, "policy.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_policy_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one()
    {
        File.WriteAllText(PolicyPath, One);
        using CancellationTokenSource stop = new();
        int replaced = 0;
        Thread writer = new(() =>
        {
            for (; !stop.IsCancellationRequested; replaced++)
            {
                string next = Path.Combine(_folder, "next");
                File.WriteAllText(next, replaced % 2 == 0 ? Two : One);
                File.Move(next, PolicyPath, overwrite: true);
            }
        });
        writer.Start();
        try
        {
            for (int i = 0; i < 1000 || Volatile.Read(ref replaced) < 10; i++)
            {
                string names = string.Join(' ', PolicyFile.Load(PolicyPath).Devices.Keys.Order());
                Assert.True(names is "one" or "three two", names);
            }
        }
        finally
        {
            stop.Cancel();
            writer.Join();
        }
    }

    [Fact]
    public void A_policy_that_others_can_write_to_is_refused()
    {
        File.WriteAllText(PolicyPath, One);
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        foreach (UnixFileMode others in new[] { UnixFileMode.GroupWrite, UnixFileMode.OtherWrite })
        {
            File.SetUnixFileMode(PolicyPath, Mode | others);
            Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath)).Errno);
        }

        File.SetUnixFileMode(PolicyPath, Mode | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
        Assert.Single(PolicyFile.Load(PolicyPath).Devices);
    }

    [Fact]
    public void A_policy_in_whose_place_others_can_put_another_is_refused()
    {
        File.WriteAllText(PolicyPath, One);
        const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        foreach (UnixFileMode others in new[] { UnixFileMode.GroupWrite, UnixFileMode.OtherWrite })
        {
            File.SetUnixFileMode(_folder, Mode | others);
            Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath)).Errno);
            Assert.Single(PolicyFile.Load(PolicyPath, checkOwner: false).Devices);
        }

        // As in /tmp: only its owner can replace it there.
        File.SetUnixFileMode(_folder, Mode | UnixFileMode.OtherWrite | UnixFileMode.StickyBit);
        Assert.Single(PolicyFile.Load(PolicyPath).Devices);
        string link = Path.Combine(_folder, "link");
        File.CreateSymbolicLink(link, PolicyPath);
        Assert.Equal(Errno.TooManyLinks, Assert.Throws<VfioException>(() => PolicyFile.Load(link)).Errno);
    }

    [Fact]
    public void A_fifo_in_its_place_is_not_waited_for()
    {
        using (System.Diagnostics.Process maker = System.Diagnostics.Process.Start("mkfifo", [PolicyPath]))
            maker.WaitForExit();
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath)).Errno);
    }

    [Fact]
    public void What_is_no_file_or_too_large_is_refused()
    {
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath)).Errno);
        Assert.Throws<VfioException>(() => PolicyFile.Load(_folder));
        using (FileStream large = File.Create(PolicyPath))
            large.SetLength(1L << 30);
        Assert.Equal(Errno.MessageTooLong, Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath)).Errno);
    }

    [Fact]
    public void A_fault_is_reported_with_file_line_and_column()
    {
        File.WriteAllText(PolicyPath, "{\n  \"devices\": {},\n  \"rules\": 7,\n}\n");
        VfioException refusal = Assert.Throws<VfioException>(() => PolicyFile.Load(PolicyPath));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.Contains($"{PolicyPath}:3:12", refusal.Message, StringComparison.Ordinal);
    }
}
