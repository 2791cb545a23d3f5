// @ts-check
// One packet: its layers with their fields, and the bytes below; field and bytes light each other.
import { html, nothing } from "./vendor/lit-html.js";
import { choose, chosen, t, w } from "./state.js";

const ROW = 16;
const folded = new Set();

/** The bytes of a buffer, and of each byte the innermost field that has it, by layer and place.
 * @type {Map<object, { bytes: Uint8Array, owners: ([number, number] | undefined)[] }[]>} */
const known = new Map();

function buffers(detail) {
  let found = known.get(detail);
  if (!found) {
    found = detail.buffers.map((each) => ({ bytes: Uint8Array.from(atob(each.bytes), (char) => char.charCodeAt(0)), owners: [] }));
    detail.layers.forEach((layer, of) =>
      layer.fields.forEach((field, at) => {
        if (!field.at) return;
        const { owners, bytes } = found[field.at[0]];
        for (let place = field.at[1]; place < Math.min(field.at[2], bytes.length); place++) owners[place] = [of, at];
      }),
    );
    known.clear();
    known.set(detail, found);
  }
  return found;
}

const isLit = (place) => place && chosen.field && place[0] === chosen.field.buffer && place[1] === chosen.field.start && place[2] === chosen.field.end;
const light = (place) => choose({ field: place ? { buffer: place[0], start: place[1], end: place[2] } : null });

/** A packet's layers, and the bytes below.
 * @param {import("./page").Rung} rung */
export function packet(rung) {
  const detail = rung.detail;
  if (!detail || !detail.buffers.length) return nothing;
  const opened = buffers(detail);
  const layers = detail.layers.filter((layer) => chosen.decrypted || !layer.fields.some((each) => each.at && each.at[0] > 0));
  return html`<div class="layers">${layers.map((layer) => one(layer, detail.layers.indexOf(layer), rung))}</div>
    ${detail.buffers.map((each, at) => (at && !chosen.decrypted ? nothing : dump(each, opened[at], at, detail)))}`;
}

function one(layer, at, rung) {
  const key = `${layer.title} ${layer.name?.en ?? ""}`;
  const open = !folded.has(key);
  const toggle = (event) => (event.target.open ? folded.delete(key) : folded.add(key));
  return html`<details class="layer layer-${at % 6}" ?open=${open} @toggle=${toggle}>
    <summary>${layer.title} ${layer.name ? t(layer.name) : ""}</summary>
    <ul>${layer.fields.map((field) => row(field))}</ul>
  </details>`;
}

function row(field) {
  const lit = isLit(field.at);
  const where = field.at ? `${field.at[1]}${field.at[2] - field.at[1] > 1 ? `–${field.at[2] - 1}` : ""}` : "–";
  return html`<li class="depth-${Math.min(field.depth || 0, 6)}">
    <button class="field ${lit ? "lit" : ""}" ?disabled=${!field.at} aria-pressed=${lit ? "true" : "false"} @click=${() => light(lit ? null : field.at)}>
      <span class="place">${where}</span><span class="name">${field.sealed && !chosen.decrypted ? "🔒" : field.called ? t(field.called) : field.name}</span><span class="value">${field.value}</span>
    </button>
    ${field.meaning ? html`<p class="meaning">${t(field.meaning)}</p>` : nothing}
  </li>`;
}

function dump(buffer, opened, at, detail) {
  const rows = Math.ceil(opened.bytes.length / ROW);
  return html`<section class="dump"><h4>${t(buffer.name)}</h4>
    <div class="hex" tabindex="0" role="group" aria-label=${t(buffer.name)} @click=${(event) => pick(event, at, opened, detail)}>
      ${Array.from({ length: rows }, (_, line) => hexRow(opened, line * ROW, at))}
    </div>
    ${buffer.more ? html`<p class="soft">… ${buffer.more} ${w("more-bytes")}</p>` : nothing}
  </section>`;
}

function hexRow(opened, from, at) {
  const { bytes, owners } = opened;
  const cells = Array.from(bytes.subarray(from, from + ROW));
  const lit = (place) => (chosen.field && chosen.field.buffer === at && place >= chosen.field.start && place < chosen.field.end ? "lit" : "");
  const of = (place) => `layer-${(owners[place]?.[0] ?? 0) % 6}`;
  return html`<div class="line"><span class="offset">${from.toString(16).padStart(4, "0")}</span>
    <span class="bytes">${cells.map((byte, index) => html`<i data-at=${from + index} class="${of(from + index)} ${lit(from + index)}">${byte.toString(16).padStart(2, "0")}</i>`)}</span>
    <span class="chars">${cells.map((byte, index) => html`<i data-at=${from + index} class=${lit(from + index)}>${byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·"}</i>`)}</span></div>`;
}

function pick(event, at, opened, detail) {
  const place = Number(event.target.dataset?.at ?? -1), owner = opened.owners[place];
  if (place < 0 || !owner) return;
  const field = detail.layers[owner[0]].fields[owner[1]];
  folded.delete(`${detail.layers[owner[0]].title} ${detail.layers[owner[0]].name?.en ?? ""}`);
  light(isLit(field.at) ? null : field.at);
}
