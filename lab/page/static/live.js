// @ts-check
// The page while there is something to see: what `lab view` and `lab step --page` tell, and what is said to them.
import { html, nothing } from "./vendor/lit-html.js";
import { changed, choose, choosePacket, chosen, data, more, t, w } from "./state.js";
import { show } from "./main.js";
import { panel } from "./panel.js";
import { amount } from "./panels.js";

const KEYS = { " ": "space", ArrowLeft: "left", ArrowRight: "right", ":": "colon" };
const FEW = 4; // of what was said to all pages, that stays in sight
const LOST = 1006, REFUSED = 1008; // RFC 6455 section 7.4.1: gone without a word; the token is not the lab's
const TRIES = 5, AGAIN = 200; // to be connected again; milliseconds between two

/** @type {Map<number, import("./page").Rung>} */
const rungs = new Map();
/** What the debugger tells: see lab/page/desk.py. */
let view = /** @type {any} */ (null);
let told = performance.now(); // when it did
let said = /** @type {any[]} */ ([]);
let ended = /** @type {any} */ (null);
let typed = /** @type {string | null} */ (null);
let page = /** @type {import("./page").Page | null} */ (null);
let over = false; // nothing more comes
/** What keys do, which fields can be edited, and how long a line may be. */
let desk = { keys: /** @type {any[]} */ ([]), editable: /** @type {Record<string, string>} */ ({}), longest: 0 };
let quiz = false;
let quizzed = 0;
let moved = false; // what is at hand has not been chosen yet
let tries = 0; // in vain, since the lab was heard last
const unsaid = /** @type {string[]} */ ([]); // what was asked for meanwhile

const token = taken();
let socket = connected();

/** Opens the socket: again where the browser has let go of it, since an interface has come or gone. */
function connected() {
  const opened = new WebSocket(`ws://${location.host}/live`);
  opened.onopen = () => (opened.send(JSON.stringify({ token })), unsaid.splice(0).forEach(send));
  opened.onmessage = (event) => ((tries = 0), hear(JSON.parse(event.data)));
  opened.onclose = (event) => (event.code === LOST && !ended && tries++ < TRIES ? setTimeout(() => (socket = connected()), AGAIN) : closed(event.code));
  return opened;
}

/** @param {number} code */
function closed(code) {
  if (!page) return before(code === REFUSED ? "refused" : "gone");
  ended ??= page.words["lab-gone"];
  typed = null;
  changed();
}

/** Takes the token out of the address, where everybody who looks on could read it. */
function taken() {
  const found = /^#token=([\w-]+)$/.exec(location.hash)?.[1];
  if (found) {
    sessionStorage.setItem("lab-token", found);
    history.replaceState(null, "", location.pathname);
  }
  return found ?? sessionStorage.getItem("lab-token") ?? "";
}

/** Says why there is nothing to see.
 * @param {string} when */
function before(when) {
  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".before"))) each.hidden = each.dataset.when !== when;
}

function hear(message) {
  const followed = !over && !(message.page && message.over); // what is complete is read from its beginning
  if (message.keys) desk = { keys: message.keys, editable: message.editable, longest: message.longest };
  if (message.view) note(message.view);
  if (message.page) begin(message.page);
  if (!page) return;
  if (message.gone) message.gone.forEach((number) => rungs.delete(number));
  if (message.rungs) message.rungs.forEach((each) => rungs.set(each.number, each));
  for (const name of ["tracks", "diagrams", "quiz", "outcome", "proof", "problem"]) if (name in message) page[name] = message[name];
  if (message.said) said = message.own ? message.said : [...said, ...message.said].slice(-FEW);
  if (message.ended) ended = message.ended;
  over ||= !!message.over;
  place(followed);
  changed();
}

