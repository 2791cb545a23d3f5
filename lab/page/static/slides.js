// @ts-check
// For the projector: one packet, as large as the screen; space goes on.
import { html, nothing, svg } from "./vendor/lit-html.js";
import { choose, chosen, data, go, label, lines, rungOf, shown, t, w, why } from "./state.js";

export function toggle() {
  if (chosen.mode === "slides") return choose({ mode: data().compare ? "compare" : "ladder" });
  return choose({ mode: "slides", packet: rungOf(chosen.packet) ? chosen.packet : (shown()[0]?.number ?? 0) });
}

export function slides() {
  const rung = rungOf(chosen.packet);
  if (chosen.mode !== "slides" || !rung) return nothing;
  const all = shown(), page = data(), at = all.indexOf(rung), forward = rung.from !== "server";
  const before = all.slice(0, Math.max(at, 0)).findLast((each) => each.track === rung.track && each.states);
  const begun = before?.states.delivered || before?.states.held || page.tracks.find((each) => each.id === rung.track)?.start || [null, null];
  const held = rung.states?.held || [null, null], delivered = rung.states?.delivered;
  const now = delivered || held;
  const end = (role, index, x) => svg`<g><text class="role" x=${x} y="52" text-anchor="middle">${t(page.roles[role])}</text>
    <rect class="pill phase-${page.phases[now[index]] || "unknown"}" x=${x - 130} y="78" width="260" height="56" rx="28" /><text class="now" x=${x} y="115" text-anchor="middle">${now[index] ?? "?"}</text>
    ${begun[index] !== now[index] && begun[index] ? svg`<text class="was" x=${x} y="158" text-anchor="middle">${begun[index]} →</text>` : nothing}</g>`;
  const from = forward ? 170 : 830, whole = forward ? 830 : 170, to = rung.fate === "lost" ? (from + whole) / 2 + (forward ? 60 : -60) : whole, bottom = rung.fate === "lost" ? 262 : 290;
  return html`<section class="slides" role="dialog" tabindex="-1" aria-modal="true" aria-label=${w("slides")} @click=${() => go(1)}>
    <svg viewBox="0 0 1000 330" role="img" aria-label=${t(rung.sentence)}>
      ${end("client", 0, 150)} ${end("server", 1, 850)}
      <g class="wire ${rung.style} ${rung.fate}"><line x1=${from} y1="210" x2=${to} y2=${bottom} />${rung.fate === "lost" ? svg`<path class="cross" d="M${to - 16},${bottom - 16} l32,32 m0,-32 l-32,32" />` : svg`<polygon points="${to},${bottom} ${to + (forward ? -22 : 22)},${bottom - 14} ${to + (forward ? -26 : 26)},${bottom + 8}" />`}
      <text class="label" x="500" y="206" text-anchor="middle" textLength=${label(rung).length > 34 ? 620 : nothing} lengthAdjust="spacingAndGlyphs">${label(rung)}</text></g>
      ${(rung.above || []).slice(-1).map((each) => ["client", "server"].map((role, index) => svg`<text class="was" x=${index ? 850 : 150} y="158" text-anchor="middle">${page.titles[each.protocol]}: ${(each.delivered || each.held)[index] ?? "?"}</text>`))}
      ${rung.fate === "arrived" ? nothing : svg`<text class="fate" x="500" y="316" text-anchor="middle">${w(rung.fate)}</text>`}
    </svg>
    <div class="words">${why(rung) ? html`<p class="why">${why(rung)}</p>` : nothing}${rung.steps.map((step) => html`<p><b class="badge">${t(step.name)}</b> ${t(step.title)}</p>`)}
      ${lines(rung).filter((each) => each.kind !== "step").slice(0, rung.steps.length ? 2 : 5).map((each) => html`<p class="said-line ${each.kind}">${t(each)}</p>`)}</div>
    <footer><span>${at + 1} / ${all.length}</span> <button @click=${(event) => { event.stopPropagation(); toggle(); }}>${w("close")}</button></footer>
  </section>`;
}

