// The trace: a list of any length of which only what is seen is there, its time line, and interrupts by vector.
import { ask, element, oneAtATime } from "./app.js";
import { LaneChart, time } from "./chart.js";

const rowHeight = 22, pageRows = 100, mostPixels = 8_000_000;

export function startTrace() {
    const box = document.getElementById("trace-list");
    if (!box) return [];
    const list = new EventList(box);
    const filter = document.getElementById("trace-filter"), follow = document.getElementById("trace-follow");
    const chart = new LaneChart(document.getElementById("trace-line"), () => drawLineNow());
    chart.pick = at => list.goTo(at);
    const irqs = new LaneChart(document.getElementById("irq-line"), () => drawIrqs());
    let drawnEnd = -1, irqEnd = -1, drawing = new AbortController();

    const drawLine = oneAtATime(async () => {
        drawing = new AbortController();
        try {
            chart.draw(await ask("api/timeline", { filter: filter.value, from: chart.from, to: chart.to, buckets: 300 }, "GET", drawing.signal));
        } catch (failure) {
            if (failure.name !== "AbortError") document.getElementById("trace-count").textContent = failure.message;
        }
    });

    // What is being drawn is not wanted any more; the server ends its work, too.
    function drawLineNow() {
        drawing.abort();
        return drawLine();
    }

    const drawIrqs = oneAtATime(async () => {
        const data = await ask("api/interrupts", { from: irqs.from, to: irqs.to, buckets: 300 }).catch(() => undefined);
        if (!data) return;
        irqs.draw(data);
        document.querySelector("#irq-table tbody").replaceChildren(...data.lanes.map(lane => {
            const row = element("tr");
            const name = element("th", lane.name);
            name.scope = "row";
            const asked = [...new Set(lane.marks.map(([, , what]) => what))];
            row.append(name, element("td", lane.counts.reduce((sum, count) => sum + count, 0).toLocaleString("en")), element("td", asked.slice(-4).join("; ")));
            return row;
        }));
    });

    const update = oneAtATime(async () => {
        await list.update();
        if (!chart.isZoomed) await drawLine();
    });

    let typing;
    filter.addEventListener("input", () => {
        clearTimeout(typing);
        typing = setTimeout(() => { list.setFilter(filter.value); drawLineNow(); }, 120);
    });
    follow.addEventListener("change", () => { list.isFollowing = follow.checked; if (follow.checked) list.toEnd(); });
    box.addEventListener("wheel", () => { follow.checked = list.isFollowing = false; }, { passive: true });
    return [
        { views: ["trace"], refresh: told => {
            if (told.end === drawnEnd) return list.layOut();
            drawnEnd = told.end;
            return update();
        } },
        { views: ["interrupts"], refresh: told => {
            if (told.end === irqEnd || irqs.isZoomed) return;
            irqEnd = told.end;
            drawIrqs();
        } },
    ];
}

class EventList {
    constructor(box) {
        this.box = box;
        this.rows = box.querySelector(".rows");
        this.filter = "";
        this.total = 0;
        this.pages = new Map();
        this.asked = new Set();
        this.generation = 0;
        this.cursor = 0;
        this.isFollowing = false;
        box.addEventListener("scroll", () => this.layOut(), { passive: true });
        box.addEventListener("keydown", event => this.key(event));
        new ResizeObserver(() => this.layOut()).observe(box);
    }

    // Browsers stop at some millions of pixels: beyond them the bar's place is a share of the list.
    get scale() { return Math.max(1, this.total * rowHeight / mostPixels); }

    get top() {
        const free = this.total * rowHeight / this.scale - this.box.clientHeight;
        const fits = Math.floor(this.box.clientHeight / rowHeight);
        if (this.scale === 1) return this.box.scrollTop / rowHeight;
        return free <= 0 ? 0 : (this.box.scrollTop / free) * Math.max(0, this.total - fits);
    }

    async setFilter(text) {
        this.filter = text;
        this.forget();
        this.cursor = 0;
        this.box.scrollTop = 0;
        await this.update();
    }

    forget() {
        this.generation++;
        this.pages.clear();
        this.asked.clear();
    }

