using System.Text.Json;
using Vfio.Devices;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Tests.Guests;
using Vfio.User;
using Vfio.User.Leases;

namespace Vfio.Tests.Broker;

/// <summary>Leases of a broker on emulated devices: given to one user at a time, on the terms of the policy, and taken back
/// clean.</summary>
public sealed class LeaseTests
{
    // Two users without a name.
    private const uint Alice = 61001, Bob = 61002;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public void A_lease_is_the_device_and_ends_when_that_is_closed()
    {
        using BrokerRig rig = new(BrokerRig.All);
        for (int i = 0; i < 20; i++)
        {
            using PciDevice edu = rig.Open("edu0");
            Assert.Equal(0x1234, edu.VendorId);
            Bar bar = edu.OpenBar(0);
            Assert.Equal(0x0100_00edu, bar.Read32(0));
            Assert.Equal(0u, bar.Read32(0x20) & 0x80);
            bar.Write32(0x20, 0x80);
            Assert.Equal(1, rig.Broker.LeaseCount);
        }

        rig.WaitUntilFree();
    }

    [Fact]
    public void A_device_has_one_holder_at_a_time_and_a_pool_gives_any_free_one()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using PciDevice first = rig.Open("edu0");
        VfioException busy = Assert.Throws<VfioException>(() => rig.Open("edu0"));
        Assert.Equal(Errno.Busy, busy.Errno);
        Assert.Contains("root", busy.Message, StringComparison.Ordinal);
        using PciDevice second = rig.Open("edus");
        Assert.Equal("lease:edu1", second.Name);
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => rig.Open("edus")).Errno);
        first.Dispose();
        using PciDevice again = rig.Open("edus");
        Assert.Equal("lease:edu0", again.Name);
    }

    [Fact]
    public void Each_user_gets_only_what_the_policy_gives_that_user()
    {
        OtherUser.Need();
        using BrokerRig rig = new($$"""
            { "name": "alice", "users": [{{Alice}}], "devices": ["edu0"] },
            { "name": "bob", "users": [{{Bob}}], "devices": ["edu1"] }
            """);
        using PciDevice alices = rig.OpenAs(Alice, "edu0");
        using PciDevice bobs = rig.OpenAs(Bob, "edu1");
        Assert.Equal(0x0100_00edu, alices.OpenBar(0).Read32(0));
        Assert.Equal(0x0100_00edu, bobs.OpenBar(0).Read32(0));
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => rig.OpenAs(Bob, "edu0")).Errno);
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => rig.OpenAs(Alice, "edu1")).Errno);
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => rig.OpenAs(Alice, "../edu0")).Errno);
    }

    [Fact]
    public void A_group_counts_whether_it_is_the_users_own_or_another()
    {
        OtherUser.Need();
        using BrokerRig rig = new("""{ "name": "lab", "groups": [62000], "devices": ["edu0"] }""");
        using (BrokerClient member = rig.ConnectAs(Alice, 61999, 62000))
        using (VfioUserClient device = member.Open("edu0", new VfioUserClientOptions()))
            device.Reset();
        using BrokerClient stranger = rig.ConnectAs(Bob, 61999);
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => stranger.Open("edu0", new VfioUserClientOptions())).Errno);
    }

    [Fact]
    public void Another_users_lease_can_be_neither_seen_nor_ended_nor_opened()
    {
        OtherUser.Need();
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient alice = rig.ConnectAs(Alice), bob = rig.ConnectAs(Bob), root = rig.Connect();
        LeaseRecord lease = BrokerRig.Hold(alice, "edu0");
        Assert.Equal(Alice, lease.UserId);
        Assert.Empty(bob.ListLeases());
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => BrokerRig.Revoke(bob, lease.Id)).Errno);
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => BrokerRig.Revoke(bob, lease.Id + 1)).Errno);
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => bob.Open("edu0", new VfioUserClientOptions())).Errno);
        Assert.Equal(lease.Id, Assert.Single(root.ListLeases()).Id);
        BrokerRig.Revoke(root, lease.Id);
        Assert.Empty(root.ListLeases());
        Assert.Equal("it is another user's", rig.Audit().First(line => line.GetProperty("event").GetString() == "revoke").GetProperty("reason").GetString());
    }

    [Fact]
    public void Who_holds_a_device_opens_it_again_and_again_and_nobody_else_does()
    {
        OtherUser.Need();
        using BrokerRig rig = new(BrokerRig.All);
        using (BrokerClient holder = rig.ConnectAs(Alice))
        {
            LeaseRecord held = BrokerRig.Hold(holder, "edus");
            Assert.True(held.IsHeld);
            for (int i = 0; i < 10; i++)
            {
                using PciDevice edu = rig.OpenAs(Alice, held.Device);
                Bar bar = edu.OpenBar(0);
                Assert.Equal(0u, bar.Read32(0x20) & 0x80);
                bar.Write32(0x20, 0x80);
                Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => rig.OpenAs(Alice, held.Device)).Errno);
                Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => rig.OpenAs(Bob, held.Device)).Errno);
                Assert.Equal(1, rig.Broker.LeaseCount);
            }
        }

        rig.WaitUntilFree();
        using PciDevice next = rig.OpenAs(Bob, "edu0");
    }

    [Fact]
    public void A_user_has_no_more_devices_than_the_rule_gives()
    {
        OtherUser.Need();
        using BrokerRig rig = new("""{ "name": "one", "users": ["*"], "devices": ["*"], "holds": 1 }""");
        using PciDevice first = rig.OpenAs(Alice, "edus");
        Assert.Equal(Errno.OperationNotPermitted, Assert.Throws<VfioException>(() => rig.OpenAs(Alice, "edus")).Errno);
        using PciDevice others = rig.OpenAs(Bob, "edus");
        first.Dispose();
        using PciDevice again = rig.OpenAs(Alice, "edus");
    }

    [Fact]
    public void Memory_and_mappings_end_at_the_limits_of_the_rule()
    {
        using BrokerRig rig = new("""
            { "name": "small", "users": ["*"], "devices": ["edu0"], "memory": "8K" },
            { "name": "few", "users": ["*"], "devices": ["edu1"], "mappings": 2 }
            """);
        foreach ((string name, Errno error) in new[] { ("edu0", Errno.NoMemory), ("edu1", Errno.NoSpace) })
        {
            using PciDevice edu = rig.Open(name);
            using DmaBuffer one = edu.AllocateDma(4096);
            DmaBuffer two = edu.AllocateDma(4096);
            Assert.Equal(error, Assert.Throws<VfioException>(() => edu.AllocateDma(4096)).Errno);
            two.Dispose();
            using DmaBuffer three = edu.AllocateDma(4096);
        }
    }

    [Fact]
    public async Task A_lease_ends_when_its_time_is_over()
    {
        using BrokerRig rig = new("""{ "name": "short", "users": ["*"], "devices": ["*"], "leaseTime": "300ms" }""");
        using PciDevice edu = rig.Open("edu0");
        Assert.Equal(RemovalReason.Removed, await edu.Removed.WaitAsync(TestTimeout));
        rig.WaitUntilFree();
        Assert.Equal("its time is over", rig.Audited("end").GetProperty("reason").GetString());
        using PciDevice next = rig.Open("edu0");
    }

    [Fact]
    public void A_lease_that_is_not_used_ends_and_one_that_is_goes_on()
    {
        using BrokerRig rig = new("""{ "name": "idle", "users": ["*"], "devices": ["*"], "idleTime": "200ms" }""");
        using PciDevice used = rig.Open("edu0");
        using DmaBuffer memory = used.AllocateDma(4096);
        using BrokerClient holder = rig.Connect();
        BrokerRig.Hold(holder, "edu1");
        Assert.Equal(BrokerEvents.Ended, holder.WaitForEvent(TestTimeout)!.Event);
        Assert.True(SpinWait.SpinUntil(() => rig.Broker.LeaseCount == 1, TestTimeout));
        Assert.Equal(0x0100_00edu, used.OpenBar(0).Read32(0));
    }

    [Fact]
    public void A_held_device_is_in_use_while_programs_come_and_go()
    {
        using BrokerRig rig = new("""{ "name": "idle", "users": ["*"], "devices": ["*"], "idleTime": "500ms" }""");
        using BrokerClient holder = rig.Connect();
        BrokerRig.Hold(holder, "edu0");
        using CancellationTokenSource stop = new();
        Thread user = new(() =>
        {
            while (!stop.IsCancellationRequested)
                rig.Open("edu0").Dispose();
        });
        user.Start();
        try
        {
            Assert.Null(holder.WaitForEvent(TimeSpan.FromSeconds(2)));
        }
        finally
        {
            stop.Cancel();
            user.Join();
        }

        Assert.Equal(BrokerEvents.Ended, holder.WaitForEvent(TestTimeout)!.Event);
    }

    [Fact]
    public void A_lease_of_months_says_when_it_ends()
    {
        using BrokerRig rig = new("""{ "name": "long", "users": ["*"], "devices": ["*"], "leaseTime": "60d" }""");
        using BrokerClient holder = rig.Connect();
        TimeSpan left = BrokerRig.Hold(holder, "edu0").Until!.Value - DateTimeOffset.UtcNow;
        Assert.InRange(left, TimeSpan.FromDays(59.9), TimeSpan.FromDays(60.1));
    }

    [Fact]
    public async Task A_device_that_is_wanted_back_ends_after_the_time_that_the_rule_gives()
    {
        using BrokerRig rig = new("""{ "name": "r", "users": ["*"], "devices": ["*"], "returnTime": "300ms" }""");
        OtherUser.Need();
        using BrokerClient root = rig.Connect();
        using PciDevice edu = rig.OpenAs(Alice, "edu0");
        Task<RemovalReason> removed = edu.Removed;
        Task revoking = Task.Run(() => BrokerRig.Revoke(root, root.ListLeases()[0].Id, now: false));
        Assert.Equal(RemovalReason.ReleaseRequested, await removed.WaitAsync(TestTimeout));
        Assert.Equal(0x0100_00edu, edu.OpenBar(0).Read32(0));
        await revoking.WaitAsync(TestTimeout);
        Assert.Equal(0, rig.Broker.LeaseCount);
        Assert.Throws<VfioException>(() => edu.OpenBar(0).Read32(0));
    }

    [Fact]
    public void A_holder_is_notified_that_the_device_is_wanted_and_that_the_lease_ended()
    {
        OtherUser.Need();
        using BrokerRig rig = new("""{ "name": "r", "users": ["*"], "devices": ["*"], "returnTime": "100ms" }""");
        using BrokerClient holder = rig.ConnectAs(Alice), root = rig.Connect();
        LeaseRecord lease = BrokerRig.Hold(holder, "edu0");
        BrokerRig.Revoke(root, lease.Id, now: false);
        BrokerReply wanted = holder.WaitForEvent(TestTimeout)!;
        Assert.Equal((BrokerEvents.Wanted, 0.1), (wanted.Event, wanted.Within));
        Assert.Equal(BrokerEvents.Ended, holder.WaitForEvent(TestTimeout)!.Event);
    }

    [Fact]
    public void A_lease_that_is_revoked_in_the_midst_of_dma_reaches_no_memory_any_more()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient root = rig.Connect();
        for (int round = 0; round < 5; round++)
        {
            using PciDevice edu = rig.Open("edu0");
            using DmaBuffer buffer = edu.AllocateDma(4096);
            edu.EnableBusMaster();
            Bar bar = edu.OpenBar(0);
            using ManualResetEventSlim started = new();
            Thread driver = new(() =>
            {
                try
                {
                    while (true)
                    {
                        // QEMU's edu: source, destination, count, then start from the device to memory.
                        bar.Write64(0x80, 0x40000);
                        bar.Write64(0x88, buffer.Start.Value);
                        bar.Write64(0x90, 4096);
                        bar.Write64(0x98, 3);
                        started.Set();
                    }
                }
                catch (VfioException)
                {
                    // The lease has ended.
                }
            });
            driver.Start();
            Assert.True(started.Wait(TestTimeout));
            BrokerRig.Revoke(root, root.ListLeases()[0].Id);
            byte[] pattern = [.. Enumerable.Repeat((byte)0xa5, 4096)];
            buffer.Write(0, pattern);
            Assert.True(driver.Join(TestTimeout));
            using (PciDevice next = rig.Open("edu0"))
                Assert.False(next.IsBusMaster);
            byte[] after = new byte[4096];
            buffer.Read(0, after);
            Assert.Equal(pattern, after);
        }
    }

    [Fact]
    public void Clients_of_a_holders_socket_get_the_device_one_after_the_other()
    {
        OtherUser.Need();
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient holder = rig.ConnectAs(Alice), root = rig.Connect();
        using UnixListener listener = UnixListener.Bind(rig.SocketPath + ".lease", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        LeaseRecord lease = BrokerRig.Hold(holder, "edu0");
        BrokerRequest listen = new() { Do = BrokerVerbs.Listen };
        holder.Ask(listen, "edu0", listener.Descriptor);
        for (int i = 0; i < 5; i++)
        {
            using PciDevice edu = new(VfioDevice.Open($"unix:{rig.SocketPath}.lease"));
            Bar bar = edu.OpenBar(0);
            Assert.Equal(0u, bar.Read32(0x20) & 0x80);
            bar.Write32(0x20, 0x80);
        }

        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0", listener.Descriptor)).Errno);
        using VfioUserClient last = VfioUserClient.Connect(rig.SocketPath + ".lease");
        BrokerRig.Revoke(root, lease.Id);
        Assert.Throws<VfioException>(() => last.Reset());
        rig.WaitUntilFree();
    }

    [Fact]
    public void A_descriptor_that_is_no_listening_socket_is_refused()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient holder = rig.Connect();
        BrokerRequest listen = new() { Do = BrokerVerbs.Listen };
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0")).Errno);
        BrokerRig.Hold(holder, "edu0");
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0")).Errno);
        (UnixSocket one, UnixSocket other) = UnixSocket.CreatePair();
        using (one)
        using (other)
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0", one.Descriptor)).Errno);
        using FileDescriptor memory = MemoryFile.Create("no socket", 4096);
        Assert.Equal((Errno)88, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0", memory)).Errno);
        using System.Net.Sockets.TcpListener network = new(System.Net.IPAddress.Loopback, 0);
        network.Start();
        using (FileDescriptor copy = FileDescriptorOf(network))
            Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => holder.Ask(listen, "edu0", copy)).Errno);
        using PciDevice edu = rig.Open("edu0");
    }

    [Fact]
    public void A_descriptor_that_a_fork_has_kept_is_dead_once_the_lease_is_revoked()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient root = rig.Connect(), client = rig.Connect();
        client.Ask(new BrokerRequest { Do = BrokerVerbs.Open, Name = "edu0" }, "edu0", out UnixSocket? connection);
        using (connection)
        {
            // As after a fork whose parent ended: the connection is open in another process.
            using FileDescriptor kept = connection!.Descriptor.Duplicate();
            connection.Dispose();
            LeaseRecord lease = Assert.Single(root.ListLeases());
            Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
            BrokerRig.Revoke(root, lease.Id);
            using PciDevice next = rig.Open("edu0");
            Assert.True(Poll.IsHungUp(kept));
        }
    }

    [Fact]
    public void A_policy_that_is_read_again_counts_for_what_is_asked_next_and_not_for_leases()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient holder = rig.Connect();
        using PciDevice edu = rig.Open("edu0");
        BrokerRig.Hold(holder, "edu1");
        rig.Write("""{ "name": "none", "users": ["*"], "devices": ["*"], "refuse": true }""");
        Assert.True(rig.Broker.TryReload());
        Assert.Equal(BrokerEvents.PolicyChanged, holder.WaitForEvent(TestTimeout)!.Event);
        Assert.Equal(0x0100_00edu, edu.OpenBar(0).Read32(0));
        using (PciDevice own = rig.Open("edu1"))
            Assert.Equal(0x0100_00edu, own.OpenBar(0).Read32(0));
        edu.Dispose();
        rig.Audited("end");
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);

        File.WriteAllText(rig.PolicyPath, "{ \"devices\": { \"edu0\"");
        Assert.False(rig.Broker.TryReload());
        Assert.Equal(Errno.AccessDenied, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
    }

    [Fact]
    public void Every_decision_and_every_end_is_a_line_of_the_audit()
    {
        OtherUser.Need();
        using BrokerRig rig = new($$"""{ "name": "alice", "users": [{{Alice}}], "devices": ["edus"] }""");
        using (PciDevice edu = rig.OpenAs(Alice, "edus"))
            edu.Reset();
        Assert.Throws<VfioException>(() => rig.OpenAs(Bob, "edu0"));
        JsonElement given = rig.Audited("open", lease: 1), ended = rig.Audited("end", lease: 1);
        Assert.Equal("done", given.GetProperty("outcome").GetString());
        Assert.Equal(Alice, given.GetProperty("uid").GetUInt32());
        Assert.Equal(Alice, given.GetProperty("gid").GetUInt32());
        Assert.Equal(Environment.ProcessId, given.GetProperty("pid").GetInt32());
        Assert.Equal(Environment.ProcessPath, given.GetProperty("exe").GetString());
        Assert.Equal(
            ("edus", "edu0", "model:edu", "alice"),
            (given.GetProperty("asked").GetString(), given.GetProperty("device").GetString(), given.GetProperty("address").GetString(),
                given.GetProperty("rule").GetString()));
        Assert.True(ended.GetProperty("seconds").GetDouble() >= 0);
        JsonElement refused = rig.Audit().Single(line => line.GetProperty("outcome").GetString() == "refused");
        Assert.Equal((Bob, 13), (refused.GetProperty("uid").GetUInt32(), refused.GetProperty("errno").GetInt32()));
        Assert.Equal(["start", "open", "end", "open"], rig.Audit().Select(line => line.GetProperty("event").GetString()));
    }

    [Fact]
    public void Nothing_is_given_that_cannot_be_audited()
    {
        using BrokerRig rig = new(BrokerRig.All, audit: "/dev/full");
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
        using BrokerClient holder = rig.Connect();
        Assert.Equal(Errno.InputOutput, Assert.Throws<VfioException>(() => BrokerRig.Hold(holder, "edu0")).Errno);
        rig.WaitUntilFree();
    }

    [Fact]
    public void A_device_that_cannot_be_opened_is_refused_with_its_reason_and_is_free_again()
    {
        using BrokerRig rig = new(BrokerRig.All, """ "gone": { "address": "unix:/nonexistent/s" }, "far": { "address": "ffff:ff:1f.7" } """);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => rig.Open("gone")).Errno);
            Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => rig.Open("far")).Errno);
        }

        rig.WaitUntilFree();
    }

    [Fact]
    public void The_kernels_descriptors_of_what_is_not_the_kernels_or_is_guarded_are_not_given()
    {
        using BrokerRig rig = new(
            """{ "name": "d", "users": ["*"], "devices": ["*"], "direct": true }""",
            """ "edu0": { "address": "model:edu" }, "far": { "address": "ffff:ff:1f.7?guard=1" } """);
        Assert.Equal(Errno.NotSupported, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
        VfioException guarded = Assert.Throws<VfioException>(() => rig.Open("far"));
        Assert.Equal(Errno.NotSupported, guarded.Errno);
        Assert.Contains("guarded", guarded.Message, StringComparison.Ordinal);
        rig.WaitUntilFree();
    }

    [Fact]
    public void Files_of_a_device_that_is_there_after_the_lease_are_not_its_users()
    {
        using GuardedFunction bench = ModelCatalog.CreateGuarded("bench", new Dictionary<string, string>());
        using AssignedDevice server = AssignedDevice.Of(bench.Open());
        using BrokerRig rig = new(BrokerRig.All, $$""" "bench": { "address": "unix:{{server.SocketPath}}" } """);
        using PciDevice device = rig.Open("bench");
        for (uint i = 0; i < device.Device.Info.RegionCount; i++)
        {
            RegionInfo region = device.Device.GetRegion(new RegionIndex(i));
            Assert.False(region.IsMappable);
            Assert.Null(region.File);
        }

        // Its registers are reached all the same.
        Assert.Equal(0x5542, device.Config.Read16(2));
    }

    [Fact]
    public void Lines_of_the_audit_stay_when_another_process_writes_to_it_or_empties_it()
    {
        using BrokerRig rig = new(BrokerRig.All);
        rig.Open("edu0").Dispose();
        rig.WaitUntilFree();
        const string Other = "{\"event\":\"other\"}";
        File.AppendAllText(rig.AuditPath, Other + "\n");
        rig.Open("edu0").Dispose();
        rig.WaitUntilFree();
        Assert.Contains(Other, File.ReadAllLines(rig.AuditPath));
        using (FileStream file = new(rig.AuditPath, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            file.SetLength(0);
        rig.Open("edu0").Dispose();
        rig.WaitUntilFree();
        Assert.DoesNotContain((byte)0, File.ReadAllBytes(rig.AuditPath));
    }

    [Fact]
    public void Lines_of_the_audit_are_in_the_file_that_has_its_name_when_the_policy_is_read_again()
    {
        using BrokerRig rig = new(BrokerRig.All);
        File.Move(rig.AuditPath, rig.AuditPath + ".1");
        Assert.True(rig.Broker.TryReload());
        rig.Open("edu0").Dispose();
        rig.WaitUntilFree();
        Assert.Equal(["policy", "open", "end"], rig.Audit().Select(line => line.GetProperty("event").GetString()));
        Assert.Equal("start", JsonDocument.Parse(Assert.Single(File.ReadAllLines(rig.AuditPath + ".1"))).RootElement.GetProperty("event").GetString());

        // Where it cannot be opened, lines go on to the file before.
        string now = rig.AuditPath + ".2";
        File.Move(rig.AuditPath, now);
        Directory.CreateDirectory(rig.AuditPath);
        Assert.True(rig.Broker.TryReload());
        rig.Open("edu0").Dispose();
        rig.WaitUntilFree();
        Assert.Equal(6, File.ReadAllLines(now).Length);
    }

    [Fact]
    public void Leases_without_end_do_not_fill_the_audit_and_are_counted()
    {
        const int Leases = 800;
        string path = Path.Combine(BrokerRig.MakeFolder(), "audit");
        using (BrokerRig rig = new(BrokerRig.All, audit: path))
        {
            for (int i = 0; i < Leases; i++)
                rig.Open("edu0").Dispose();
            rig.WaitUntilFree();
        }

        JsonElement[] lines = [.. File.ReadAllLines(path).Select(line => JsonDocument.Parse(line).RootElement)];
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        int written = lines.Count(line => line.GetProperty("event").GetString() is "open" or "end");
        int counted = lines.Where(line => line.GetProperty("event").GetString() == "repeats").Sum(line => line.GetProperty("count").GetInt32());

        // A thousand at once, and one a second.
        Assert.InRange(written, 1000, 1300);
        Assert.Equal(2 * Leases, written + counted);
    }

    [Fact]
    public void A_user_finds_nothing_of_the_last_one_in_a_device()
    {
        using BrokerRig rig = new(BrokerRig.All, """ "bench": { "address": "model:bench" } """);
        // What an earlier user does who has kept a mapping of the device's memory.
        using SharedMemory kept = MemoryOf(rig);
        kept.Write32(0x10, 0x5ec2e7);
        using PciDevice second = rig.Open("bench");
        using SharedMemory its = MemoryOf(second);
        Assert.Equal(0u, its.Read32(0x10));
        kept.Write32(0x10, 0xbad);
        Assert.Equal(0u, its.Read32(0x10));
    }

    [Fact]
    public void Config_rules_of_a_rule_count_for_its_users()
    {
        OtherUser.Need();
        using BrokerRig rig = new($$"""
            { "name": "alice", "users": [{{Alice}}], "devices": ["edu0"], "configRules": [{ "offset": "0xc0", "read": "0xffffffff", "write": "0xff" }] },
            { "name": "bob", "users": [{{Bob}}], "devices": ["edu0"] },
            { "name": "root", "users": [0], "devices": ["edu0"], "configRules": [{ "offset": 4, "write": "0xffffffff" }] }
            """);
        using (PciDevice alices = rig.OpenAs(Alice, "edu0"))
            alices.Config.Write8(0xc0, 0x5a);
        using (PciDevice bobs = rig.OpenAs(Bob, "edu0"))
            Assert.Equal(0, bobs.Config.Read8(0xc0));

        // What the guard keeps for itself no rule gives away.
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => rig.Open("edu0")).Errno);
    }

    private static FileDescriptor FileDescriptorOf(System.Net.Sockets.TcpListener network)
    {
        // Not closed by this: it is the listener's.
        FileDescriptor borrowed = new((int)network.Server.Handle);
        FileDescriptor copy = borrowed.Duplicate();
        borrowed.SetHandleAsInvalid();
        return copy;
    }

    private static SharedMemory MemoryOf(BrokerRig rig)
    {
        using PciDevice device = rig.Open("bench");
        return MemoryOf(device);
    }

    private static SharedMemory MemoryOf(PciDevice device)
    {
        for (uint i = 0; i < 6; i++)
        {
            RegionInfo region = device.Device.GetRegion(new RegionIndex(i));
            if (region is { IsMappable: true, File: { } file })
                return SharedMemory.Map(file, region.FileOffset, region.Length, writable: true);
        }

        throw new InvalidOperationException("the device has no BAR that can be mapped");
    }
}
