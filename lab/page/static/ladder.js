// @ts-check
// The ladder: two time axes, coloured and named by state, arrows from held to delivered; of many rungs only those in
// sight are drawn.
import { html, nothing, svg } from "./vendor/lit-html.js";
import { changed, choosePacket, chosen, data, label, lines, matches, shown, t, w } from "./state.js";

const LINE = 19, ROW = 46, SENT = 20, SLANT = 24, HEAD = 92, BELOW = 40, NAME = 24, NEAR = 14;
const ROOM = 600; // pixels above and below what is in sight that are drawn too

/** Where everything stands, for so many pixels of width: made anew when rungs, width or choice have changed. */
let placed = { key: "", rungs: [], tops: [0], got: [], clear: /** @type {boolean[]} */ ([]), marks: [[], []], kernel: [[], []], x: /** @type {any} */ ({}), height: 0 };
let sight = { top: 0, height: 900, width: 900 };

/** Returns whether what is in sight is what was drawn; else it will be.
 * @param {HTMLElement} scroller */
export function look(scroller) {
  const next = { top: scroller.scrollTop, height: scroller.clientHeight, width: scroller.clientWidth };
  if (next.top === sight.top && next.height === sight.height && next.width === sight.width) return true;
  sight = next;
  changed();
  return false;
}

/** Draws all of it, as wide as paper. */
export function whole() {
  sight = { top: 0, height: 1e7, width: 700 };
}

/** Scrolls so that the chosen packet is in sight.
 * @param {HTMLElement} scroller @param {boolean} [middle] */
export function reveal(scroller, middle = false) {
  const at = placed.rungs.findIndex((each) => each.number === chosen.packet);
  if (at < 0) return;
  const top = placed.tops[at], bottom = placed.tops[at + 1] ?? top + ROW;
  const room = scroller.clientHeight;
  if (middle || top < scroller.scrollTop + HEAD || bottom > scroller.scrollTop + room - BELOW) {
    scroller.scrollTop = Math.max(0, top - (middle ? room / 3 : top < scroller.scrollTop + HEAD ? HEAD + 10 : room - BELOW - (bottom - top)));
  }
}

function place() {
  const page = data();
  const key = [page.rungs.length, page.version, sight.width, chosen.track, chosen.bare, chosen.bare && !chosen.real ? 0 : chosen.packet, chosen.real, chosen.upto, chosen.decrypted, JSON.stringify(chosen.hidden)].join();
  if (key === placed.key) return;
  const rungs = shown(), width = sight.width, narrow = width < 980, small = width < 560;
  const x = small
    ? { client: 50, server: width - 16, said: 60, room: width - 76, narrow, small }
    : narrow
      ? { client: 176, server: width - 132, said: 188, room: width - 332, narrow, small }
      : { client: 176, server: 176 + Math.min(width * 0.38, 430), said: 0, room: 0, narrow, small };
  if (!narrow) {
    x.said = x.server + 136;
    x.room = width - x.said - 12;
  }
  const least = small ? ROW + NAME : ROW;
  const tops = [];
  let y = HEAD + 26;
  const first = rungs.find((each) => each.seconds !== null)?.seconds ?? 0;
  const last = rungs.findLast((each) => each.seconds !== null)?.seconds ?? first;
  const scale = last > first ? Math.max(rungs.length * 30, 500) / (last - first) : 0;
  for (const rung of rungs) {
    if (chosen.real) {
      tops.push(Math.max(HEAD + 26 + ((rung.seconds ?? first) - first) * scale, tops.at(-1) ?? 0));
      y = tops[tops.length - 1] + least;
    } else {
      tops.push(y);
      y += narrow ? least + lines(rung).length * LINE : Math.max(least, lines(rung).length * LINE + 14);
    }
  }
  tops.push(y);
  const places = new Map(page.rungs.map((each, index) => [each.number, index]));
  const at = new Map(rungs.map((each, index) => [places.get(each.number), index]));
  const got = rungs.map((rung, index) => {
    let behind = rung.got ?? places.get(rung.number);
    while (behind > 0 && !at.has(behind)) behind -= 1;
    return tops[Math.max(at.get(behind) ?? index, index)] + SENT + (chosen.real ? 8 : SLANT);
  });
  const marks = [[], []], kernel = [[], []], mixed = chosen.track === null && page.tracks.length > 1;
  const track = page.tracks.find((each) => each.id === rungs[0]?.track);
  if (track?.start && !mixed) track.start.forEach((state, end) => marks[end].push({ y: HEAD + 4, state }));
  rungs.forEach((rung, index) => {
    if (!rung.states || mixed) return; // states of several conversations don't follow each other
    const sender = rung.from === "client" ? 0 : 1, sent = tops[index] + SENT;
    put(marks[sender], sent, rung.states.held[sender]);
    if (rung.kernel?.held) put(kernel[sender], sent, rung.kernel.held[sender]);
    if (rung.states.delivered) put(marks[1 - sender], got[index], rung.states.delivered[1 - sender]);
    if (rung.kernel?.delivered) put(kernel[1 - sender], got[index], rung.kernel.delivered[1 - sender]);
  });
  placed = { key, rungs, tops, got, clear: clear(rungs, tops), marks: marks.map(ordered), kernel: kernel.map(ordered), x, height: Math.max(y, ...got.slice(-50)) + BELOW };
}

