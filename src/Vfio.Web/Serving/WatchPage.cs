using Vfio.Cli.Html;
using Vfio.Cli.Output;
using Vfio.Pci;
using Vfio.Pci.Decoding;
using Vfio.Web.Devices;

namespace Vfio.Web.Serving;

/// <summary>The page: what is known when it is asked for. Its scripts keep it up to date.</summary>
internal static class WatchPage
{
    /// <summary>The answer to the address with the token: the page proper is asked for by a page of the same origin, with the cookie.</summary>
    /// <param name="root">Below which path everything is.</param>
    /// <remarks>A redirection would still count as asked for by whoever had the address, and the cookie would not be sent along.</remarks>
    internal static string Entrance(string root) =>
        $"<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={root}\">"
        + $"<link rel=\"icon\" href=\"{root}assets/icon.svg\"><title>vfio</title><a href=\"{root}\">Go on</a></html>\n";

    /// <summary>Writes the page.</summary>
    internal static string Of(WatchState state)
    {
        Markup page = new();
        string title = state.Devices.Count switch
        {
            0 => state.Trace is null ? "leases" : Path.GetFileName(state.Request.Trace) ?? "trace",
            1 => state.Devices[0].View.Name,
            var count => $"{count} devices",
        };
        page.Raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
        page.Write($"<title>{title}: vfio</title>\n");
        page.Raw("<link rel=\"icon\" href=\"assets/icon.svg\">\n<link rel=\"stylesheet\" href=\"assets/page.css\">\n");
        page.Raw("<link rel=\"stylesheet\" href=\"assets/web.css\">\n<script src=\"assets/bits.js\" defer></script>\n");
        page.Raw("<script src=\"assets/app.js\" type=\"module\"></script>\n</head>\n<body>\n");
        page.Raw("<a class=\"skip\" href=\"#views\">Skip to the view</a>\n");
        WriteHeader(page, state);
        page.Raw("<main id=\"views\" tabindex=\"-1\">\n");
        for (int i = 0; i < state.Devices.Count; i++)
            WriteDevice(page, state.Devices[i], i);
        if (state.Devices.Count > 0)
            page.Raw(Registers);
        if (state.Trace is not null)
            page.Raw(TraceViews);
        if (state.Devices.Count > 0)
            page.Raw(Compare);
        if (state.Request.ShowsLeases)
            page.Raw(Leases);
        page.Write($"</main>\n<footer>vfio {VersionAction.Version}</footer>\n</body>\n</html>\n");
        return page.ToString();
    }

    private static void WriteHeader(Markup page, WatchState state)
    {
        page.Raw("<header class=\"top\"><div class=\"row\"><strong class=\"brand\">vfio</strong>");
        if (state.Devices.Count > 1)
        {
            page.Raw("<label class=\"choice\"><span class=\"unseen\">Device</span><select id=\"device\">");
            for (int i = 0; i < state.Devices.Count; i++)
                page.Write($"<option value=\"{i}\">{state.Devices[i].View.Name}</option>");
            page.Raw("</select></label>");
        }
        else
        {
            page.Write($"<span class=\"name\">{(state.Devices.Count == 1 ? state.Devices[0].View.Name : Path.GetFileName(state.Request.Trace))}</span>");
        }

        page.Raw("<span id=\"state\" role=\"status\">connecting</span></div>\n<nav aria-label=\"Views\"><ul>");
        if (state.Devices.Count > 0)
            page.Raw("<li><a href=\"#device\">Device</a></li><li><a href=\"#config\">Config space</a></li><li><a href=\"#registers\">Registers</a></li>");
        if (state.Trace is not null)
            page.Raw("<li><a href=\"#trace\">Trace</a></li><li><a href=\"#dma\">DMA</a></li><li><a href=\"#interrupts\">Interrupts</a></li>");
        if (state.Devices.Count > 0)
            page.Raw("<li><a href=\"#compare\">Compare</a></li>");
        if (state.Request.ShowsLeases)
            page.Raw("<li><a href=\"#leases\">Leases</a></li>");
        page.Raw("</ul></nav></header>\n");
    }

    private static void WriteDevice(Markup page, WatchedDevice device, int number)
    {
        // As it is now: what was there when the page began may be long gone.
        ConfigSpace space = new(device.Config);
        FunctionDocument? document = device.View.IsPci ? ConfigDecoder.Decode(space, device.View.Facts) : null;
        page.Write($"<section class=\"view\" data-view=\"device\" data-device=\"{number}\" hidden><h1>{document?.Title ?? $"{device.View.Name}: platform device"}</h1>\n");
        GlanceMarkup.Write(page, device.View with { Space = space }, document);
        page.Write($"</section>\n<section class=\"view\" data-view=\"config\" data-device=\"{number}\" hidden><h1>Config space <small>{device.View.Name}</small></h1>\n");
        if (device.View.IsPci)
            ConfigMarkup.Write(page, space, $"d{number}");
        else
            page.Raw("<p>A platform device has no config space.</p>");
        page.Raw("</section>\n");
    }

