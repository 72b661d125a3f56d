using Vfio.Kernel;
using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.Guests.Inside;

/// <summary>Migration of devices that Linux assigns: run inside a guest, as an ordinary user, by <see cref="LibraryTests"/>.</summary>
/// <remarks>The kernel's samples/vfio-mdev/mtty.c: a mediated PCI serial port, with version 2 of migration in all its states, and what it
/// is sent comes back. Its state is 24 bytes and 36 for each port.</remarks>
public sealed class MediatedSerialTests
{
    internal static readonly Guid First = new("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    internal static readonly Guid Second = new("83b8f4f2-509f-382f-3c1e-e6bfe0fa1002");
    internal static readonly Guid TwoPorts = new("83b8f4f2-509f-382f-3c1e-e6bfe0fa2001");

    private const int HeadBytes = 24, StateBytes = 60;

    // Registers of a 16550. With DLAB, bit 7 of LCR, the first two are the divisor.
    private const int Data = 0, InterruptEnable = 1, LineControl = 3, ModemControl = 4, LineStatus = 5, Scratch = 7;

    public static TheoryData<VfioInterface> Interfaces => [VfioInterface.Group, VfioInterface.Cdev];

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void The_state_of_a_port_arrives_at_another_one(VfioInterface vfioInterface)
    {
        using KernelDevice source = Open(First, vfioInterface);
        using KernelDevice target = Open(Second, vfioInterface);
        Assert.Equal(MigrationFeatures.StopCopy | MigrationFeatures.PeerToPeer | MigrationFeatures.PreCopy, source.Migration);
        Assert.Equal(MigrationState.Running, source.MigrationState);
        Assert.Same(source, source.Get<IMigratableDevice>());
        Fill(source);

        Assert.Equal((ulong)StateBytes, source.EstimateMigrationBytes());
        source.SetMigrationState(MigrationState.StopCopy);
        byte[] state = ReadToEnd(source, pieceBytes: 7);
        Assert.Equal(StateBytes, state.Length);
        Assert.Equal(1, Transfers);
        source.SetMigrationState(MigrationState.Stop);
        Assert.Equal(0, Transfers);
        Assert.Equal(MigrationState.Stop, source.MigrationState);

        target.SetMigrationState(MigrationState.Resuming);
        for (int at = 0; at < state.Length; at += 11)
            target.WriteMigrationData(state.AsSpan(at, Math.Min(11, state.Length - at)));
        target.SetMigrationState(MigrationState.Running);
        Assert.Equal(0, Transfers);
        AssertFilled(target);

        // It goes on where it was, too.
        source.SetMigrationState(MigrationState.Running);
        AssertFilled(source);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void Part_of_the_state_goes_ahead_while_it_runs_and_the_rest_through_the_same_descriptor(VfioInterface vfioInterface)
    {
        using KernelDevice source = Open(First, vfioInterface);
        using KernelDevice target = Open(Second, vfioInterface);
        Fill(source);
        source.SetMigrationState(MigrationState.RunningPeerToPeer);
        Assert.Equal(MigrationState.RunningPeerToPeer, source.MigrationState);
        source.SetMigrationState(MigrationState.Running);

        source.SetMigrationState(MigrationState.PreCopy);
        Assert.Equal(new PreCopyEstimate(HeadBytes, 0), source.EstimatePreCopy());
        byte[] head = ReadToEnd(source, pieceBytes: 10);
        Assert.Equal(HeadBytes, head.Length);
        Assert.Equal(new PreCopyEstimate(0, 0), source.EstimatePreCopy());
        Assert.Equal(0, source.ReadMigrationData(new byte[1]));
        source.SetMigrationState(MigrationState.PreCopyPeerToPeer);
        Write(source, Scratch, 0x77);
        source.SetMigrationState(MigrationState.StopCopy);
        Assert.Equal(1, Transfers);
        Assert.Equal(22, (int)Assert.Throws<VfioException>(() => source.EstimatePreCopy()).Errno);
        byte[] rest = ReadToEnd(source, pieceBytes: 100);
        Assert.Equal(StateBytes - HeadBytes, rest.Length);

        DeviceState.Restore(target, [.. head, .. rest]);
        target.SetMigrationState(MigrationState.Running);
        Assert.Equal(0x77, Read(target, Scratch));
        Write(target, Scratch, 0xa5);
        AssertFilled(target);

        // A migration that is given up leaves nothing open.
        source.SetMigrationState(MigrationState.Running);
        source.SetMigrationState(MigrationState.PreCopy);
        source.SetMigrationState(MigrationState.Running);
        Assert.Equal(0, Transfers);
        source.SetMigrationState(MigrationState.PreCopy);
        source.Dispose();
        Assert.Equal(0, Transfers);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_change_that_fails_keeps_its_errno_and_says_in_which_state_the_port_is(VfioInterface vfioInterface)
    {
        using KernelDevice port = Open(First, vfioInterface);
        Refused(22, "it is in Running now", () => port.SetMigrationState(MigrationState.Error));
        port.SetMigrationState(MigrationState.StopCopy);
        Refused(22, "it is in StopCopy now", () => port.SetMigrationState(MigrationState.PreCopy));
        Assert.Equal(MigrationState.StopCopy, port.MigrationState);

        // What it was reading goes on.
        byte[] state = ReadToEnd(port, pieceBytes: 64);
        Assert.Equal(StateBytes, state.Length);
        Refused(22, "Resuming", () => port.WriteMigrationData(state));
        port.SetMigrationState(MigrationState.Running);
        Refused(22, "PreCopy and StopCopy", () => port.ReadMigrationData(new byte[1]));

        // One byte too few, and one too many.
        port.SetMigrationState(MigrationState.Resuming);
        port.WriteMigrationData(state.AsSpan(0, StateBytes - 1));
        Refused(22, "it is in Resuming now", () => port.SetMigrationState(MigrationState.Running));
        Assert.Equal(MigrationState.Resuming, port.MigrationState);
        port.WriteMigrationData(state.AsSpan(StateBytes - 1));
        port.SetMigrationState(MigrationState.Running);
        port.SetMigrationState(MigrationState.Resuming);
        Refused(12, "reset it", () => port.WriteMigrationData([.. state, 0]));
        port.Reset();
        Assert.Equal(MigrationState.Running, port.MigrationState);
        Assert.Equal(0, Transfers);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void The_state_of_another_kind_of_device_is_refused_and_a_reset_makes_the_port_work(VfioInterface vfioInterface)
    {
        using KernelDevice port = Open(First, vfioInterface);
        using KernelDevice pair = Open(TwoPorts, vfioInterface);
        byte[] state = DeviceState.Save(pair);
        Assert.Equal(StateBytes + 36, state.Length);
        pair.SetMigrationState(MigrationState.Running);
        port.SetMigrationState(MigrationState.Resuming);
        Refused(14, "reset it", () => port.WriteMigrationData(state.AsSpan(0, HeadBytes)));
        port.Reset();
        Assert.Equal(0, Transfers);
        DeviceState.Restore(pair, state);
        pair.SetMigrationState(MigrationState.Running);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void A_hundred_migrations_leave_no_descriptor(VfioInterface vfioInterface)
    {
        using KernelDevice source = Open(First, vfioInterface);
        using KernelDevice target = Open(Second, vfioInterface);
        Fill(source);
        Move();
        int before = Directory.GetFileSystemEntries("/proc/self/fd").Length;
        for (int i = 0; i < 100; i++)
            Move();
        Assert.Equal(before, Directory.GetFileSystemEntries("/proc/self/fd").Length);

        void Move()
        {
            source.SetMigrationState(MigrationState.PreCopy);
            byte[] state = DeviceState.Save(source);
            source.SetMigrationState(MigrationState.Running);
            target.SetMigrationState(MigrationState.Resuming);
            target.WriteMigrationData(state.AsSpan(0, 30));
            Assert.Throws<VfioException>(() => target.SetMigrationState(MigrationState.Stop));
            target.Reset();
            DeviceState.Restore(target, state);
            target.SetMigrationState(MigrationState.Running);
        }
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public async Task A_port_is_migrated_by_a_client_of_a_server_too(VfioInterface vfioInterface)
    {
        // The folder is the guest's, and goes with it.
        string path = Path.Combine(Directory.CreateTempSubdirectory("vfio-test-").FullName, "s");
        using CancellationTokenSource stop = new();
        using VfioUserServer server = new(() => Open(First, vfioInterface), new VfioUserServerOptions { Path = path });
        Task serving = Task.Factory.StartNew(
            () => server.Run(stop.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(path) || serving.IsCompleted, HangGuard.Timeout));
        using (VfioUserClient client = VfioUserClient.Connect(path))
        {
            using KernelDevice target = Open(Second, vfioInterface);
            Fill(client);
            byte[] state = DeviceState.Save(client);
            client.SetMigrationState(MigrationState.Running);
            DeviceState.Restore(target, state);
            target.SetMigrationState(MigrationState.Running);
            AssertFilled(target);
            DeviceState.Restore(client, DeviceState.Save(target));
            client.SetMigrationState(MigrationState.Running);
            Assert.Equal(0xa5, Read(client, Scratch));
        }

        await stop.CancelAsync();
        await serving.WaitAsync(HangGuard.Timeout);
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(Interfaces))]
    public void The_record_that_a_device_keeps_is_asked_for_any_range_and_page_size(VfioInterface vfioInterface)
    {
        // The port's driver has such a record, and as the port does not write memory, it stays empty.
        using KernelDevice port = Open(First, vfioInterface);
        Assert.True(port.TracksDirtyPages);
        byte[] bitmap = [1, 0, 0, 0, 0, 0, 0, 0];
        Refused(22, "not been started", () => port.ReportDirtyPages(new Iova(0x10000), 0x1000, 4096, bitmap));
        Refused(22, "no power of two", () => port.StartDirtyTracking(4097, []));
        Assert.Equal(0x2000ul, port.StartDirtyTracking(0x2000, []));
        Refused(22, "has been started", () => port.StartDirtyTracking(4096, []));
        Refused(22, "bytes for the bits", () => port.ReportDirtyPages(new Iova(0x10000), 65 * 4096, 4096, bitmap));
        foreach ((ulong start, ulong length, ulong page) in new (ulong, ulong, ulong)[]
        {
            (0x10000, 0x1000, 4096), (0x10001, 0x1000, 512), (0x10800, 0x1000, 4096), (0, 1ul << 40, 1ul << 34),
            (0xffff_ffff_ffff_f000, 0x1000, 4096), (0xffff_ffff_ffff_e800, 0x1800, 64),
        })
        {
            byte[] bits = new byte[DirtyBitmap.LengthOf(length, page)];
            bits[0] = 1;
            port.ReportDirtyPages(new Iova(start), length, page, bits);
            Assert.Equal(1, bits[0]);
            Assert.All(bits[1..], value => Assert.Equal(0, value));
        }

        port.StopDirtyTracking();
        port.StopDirtyTracking();
        Assert.Equal(4096ul, port.StartDirtyTracking(1, [new IovaRange(new Iova(0x12345), 1), new IovaRange(new Iova(0x12800), 0x10000)]));
    }

    [Fact(Explicit = true)]
    public void A_mediated_device_is_opened_by_its_address()
    {
        using IVfioDevice port = VfioDevice.Open($"mdev:{First}");
        Assert.Equal($"mdev:{First}", port.Name);
        byte[] ids = new byte[4];
        port.ReadRegion(RegionIndex.Config, 0, ids);
        Assert.Equal([0x48, 0x43, 0x53, 0x32], ids); // 4348:3253, a serial card
    }

    /// <summary>How many descriptors of data this process has.</summary>
    private static int Transfers => Directory.GetFileSystemEntries("/proc/self/fd")
        .Count(entry => new FileInfo(entry).LinkTarget is { } link && link.Contains("mtty_mig", StringComparison.Ordinal));

    /// <summary>Opens a port, which nobody resets when it is closed.</summary>
    private static KernelDevice Open(Guid port, VfioInterface vfioInterface)
    {
        KernelDevice device = KernelDevice.OpenMediated(port, new KernelDeviceOptions { Interface = vfioInterface });
        device.Reset();
        return device;
    }

    private static void Fill(IVfioDevice port)
    {
        Write(port, LineControl, 0x03);
        Write(port, 2, 0x07); // FCR: FIFO on and empty
        foreach (byte value in "Hello"u8)
            Write(port, Data, value);
        Write(port, InterruptEnable, 0x05);
        Write(port, ModemControl, 0x13);
        Write(port, Scratch, 0xa5);
        Write(port, LineControl, 0x83);
        Write(port, Data, 0x0c);
        Write(port, InterruptEnable, 0x01);
    }

    private static void AssertFilled(IVfioDevice port)
    {
        Assert.Equal((0x83, 0x13, 0xa5), (Read(port, LineControl), Read(port, ModemControl), Read(port, Scratch)));
        Assert.Equal((0x0c, 0x01), (Read(port, Data), Read(port, InterruptEnable)));
        Write(port, LineControl, 0x03);
        Assert.Equal(0x05, Read(port, InterruptEnable));
        foreach (byte value in "Hello"u8)
            Assert.Equal(value, Read(port, Data));
        Assert.Equal(0, Read(port, LineStatus) & 1);
    }

    private static void Write(IVfioDevice port, int register, byte value) => port.WriteRegion(RegionIndex.Bar(0), (ulong)register, [value]);

    private static int Read(IVfioDevice port, int register)
    {
        byte[] value = new byte[1];
        port.ReadRegion(RegionIndex.Bar(0), (ulong)register, value);
        return value[0];
    }

    private static byte[] ReadToEnd(KernelDevice port, int pieceBytes)
    {
        List<byte> state = [];
        byte[] piece = new byte[pieceBytes];
        int count;
        do
        {
            count = port.ReadMigrationData(piece);
            state.AddRange(piece[..count]);
        }
        while (count == piece.Length);
        return [.. state];
    }

    private static void Refused(int errno, string why, Action action)
    {
        VfioException refusal = Assert.Throws<VfioException>(action);
        Assert.Equal(errno, (int)refusal.Errno);
        Assert.Contains(why, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }
}
