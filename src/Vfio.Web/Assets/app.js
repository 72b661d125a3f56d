// The page's frame: which view is shown, and what the server tells of devices and trace as it happens.
import { startTrace } from "./trace.js";
import { startTables } from "./tables.js";

const views = [...document.querySelectorAll(".view")];
const names = [...new Set(views.map(view => view.dataset.view))];
const links = [...document.querySelectorAll("header nav a")];
const chosenDevice = document.getElementById("device");
const stateLine = document.getElementById("state");
const told = { first: 0, end: 0, lost: 0, live: false, devices: [], changes: 0 };
const parts = [];

export const device = () => Number(chosenDevice?.value ?? 0);
let view = names[0];
export const current = () => view;

/** Asks the server. An error is its one line. */
export async function ask(path, parameters = {}, method = "GET", signal = undefined) {
    const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ""));
    const answer = await fetch(`${path}?${query}`, { method, signal });
    if (!answer.ok) throw new Error((await answer.text()).trim() || `the server says ${answer.status}`);
    return answer.json();
}

/** An element with text, which never becomes markup. */
export function element(tag, text, kind) {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    if (kind) made.className = kind;
    return made;
}

/** Does some work again and again, once at a time: what is asked for meanwhile is done once more after it. So no older answer comes last. */
export function oneAtATime(work) {
    let isBusy = false, again = false;
    return async () => {
        again = true;
        if (isBusy) return;
        isBusy = true;
        try {
            while (again) {
                again = false;
                await work();
            }
        } finally {
            isBusy = false;
        }
    };
}

// Other places in the page have names, too: they change no view.
function choose() {
    const asked = location.hash.slice(1);
    if (asked !== "" && !names.includes(asked)) return;
    view = asked || names[0];
    show();
}

function show() {
    for (const one of views)
        one.hidden = one.dataset.view !== view || (one.dataset.device !== undefined && Number(one.dataset.device) !== device());
    for (const link of links) {
        if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
    }
    refresh(true);
}

function refresh(isShown) {
    for (const part of parts)
        if (part.views.includes(current())) part.refresh(told, isShown);
}

// Config space: the rows are there, and get the bits that changed.
function setBytes(number, changes, isMarked) {
    const map = document.getElementById(`d${number}-map`);
    if (!map) return;
    const touched = new Set();
    const known = new Set();
    const rows = [...map.querySelectorAll("tr[data-offset]")];
    for (const row of rows) {
        const offset = Number(row.dataset.offset), bytes = Number(row.dataset.bytes);
        for (let i = 0; i < bytes; i++) {
            known.add(offset + i);
            const value = changes.get(offset + i);
            if (value === undefined) continue;
            const bits = [...row.querySelectorAll(".run i")].reverse().slice(8 * i, 8 * i + 8);
            bits.forEach((bit, at) => {
                const now = String((value >> at) & 1);
                if (bit.textContent === now) return;
                bit.textContent = now;
                touched.add(row);
                if (isMarked) mark(bit);
            });
        }
    }
    for (const row of touched) {
        const bits = [...row.querySelectorAll(".run i")].map(bit => bit.textContent).join("");
        const value = row.querySelector(".value");
        value.textContent = `0x${BigInt(`0b${bits}`).toString(16).padStart(2 * Number(row.dataset.bytes), "0")}`;
        if (isMarked) mark(value);
        for (const run of row.querySelectorAll(".run")) rename(run);
    }
    // Bytes that were zero, and in no structure, have no row yet; the page would have to be laid out anew.
    if ([...changes].some(([offset, value]) => value !== 0 && !known.has(offset))) map.classList.add("incomplete");
}

function rename(run) {
    const bits = [...run.querySelectorAll("i")].map(bit => bit.textContent).join("");
    const [field, where] = run.getAttribute("aria-label").split(", ");
    const rule = run.getAttribute("aria-label").split(", ").at(-1);
    const value = `0x${BigInt(`0b${bits}`).toString(16)}`;
    run.dataset.words = "";
    run.setAttribute("aria-label", [field, where, value, rule].join(", "));
}

/** Shows for a while that something changed. */
export function mark(element) {
    element.classList.remove("changed");
    void element.offsetWidth;
    element.classList.add("changed");
}

function learn(message) {
    Object.assign(told, { first: message.first ?? 0, end: message.end ?? 0, lost: message.lost ?? 0, live: message.live, cut: message.cut });
    told.devices = message.devices;
    if (message.devices.some(one => one.config !== undefined || one.changes.length > 0)) told.changes++;
    message.devices.forEach((one, number) => {
        if (one.config !== undefined) {
            const bytes = one.config.match(/../g) ?? [];
            setBytes(number, new Map(bytes.map((byte, offset) => [offset, parseInt(byte, 16)])), true);
        } else if (one.changes.length > 0) {
            const changes = new Map();
            for (let i = 0; i < one.changes.length; i += 2) changes.set(one.changes[i], one.changes[i + 1]);
            setBytes(number, changes, true);
        }
    });
    say();
    refresh(false);
}

function say() {
    const open = told.devices.filter(one => one.open).length;
    const words = [];
    if (told.live) words.push(open > 0 ? "in use" : "waiting for a user");
    else if (open > 0) words.push("live");
    else if (told.devices.length > 0) words.push("recorded");
    if (told.end > 0) words.push(`${told.end.toLocaleString("en")} events`);
    if (told.first > 0) words.push(`the last ${(told.end - told.first).toLocaleString("en")} kept`);
    if (told.lost > 0) words.push(`${told.lost.toLocaleString("en")} lost`);
    if (told.cut) words.push("the file is cut");
    setState(words.join(", ") || "ready", open > 0 ? "good" : "");
}

function setState(text, kind) {
    if (stateLine.textContent !== text) stateLine.textContent = text;
    stateLine.className = kind;
}

// A page in the background is told nothing, and asks for all when it is looked at again.
let feed;
function listen() {
    feed?.close();
    feed = undefined;
    if (document.hidden) return;
    feed = new EventSource("api/live");
    feed.onmessage = event => learn(JSON.parse(event.data));
    feed.onerror = () => setState(feed.readyState === EventSource.CLOSED ? "the server refuses: too many pages are open" : "the server is gone", "bad");
}

parts.push(...startTrace(told), ...startTables(told));
addEventListener("hashchange", choose);
chosenDevice?.addEventListener("change", show);
document.addEventListener("visibilitychange", listen);
document.addEventListener("submit", event => event.preventDefault());
if (names.includes(location.hash.slice(1))) view = location.hash.slice(1);
show();
listen();
