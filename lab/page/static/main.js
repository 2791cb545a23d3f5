// @ts-check
// The page as a whole: its head, the ladder, the panels beside it; keys, links, and what it was opened with.
import { html, nothing, render } from "./vendor/lit-html.js";
import { begin, choose, choosePacket, chosen, data, go, matches, more, onChange, shown, t, w } from "./state.js";
import { ladder, look, reveal, whole } from "./ladder.js";
import { panels } from "./panels.js";
import { table } from "./table.js";
import { quiz, toggle as toggleQuiz } from "./quiz.js";
import { slides, toggle as toggleSlides } from "./slides.js";
import { compare } from "./compare.js";

/** @type {[string, string, () => void][]} */
const KEYS = [
  ["j ↓ → Space", "key-next", () => go(1)], ["k ↑ ←", "key-before", () => go(-1)], ["Home", "key-first", () => go(-Infinity)], ["End", "key-last", () => go(Infinity)],
  ["/", "key-search", () => /** @type {HTMLElement} */ (document.querySelector("#query")).focus()],
  ["l", "key-language", () => choose({ lang: chosen.lang === "en" ? "zh" : "en" })], ["t", "key-theme", () => choose({ theme: dark() ? "light" : "dark" })],
  ["r", "key-real", () => choose({ real: !chosen.real })], ["a", "key-bare", () => choose({ bare: !chosen.bare })], ["n", "key-raw", () => choose({ raw: !chosen.raw })],
  ["e", "key-decrypted", () => choose({ decrypted: !chosen.decrypted })], ["b", "key-table", () => choose({ mode: chosen.mode === "table" ? home() : "table" })],
  ["f", "key-slides", toggleSlides], ["p", "key-quiz", toggleQuiz], ["g", "key-diagram", () => choose({ large: !chosen.large })],
  ["?", "key-help", () => choose({ help: !chosen.help })], ["Escape", "key-close", () => choose({ help: false, large: false, query: "", mode: home(), upto: Infinity, field: null })],
];
const BY = Object.fromEntries(KEYS.map(([key, , does]) => [key, does]));
const NAMES = { " ": "Space", ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←" };

/** What is shown where nothing else was asked for. */
const home = () => (data().compare ? "compare" : "ladder");
const dark = () => (chosen.theme ? chosen.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

function head() {
  const page = data(), tracks = page.tracks;
  const check = (name, value, change) => html`<label><input type="checkbox" .checked=${value} @change=${(event) => change(event.target.checked)} />${w(name)}</label>`;
  return html`<header class="head" ?inert=${covered()}>
    <h1>${page.name} <span class="soft">${page.rungs.length} ${w("packets")}</span></h1>
    ${tracks.length > 1 ? html`<label>${w("conversation")} <select @change=${(event) => choose({ track: event.target.value === "" ? null : Number(event.target.value) })}><option value="" ?selected=${chosen.track === null}>${w("all-packets")}</option>${tracks.map((each) => html`<option value=${each.id} ?selected=${each.id === chosen.track}>${each.id}: ${each.client} ↔ ${each.server}</option>`)}</select></label>` : nothing}
    ${chosen.mode === "compare" ? nothing : html`<span class="choices" role="group" aria-label=${w("show")}>
      ${check("real-time", chosen.real, (real) => choose({ real }))} ${check("bare", chosen.bare, (bare) => choose({ bare }))} ${check("raw", chosen.raw, (raw) => choose({ raw }))}
      ${page.rungs.some((each) => each.messages?.some((message) => message.decrypted)) ? check("decrypted", chosen.decrypted, (decrypted) => choose({ decrypted })) : nothing}
      ${above().map((name) => html`<label><input type="checkbox" .checked=${!chosen.hidden[name]} @change=${(event) => choose({ hidden: { ...chosen.hidden, [name]: !event.target.checked } })} />${page.titles[name]}</label>`)}
      ${check("as-table", chosen.mode === "table", (on) => choose({ mode: on ? "table" : home() }))}
    </span>`}
    <label class="search"><span class="hidden">${w("search")}</span><input id="query" type="search" placeholder=${w("search-hint")} .value=${chosen.query} @input=${(event) => find(event.target.value)} @keydown=${(event) => event.key === "Enter" && find(chosen.query, chosen.packet)} /><span class="soft" role="status">${chosen.query ? `${shown().filter(matches).length} ${w("found")}` : ""}</span></label>
    <span class="tools"><button @click=${BY.f}>${w("slides")}</button>${page.live && !page.outcome.length ? nothing : html`<button @click=${BY.p} aria-pressed=${chosen.mode === "quiz" ? "true" : "false"}>${w("quiz")}</button>`}<button @click=${BY.l} lang=${chosen.lang === "en" ? "zh-CN" : "en"} title=${w("language")}>${chosen.lang === "en" ? "中文" : "English"}</button><button @click=${BY.t} aria-label=${w("theme")} title=${w("theme")}>◐</button><button @click=${BY["?"]} aria-label=${w("help")} title=${w("help")}>?</button></span>
  </header>`;
}

/** The protocols above the transport that there are messages of. */
const above = () => [...new Set(data().rungs.flatMap((each) => each.messages?.map((message) => message.protocol) || []))];

/** Chooses the first packet behind `after` that has it, and after the last one the first.
 * @param {string} query */
function find(query, after = 0) {
  choose({ query });
  const all = query ? shown().filter(matches) : [], next = all.find((each) => each.number > after) ?? all[0];
  if (next) choosePacket(next.number);
}

function help() {
  if (!chosen.help) return nothing;
  const first = more.help(), taken = first.map(([key]) => (key === "␣" ? "Space" : key));
  const own = KEYS.map(([keys, name]) => [keys.split(" ").filter((key) => !taken.includes(key)).join(" "), w(name)]);
  const listed = [...first, ...own].filter(([key, said]) => key && said).map(([key, said]) => html`<dt><kbd>${key}</kbd></dt><dd>${said}</dd>`);
  return html`<div class="sheet" role="dialog" tabindex="-1" aria-modal="true" aria-label=${w("help")}><div><h2>${w("help")}</h2><dl>${listed}</dl><button @click=${() => choose({ help: false })}>${w("close")}</button></div></div>`;
}

function draw() {
  const root = document.documentElement;
  root.lang = chosen.lang === "zh" ? "zh-CN" : "en";
  root.dataset.theme = dark() ? "dark" : "light";
  document.title = `${data().name} – ${w("ladder")}`;
  const app = /** @type {HTMLElement} */ (document.querySelector("#app"));
  render(html`${head()}<main class=${chosen.mode} ?inert=${covered()}><section class="scroller" id="ladder" tabindex="0" aria-label=${w("ladder")} @scroll=${(event) => look(event.target)}>${chosen.mode === "table" ? table() : chosen.mode === "compare" ? compare() : ladder()}</section><aside id="side">${quiz()}${chosen.mode === "quiz" && !chosen.upto ? nothing : panels()}</aside></main>${more.bar()}${slides()}${help()}`, app);
}

let revealed = 0;

/** Whether what covers the page has the keyboard alone. */
const covered = () => chosen.help || chosen.mode === "slides";

let before = /** @type {HTMLElement | null} */ (null); // where the keyboard was

function focus() {
  const dialog = /** @type {HTMLElement | null} */ (document.querySelector("#app > [aria-modal]"));
  if (dialog && !dialog.contains(document.activeElement)) dialog.focus();
  else if (!dialog && before) before.focus();
  if (!dialog) before = null;
}

function drawAndFollow() {
  if (covered()) before ??= /** @type {HTMLElement} */ (document.activeElement);
  draw();
  focus();
  const scroller = /** @type {HTMLElement} */ (document.querySelector("#ladder"));
  if (look(scroller) && chosen.packet !== revealed) {
    const middle = revealed === 0 && location.hash !== "";
    revealed = chosen.packet;
    reveal(scroller, middle);
    if (chosen.packet) history.replaceState(null, "", `#p=${chosen.packet}`);
  }
}

function follow() {
  const number = Number(/^#p=(\d+)$/.exec(location.hash)?.[1] ?? 0);
  const rung = data().rungs.find((each) => each.number === number);
  if (rung) choose({ packet: number, track: data().tracks.length > 1 && rung.track !== null ? rung.track : chosen.track });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^(BUTTON|SUMMARY|A|SELECT)$/.test(event.target.tagName) && /^( |Enter)$/.test(event.key)) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (typing && event.key !== "Escape") return;
  if (!typing && !chosen.help && more.keys(event)) return event.preventDefault();
  const key = NAMES[event.key] ?? event.key;
  const found = KEYS.find(([keys]) => keys.split(" ").includes(key));
  if (!found) return;
  event.preventDefault();
  if (typing) event.target.blur();
  found[2]();
}

async function load() {
  const stored = /** @type {HTMLElement} */ (document.querySelector("#data")), text = stored.textContent || "";
  if (stored.dataset.form !== "gzip") return JSON.parse(text);
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** Shows a page's data. @param {import("./page").Page} page */
export function show(page) {
  begin(page);
  if (page.tracks.length > 1) chosen.track = page.tracks[0].id;
  chosen.mode = home();
  onChange(drawAndFollow);
  follow();
  drawAndFollow();
  addEventListener("keydown", onKey);
  addEventListener("hashchange", follow);
  addEventListener("afterprint", () => look(/** @type {HTMLElement} */ (document.querySelector("#ladder"))));
  addEventListener("beforeprint", () => (whole(), draw()));
  addEventListener("resize", () => look(/** @type {HTMLElement} */ (document.querySelector("#ladder"))));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => choose({}));
}

if (document.querySelector("#data")) load().then(show);
