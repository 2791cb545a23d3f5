// @ts-check
// Two conversations side by side, as `lab diff` lays them: what one says and the other does not, or otherwise.
import { html, nothing } from "./vendor/lit-html.js";
import { choose, chosen, data, t, turn, w } from "./state.js";

const MARKS = { same: "=", changed: "≠", a: "◀", b: "▶" };
const NAMES = { same: "same", changed: "changed", a: "only-a", b: "only-b" };

export function compare() {
  const found = data().compare;
  if (!found) return nothing;
  const heads = found.sides.map((each, at) => html`<th scope="col">${"AB"[at]} <b>${each.name}</b> <span class="soft">${each.ends}</span></th>`);
  return html`<section class="short"><h2>${w("in-short")}</h2><ul>${found.summary.map((each) => html`<li>${t(each)}</li>`)}</ul></section>
    <table class="compared"><thead><tr><td class="mark"></td>${heads}</tr></thead><tbody>${found.rows.map(
      (row) => html`<tr class=${row.change}><th scope="row" title=${w(NAMES[row.change])}><span aria-hidden="true">${MARKS[row.change]}</span><span class="hidden">${w(NAMES[row.change])}</span></th>${[row.a, row.b].map((each, side) => html`<td>${each ? entry(each, side, row.fields) : nothing}</td>`)}</tr>`,
    )}</tbody></table>
    ${found.facts.length ? html`<section class="short"><h2>${w("as-a-whole")}</h2><table class="facts"><tbody>${found.facts.map((each) => html`<tr><th scope="row">${t(each.title)}</th><td>${t(each.a)}</td><td>${t(each.b)}</td></tr>`)}</tbody></table></section>` : nothing}`;
}

function entry(each, side, fields) {
  const page = data(), isChosen = side === chosen.side && each.packet === chosen.packet;
  const mark = (name, text) => (fields.includes(name) ? html`<s>${text}</s>` : text);
  return html`<button class=${isChosen ? "chosen" : ""} aria-pressed=${isChosen ? "true" : "false"} @click=${() => { turn(side); choose({ packet: each.packet, field: null }); }}>
    <span class="soft">${each.packet}</span> ${t(page.roles[each.from])} → <b>${each.name}</b> <span class="soft">${each.states.some((state) => state) ? each.states.map((state) => state ?? "?").map((state, at) => mark("states", html`${at ? " · " : ""}${state}`)) : nothing}</span>
    ${each.badge ? html`<b class="badge">${t(each.badge)}</b>` : nothing}<br />${mark("words", t(each.words))} ${each.remarks.map((remark) => html`<span class="said-line remark">${mark("remarks", t(remark))} </span>`)}</button>`;
}
