// @ts-check
// The same as a table: for who hears a page, or would rather read.
import { html } from "./vendor/lit-html.js";
import { choosePacket, chosen, data, label, shown, t, w } from "./state.js";

const MOST = 500; // rows

export function table() {
  const page = data(), all = shown(), at = Math.max(0, all.findIndex((each) => each.number === chosen.packet) - MOST / 2);
  const state = (rung, role) => {
    const states = rung.states && (rung.from === role ? rung.states.held : rung.states.delivered);
    return states?.[role === "client" ? 0 : 1] ?? "";
  };
  const rows = all.slice(at, at + MOST).map((rung) => html`<tr class=${rung.number === chosen.packet ? "chosen" : ""} @click=${() => choosePacket(rung.number)}>
    <th scope="row"><a href="#p=${rung.number}">${rung.number}</a></th><td>${rung.seconds === null ? "" : rung.seconds.toFixed(3)}</td><td>${rung.from ? t(page.roles[rung.from]) : ""}</td>
    <td>${label(rung)}</td><td>${state(rung, "client")}</td><td>${state(rung, "server")}</td><td>${rung.badge ? t(rung.badge) : ""}</td><td>${rung.said.map(t).join(" ")}</td></tr>`);
  const heads = [w("packet"), w("time"), w("sender"), w("what"), t(page.roles.client), t(page.roles.server), w("notes"), w("says")];
  return html`<table class="all"><thead><tr>${heads.map((each) => html`<th scope="col">${each}</th>`)}</tr></thead><tbody>${rows}</tbody></table>`;
}
