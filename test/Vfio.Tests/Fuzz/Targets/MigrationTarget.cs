using System.Buffers.Binary;
using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Guard.Migration;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A state that a device is to go on from. The checksum at its end is made right, as an attacker would.</summary>
internal static class MigrationTarget
{
    private const int HeaderBytes = 16;
    private const uint End = 7;
    private static readonly GuardedFunction Guard = new(new EduFunction());

    public static void Run(byte[] bytes)
    {
        MendChecksum(bytes);
        using IVfioDevice device = Guard.Open();
        if (!device.TryGet(out IMigratableDevice? target))
            throw new InvalidOperationException("the device cannot be migrated");
        try
        {
            target.SetMigrationState(MigrationState.Resuming);
            target.WriteMigrationData(bytes.AsSpan(0, bytes.Length / 2));
            target.WriteMigrationData(bytes.AsSpan(bytes.Length / 2));
            target.SetMigrationState(MigrationState.Running);
        }
        catch (VfioException)
        {
            // EINVAL: it is no state of this device.
        }

        device.Reset();
        byte[] identity = new byte[4];
        device.ReadRegion(RegionIndex.Config, 0, identity);
        if (!identity.AsSpan().SequenceEqual<byte>([0x34, 0x12, 0xe8, 0x11]))
            throw new InvalidOperationException("the device is another after that");
    }

    private static void MendChecksum(byte[] bytes)
    {
        for (int at = 0; at + HeaderBytes + sizeof(uint) <= bytes.Length;)
        {
            ulong length = BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at + 8));
            if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)) == End)
            {
                Crc32C checksum = default;
                checksum.Add(bytes.AsSpan(0, at));
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at + HeaderBytes), checksum.Value);
                return;
            }

            if (length > (ulong)bytes.Length)
                return;
            at += HeaderBytes + (int)length;
        }
    }
}
