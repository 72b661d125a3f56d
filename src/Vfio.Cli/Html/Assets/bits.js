// Explains the bits of a config space: those that the pointer is on, or that arrow keys moved to.
"use strict";
(() => {
    const rules = {
        pass: "passed through: a write reaches the hardware",
        clear: "write 1 to clear: a 1 clears the bit in the hardware, a 0 leaves it",
        virt: "virtual, the user's: a write changes a copy, and the guard does what it means",
        guard: "virtual, the guard's: a read gives its copy, a write is dropped and counted",
        fixed: "fixed: a read gives the hardware's value, a write is dropped and counted",
        hidden: "hidden: reads as zero, a write is dropped and counted",
    };

    const bitsOf = run => [...run.querySelectorAll("i")].map(bit => bit.textContent).join("");

    function line(tag, text, kind) {
        const element = document.createElement(tag);
        element.textContent = text;
        if (kind) element.className = kind;
        return element;
    }

    function explain(map, run) {
        const row = run.closest("tr"), structure = run.closest(".structure");
        const { field, high, low, words } = run.dataset;
        const rule = Object.keys(rules).find(name => run.classList.contains(name));
        const bits = bitsOf(run);
        const value = `0x${BigInt(`0b${bits}`).toString(16)}`;
        const where = high === low ? `bit ${low}` : `bits ${high}:${low}`;
        const offset = Number(row.dataset.offset).toString(16).padStart(3, "0");
        const title = structure.querySelector("h3").firstChild.textContent.trim();
        const swatch = line("p", rules[rule], `rule ${rule}`);
        map.querySelector(".detail").replaceChildren(
            line("h4", field),
            line("p", `${where} of ${row.querySelector("th").textContent}, offset 0x${offset}, ${row.dataset.bytes} bytes`),
            line("p", words ? `${value} (${bits.length > 1 ? `0b${bits}, ` : ""}${words})` : bits.length > 1 ? `${value} (0b${bits})` : value, "number"),
            swatch,
            line("p", structure.dataset.spec ? `${title}: ${structure.dataset.spec}` : title, "spec"));
        map.querySelectorAll(".chosen").forEach(old => old.classList.remove("chosen"));
        run.classList.add("chosen");
    }

    function move(map, run, key) {
        const rows = [...map.querySelectorAll("tbody tr")].filter(row => row.querySelector(".run"));
        const at = rows.indexOf(run.closest("tr"));
        const runs = [...rows[at].querySelectorAll(".run")];
        const column = runs.indexOf(run);
        const nearest = row => {
            const here = run.getBoundingClientRect().left;
            const all = [...row.querySelectorAll(".run")];
            return all.reduce((best, one) =>
                Math.abs(one.getBoundingClientRect().left - here) < Math.abs(best.getBoundingClientRect().left - here) ? one : best);
        };
        switch (key) {
            case "ArrowRight": return runs[column + 1] ?? rows[at + 1]?.querySelector(".run");
            case "ArrowLeft": return runs[column - 1] ?? (rows[at - 1] && [...rows[at - 1].querySelectorAll(".run")].at(-1));
            case "ArrowDown": return rows[at + 1] && nearest(rows[at + 1]);
            case "ArrowUp": return rows[at - 1] && nearest(rows[at - 1]);
            case "Home": return rows[0].querySelector(".run");
            case "End": return rows.at(-1).querySelector(".run");
            default: return undefined;
        }
    }

    document.addEventListener("pointerover", event => {
        const run = event.target.closest?.(".map .run");
        if (run) explain(run.closest(".map"), run);
    });
    document.addEventListener("focusin", event => {
        const run = event.target.closest?.(".map .run");
        if (!run) return;
        const map = run.closest(".map");
        map.querySelectorAll('.run[tabindex="0"]').forEach(old => { old.tabIndex = -1; });
        run.tabIndex = 0;
        run.setAttribute("aria-describedby", map.querySelector(".detail").id);
        explain(map, run);
    });
    document.addEventListener("keydown", event => {
        const run = event.target.closest?.(".map .run");
        if (!run || event.ctrlKey || event.altKey || event.metaKey) return;
        const next = move(run.closest(".map"), run, event.key);
        if (!next) return;
        event.preventDefault();
        next.focus();
        next.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
})();