/** Of each rung whether there is room for what is written at its beginning: the chosen one's goes before its neighbours'. */
function clear(rungs, tops) {
  const mine = rungs.findIndex((each) => each.number === chosen.packet);
  let last = -Infinity;
  return rungs.map((_, at) => {
    const room = at === mine || (tops[at] - last >= NEAR && (mine < 0 || Math.abs(tops[at] - tops[mine]) >= NEAR));
    if (room) last = tops[at];
    return room;
  });
}

const put = (marks, y, state) => marks.push({ y, state });

/** States as they followed each other; what crossed another packet was told in another order. */
function ordered(marks) {
  const found = [];
  for (const mark of marks.sort((one, other) => one.y - other.y)) if (found.at(-1)?.state !== mark.state) found.push(mark);
  return found;
}

/** The first place whose value is not below, among ones that grow. */
function search(values, wanted) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function ladder() {
  place();
  const { rungs, tops, height, x } = placed;
  const from = Math.max(0, search(tops, sight.top - ROOM) - 1), to = Math.min(rungs.length, search(tops, sight.top + sight.height + ROOM));
  const low = Math.max(0, sight.top - ROOM), high = Math.min(height, sight.top + sight.height + ROOM);
  const indices = Array.from({ length: Math.max(to - from, 0) }, (_, at) => from + at);
  return html`<div class="rungs ${x.narrow ? "narrow" : ""} ${x.small ? "small" : ""}" .style=${`height:${height}px`}>
    ${heads(x)}
    <svg class="wires" aria-hidden="true" width=${sight.width} height=${Math.max(high - low, 0)} viewBox="0 ${low} ${sight.width} ${Math.max(high - low, 1)}" .style=${`top:${low}px`}>
      ${axis(0, x.client, low, high)} ${axis(1, x.server, low, high)}
      ${indices.map((at) => arrow(rungs[at], tops[at] + SENT, placed.got[at], x, placed.clear[at]))}
    </svg>
    <ol class="rows" start=${from + 1}>${indices.map((at) => row(rungs[at], tops[at], tops[at + 1] - tops[at], x, placed.clear[at]))}</ol>
  </div>`;
}

function heads(x) {
  const page = data(), track = chosen.track === null && page.tracks.length > 1 ? undefined : page.tracks.find((each) => each.id === (chosen.track ?? placed.rungs[0]?.track));
  const end = (role, at, left) => html`<div class="end" .style=${`left:${left}px`}>
    <b>${t(page.roles[role])}</b><span>${track ? track[role] : ""}</span>
    <span class="isn">${track?.isns?.[at] != null ? `ISN ${track.isns[at]}` : ""}</span></div>`;
  return html`<div class="heads">${end("client", 0, x.client)}${end("server", 1, x.server)}</div>`;
}

function axis(end, x, low, high) {
  const page = data(), marks = placed.marks[end], kernel = placed.kernel[end];
  const side = end === 0 ? -1 : 1;
  const bars = (found, width, left, kind) =>
    found.map((mark, at) => {
      const bottom = found[at + 1]?.y ?? placed.height - BELOW / 2;
      if (bottom < low || mark.y > high || mark.state === null) return nothing;
      return svg`<rect class="${kind} phase-${page.phases[mark.state] || "unknown"}" x=${left} y=${mark.y} width=${width} height=${Math.max(bottom - mark.y, 1)} />`;
    });
  const names = marks.map((mark, at) => {
    const bottom = marks[at + 1]?.y ?? placed.height - BELOW / 2;
    if (bottom < low || mark.y > high) return nothing;
    const room = bottom - mark.y;
    if (room < 13 && chosen.real) return nothing;
    const small = placed.x.small, begins = mark.y + (small ? 22 : 12);
    const y = small ? begins : Math.max(Math.min(Math.max(begins, sight.top + HEAD + 6), bottom - 4), begins);
    const kind = `state phase-${page.phases[mark.state] || "unknown"}`;
    return svg`<text class=${kind} x=${x + (small ? -side : side) * 12} y=${y} text-anchor=${(end === 0) === small ? "start" : "end"}>${mark.state ?? "?"}</text>`;
  });
  return svg`<g><line class="axis" x1=${x} x2=${x} y1=${Math.max(low, HEAD)} y2=${Math.min(high, placed.height - BELOW / 2)} />${bars(marks, 8, x - 4, "bar")}${bars(kernel, 3, end === 0 ? x + 6 : x - 9, "kernel")}${names}</g>`;
}

