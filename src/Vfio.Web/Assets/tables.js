// Registers by name, mapped memory, two config spaces side by side, and leases.
import { ask, current, device, element, mark, oneAtATime } from "./app.js";
import { drawStrip, size } from "./chart.js";

export function startTables() {
    return [registers(), dma(), compare(), leases()].filter(part => part !== undefined);
}

function cells(...values) {
    const row = element("tr");
    values.forEach(value => row.append(value instanceof Node ? value : element("td", value ?? "")));
    return row;
}

function head(text) {
    const made = element("th", text);
    made.scope = "row";
    return made;
}

const body = id => document.querySelector(`#${id} tbody`);

function registers() {
    const filter = document.getElementById("register-filter"), all = document.getElementById("register-all"), note = document.getElementById("register-note");
    if (!filter) return undefined;
    const shown = new Map();
    let seen;

    const draw = oneAtATime(async () => {
        const of = device();
        let data;
        try {
            data = await ask("api/registers", { device: of, filter: filter.value, all: all.checked ? 1 : undefined });
        } catch (failure) {
            note.textContent = failure.message;
            return;
        }
        // Rows stay where they are: one of them may have the focus.
        const rows = new Map(data.rows.map(one => [`${of} ${one.number} ${one.offset} ${one.bytes}`, one]));
        for (const [key, known] of shown) {
            if (rows.has(key)) continue;
            known.row.remove();
            shown.delete(key);
        }
        let place = body("register-table").firstElementChild;
        for (const [key, one] of rows) {
            const known = shown.get(key) ?? { row: cells("", "", head(""), "", "", "", "", "", ""), told: [] };
            shown.set(key, known);
            fill(known, one, data.canRead ? of : undefined);
            if (known.row === place) place = place.nextElementSibling;
            else body("register-table").insertBefore(known.row, place);
        }
        const words = [];
        if (data.rows.length < data.total) words.push(`The first ${data.rows.length} of ${data.total} are shown: filter for others.`);
        if (data.uncounted > 0) words.push(`${data.uncounted} accesses were of more registers than are told apart.`);
        if (data.rows.length === 0) words.push("No register was used, or none has this name.");
        if (data.canRead) words.push("A read is an access like the driver's own: some registers change by it.");
        note.textContent = words.join(" ");
    });

    // Only what the server tells anew is written: a value that the user read stays until then.
    function fill(known, one, of) {
        const told = [one.region, one.offset, one.name || "unnamed", one.read, one.written, number(one.reads), number(one.writes), one.fields];
        const isNew = known.told.length === 0, hasChanged = known.told[3] !== told[3] || known.told[4] !== told[4];
        told.forEach((text, at) => { if (text !== known.told[at]) known.row.children[at].textContent = text ?? ""; });
        known.told = told;
        if (!isNew && hasChanged) mark(known.row);
        const last = known.row.lastElementChild, canRead = of !== undefined && one.number < 7;
        if (canRead && !last.firstChild) last.append(reader(one, known.row, of));
        if (!canRead && last.firstChild) last.replaceChildren();
    }

    function reader(one, row, of) {
        const button = element("button", "read");
        button.type = "button";
        button.setAttribute("aria-label", `Read ${one.name || one.offset} now`);
        button.addEventListener("click", async () => {
            try {
                const answer = await ask("api/read", { device: of, region: one.number, offset: one.offset, bytes: one.bytes }, "POST");
                row.children[3].textContent = answer.value;
                row.children[7].textContent = answer.fields;
            } catch (failure) {
                note.textContent = failure.message;
            }
        });
        return button;
    }

    filter.addEventListener("input", draw);
    all.addEventListener("change", draw);
    return { views: ["registers"], refresh: (told, isShown) => {
        const key = `${told.end} ${device()} ${told.devices[device()]?.open}`;
        if (key === seen && !isShown) return;
        seen = key;
        draw();
    } };
}

const several = (count, one, more) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
const number = count => count > 0 ? count.toLocaleString("en") : "";

