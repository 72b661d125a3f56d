using Vfio.Broker;
using Vfio.Drivers.Edu;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User.Leases;

namespace Vfio.Tests.Broker;

/// <summary>A broker that takes over from another: its users go on with what they have, and ask at the same socket.</summary>
public sealed class BrokerHandoverTests
{
    private const uint Alice = 61001, Bob = 61002;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Fact]
    public async Task Leases_go_on_and_are_asked_for_at_the_same_socket()
    {
        using BrokerRig rig = new("""{ "name": "all", "users": ["*"], "devices": ["*"], "leaseTime": "8h" }""", Four, hasSuccessor: true);
        using EduDriver edu = new(VfioDevice.Open(rig.AddressOf("edu0")));
        using DmaBuffer memory = edu.Device.AllocateDma(4096);
        using BrokerClient holder = rig.Connect();
        LeaseRecord held = BrokerRig.Hold(holder, "edu1");

        // A second one is open while it is held.
        using BrokerClient second = rig.Connect();
        BrokerRig.Hold(second, "edu2");
        using PciDevice open = rig.Open("edu2");
        Bar registers = open.OpenBar(0);
        LeaseRecord[] before = [.. holder.ListLeases()];
        using CancellationTokenSource stop = new();
        Task<int> reading = Task.Run(() =>
        {
            int reads = 0;
            for (; !stop.IsCancellationRequested; reads++)
                Assert.Equal(0x0100_00edu, registers.Read32(0));
            return reads;
        });

        for (int round = 0; round < 3; round++)
        {
            rig.Replace();
            using (BrokerClient again = rig.Connect())
                Assert.Equal(before.Select(Describe), again.ListLeases().Select(Describe));

            // Registers, interrupts and memory are where they were.
            Assert.Equal(3628800u, edu.Factorial(10));
            byte[] sent = Guid.NewGuid().ToByteArray(), received = new byte[16];
            memory.Write(0, sent);
            Assert.True(edu.TryReadMemory(memory.Start, received));
            Assert.Equal(sent, received);

            // Whoever holds one opens it, and others get what is free.
            using PciDevice own = rig.Open("edu1");
            Assert.Equal(0x0100_00edu, own.OpenBar(0).Read32(0));
            using PciDevice free = rig.Open("edu3");
            Assert.Equal(0x0100_00edu, free.OpenBar(0).Read32(0));
        }

        await stop.CancelAsync();
        Assert.True(await reading > 0);
        using BrokerClient root = rig.Connect();
        BrokerRig.Revoke(root, held.Id);
        Assert.Equal(BrokerEvents.Ended, holder.WaitForEvent(TestTimeout)!.Event);
        second.Dispose();
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                try
                {
                    return registers.Read32(0) == 0;
                }
                catch (VfioException)
                {
                    return true;
                }
            },
            TestTimeout));
        edu.Dispose();
        rig.WaitUntilFree();
    }

    [Fact]
    public void Terms_of_a_lease_count_on_by_whatever_policy_the_next_broker_has()
    {
        OtherUser.Need();
        using BrokerRig rig = new($$"""{ "name": "a", "users": [{{Alice}}], "devices": ["*"], "memory": "8K", "returnTime": "100ms" }""", hasSuccessor: true);
        using PciDevice edu = rig.OpenAs(Alice, "edu0");
        using BrokerClient holder = rig.ConnectAs(Alice);
        LeaseRecord held = BrokerRig.Hold(holder, "edu1");
        using DmaBuffer one = edu.AllocateDma(4096);
        rig.Write($$"""{ "name": "b", "users": [{{Bob}}], "devices": ["edu0"] }""", """ "edu0": { "address": "model:edu" } """);
        rig.Replace();
        using DmaBuffer two = edu.AllocateDma(4096);
        Assert.Equal(Errno.NoMemory, Assert.Throws<VfioException>(() => edu.AllocateDma(4096)).Errno);
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => rig.OpenAs(Bob, "edu0")).Errno);
        using BrokerClient root = rig.Connect(), bob = rig.ConnectAs(Bob);
        Assert.Empty(bob.ListLeases());
        BrokerRig.Revoke(root, held.Id, now: false);
        Assert.Equal(BrokerEvents.Wanted, holder.WaitForEvent(TestTimeout)!.Event);
        Assert.Equal(BrokerEvents.Ended, holder.WaitForEvent(TestTimeout)!.Event);
    }

    [Fact]
    public void Clients_of_a_holders_socket_get_the_device_from_the_next_broker()
    {
        using BrokerRig rig = new(BrokerRig.All, hasSuccessor: true);
        using BrokerClient holder = rig.Connect();
        using UnixListener listener = UnixListener.Bind(rig.SocketPath + ".lease", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        BrokerRig.Hold(holder, "edu0");
        holder.Ask(new BrokerRequest { Do = BrokerVerbs.Listen }, "edu0", listener.Descriptor);
        rig.Replace();
        for (int i = 0; i < 3; i++)
        {
            using PciDevice edu = new(VfioDevice.Open($"unix:{rig.SocketPath}.lease"));
            Assert.Equal(0x0100_00edu, edu.OpenBar(0).Read32(0));
        }
    }

    [Fact]
    public void A_broker_whose_successor_cannot_take_over_goes_on()
    {
        using BrokerRig rig = new(BrokerRig.All, hasSuccessor: true);
        using PciDevice edu = rig.Open("edu0");
        Bar bar = edu.OpenBar(0);
        using BrokerClient holder = rig.Connect();
        BrokerRig.Hold(holder, "edu1");

        // One that asks and leaves; and one that says something else.
        for (int i = 0; i < 5; i++)
        {
            using (UnixSocket.Connect(rig.NextPath))
            {
            }

            using UnixSocket other = UnixSocket.Connect(rig.NextPath);
            other.Send("{\"do\":\"open\",\"name\":\"edu0\"}\n{\"do\":\"open\",\"name\":\"edu0\"}\n"u8, wait: true, out _);
            Assert.True(HangGuard.WaitReadable(other.Descriptor));
        }

        Assert.Equal(0x0100_00edu, bar.Read32(0));
        using (PciDevice own = rig.Open("edu1"))
            Assert.Equal(0x0100_00edu, own.OpenBar(0).Read32(0));
        rig.Replace();
        Assert.Equal(0x0100_00edu, bar.Read32(0));
    }

    [Fact]
    public void A_device_that_refuses_ends_its_own_lease_and_no_other()
    {
        using BrokerRig rig = new(BrokerRig.All, hasSuccessor: true);
        using PciDevice moving = rig.Open("edu0"), other = rig.Open("edu1");
        Bar registers = other.OpenBar(0), lost = moving.OpenBar(0);
        Assert.True(moving.Device.TryGet(out IMigratableDevice? migration));
        migration.SetMigrationState(MigrationState.Stop);
        migration.SetMigrationState(MigrationState.StopCopy);
        rig.Replace();
        Assert.Equal(0x0100_00edu, registers.Read32(0));
        Assert.Contains("could not be handed to it", rig.Audited("end", 1).GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, rig.Broker.LeaseCount);
        Assert.ThrowsAny<VfioException>(() => lost.Read32(0));
        using PciDevice again = rig.Open("edu0");
        Assert.Equal(0x0100_00edu, again.OpenBar(0).Read32(0));
    }

    [Fact]
    public void A_client_that_sends_half_a_message_keeps_no_other_lease_from_the_next_broker()
    {
        using BrokerRig rig = new(BrokerRig.All, hasSuccessor: true);
        using BrokerClient broker = rig.Connect();
        using UnixListener listener = UnixListener.Bind(rig.SocketPath + ".lease", UnixFileMode.UserRead | UnixFileMode.UserWrite);
        BrokerRig.Hold(broker, "edu0");
        broker.Ask(new BrokerRequest { Do = BrokerVerbs.Listen }, "edu0", listener.Descriptor);
        using UnixSocket slow = UnixSocket.Connect(rig.SocketPath + ".lease");
        slow.Send([1, 0, 1, 0], wait: true, out _);
        using PciDevice other = rig.Open("edu1");
        Bar registers = other.OpenBar(0);
        rig.Replace();
        Assert.Equal(0x0100_00edu, registers.Read32(0));
    }

    [Fact]
    public void Metrics_move_to_the_next_broker_with_their_address()
    {
        using BrokerRig rig = new(BrokerRig.All, hasSuccessor: true);
        Uri place = new($"http://{rig.Broker.MetricsPlace}/metrics");
        using PciDevice edu = rig.Open("edu0");
        rig.Replace(keepsMetricsPlace: true);
        using HttpClient http = new();
        string text = "";
        Assert.True(SpinWait.SpinUntil(() => TryGet(http, place, out text), TestTimeout));
        Assert.Contains("vfio_broker_leases", text, StringComparison.Ordinal);
    }

    /// <summary>Asks once: the second listens there a moment after the first has closed its socket.</summary>
    private static bool TryGet(HttpClient http, Uri place, out string text)
    {
        text = "";
        try
        {
            using HttpRequestMessage request = new(HttpMethod.Get, place);
            using HttpResponseMessage answer = http.Send(request, TestContext.Current.CancellationToken);
            using StreamReader body = new(answer.Content.ReadAsStream(TestContext.Current.CancellationToken));
            text = body.ReadToEnd();
            return true;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static string Four => string.Join(", ", Enumerable.Range(0, 4).Select(i => $$""" "edu{{i}}": { "address": "model:edu" } """));

    private static (int, string, uint, bool, string, long) Describe(LeaseRecord lease) =>
        (lease.Id, lease.Device, lease.UserId, lease.IsHeld, lease.Rule, (long)Math.Round((lease.Until!.Value - lease.Since).TotalMinutes));
}
