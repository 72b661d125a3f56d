// Lanes over time, and address ranges, drawn as SVG. Every colour is the style sheet's.
import { element } from "./app.js";

const svgSpace = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}) {
    const made = document.createElementNS(svgSpace, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
}

/** A time in nanoseconds, in a unit that reads well. */
export function time(nanoseconds) {
    if (nanoseconds < 1e3) return `${Math.round(nanoseconds)} ns`;
    if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(1)} µs`;
    if (nanoseconds < 1e9) return `${(nanoseconds / 1e6).toFixed(1)} ms`;
    return `${(nanoseconds / 1e9).toFixed(3)} s`;
}

/** Draws lanes of counts. Zooming is by dragging, with the buttons, or with the keys +, - and 0; arrows move. */
export class LaneChart {
    constructor(place, choose) {
        this.place = place;
        this.choose = choose;
        this.from = undefined;
        this.to = undefined;
        this.lanes = element("div", "", "lanes");
        this.lanes.tabIndex = 0;
        this.lanes.setAttribute("role", "group");
        this.lanes.setAttribute("aria-label", `${place.getAttribute("aria-label")}: + and - look closer and farther, arrows move, 0 shows all`);
        this.lanes.addEventListener("keydown", event => this.key(event));
        this.axis = element("div", "", "axis");
        const bar = element("div", "", "zoom");
        for (const [text, label, act] of [["+", "Closer", () => this.scale(.5)], ["−", "Farther", () => this.scale(2)], ["all", "All of it", () => this.zoom()]]) {
            const button = element("button", text);
            button.type = "button";
            button.setAttribute("aria-label", label);
            button.addEventListener("click", act);
            bar.append(button);
        }
        this.what = element("span", "", "soft");
        this.what.setAttribute("role", "status");
        bar.append(this.what);
        place.replaceChildren(bar, this.lanes, this.axis);
        this.drag();
    }

    get isZoomed() { return this.from !== undefined; }

    zoom(from, to) {
        [this.from, this.to] = [from, to];
        this.choose(from, to);
    }

    scale(factor) {
        if (!this.data) return;
        const { start, end } = this.data, middle = (start + end) / 2, half = Math.max((end - start) * factor / 2, 50);
        this.zoom(Math.max(0, Math.round(middle - half)), Math.round(middle + half));
    }

    move(share) {
        if (!this.data || !this.isZoomed) return;
        const { start, end } = this.data, all = this.all ?? this.data;
        const by = Math.max(all.start - start, Math.min(Math.round((end - start) * share), all.end - end));
        this.zoom(start + by, end + by);
    }

    key(event) {
        const acts = { "+": () => this.scale(.5), "=": () => this.scale(.5), "-": () => this.scale(2), 0: () => this.zoom(), ArrowLeft: () => this.move(-.25), ArrowRight: () => this.move(.25) };
        if (!(event.key in acts) || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        acts[event.key]();
    }

    drag() {
        let begin;
        const shade = element("div", "", "shade");
        const at = event => {
            const box = this.lanes.querySelector("svg")?.getBoundingClientRect();
            return box ? Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) : 0;
        };
        this.lanes.addEventListener("pointerdown", event => {
            if (event.button !== 0 || !this.data) return;
            begin = at(event);
            this.lanes.setPointerCapture(event.pointerId);
        });
        this.lanes.addEventListener("pointermove", event => {
            this.point(event, at(event));
            if (begin === undefined) return;
            const box = this.lanes.querySelector("svg").getBoundingClientRect(), outer = this.lanes.getBoundingClientRect();
            const [low, high] = [Math.min(begin, at(event)), Math.max(begin, at(event))];
            shade.style.left = `${box.left - outer.left + low * box.width}px`;
            shade.style.width = `${(high - low) * box.width}px`;
            this.lanes.append(shade);
        });
        this.lanes.addEventListener("pointerup", event => {
            if (begin === undefined) return;
            const [low, high] = [Math.min(begin, at(event)), Math.max(begin, at(event))];
            begin = undefined;
            shade.remove();
            const { start, end } = this.data, long = end - start;
            if (high - low > .004) this.zoom(Math.round(start + low * long), Math.round(start + high * long));
            else this.pick?.(Math.round(start + low * long));
        });
    }

    point(event, share) {
        const lane = event.target.closest?.(".lane");
        const bucket = Math.min(Math.floor(share * (this.data?.lanes[0]?.counts.length ?? 0)), (this.data?.lanes[0]?.counts.length ?? 1) - 1);
        if (!this.data) return;
        const place = time(this.data.start + share * (this.data.end - this.data.start));
        const one = lane && this.data.lanes[Number(lane.dataset.lane)];
        const mark = one?.marks.filter(([at]) => Math.abs(at - bucket) <= 1).map(([, , what]) => what).slice(0, 3).join("; ");
        this.what.textContent = one ? `${place}: ${one.counts[bucket]} of ${one.name}${mark ? `; driver: ${mark}` : ""}` : place;
    }

    draw(data) {
        this.data = data;
        if (!this.isZoomed) this.all = { start: data.start, end: data.end };
        const rows = data.lanes.map((lane, number) => {
            const row = element("div", "", "lane");
            row.dataset.lane = number;
            const total = lane.counts.reduce((sum, count) => sum + count, 0);
            const label = element("span", lane.name, "lane-name");
            const count = element("span", total.toLocaleString("en"), "lane-count");
            const width = lane.counts.length, most = Math.max(1, ...lane.counts);
            const picture = svg("svg", { viewBox: `0 0 ${width} 24`, preserveAspectRatio: "none", role: "img", "aria-label": `${lane.name}: ${total} events, at most ${most} in ${time((data.end - data.start) / width)}` });
            picture.classList.add(`lane-${lane.name.split(/[ \d]/)[0].toLowerCase()}`);
            let path = "";
            lane.counts.forEach((events, bucket) => {
                if (events === 0) return;
                const height = Math.max(4, 23 * Math.log1p(events) / Math.log1p(most));
                path += `M${bucket} 24v-${height.toFixed(1)}h1v${height.toFixed(1)}z`;
            });
            picture.append(svg("path", { d: path }));
            for (const [bucket] of lane.marks) picture.append(svg("path", { d: `M${bucket} 0h1v24h-1z`, class: "driver" }));
            row.append(label, picture, count);
            return row;
        });
        this.lanes.replaceChildren(...rows);
        if (rows.length === 0) this.lanes.append(element("p", "Nothing yet.", "hint"));
        this.axis.replaceChildren(element("span", time(data.start)), element("span", time((data.start + data.end) / 2)), element("span", time(data.end)));
        this.axis.hidden = rows.length === 0;
    }
}

/** Draws ranges of addresses in their order, each as wide as its size has digits: small ones stay visible beside large ones. */
export function drawStrip(place, mapped, refused) {
    const pieces = [...mapped.map(use => ({ ...use, at: BigInt(use.start), end: BigInt(use.start) + BigInt(use.length) })),
        ...refused.map(one => ({ ...one, at: BigInt(one.place), end: BigInt(one.place) + 1n, isRefused: true }))].sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    const strip = element("div", "", "strip");
    let last = 0n;
    const most = Math.max(1, ...pieces.map(piece => (piece.reads ?? 0) + (piece.writes ?? 0)));
    for (const piece of pieces) {
        if (piece.at > last) strip.append(block("gap", 2, `nothing mapped from 0x${last.toString(16)}`));
        const touches = (piece.reads ?? 0) + (piece.writes ?? 0);
        const made = piece.isRefused
            ? block("refused", 2, `${piece.what} at ${piece.place} refused ${piece.count} times: ${piece.why}`)
            : block("mapped", Math.max(3, (piece.end - piece.at).toString(2).length), `${piece.start}, ${size(piece.length)}, ${piece.access}: read ${piece.reads} times, written ${piece.writes} times`);
        if (!piece.isRefused) {
            made.style.setProperty("--heat", (Math.log1p(touches) / Math.log1p(most)).toFixed(3));
            made.append(element("span", piece.start, "address"), element("span", size(piece.length), "soft"), element("span", `${touches.toLocaleString("en")}×`, "touches"));
        } else {
            made.append(element("span", "✕"));
        }
        strip.append(made);
        if (piece.end > last) last = piece.end;
    }
    place.replaceChildren(pieces.length > 0 ? strip : element("p", "Nothing is mapped.", "hint"));
}

function block(kind, grow, title) {
    const made = element("div", "", `block ${kind}`);
    made.title = title;
    if (kind === "mapped") made.style.flexGrow = grow;
    return made;
}

/** Bytes, given in hex or as a number, in a unit in which they are whole or short. */
export function size(bytes) {
    let value = BigInt(bytes), unit = 0;
    while (value >= 1024n && value % 1024n === 0n && unit < 4) { value /= 1024n; unit++; }
    return `${value.toLocaleString("en")} ${["bytes", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}
