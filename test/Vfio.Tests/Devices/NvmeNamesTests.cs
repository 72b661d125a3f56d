using System.Text;
using Vfio.Devices;
using Vfio.Devices.Nvme;

namespace Vfio.Tests.Devices;

/// <summary>What drives are called: by Identify, with the offsets of NVM Express Base Specification 2.0, figures 275 and 277.</summary>
public sealed class NvmeNamesTests : IDisposable
{
    private const byte Identify = 0x06;
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-names-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Names_come_from_the_path_of_the_image_and_stay()
    {
        Names first = Of($"image={Image("one")}");
        Names again = Of($"image={_folder}/./one");
        Names other = Of($"image={Image("two")}");
        Assert.Equal(first, again);
        Assert.NotEqual(first.Serial, other.Serial);
        Assert.NotEqual(first.Subsystem, other.Subsystem);
        Assert.NotEqual(first.Eui64, other.Eui64);
        Assert.NotEqual(first.Nguid, other.Nguid);
        Assert.NotEqual(first.Uuid, other.Uuid);
        Assert.Matches("^VFIO[0-9A-F]{16}$", first.Serial);
        Assert.Matches("^nqn.2014-08.org.nvmexpress:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", first.Subsystem);
        Assert.StartsWith("564649", first.Eui64);        // locally administered: bit 1 of the first byte
        Assert.Equal("564649", first.Nguid[16..22]);
    }

    [Fact]
    public void Drives_in_memory_are_different_ones() => Assert.NotEqual(Of("size=1M").Serial, Of("size=1M").Serial);

    [Fact]
    public void A_serial_number_decides_all_names_and_a_subsystem_name_only_itself()
    {
        Names first = Of("size=1M&serial=disk-1");
        Assert.Equal("disk-1", first.Serial);
        Assert.Equal(first, Of($"image={Image("three")}&serial=disk-1"));
        Names named = Of("size=1M&serial=disk-1&nqn=nqn.2014-08.org.example:d");
        Assert.Equal("nqn.2014-08.org.example:d", named.Subsystem);
        Assert.Equal(first with { Subsystem = named.Subsystem }, named);
    }

    [Theory]
    [InlineData("serial", "")]
    [InlineData("serial", " 1")]
    [InlineData("serial", "123456789012345678901")]
    [InlineData("serial", "\u00e4")]
    [InlineData("serial", "a\nb")]
    [InlineData("nqn", "disk")]
    [InlineData("nqn", "nqn.")]
    [InlineData("nqn", "nqn.a b")]
    [InlineData("namespaces", "0")]
    [InlineData("namespaces", "129")]
    [InlineData("namespaces", "x")]
    [InlineData("block", "1024")]
    public void What_is_no_name_or_number_is_refused_in_one_line(string option, string value)
    {
        VfioException refusal = Assert.Throws<VfioException>(
            () => ModelCatalog.Create("nvme", new Dictionary<string, string> { [option] = value }));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void A_storage_that_is_too_small_for_its_namespaces_is_refused()
    {
        Dictionary<string, string> options = new() { ["size"] = "4K", ["namespaces"] = "2" };
        Assert.Contains("too few", Assert.Throws<VfioException>(() => ModelCatalog.Create("nvme", options)).Message);
    }

    [Fact]
    public void Namespaces_have_equal_parts_and_names_of_their_own()
    {
        using SlotRig nvme = Rig("size=8M&namespaces=3&block=4096");
        Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 1).Status);
        Assert.Equal(3u, nvme.Peek32(NvmeRig.Data + 516));
        HashSet<string> uuids = [];
        for (uint space = 1; space <= 3; space++)
        {
            Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 0, space: space).Status);
            Assert.Equal((8ul << 20) / 3 / 4096, nvme.Peek64(NvmeRig.Data));
            Assert.Equal(1, nvme.Peek(NvmeRig.Data + 26, 1)[0]); // FLBAS: LBAF1, 4096 bytes
            Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 3, space: space).Status);
            Assert.True(uuids.Add(Convert.ToHexString(nvme.Peek(NvmeRig.Data + 36, 16))));
        }
    }

    private string Image(string name)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, new byte[1 << 20]);
        return path;
    }

    private static SlotRig Rig(string options)
    {
        Dictionary<string, string> given = options.Split('&').Select(one => one.Split('=', 2)).ToDictionary(one => one[0], one => one[1]);
        SlotRig nvme = new(ModelCatalog.Create("nvme", given));
        nvme.Reset();
        nvme.Enable();
        return nvme;
    }

    private static Names Of(string options)
    {
        using SlotRig nvme = Rig(options);
        Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 1).Status);
        string serial = Encoding.ASCII.GetString(nvme.Peek(NvmeRig.Data + 4, 20)).TrimEnd();
        string subsystem = Encoding.ASCII.GetString(nvme.Peek(NvmeRig.Data + 768, 256)).TrimEnd('\0');
        Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 0, space: 1).Status);
        string nguid = Convert.ToHexString(nvme.Peek(NvmeRig.Data + 104, 16));
        string eui64 = Convert.ToHexString(nvme.Peek(NvmeRig.Data + 120, 8));

        // Namespace Identification Descriptors say the same, and a UUID.
        Assert.Equal(0, nvme.Admin(Identify, NvmeRig.Data, 3, space: 1).Status);
        Assert.Equal(eui64, Convert.ToHexString(nvme.Peek(NvmeRig.Data + 4, 8)));
        Assert.Equal(nguid, Convert.ToHexString(nvme.Peek(NvmeRig.Data + 16, 16)));
        return new Names(serial, subsystem, eui64, nguid, Convert.ToHexString(nvme.Peek(NvmeRig.Data + 36, 16)));
    }

    private sealed record Names(string Serial, string Subsystem, string Eui64, string Nguid, string Uuid);
}
