// @ts-check
// A ruler of sequence space: SYN and FIN take a number each, and are as wide as can be seen.
import { html, nothing, svg } from "./vendor/lit-html.js";
import { data, t, w } from "./state.js";
import { panel } from "./panel.js";

const WIDTH = 520, LEFT = 8, UNIT = 26;

/** The sender's sequence numbers: what had been sent and acknowledged, what this packet takes.
 * @param {import("./page").Rung} rung */
export function space(rung) {
  const told = rung.space;
  if (!told || told.seq === null || !rung.from) return nothing;
  return panel("space", () => html`${["client", "server"].map((role, at) => ruler(rung, told, role, at))}<p class="soft">${w("space-hint")}</p>`);
}

function ruler(rung, told, role, at) {
  const mine = rung.from === role, rungs = data().rungs.filter((each) => each.track === rung.track && each.from === role && each.space && !each.forged);
  const syn = rungs.find((each) => each.space.syn)?.space, fin = rungs.find((each) => each.space.fin)?.space;
  const last = Math.max(...rungs.map((each) => each.space.stop), 1), first = syn ? 0 : Math.min(...rungs.map((each) => each.space.seq), last);
  const end = fin ? fin.stop : last, start = syn ? syn.seq + 1 : first, stop = fin ? fin.stop - 1 : last;
  const room = WIDTH - 2 * LEFT - (syn ? UNIT : 0) - (fin ? UNIT : 0);
  const x = (number) => {
    if (syn && number <= start) return LEFT + (number - syn.seq) * UNIT;
    const from = LEFT + (syn ? UNIT : 0);
    if (fin && number > stop) return from + room + (Math.min(number, fin.stop) - stop) * UNIT;
    return from + (stop > start ? ((Math.min(number, stop) - start) / (stop - start)) * room : 0);
  };
  const taken = mine && told.stop > told.seq, acked = mine ? told.acked[at] : Math.max(told.acked[at], told.ack ?? 0);
  const bar = (from, to, kind) => (to > from ? svg`<rect class=${kind} x=${x(from)} y="18" width=${Math.max(x(to) - x(from), 2)} height="16" />` : nothing);
  const unit = (found, name) => (found ? svg`<rect class="unit" x=${x(found.from)} y="18" width=${UNIT} height="16" /><text class="unit" x=${x(found.from) + UNIT / 2} y="30" text-anchor="middle">${name}</text>` : nothing);
  const tick = (number, name, kind) => svg`<line class=${kind} x1=${x(number)} x2=${x(number)} y1="12" y2="38" /><text class=${kind} x=${Math.min(Math.max(x(number), 30), WIDTH - 30)} y=${kind === "ack" ? 50 : 10} text-anchor="middle">${name} ${number}</text>`;
  const said = `${t(data().roles[role])}: ${taken ? `seq ${told.seq}–${told.stop - 1}` : `seq ${mine ? told.seq : told.sent[at]}`}, ack ${acked}`;
  return html`<figure class="ruler"><figcaption>${t(data().roles[role])}</figcaption>
    <svg viewBox="0 0 ${WIDTH} 54" role="img" aria-label=${said}>
      <rect class="all" x=${LEFT} y="18" width=${WIDTH - 2 * LEFT} height="16" />
      ${bar(first, Math.min(acked, end), "acked")} ${bar(Math.max(acked, first), told.sent[at], "sent")} ${taken ? bar(told.seq, told.stop, "taken") : nothing}
      ${unit(syn && { from: syn.seq }, "SYN")} ${unit(fin && { from: fin.stop - 1 }, "FIN")}
      ${mine ? tick(told.seq, "seq", "seq") : nothing} ${!mine && told.ack !== null ? tick(told.ack, "ack", "ack") : nothing}
    </svg></figure>`;
}
