using Vfio.Cli.Show;
using Vfio.Pci;
using Vfio.Pci.Decoding;

namespace Vfio.Cli.Html;

/// <summary>A device at a glance: what it is, what it has, and whether it is well-behaved.</summary>
internal static class GlanceMarkup
{
    /// <summary>Writes it.</summary>
    internal static void Write(Markup page, FunctionView view, FunctionDocument? document)
    {
        page.Raw("<dl class=\"facts\">");
        Fact(page, "Address", view.Name);
        if (document is not null)
            WriteIds(page, view, document);
        if (view.Device is { } device)
            WriteDevice(page, device);
        page.Raw("</dl>\n");
        if (view.Device is { } open)
        {
            page.Raw("<div class=\"tables\">\n");
            WriteParts(page, open);
            page.Raw("</div>\n");
        }

        if (document is not null)
            WriteText(page, document);
    }

    private static void WriteIds(Markup page, FunctionView view, FunctionDocument document)
    {
        ConfigSpace space = view.Space;
        ushort vendor = view.Facts.VendorId ?? space.VendorId, device = view.Facts.DeviceId ?? space.DeviceId;
        Fact(page, "Vendor and device", $"{vendor:x4}:{device:x4} {view.Facts.Names.Device(vendor, device)}");
        Fact(page, "Class", $"{space.Read32(8) >> 8:x6} {view.Facts.Names.Class(space.Read16(0x0a))}");
        if (space.HeaderType == 0 && space.Knows(0x2c, 4))
            Fact(page, "Subsystem", $"{space.Read16(0x2c):x4}:{space.Read16(0x2e):x4}");
        Fact(page, "Capabilities", document.Capabilities.Count == 0 ? "none" : string.Join(", ", document.Capabilities.Select(one => one.Capability.Name)));
        if (view.Facts.Driver is { } driver)
            Fact(page, "Driver", driver);
        if (view.Facts.IommuGroup is { } group)
            Fact(page, "IOMMU group", group);
    }

    private static void WriteDevice(Markup page, DeviceFacts device)
    {
        if (device.Node is { } node)
        {
            Fact(page, "Device tree", node.Path);
            Fact(page, "Compatible", string.Join(", ", node.Compatible));
        }

        Fact(page, "Reset", device.Info.CanReset ? "possible" : "impossible");
        if (device.Report is { } report)
            Fact(page, "Well-behaved", report.IsWellBehaved ? "yes" : "no");
    }

    private static void WriteParts(Markup page, DeviceFacts device)
    {
        page.Raw("<div class=\"scroll\"><table class=\"list\"><caption>Regions</caption><thead><tr><th>Region</th><th>Size</th><th>Access</th></tr></thead><tbody>\n");
        foreach (RegionInfo region in device.Regions)
            page.Write($"<tr><th scope=\"row\">{device.NameOf(region.Index)}</th><td>{DeviceFacts.Size(region.Length)}</td><td>{DeviceFacts.Access(region)}</td></tr>\n");
        page.Raw("</tbody></table></div>\n");
        if (device.Interrupts.Count > 0)
        {
            page.Raw("<div class=\"scroll\"><table class=\"list\"><caption>Interrupts</caption><thead><tr><th>Kind</th><th>Vectors</th></tr></thead><tbody>\n");
            foreach (InterruptInfo kind in device.Interrupts)
                page.Write($"<tr><th scope=\"row\">{device.NameOf(kind.Index)}</th><td>{kind.Count}{DeviceFacts.Behaviour(kind.Flags)}</td></tr>\n");
            page.Raw("</tbody></table></div>\n");
        }

        if (device.Report is not { } report)
            return;
        page.Raw("<div class=\"scroll\"><table class=\"list\"><caption>Well-behaved?</caption><thead><tr><th>Question</th><th>Answer</th><th>Why</th></tr></thead><tbody>\n");
        foreach (Finding finding in report.Findings)
            page.Write($"<tr><th scope=\"row\">{finding.Question}</th><td>{finding.Answer.ToString().ToLowerInvariant()}</td><td>{finding.Reason}</td></tr>\n");
        page.Raw("</tbody></table></div>\n");
    }

    private static void WriteText(Markup page, FunctionDocument document)
    {
        page.Raw("<details><summary>As <code>lspci -vvv</code> prints it</summary><pre>");
        foreach (string line in document.Lines)
            page.Text(line.Replace("\t", "    ", StringComparison.Ordinal)).Raw("\n");
        page.Raw("</pre></details>\n");
    }

    private static void Fact(Markup page, string name, string value) => page.Write($"<div><dt>{name}</dt><dd>{value}</dd></div>");
}