function begin(data) {
  const first = !page;
  rungs.clear();
  for (const each of data.rungs) rungs.set(each.number, each);
  if (!first) return Object.assign(page, data);
  page = data;
  for (const each of document.querySelectorAll(".before")) each.remove();
  if (view) Object.assign(more, { keys, help });
  Object.assign(more, { bar, panels });
  show(page);
  setInterval(() => view?.timers.length && !view.over && changed(), 250);
}

/** Takes where it stands. */
function note(next) {
  moved ||= !view || view.at !== next.at || view.place !== next.place;
  told = performance.now() - next.passed * 1000;
  view = next;
}

/** Has the page show the rungs up to the place where one looks, and chooses what is at hand; a run is followed. */
function place(followed) {
  const last = page.rungs.at(-1)?.number;
  page.rungs = [...rungs.values()].filter((each) => !view || each.number <= view.upto).sort((one, other) => one.number - other.number);
  page.version = (page.version ?? 0) + 1;
  const now = page.rungs.at(-1)?.number;
  if (view ? moved && rungs.has(view.at) : followed && now && (chosen.packet === last || !chosen.packet)) choosePacket(view?.at ?? now);
  if (view && rungs.has(view.at)) moved = false;
}

// What is asked for.

function send(line) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ do: line }));
  else if (!ended) unsaid.push(line);
}

const can = (line) => {
  const name = line.split(/[\s…]/)[0];
  return !name || view.can.includes(name);
};

/** What a key does. A line that wants more is opened to be written. */
function press(key) {
  let line = key.line;
  if (line === "step" && view.live && view.place < view.places) line = "forward"; // one looks back
  if (line === "step" && quiz && quizzed !== view.place && !view.over) {
    quizzed = view.place;
    line = "predict …";
  }
  const [begins, rest] = line.split("…");
  if (rest === undefined) return send(line);
  typed = begins + (begins.trim() === "edit" ? field() : rest);
  changed();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const input = /** @type {HTMLInputElement | null} */ (document.querySelector("#line"));
    input?.focus();
    input?.setSelectionRange(input.value.length, input.value.length);
  }));
}

/** The chosen field as it is edited. */
function field() {
  const place = chosen.field, found = rungs.get(view.at)?.detail.layers.flatMap((layer) => layer.fields.map((each) => ({ layer, each })));
  const lit = found?.find(({ each }) => place && each.at && each.at[0] === place.buffer && each.at[1] === place.start && each.at[2] === place.end);
  const short = lit && desk.editable[`${lit.layer.title} ${lit.each.name}`];
  return `${short ?? "flags"}=`;
}

const name = (key) => KEYS[key] ?? key;

/** @param {KeyboardEvent} event */
function keys(event) {
  if (ended) return false;
  const key = desk.keys.find((each) => each.key === name(event.key));
  if (key) press(key);
  else if (event.key === "P") quiz = !quiz;
  else if (event.key === "q") send("quit");
  else if (event.key === "o" && view.held.length > 1) send(`select ${view.held[(view.held.indexOf(view.at) + 1) % view.held.length]}`);
  else return false;
  changed();
  return true;
}

function onLine(event) {
  event.stopPropagation();
  if (event.key === "Escape") typed = null;
  else if (event.key === "Enter") run();
  else return;
  changed();
}

function run() {
  const line = (typed ?? "").trim();
  typed = null;
  if (line === "help") choose({ help: true });
  else if (line) send(line);
  changed();
}

/** What stands first in the list of keys: of one that does nothing now only that it is not the page's. */
function help() {
  if (ended) return [];
  const more = [["o", w("key-other")], ["P", w("key-quiz")], ["q", w("quit")]];
  return [...desk.keys.map((each) => [each.shown, can(each.line) ? t(each) : ""]), ...more];
}

// What is drawn.

