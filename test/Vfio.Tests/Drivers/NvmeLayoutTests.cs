using System.Runtime.InteropServices;
using Vfio.Devices.Nvme;
using Vfio.Drivers.Nvme;
using Vfio.Native;
using Vfio.Native.Memory;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>Every struct of NVM Express beside the figures of the Base Specification 1.4: size, and offset of each field.</summary>
public sealed class NvmeLayoutTests
{
    private static readonly (string Field, int Offset)[] Tail =
        [("Prp1", 24), ("Prp2", 32), ("Dword10", 40), ("Dword11", 44), ("Dword12", 48), ("Dword13", 52), ("Dword14", 56), ("Dword15", 60)];

    public static TheoryData<Type, int, (string Field, int Offset)[]> Structs => new()
    {
        {
            typeof(NvmeSubmission), 64,
            [("Opcode", 0), ("Flags", 1), ("CommandId", 2), ("NamespaceId", 4), ("Reserved", 8), ("Metadata", 16), .. Tail]
        },
        {
            typeof(NvmeCommand), 64,
            [("Opcode", 0), ("Flags", 1), ("Id", 2), ("NamespaceId", 4), ("Reserved", 8), ("Metadata", 16), .. Tail]
        },
        {
            typeof(NvmeCompletion), 16,
            [("Result", 0), ("Reserved", 4), ("SubmissionHead", 8), ("SubmissionQueueId", 10), ("CommandId", 12), ("PhaseAndStatus", 14)]
        },
    };

    [Theory]
    [MemberData(nameof(Structs), DisableDiscoveryEnumeration = true)]
    public void A_struct_has_the_specifications_layout(Type type, int size, (string Field, int Offset)[] fields)
    {
        Assert.Equal(size, Marshal.SizeOf(type));
        Assert.All(fields, field => Assert.Equal(field.Offset, (int)Marshal.OffsetOf(type, field.Field)));
        Assert.Equal(fields.Length, type.GetFields().Count(field => !field.IsStatic));
    }

    [Fact]
    public void Identify_Controller_has_its_fields_where_figure_247_has_them()
    {
        byte[] bytes = new byte[4096];
        Put(bytes, 0, 0x1b36, 2);
        "serial"u8.CopyTo(bytes.AsSpan(4));
        bytes[23] = (byte)'s';
        "model"u8.CopyTo(bytes.AsSpan(24));
        bytes[63] = (byte)'m';
        "12345678"u8.CopyTo(bytes.AsSpan(64));
        Put(bytes, 77, 7, 1);
        Put(bytes, 78, 0x0102, 2);
        Put(bytes, 80, 0x00010400, 4);
        Put(bytes, 512, 0x66, 1);
        Put(bytes, 513, 0x44, 1);
        Put(bytes, 516, 0x01020304, 4);
        Put(bytes, 520, 0x1234, 2);
        Put(bytes, 525, 1, 1);

        NvmeIdentifyController fields = Blittable.Read<NvmeIdentifyController>(bytes);

        Assert.Equal(4096, Blittable.SizeOf<NvmeIdentifyController>());
        Assert.Equal(0x1b36, fields.VendorId);
        Assert.Equal((byte)'s', fields.SerialNumber[19]);
        Assert.Equal((byte)'m', fields.ModelNumber[39]);
        Assert.Equal("12345678", NvmeText.Read(fields.FirmwareRevision));
        Assert.Equal(7, fields.MaxTransferShift);
        Assert.Equal(0x0102, fields.ControllerId);
        Assert.Equal(0x00010400u, fields.Version);
        Assert.Equal((0x66, 0x44), (fields.SubmissionEntrySizes, fields.CompletionEntrySizes));
        Assert.Equal(0x01020304u, fields.NamespaceCount);
        Assert.Equal(0x1234, fields.OptionalCommands);
        Assert.Equal(1, fields.VolatileWriteCache);
    }

