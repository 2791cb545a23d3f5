// @ts-check
// What stands beside the ladder: what a packet means, both ends, its numbers, and what became of the notes' steps.
import { html, nothing } from "./vendor/lit-html.js";
import { choosePacket, chosen, data, label, lines, more, rungOf, t, w, why } from "./state.js";
import { packet } from "./packet.js";
import { panel } from "./panel.js";
import { space } from "./space.js";
import { diagram } from "./diagram.js";

/** All that is shown of the chosen packet. */
export function panels() {
  const rung = rungOf(chosen.packet);
  if (!rung) return html`${more.panels()}<p class="soft">${w("nothing-chosen")}</p>${outcome()}${keys()}`;
  return html`${title(rung)} ${more.panels()} ${meaning(rung)} ${ends(rung)} ${kernels(rung)} ${diagram(rung)} ${bytes(rung)} ${space(rung)} ${numbers(rung)} ${outcome()} ${keys()}`;
}

function title(rung) {
  const page = data(), fate = rung.fate === "arrived" ? nothing : html`<span class="fate ${rung.fate}">${w(rung.fate)}</span>`;
  return html`<header class="which"><h2><span class="soft">${w("packet")} ${rung.number}</span> ${label(rung)} ${fate}
      ${rung.forged ? html`<span class="fate lost">${w("forged")}</span>` : nothing} ${rung.copies ? html`<span class="fate unknown">${w("copies")}</span>` : nothing}</h2>
    <p class="soft">${rung.from ? `${t(page.roles[rung.from])} → ${t(page.roles[rung.from === "client" ? "server" : "client"])} · ` : ""}${rung.seconds === null ? "" : `${rung.seconds.toFixed(6)} s · `}${rung.size === null ? "" : `${rung.size} B`}</p></header>`;
}

function meaning(rung) {
  const said = lines(rung).filter((each) => each.kind !== "step");
  return panel(
    "says",
    () => html`
      ${why(rung) ? html`<p class="why">${why(rung)}</p>` : nothing}
      ${rung.steps.map((step) => html`<div class="note"><p><b class="badge">${t(step.name)}</b> <b>${t(step.title)}</b></p><p>${t(step.text)}</p><p class="soft">${t(step.rfc)}</p></div>`)}
      ${said.map((each) => html`<p class="said-line ${each.kind}">${t(each)}</p>`)}
      ${!rung.steps.length && !said.length && !rung.why ? html`<p>${t(rung.sentence) || t(rung.name)}</p>` : nothing}
      ${
        rung.fired?.length
          ? html`<h4>${w("fired")}</h4>
              <ul class="fired">${rung.fired.map((row) => html`<li><b>${t(data().roles[row.end])}</b> ${row.protocol === data().transport ? "" : data().titles[row.protocol]} ${row.before} → ${row.after} <span class="soft">${t(row.words)} ${t(row.source)}</span></li>`)}</ul>`
          : nothing
      }`,
  );
}

function ends(rung) {
  if (!rung.states) return nothing;
  const page = data(), { held, delivered } = rung.states, kernel = rung.kernel || {};
  const cell = (states, at, before) => html`<td class=${before && states && before[at] !== states[at] ? "new" : ""}>${states ? named(states[at]) : "–"}</td>`;
  const line = (name, states, before) => html`<tr><th scope="row">${name}</th>${cell(states, 0, before)}${cell(states, 1, before)}</tr>`;
  return panel(
    "both-ends",
    () => html`<table class="states"><thead><tr><td></td><th scope="col">${t(page.roles.client)}</th><th scope="col">${t(page.roles.server)}</th></tr></thead>
      <tbody>${line(w("when-sent"), held, null)} ${line(w("on-arrival"), delivered, held)}
        ${kernel.held && !rung.agrees ? line(`${w("kernel-says")}, ${w("when-sent")}`, kernel.held, held) : nothing}
        ${kernel.delivered && !rung.agrees ? line(`${w("kernel-says")}, ${w("on-arrival")}`, kernel.delivered, delivered) : nothing}
        ${(rung.above || []).map((each) => html`${line(`${page.titles[each.protocol]}, ${w("when-sent")}`, each.held, null)}${line(`${page.titles[each.protocol]}, ${w("on-arrival")}`, each.delivered, each.held)}`)}</tbody></table>
      ${rung.agrees === undefined ? nothing : html`<p class=${rung.agrees ? "good" : "bad"}>${rung.agrees ? `✓ ${w("agree")}` : `≠ ${w("disagree")}`}</p>`}`,
  );
}