function bar() {
  if (ended) return html`<footer id="bar" class="live"><p class="ended" role="alert">${t(ended)}</p></footer>`;
  if (!page.live) return nothing;
  if (!view) return html`<footer id="bar" class="live"><p role="status">${page.problem ? t(page.problem) : over ? w("is-over") : page.rungs.length ? w("goes") : w("waiting")}</p></footer>`;
  const now = { hold: !!view.runs, back: view.place > 1, forward: view.place < view.places };
  const buttons = desk.keys.filter((each) => can(each.line) && (now[each.line] ?? true));
  return html`<footer id="bar" class="live">
    <p role="status" class="stands">${stands()}</p>
    ${said.map((each) => html`<p class="answer ${each.wrong ? "bad" : ""} ${each.en.includes("\n") ? "pre" : ""}" role=${each.wrong ? "alert" : "status"}>${t(each)}</p>`)}
    ${typed === null ? nothing : html`<form class="typed" @submit=${(event) => (event.preventDefault(), run())}><label for="line">${w("line")}</label>
      <input id="line" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength=${desk.longest + 1} .value=${typed} @input=${(event) => (typed = event.target.value)} @keydown=${onLine} /><button type="submit">${w("do")}</button></form>`}
    <div class="buttons">${buttons.map((each) => html`<button data-does=${each.line.split(/[\s…]/)[0] || "line"} @click=${() => press(each)}><kbd>${each.shown}</kbd> ${t(each)}</button>`)}
      <button data-does="quit" @click=${() => send("quit")}><kbd>q</kbd> ${w("quit")}</button></div>
  </footer>`;
}

function stands() {
  const parts = [];
  if (view.live && view.place < view.places) parts.push(`${w("looking-back")} ${view.place}/${view.places}`);
  else if (!view.live) parts.push(`${view.place}/${view.places}`);
  if (view.over) parts.push(view.early ? t(view.early) : w("is-over"));
  else if (view.held.length) parts.push(`${w("held-now")}: ${view.held.join(", ")}`);
  else parts.push(page.rungs.length ? w("nothing-held") : w("waiting"));
  if (view.runs) parts.push(`▶ ${view.runs}`);
  if (view.score[1]) parts.push(`${w("predicted")}: ${view.score[0]}/${view.score[1]}`);
  if (quiz) parts.push(w("quiz-on"));
  return parts.join("  ·  ");
}

/** Both kernels as they are at this place; their timers run on. */
function panels() {
  if (!view || !Object.values(view.ends).some((each) => each.kernel)) return nothing;
  const roles = ["client", "server"], ends = view.ends;
  const rows = page.socket.map((each, at) => ({ each, at })).filter(({ at }) => roles.some((role) => ends[role].kernel && ends[role].kernel[at] !== null));
  const left = (ms) => Math.max(0, ms - (view.live && view.place === view.places && !view.over ? performance.now() - told : 0));
  const cell = (role, each, at) => {
    const value = ends[role].kernel?.[at] ?? null;
    return html`<td class=${value !== null && ends[role].changed.includes(each.name) ? "new" : ""}>${amount(each.unit === "timer" && value ? [value[0], left(value[1])] : value, each.unit)}</td>`;
  };
  const moved = roles.flatMap((role) => ends[role].moved.map((each) => [role, ...each]));
  return panel("now", () => html`<table class="sockets"><thead><tr><td></td>${roles.map((role) => html`<th scope="col">${t(page.roles[role])}</th>`)}</tr></thead>
    <tbody>${rows.map(({ each, at }) => html`<tr><th scope="row">${t(each)}</th>${roles.map((role) => cell(role, each, at))}</tr>`)}</tbody></table>
    ${moved.length ? html`<h4>${w("moved")}</h4><ul>${moved.map(([role, counter, by]) => html`<li>${t(page.roles[role])}: <code>${counter}</code> +${by}</li>`)}</ul>` : nothing}
    ${view.timers.map((each) => html`<p class="timer">${t(each).replace("{}", `${(left(each.ms) / 1000).toFixed(1)} s`)}</p>`)}
    ${view.remarks.map((each) => html`<p class="soft">${t(each)}</p>`)}`);
}