function dma() {
    const note = document.getElementById("dma-note");
    if (!note) return undefined;
    let seen;
    const row = use => cells(head(use.start), size(use.length), use.access, `s${use.session}`, number(use.reads), number(use.writes), use.readBytes > 0 ? size(use.readBytes) : "", use.writtenBytes > 0 ? size(use.writtenBytes) : "");

    const draw = oneAtATime(async () => {
        const data = await ask("api/dma").catch(() => undefined);
        if (!data) return;
        drawStrip(document.getElementById("dma-strip"), data.mapped, data.refused);
        body("dma-table").replaceChildren(...data.mapped.map(row));
        body("dma-ended").replaceChildren(...data.ended.map(row));
        body("dma-refused").replaceChildren(...data.refused.map(one => cells(one.what, head(one.place), one.count.toLocaleString("en"), one.why)));
        document.getElementById("dma-table").hidden = data.mapped.length === 0;
        document.getElementById("dma-refused").hidden = data.refused.length === 0;
        document.getElementById("dma-ended").hidden = data.ended.length === 0;
        const words = [`${several(data.mapped.length, "range is", "ranges are")} mapped.`];
        if (!data.seen) words.push("Accesses of the device are not seen: --dma on shows them, where the device allows it.");
        if (data.refusals > 0) words.push(`${several(data.refusals, "refusal", "refusals")}.`);
        if (data.guard > 0) words.push(`The guard refused ${several(data.guard, "access", "accesses")} to memory that is not mapped.`);
        note.textContent = words.join(" ");
    });

    return { views: ["dma"], refresh: told => {
        if (told.end === seen) return;
        seen = told.end;
        draw();
    } };
}

function compare() {
    const left = document.getElementById("compare-left"), right = document.getElementById("compare-right");
    if (!left) return undefined;
    const all = document.getElementById("compare-all"), note = document.getElementById("compare-note"), keep = document.getElementById("compare-keep");

    async function choices(chooseLeft, chooseRight) {
        const pictures = await ask("api/pictures");
        for (const [choice, chosen] of [[left, chooseLeft ?? left.value], [right, chooseRight ?? right.value]]) {
            choice.replaceChildren(...pictures.map(picture => {
                const option = element("option", picture.name);
                option.value = picture.key;
                return option;
            }));
            if (pictures.some(picture => picture.key === chosen)) choice.value = chosen;
        }
        if (!chooseLeft && left.value === right.value && pictures.length > 1) right.value = pictures.find(picture => picture.key !== left.value).key;
    }

    async function draw() {
        const data = await ask("api/compare", { left: left.value, right: right.value, all: all.checked ? 1 : undefined });
        body("compare-table").replaceChildren(...data.rows.map(one => {
            const row = cells(one.offset, head(`${one.structure} ${one.name}`.trim()), one.left ?? "not there", one.right ?? "not there", one.fields.join(", "));
            if (one.differs) row.classList.add("differs");
            return row;
        }));
        note.textContent = data.different === 0 ? `All ${data.total} registers are equal.` : `${data.different} of ${data.total} registers differ.`;
    }

    let chosen;
    const refresh = oneAtATime(async () => {
        const now = chosen;
        chosen = undefined;
        try {
            if (now) await choices(...now);
            await draw();
        } catch (failure) {
            note.textContent = failure.message;
        }
    });

    keep.addEventListener("click", async () => {
        try {
            const moment = await ask("api/keep", { device: device() }, "POST");
            chosen = [moment.key, `now${device()}`];
            await refresh();
        } catch (failure) {
            note.textContent = failure.message;
        }
    });
    for (const choice of [left, right, all]) choice.addEventListener("change", refresh);
    let seen;
    return { views: ["compare"], refresh: (told, isShown) => {
        const key = JSON.stringify([told.changes, told.devices.map(one => one.open)]);
        if (!isShown && key === seen) return;
        seen = key;
        chosen ??= [];
        refresh();
    } };
}

function leases() {
    const note = document.getElementById("lease-note");
    if (!note) return undefined;
    const when = text => text ? new Date(text).toLocaleString() : "";

    const draw = oneAtATime(async () => {
        try {
            const rows = await ask("api/leases");
            body("lease-table").replaceChildren(...rows.map(one =>
                cells(head(one.lease), one.device, one.address, one.user, one.state, when(one.since), when(one.until), one.rule, `${one.program ?? ""} ${one.pid > 0 ? one.pid : ""}`)));
            note.textContent = rows.length === 0 ? "Nobody holds a device." : `${several(rows.length, "lease", "leases")}.`;
        } catch (failure) {
            note.textContent = failure.message;
        }
    });

    setInterval(() => { if (current() === "leases" && !document.hidden) draw(); }, 2000);
    return { views: ["leases"], refresh: (told, isShown) => { if (isShown) draw(); } };
}