    [Fact]
    public void Identify_Namespace_has_its_fields_where_figure_245_has_them()
    {
        byte[] bytes = new byte[4096];
        Put(bytes, 0, 0x0102030405060708, 8);
        Put(bytes, 8, 0x1112131415161718, 8);
        Put(bytes, 16, 0x2122232425262728, 8);
        Put(bytes, 24, 0x31, 1);
        Put(bytes, 25, 0x0f, 1);
        Put(bytes, 26, 0x01, 1);
        Put(bytes, 29, 0x05, 1);
        Put(bytes, 128, 0x00090000, 4);
        Put(bytes, 132, 0x000c0008, 4);
        Put(bytes, 380, 0x000d0000, 4);

        NvmeIdentifyNamespace fields = Blittable.Read<NvmeIdentifyNamespace>(bytes);

        Assert.Equal(4096, Blittable.SizeOf<NvmeIdentifyNamespace>());
        Assert.Equal(0x0102030405060708u, fields.SizeBlocks);
        Assert.Equal(0x1112131415161718u, fields.CapacityBlocks);
        Assert.Equal(0x2122232425262728u, fields.UsedBlocks);
        Assert.Equal((0x31, 0x0f, 0x01, 0x05), (fields.Features, fields.LastFormat, fields.Format, fields.Protection));
        Assert.Equal(0x00090000u, fields.Formats[0]);
        Assert.Equal(0x000c0008u, fields.Formats[1]);
        Assert.Equal(0x000d0000u, fields.Formats[63]);
        Assert.Equal(4096, Blittable.SizeOf<NvmeNamespaceList>());
    }

    [Fact]
    public void Capabilities_have_the_bits_of_section_3_1_1()
    {
        // What QEMU's nvme answers: MQES 2047, CQR, TO 15, CSS NVM and more, MPSMAX 4.
        NvmeCapabilities capabilities = new(0x0f01_07ff, 0x0040_0020);

        Assert.Equal(2048, capabilities.MaxQueueEntries);
        Assert.True(capabilities.RequiresContiguousQueues);
        Assert.Equal(TimeSpan.FromSeconds(7.5), capabilities.ReadyTimeout);
        Assert.Equal(4, capabilities.DoorbellStrideBytes);
        Assert.True(capabilities.HasNvmCommandSet);
        Assert.Equal(4096, capabilities.MinPageBytes);
        Assert.Equal(65536, capabilities.MaxPageBytes);
        Assert.Equal(32, new NvmeCapabilities(0, 3).DoorbellStrideBytes);
        Assert.Equal(8192, new NvmeCapabilities(0, 0x0001_0000).MinPageBytes);
        Assert.Equal(TimeSpan.FromSeconds(0.5), new NvmeCapabilities(0, 0).ReadyTimeout);
    }

    [Theory]
    [InlineData(0x0000, 0)]
    [InlineData(0x4001, 95)]
    [InlineData(0x4002, 22)]
    [InlineData(0x400b, 6)]
    [InlineData(0x0080, 22)]
    [InlineData(0x0081, 28)]
    [InlineData(0x0102, 22)]
    [InlineData(0x0281, 5)]
    [InlineData(0x0286, 13)]
    [InlineData(0x07ff, 5)]
    public void A_status_has_the_nearest_errno(uint raw, int errno)
    {
        NvmeStatus status = new(raw);
        Assert.Equal(errno, (int)status.Errno);
        Assert.Equal(errno == 0, status.IsSuccess);
        Assert.DoesNotContain('\n', status.ToString());
    }

    [Fact]
    public void A_status_says_what_it_is_in_words_and_numbers()
    {
        Assert.Equal("LBA out of range (status 0/80)", new NvmeStatus(0x4080).ToString());
        Assert.True(new NvmeStatus(0x4080).DoNotRetry);
        Assert.Equal("unrecovered read error (status 2/81)", new NvmeStatus(0x0281).ToString());
        Assert.Equal("vendor specific error (status 7/01)", new NvmeStatus(0x0701).ToString());
    }

    [Fact]
    public void Text_of_a_controller_cannot_act_on_a_terminal() =>
        Assert.Equal("a?[31mb?", NvmeText.Read("a\u001b[31mb\n  \0"u8));

    private static void Put(byte[] bytes, int offset, ulong value, int count)
    {
        for (int i = 0; i < count; i++)
            bytes[offset + i] = (byte)(value >> (8 * i));
    }
}
