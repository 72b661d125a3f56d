using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Xml;
using System.Xml.Linq;

namespace Vfio.Cli.Output;

/// <summary>The connect instructions that a server prints when it listens: options for QEMU, Cloud Hypervisor and this command.</summary>
internal static class ConnectInstructions
{
    /// <summary>Writes the instructions; each line can be pasted as it is.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="socket">Where the server listens; null for a listening descriptor of another process.</param>
    /// <param name="libvirt">Whether to write XML for libvirt too.</param>
    public static void Write(TextWriter output, string? socket, bool libvirt)
    {
        if (socket is null)
        {
            output.WriteLine("ready on the passed descriptor");
            return;
        }

        string path = Path.GetFullPath(socket);
        output.WriteLine($"ready {path}");
        output.WriteLine("attach it to QEMU 10.1 or later with:");
        output.WriteLine(@"  -object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem \");
        output.WriteLine($"  -device '{QemuDevice(path)}'");
        output.WriteLine("or to Cloud Hypervisor with:");
        output.WriteLine($"  --memory shared=on --user-device socket={path}");
        if (libvirt)
        {
            output.WriteLine("or to a domain of libvirt with (virsh edit DOMAIN):");
            output.Write(LibvirtDomain(path));
        }

        output.WriteLine("or look at it with:");
        output.WriteLine($"  vfio show unix:{path}");
        output.Flush();
    }

    /// <summary>The XML that a domain needs. libvirt has no element for vfio-user: the device is an argument for QEMU; only the memory has
    /// an element.</summary>
    private static string LibvirtDomain(string path)
    {
        XNamespace qemu = "http://libvirt.org/schemas/domain/qemu/1.0";
        XElement domain = new(
            "domain",
            new XAttribute("type", "kvm"),
            new XAttribute(XNamespace.Xmlns + "qemu", qemu),
            new XElement(
                "memoryBacking",
                new XElement("source", new XAttribute("type", "memfd")),
                new XElement("access", new XAttribute("mode", "shared"))),
            new XElement(
                qemu + "commandline",
                new XElement(qemu + "arg", new XAttribute("value", "-device")),
                new XElement(qemu + "arg", new XAttribute("value", QemuDevice(path)))));

        // Single quotes, as libvirt itself writes, because the JSON of the device has double ones.
        using StringWriter text = new(CultureInfo.InvariantCulture);
        using (XmlTextWriter writer = new(text) { Formatting = Formatting.Indented, QuoteChar = '\'' })
            domain.WriteTo(writer);
        return $"  {text.ToString().ReplaceLineEndings("\n  ")}\n";
    }

    private static string QemuDevice(string path)
    {
        JsonEncodedText text = JsonEncodedText.Encode(path, JavaScriptEncoder.UnsafeRelaxedJsonEscaping);
        return $$$"""{"driver":"vfio-user-pci","socket":{"path":"{{{text}}}","type":"unix"}}""";
    }
}