    /** There are more events, or older ones are gone. */
    async update() {
        const generation = this.generation;
        const answer = await ask("api/events", { filter: this.filter, from: 0, count: 1 }).catch(failure => ({ failure }));
        if (generation !== this.generation) return;
        if (answer.failure) return this.say(answer.failure.message);
        if (answer.first !== this.first) this.forget();
        else this.pages.delete(Math.floor(this.total / pageRows)), this.asked.delete(Math.floor(this.total / pageRows));
        this.first = answer.first;
        this.total = answer.total;
        this.say(`${answer.total.toLocaleString("en")} events`);
        this.rows.style.height = `${this.total * rowHeight / this.scale}px`;
        this.box.setAttribute("aria-rowcount", this.total);
        if (this.isFollowing) this.toEnd();
        await this.layOut();
    }

    say(text) { document.getElementById("trace-count").textContent = text; }

    toEnd() { this.box.scrollTop = this.box.scrollHeight; }

    scrollTo(position) {
        const fits = Math.floor(this.box.clientHeight / rowHeight);
        const first = Math.max(0, Math.min(position, this.total - fits));
        if (this.scale === 1) this.box.scrollTop = first * rowHeight;
        else this.box.scrollTop = first / Math.max(1, this.total - fits) * (this.total * rowHeight / this.scale - this.box.clientHeight);
    }

    async goTo(nanoseconds) {
        const answer = await ask("api/events", { filter: this.filter, at: nanoseconds, count: 1 });
        this.isFollowing = document.getElementById("trace-follow").checked = false;
        this.cursor = answer.from;
        this.scrollTo(answer.from);
        await this.layOut();
    }

    key(event) {
        const fits = Math.max(1, Math.floor(this.box.clientHeight / rowHeight) - 1);
        const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: fits, PageUp: -fits, Home: -this.total, End: this.total };
        if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        this.isFollowing = document.getElementById("trace-follow").checked = false;
        this.cursor = Math.max(0, Math.min(this.total - 1, this.cursor + moves[event.key]));
        const top = Math.floor(this.top);
        if (this.cursor < top) this.scrollTo(this.cursor);
        else if (this.cursor >= top + fits) this.scrollTo(this.cursor - fits + 1);
        this.layOut();
    }

    async layOut() {
        const top = this.top, first = Math.max(0, Math.floor(top) - 5);
        const last = Math.min(this.total, Math.ceil(top + this.box.clientHeight / rowHeight) + 5);
        const needed = [];
        for (let page = Math.floor(first / pageRows); page <= Math.floor(Math.max(first, last - 1) / pageRows); page++)
            if (this.total > 0 && !this.asked.has(page)) needed.push(page);
        this.draw(top, first, last);
        if (needed.length === 0) return;
        const generation = this.generation;
        await Promise.all(needed.map(async page => {
            this.asked.add(page);
            try {
                const answer = await ask("api/events", { filter: this.filter, from: page * pageRows, count: pageRows });
                if (generation === this.generation) this.pages.set(page, answer.rows);
            } catch (failure) {
                this.asked.delete(page);
                this.say(failure.message);
            }
        }));
        if (generation !== this.generation) return;
        // What is far away is asked for again when it is needed.
        for (const page of this.pages.keys())
            if (this.pages.size > 40 && Math.abs(page - first / pageRows) > 20) { this.pages.delete(page); this.asked.delete(page); }
        this.draw(this.top, Math.max(0, Math.floor(this.top) - 5), Math.min(this.total, Math.ceil(this.top + this.box.clientHeight / rowHeight) + 5));
    }

    draw(top, first, last) {
        const made = [];
        for (let position = first; position < last; position++) {
            const one = this.pages.get(Math.floor(position / pageRows))?.[position % pageRows];
            const row = element("div", "", "event");
            row.setAttribute("role", "row");
            row.setAttribute("aria-rowindex", position + 1);
            row.id = `event-${position}`;
            row.style.transform = `translateY(${this.box.scrollTop + (position - top) * rowHeight}px)`;
            if (position === this.cursor) row.classList.add("cursor");
            if (one) {
                if (one.e) row.classList.add("error");
                row.classList.add(`kind-${one.k.split("-")[0]}`);
                for (const [text, kind] of [[one.i, "n"], [(one.t / 1e9).toFixed(9), "t"], [`s${one.s}`, "s"], [`t${one.th}`, "s"], [one.k, "k"], [one.x, "x"]]) {
                    const cell = element("span", text, kind);
                    cell.setAttribute("role", "gridcell");
                    row.append(cell);
                }
                row.title = `${time(one.t)}: ${one.k} ${one.x}`;
            } else {
                row.append(element("span", "…", "n"));
            }
            made.push(row);
        }
        this.rows.replaceChildren(...made);
        if (this.total > 0) this.box.setAttribute("aria-activedescendant", `event-${this.cursor}`);
    }
}
