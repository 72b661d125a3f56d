// tests/MigrationTests.cs
using Vfio;
using Vfio.Guard;
using Vfio.User;

namespace Crc.Tests;

public sealed class MigrationTests
{
    [Fact]
    public void The_state_goes_to_another_device()
    {
        using GuardedFunction source = new(new CrcDevice()), target = new(new CrcDevice());
        byte[] state;
        using (CrcClient before = new(source.Open()))
        {
            before.Compute("123456789"u8);
            state = DeviceState.Save(before.Device); // which stops it
        }

        IVfioDevice device = target.Open();
        DeviceState.Restore(device, state);
        Assert.True(device.TryGet(out IMigratableDevice? migratable));
        migratable.SetMigrationState(MigrationState.Running);
        using CrcClient after = new(device);
        Assert.Equal(0xe306_9283u, after.LastResult);
        Assert.Equal(0xe306_9283u, after.Compute("123456789"u8));
    }

    [Fact]
    public async Task A_server_is_replaced_while_a_client_uses_its_device()
    {
        string folder = Directory.CreateTempSubdirectory("crc-").FullName;
        string socket = Path.Combine(folder, "socket");
        using CancellationTokenSource stop = new();
        Task server = Task.Run(() => CrcServer.Serve(socket, replaces: false, stop.Token));
        await AppearsAsync(socket + ".next", server);
        using (CrcClient client = new(VfioUserClient.Connect(socket)))
        {
            Assert.Equal(0xe306_9283u, client.Compute("123456789"u8));
            Task replacement = Task.Run(() => CrcServer.Serve(socket, replaces: true, stop.Token));
            await server; // it ends when the new one has everything
            server = replacement;
            Assert.Equal(0xe306_9283u, client.LastResult);
            Assert.Equal(0x1429_8c12u, client.Compute(new byte[1 << 20]));
        }

        await stop.CancelAsync();
        await server;
        Directory.Delete(folder, recursive: true);
    }

    private static async Task AppearsAsync(string file, Task server)
    {
        while (!File.Exists(file) && !server.IsCompleted)
            await Task.Delay(10);
        Assert.False(server.IsCompleted);
    }
}
