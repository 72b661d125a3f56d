using System.Xml.Linq;

namespace Vfio.Tests.Processes;

/// <summary>What a server prints for others to be pasted.</summary>
public sealed class ConnectInstructionsTests
{
    private const string Start = "  <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>";

    [Fact]
    public void Libvirt_gets_a_domain_with_shared_memory_and_the_device_that_QEMU_gets()
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--libvirt");
        server.Printed("or look at it");
        string text = string.Join('\n', server.Output.SkipWhile(line => line != Start).TakeWhile(line => line != "or look at it with:"));
        XElement domain = XElement.Parse(text);
        XNamespace qemu = "http://libvirt.org/schemas/domain/qemu/1.0";
        Assert.Equal("memfd", domain.Element("memoryBacking")?.Element("source")?.Attribute("type")?.Value);
        Assert.Equal("shared", domain.Element("memoryBacking")?.Element("access")?.Attribute("mode")?.Value);
        string[] words = [.. domain.Element(qemu + "commandline")!.Elements(qemu + "arg").Select(word => word.Attribute("value")!.Value)];
        Assert.Equal(server.QemuDevice.Trim(), $"{words[0]} '{words[1]}'");
    }
}