/** A state, with the notes' spelling behind it where that differs. */
function named(state) {
  const spelled = data().spelled[state];
  return html`<span class="phase-${data().phases[state] || "unknown"}">${state ?? "?"}</span>${spelled ? html` <span class="soft">${spelled}</span>` : nothing}`;
}

function kernels(rung) {
  const sockets = rung.sockets;
  if (!sockets) return nothing;
  const now = sockets.delivered || sockets.held, before = sockets.delivered ? sockets.held : null;
  const rows = data().socket.map((each, at) => ({ each, at })).filter(({ at }) => now.client[at] !== null || now.server[at] !== null);
  return panel(
    "kernels",
    () => html`<table class="sockets"><thead><tr><td></td><th scope="col">${t(data().roles.client)}</th><th scope="col">${t(data().roles.server)}</th></tr></thead>
      <tbody>${rows.map(({ each, at }) => html`<tr><th scope="row">${t(each)}</th>${["client", "server"].map((role) => html`<td class=${before && JSON.stringify(before[role][at]) !== JSON.stringify(now[role][at]) ? "new" : ""}>${amount(now[role][at], each.unit)}</td>`)}</tr>`)}</tbody></table>
      ${now.moved ? html`<h4>${w("moved")}</h4><ul>${now.moved.map(([role, counter, by]) => html`<li>${t(data().roles[role])}: <code>${counter}</code> +${by}</li>`)}</ul>` : nothing}`,
    false,
  );
}

const time = (seconds) => (seconds >= 10 ? `${seconds.toFixed(0)} s` : seconds >= 0.1 ? `${seconds.toFixed(1)} s` : `${Number((seconds * 1000).toPrecision(3))} ms`);

export function amount(value, unit) {
  if (value === null) return "";
  if (unit === "timer") return `${t(data().timers?.[value[0]]) || value[0]} ${time(value[1] / 1000)}`;
  return unit === "us" ? time(value / 1e6) : String(value);
}

const bytes = (rung) => (rung.detail?.buffers.length ? panel("bytes", () => packet(rung)) : nothing);

function numbers(rung) {
  if (!rung.reckoned?.length) return nothing;
  return panel("numbers", () => html`<dl>${rung.reckoned.map((each) => html`<dt>${t(each.name)}</dt><dd>${t(each.text)}</dd>`)}</dl>`, false);
}

function outcome() {
  const page = data();
  if (!page.outcome?.length || chosen.mode === "quiz") return nothing; // it tells what is to come
  return panel(
    "outcome",
    () => html`${page.outcome.slice(0, 20).map(
      (each) => html`${page.outcome.length > 1 ? html`<h4>${w("conversation")} ${each.track}</h4>` : nothing}
        <ul class="outcome">${each.steps.map(
          (step) => html`<li class=${step.packets.length ? "seen" : "unseen"}><b class="badge">${t(step.name)}</b>
            ${step.packets.length ? step.packets.slice(0, 6).map((number) => html`<a href="#p=${number}" @click=${() => choosePacket(number)}>${number}</a> `) : html`<span class="soft">${w("not-seen")}</span> `}${t(step.title)}
            ${step.differs ? html`<p class="differs">${t(step.differs)}</p>` : nothing}</li>`,
        )}</ul>`,
    )}
    ${page.proof ? html`<p class="good">${t(page.proof)}</p>` : nothing} ${page.problem ? html`<p class="bad">${t(page.problem)}</p>` : nothing}`,
  );
}

/** How the keys came about, where the page was made with them. */
function keys() {
  const page = data();
  if (!page.examples?.length && !page.keylog) return nothing;
  const value = (name, hex) => html`<dt>${name}</dt><dd><code>${hex}</code></dd>`;
  return panel(
    "keys",
    () => html`${(page.examples || []).map(
      (each) => html`<h4>${t(each.title)}</h4>${each.locked ? html`<p class="bad">${t(each.locked)}</p>` : nothing}
        <ol class="worked">${each.lines.map((line) => html`<li><p>${t(line.what)}</p><dl>${line.inputs.map(([name, hex]) => value(name, hex))}${value(`${line.operation} =`, html`<b>${line.name}</b> ${line.output}`)}</dl><p class="soft">${t(line.source)}</p></li>`)}</ol>`,
    )}
    ${page.keylog ? html`<pre class="keylog">${page.keylog}</pre>` : nothing}`,
    false,
  );
}