    private const string Registers = """
        <section class="view" data-view="registers" hidden><h1>Registers</h1>
        <form class="bar" id="register-form"><label>Filter <input id="register-filter" type="search" autocomplete="off" spellcheck="false" placeholder="bar0 control"></label>
        <label><input type="checkbox" id="register-all"> unused ones too</label></form>
        <p class="hint" id="register-note"></p>
        <div class="scroll"><table class="list mono" id="register-table"><caption class="unseen">Registers</caption>
        <thead><tr><th>Region</th><th>Offset</th><th>Register</th><th>Last read</th><th>Last written</th><th>Reads</th><th>Writes</th><th>Fields</th><th></th></tr></thead><tbody></tbody></table></div>
        </section>

        """;

    private const string TraceViews = """
        <section class="view" data-view="trace" hidden><h1>Trace</h1>
        <form class="bar" id="trace-form"><label>Filter <input id="trace-filter" type="search" autocomplete="off" spellcheck="false" placeholder="write bar0 -config =0x1"></label>
        <label><input type="checkbox" id="trace-follow"> follow</label><span id="trace-count" role="status"></span></form>
        <div class="chart" id="trace-line" role="group" aria-label="Events over time"></div>
        <div id="trace-list" class="events" role="grid" aria-label="Events" aria-readonly="true" tabindex="0"><div class="rows" role="rowgroup"></div></div>
        <p class="hint">Words in the filter all have to match: a kind, a region, a name, <code>0x14</code>, <code>=0x1</code> for a value, <code>s2</code> a session, <code>t5</code> a thread, <code>-word</code> for none of it. Drag over the time line to look closer; at the keyboard, arrows move it, + and − look closer and farther, 0 shows all.</p>
        </section>
        <section class="view" data-view="dma" hidden><h1>DMA address space</h1>
        <p class="hint" id="dma-note"></p>
        <div class="chart" id="dma-strip" role="img" aria-label="Mapped ranges by address"></div>
        <div class="scroll"><table class="list mono" id="dma-table"><caption>Mapped</caption><thead><tr><th>Address</th><th>Size</th><th>Access</th><th>Session</th><th>Reads</th><th>Writes</th><th>Read</th><th>Written</th></tr></thead><tbody></tbody></table></div>
        <div class="scroll"><table class="list mono" id="dma-refused"><caption>Refused</caption><thead><tr><th>What</th><th>Address</th><th>Times</th><th>Why</th></tr></thead><tbody></tbody></table></div>
        <div class="scroll"><table class="list mono" id="dma-ended"><caption>Unmapped</caption><thead><tr><th>Address</th><th>Size</th><th>Access</th><th>Session</th><th>Reads</th><th>Writes</th><th>Read</th><th>Written</th></tr></thead><tbody></tbody></table></div>
        </section>
        <section class="view" data-view="interrupts" hidden><h1>Interrupts</h1>
        <div class="chart" id="irq-line" role="group" aria-label="Interrupts over time"></div>
        <div class="scroll"><table class="list mono" id="irq-table"><caption>Vectors</caption><thead><tr><th>Vector</th><th>Delivered</th><th>Asked for by the driver</th></tr></thead><tbody></tbody></table></div>
        </section>

        """;

    private const string Compare = """
        <section class="view" data-view="compare" hidden><h1>Compare</h1>
        <form class="bar" id="compare-form"><label>Left <select id="compare-left"></select></label><label>Right <select id="compare-right"></select></label>
        <button type="button" id="compare-keep">Keep this moment</button><label><input type="checkbox" id="compare-all"> equal ones too</label></form>
        <p class="hint" id="compare-note" role="status"></p>
        <div class="scroll"><table class="list mono" id="compare-table"><caption class="unseen">Differences</caption><thead><tr><th>Offset</th><th>Register</th><th>Left</th><th>Right</th><th>Fields that differ</th></tr></thead><tbody></tbody></table></div>
        </section>

        """;

    private const string Leases = """
        <section class="view" data-view="leases" hidden><h1>Leases</h1>
        <p class="hint" id="lease-note" role="status"></p>
        <div class="scroll"><table class="list" id="lease-table"><caption class="unseen">Leases</caption><thead><tr><th>Lease</th><th>Device</th><th>Address</th><th>User</th><th>State</th><th>Since</th><th>Until</th><th>Rule</th><th>Program</th></tr></thead><tbody></tbody></table></div>
        </section>

        """;
}
