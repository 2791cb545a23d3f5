// @ts-check
// The state diagram: both ends' tokens stand where they are at the chosen packet, and move along the arrows that fired.
import { html, nothing, svg } from "./vendor/lit-html.js";
import { changed, choose, chosen, data, t, w } from "./state.js";
import { panel } from "./panel.js";

const ENDS = /** @type {const} */ (["client", "server"]);
let shownOf = "";

/** @param {import("./page").Rung} rung */
export function diagram(rung) {
  const all = data().diagrams || [];
  if (!all.length || !rung.states) return nothing;
  const told = rung.fired?.length ? rung.fired.at(-1).protocol : "";
  const drawn = all.find((each) => each.protocol === (shownOf || told)) || all[0];
  const tabs = all.length < 2 ? nothing : html`<p class="tabs">${all.map((each) => html`<button aria-pressed=${each === drawn ? "true" : "false"} @click=${() => { shownOf = each.protocol; changed(); }}>${data().titles[each.protocol]}</button>`)}</p>`;
  const enlarge = () => choose({ large: !chosen.large });
  const button = html`<button class="enlarge" title=${w("enlarge")} @click=${enlarge}>${picture(drawn, rung)}</button>`;
  if (chosen.large) return html`<div class="sheet" role="dialog" aria-modal="true" aria-label=${w("diagram")}><div class="large">${tabs}${button}</div></div>`;
  return panel("diagram", () => html`${tabs}${button}`);
}

/** Which states both ends are in behind a packet, in a protocol. */
function states(drawn, rung) {
  const rungs = data().rungs.filter((each) => each.track === rung.track && each.number <= rung.number);
  for (let at = rungs.length - 1; at >= 0; at--) {
    const each = rungs[at];
    const found = drawn.protocol === data().transport ? each.states : each.above?.find((one) => one.protocol === drawn.protocol);
    if (found) return found.delivered || found.held;
  }
  return ENDS.map((role) => drawn.nodes.find((node) => node.starts.includes(role))?.state ?? null);
}

function picture(drawn, rung) {
  const walked = { client: new Set(), server: new Set() }, now = { client: new Set(), server: new Set() };
  const last = {}; // the box that each end has come to last: a state may have two
  for (const each of data().rungs) {
    if (each.track !== rung.track || each.number > rung.number) continue;
    for (const row of each.fired || []) {
      if (row.protocol !== drawn.protocol || !row.edge) continue;
      last[row.end] = drawn.edges.find((edge) => edge.id === row.edge)?.end;
      (each.number === rung.number ? now : walked)[row.end].add(row.edge);
    }
  }
  const lit = (id) => [ENDS.filter((role) => walked[role].has(id)).map((role) => `walked-${role}`), ENDS.filter((role) => now[role].has(id)).map((role) => `now-${role}`)].flat().join(" ");
  const at = states(drawn, rung);
  const node = (state, role) => {
    const found = drawn.nodes.filter((each) => each.state === state && each.ends.includes(role));
    return found.find((each) => each.id === last[role]) || found[0];
  };
  const said = ENDS.map((role, index) => `${t(data().roles[role])}: ${at[index] ?? "?"}`).join(", ");
  return html`<svg class="diagram" viewBox="0 0 ${drawn.width} ${drawn.height}" role="img" aria-label=${said}>
    <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L10,5 L0,10 z" /></marker></defs>
    ${drawn.captions.map((each) => svg`${each.path ? svg`<path class="edge" d=${each.path} />` : nothing}<text class="caption ${each.kind}" x=${each.x} y=${each.y} text-anchor=${each.anchor} dominant-baseline="middle">${t(each.text)}</text>`)}
    ${drawn.edges.map((edge) => (edge.path && (edge.drawn || lit(edge.id)) ? svg`<path class="edge ${edge.kind} ${lit(edge.id)}" d=${edge.path} marker-end="url(#tip)" />` : nothing))}
    ${drawn.nodes.map((each) => svg`<g class="node ${ENDS.map((role, index) => (each === node(at[index], role) ? `at-${role}` : "")).join(" ")}"><rect class="phase-${each.phase}" x=${each.x} y=${each.y} width=${each.w} height=${each.h} rx="8" />
      <text class="state" x=${each.x + each.w / 2} y=${each.y + 17} text-anchor="middle">${each.state}</text>${each.spelled ? svg`<text class="spelled" x=${each.x + each.w / 2} y=${each.y + 31} text-anchor="middle">${each.spelled}</text>` : nothing}</g>`)}
    ${drawn.edges.filter((edge) => edge.kind !== "gathered" || lit(edge.id)).map((edge) => edge.lines.map((line) => svg`<text class="words ${lit(edge.id)}" x=${line.x} y=${line.y} text-anchor=${line.anchor} dominant-baseline="middle">${t(line.text)}${line.step ? svg`<tspan class="badge" dx="6">${t(line.step)}</tspan>` : nothing}</text>`))}
    ${ENDS.map((role, index) => {
      const place = node(at[index], role);
      return place ? svg`<g class="token ${role}" .style=${`transform: translate(${place.x + (index === 0 ? 0 : place.w)}px, ${place.y + place.h / 2}px)`}><circle r="10" /><text text-anchor="middle" y="4">${t(data().roles[role]).slice(0, 1).toUpperCase()}</text></g>` : nothing;
    })}
  </svg>`;
}