function arrow(rung, sent, got, x, clear) {
  if (!rung.from || !rung.states) return nothing;
  const forward = rung.from === "client", left = x.client + 12, right = x.server - 12;
  const reach = { lost: 0.62, held: 0.5, "under-way": 0.78, unknown: 0.86 }[rung.fate] ?? 1, begin = rung.forged ? 0.42 : 0;
  const way = (part) => (forward ? left + (right - left) * part : right - (right - left) * part);
  const fall = (part) => sent + (got - sent) * part;
  const [x1, y1, x2, y2] = [way(begin), fall(begin), way(reach), fall(reach)];
  const angle = Math.atan2(y2 - y1, x2 - x1), tip = (turn) => `${x2 - 9 * Math.cos(angle + turn)},${y2 - 9 * Math.sin(angle + turn)}`;
  const slope = ((y2 - y1) / (x2 - x1)) * (180 / Math.PI) || 0, degrees = (Math.atan2(forward ? y2 - y1 : y1 - y2, Math.abs(x2 - x1)) * 180) / Math.PI;
  const text = label(rung), size = text.length * 6.7, whole = right - left;
  const half = size < whole * (reach - begin) ? (begin + reach) / 2 : 0.5; // over the part that is drawn, where it fits
  const middle = way(half), height = fall(half) - 5, width = whole * 0.92, long = size > width;
  const far = x.narrow && got - sent > 2 * SLANT; // what is said of it would stand across its middle
  const [textX, textY, turn, anchor] = far ? [way(0.01), sent - 4, 0, forward ? "start" : "end"] : [middle, height, Math.abs(degrees) > 30 ? 0 : degrees, "middle"];
  const kind = `wire ${rung.style} ${rung.fate} ${rung.refused ? "refused" : ""} ${rung.number === chosen.packet ? "chosen" : ""}`;
  return svg`<g class=${kind} data-slope=${slope.toFixed(1)} @click=${() => choosePacket(rung.number)}>
    <line x1=${x1} y1=${y1} x2=${x2} y2=${y2} />
    ${
      rung.fate === "lost"
        ? svg`<path class="cross" d="M${x2 - 6},${y2 - 6} l12,12 m0,-12 l-12,12" />`
        : svg`<polygon points="${x2},${y2} ${tip(0.42)} ${tip(-0.42)}" />`
    }
    ${rung.fate === "held" ? svg`<rect class="hand" x=${x2 + (forward ? 2 : -6)} y=${y2 - 11} width="4" height="22" />` : nothing}
    ${rung.refused ? svg`<circle class="no" cx=${way(0.985)} cy=${fall(0.985)} r="7" /><path class="no" d="M${way(0.985) - 4},${fall(0.985) - 4} l8,8" />` : nothing}
    ${
      !clear
        ? nothing
        : svg`<text transform="rotate(${turn} ${textX} ${textY})" x=${textX} y=${textY} text-anchor=${anchor} textLength=${long ? width : nothing} lengthAdjust="spacingAndGlyphs">${text}${rung.copies ? ` ×${rung.copies}` : ""}${rung.again ? ` ×${rung.again + 1}` : ""}</text>`
    }
  </g>`;
}

function row(rung, top, height, x, clear) {
  const isChosen = rung.number === chosen.packet, found = matches(rung);
  const said = chosen.real ? [] : lines(rung);
  const place = `top:${top}px;height:${height}px`;
  const beside = x.narrow ? `left:${x.said}px;width:${x.room}px;top:${x.small ? ROW + NAME - 4 : ROW}px` : `left:${x.said}px;width:${x.room}px`;
  return html`<li class="row ${isChosen ? "chosen" : ""} ${found ? "found" : ""} ${rung.refused ? "refused" : ""}" .style=${place} value=${rung.number} @click=${() => choosePacket(rung.number)}>
    <a class="number" href="#p=${rung.number}" tabindex=${isChosen ? 0 : -1} aria-current=${isChosen ? "true" : "false"} aria-label="${w("packet")} ${rung.number}: ${t(rung.sentence) || t(rung.name)}">${clear ? rung.number : ""}</a>
    <span class="seconds">${rung.seconds === null || (height < 2 * NEAR && !isChosen) ? "" : rung.seconds.toFixed(3)}</span>
    ${rung.agrees === undefined || !clear ? nothing : html`<span class="proof ${rung.agrees ? "yes" : "no"}" title=${rung.agrees ? w("agree") : w("disagree")} .style=${`left:${x.small ? 8 : x.server + 116}px`}>${rung.agrees ? "✓" : "≠"}</span>`}
    ${rung.states ? nothing : html`<span class="other" .style=${`left:${x.client}px`}>${t(rung.name)}</span>`}
    <span class="said" .style=${beside}>${said.map(
      (each, at) => html`<span class="line ${each.kind}">${at === 0 && rung.badge ? html`<b class="badge">${t(rung.badge)}</b>` : nothing}${t(each)}</span>`,
    )}</span>
  </li>`;
}
