using System.Globalization;
using Vfio.Pci;
using Vfio.Pci.Rules;

namespace Vfio.Cli.Html;

/// <summary>Config space as a table: a row for each register, and in it each run of bits with its rule.</summary>
internal static class ConfigMarkup
{
    /// <summary>Writes legend, table, and the place where the chosen bits are explained.</summary>
    /// <param name="page">Where to.</param>
    /// <param name="space">The config space.</param>
    /// <param name="key">What its ids begin with: unique in the page.</param>
    internal static void Write(Markup page, ConfigSpace space, string key)
    {
        ConfigMap map = ConfigMap.Of(space);
        WriteLegend(page);
        foreach (string problem in map.Problems)
            page.Write($"<p class=\"problem\">{problem}</p>\n");
        page.Write($"<div class=\"map\" id=\"{key}-map\">\n<div class=\"registers\" role=\"region\" aria-label=\"Registers, bit by bit. Arrow keys move between fields.\" tabindex=\"-1\">\n");
        bool isFirst = true;
        foreach (MappedStructure structure in map.Structures)
            WriteStructure(page, structure, ref isFirst);
        page.Write($"</div>\n<aside class=\"detail\" id=\"{key}-detail\" aria-label=\"The chosen bits\"><p>Point at bits, or move to them with the arrow keys.</p></aside>\n</div>\n");
    }

    private static void WriteLegend(Markup page)
    {
        page.Raw("<ul class=\"legend\" aria-label=\"Who may change a bit\">");
        foreach (RuleText rule in RuleText.All)
            page.Write($"<li><b class=\"run {rule.Class}\" aria-hidden=\"true\"><i>0</i></b> <span><strong>{rule.Name}</strong> {rule.Meaning}</span></li>");
        page.Raw("</ul>\n");
    }

    private static void WriteStructure(Markup page, MappedStructure structure, ref bool isFirst)
    {
        page.Write($"<section class=\"structure\" data-spec=\"{structure.Specification}\"><h3>{structure.Name}");
        if (structure.Specification is { } specification)
            page.Write($" <small>{specification}</small>");
        page.Raw("</h3>\n<table><thead class=\"unseen\"><tr><th>Offset</th><th>Register</th><th>Value</th><th>Bits</th></tr></thead><tbody>\n");
        foreach (MappedRegister register in structure.Registers)
            WriteRegister(page, register, ref isFirst);
        page.Raw("</tbody></table></section>\n");
    }

    private static void WriteRegister(Markup page, MappedRegister register, ref bool isFirst)
    {
        string name = register.Name.Length > 0 ? register.Name : "no register";
        page.Write($"<tr data-offset=\"{register.Offset}\" data-bytes=\"{register.Bytes}\"><td>{Hex(register.Offset, 3)}</td>");
        page.Write($"<th scope=\"row\">{name}</th><td class=\"value\">0x{Hex(register.Value, 2 * register.Bytes)}</td><td class=\"bits\">");
        foreach (MappedBits part in register.Parts)
        {
            WritePart(page, register, part, isFirst);
            isFirst = false;
        }

        page.Raw("</td></tr>\n");
    }

    private static void WritePart(Markup page, MappedRegister register, MappedBits part, bool isFirst)
    {
        RuleText rule = RuleText.Of(part.Rule);
        uint value = register.ValueOf(part);
        string bits = part.High == part.Low ? $"bit {part.Low}" : $"bits {part.High}:{part.Low}";
        string words = register.Words(part) is { } meaning ? $" {meaning}" : "";
        string field = part.Field?.Name ?? "no field";
        page.Write($"<span class=\"run {rule.Class}\" tabindex=\"{(isFirst ? 0 : -1)}\" role=\"img\" data-field=\"{field}\" data-high=\"{part.High}\" data-low=\"{part.Low}\" data-words=\"{words.Trim()}\"");
        page.Write($" aria-label=\"{field}, {bits}, 0x{Hex(value, 1)}{words}, {rule.Name}\">");
        for (int bit = part.High; bit >= part.Low; bit--)
        {
            // A space between bytes, which is no part of the text.
            string gap = bit % 8 == 7 && bit != (8 * register.Bytes) - 1 ? " class=\"byte\"" : "";
            page.Raw($"<i{gap}>{(register.Value >> bit) & 1}</i>");
        }

        page.Raw("</span>");
    }

    private static string Hex(long value, int digits) => value.ToString($"x{digits}", CultureInfo.InvariantCulture);
}
