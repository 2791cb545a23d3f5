// @ts-check
// What the page knows: its data, as Python made them, and what its reader has chosen. Whoever draws asks here.

/** @typedef {import("./page").Page} Page */
/** @typedef {import("./page").Rung} Rung */
/** @typedef {import("./page").Text} Text */

/** @type {Page} */
let page;
/** @type {Set<() => void>} */
const drawers = new Set();
let drawing = false;

/** What its reader has chosen; kept for the next page where that makes sense. */
export const chosen = {
  lang: /** @type {"en" | "zh"} */ ("en"),
  theme: "",
  packet: 0,
  track: /** @type {number | null} */ (null),
  field: /** @type {{ buffer: number, start: number, end: number } | null} */ (null),
  query: "",
  real: false,
  bare: true,
  raw: false,
  decrypted: true,
  hidden: /** @type {Record<string, boolean>} */ ({}),
  mode: "ladder",
  upto: Infinity,
  help: false,
  large: false, // whether the diagram is as large as the window
  side: 0, // of two captures, the one whose packet is shown
};

/** What a page has besides while it is live: keys that come first, what stands below all, and before all panels. */
export const more = {
  keys: /** @type {(event: KeyboardEvent) => boolean} */ (() => false),
  bar: /** @type {() => unknown} */ (() => ""),
  panels: /** @type {() => unknown} */ (() => ""),
  help: /** @type {() => [string, string][]} */ (() => []),
};

const KEPT = ["lang", "theme"];

/** @param {Page} data */
export function begin(data) {
  page = data;
  chosen.lang = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
  try {
    Object.assign(chosen, JSON.parse(localStorage.getItem("handshake-lab") || "{}"));
  } catch {
    // a page from disk may have no storage: nothing is kept then
  }
}

export const data = () => page;

/** Turns to one of two captures: what is asked of a packet is of that one's.
 * @param {number} side */
export function turn(side) {
  chosen.side = side;
  Object.assign(page, { proof: undefined, problem: undefined }, page.compare.sides[side].page);
}

/** @param {() => void} draw */
export function onChange(draw) {
  drawers.add(draw);
}

/** Changes what is chosen, and has the page drawn anew, once however often it is called.
 * @param {Partial<typeof chosen>} changes */
export function choose(changes) {
  Object.assign(chosen, changes);
  if (KEPT.some((name) => name in changes)) {
    try {
      localStorage.setItem("handshake-lab", JSON.stringify(Object.fromEntries(KEPT.map((name) => [name, chosen[name]]))));
    } catch {
      // as above
    }
  }
  changed();
}

/** Has the page drawn anew before the next frame. */
export function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const draw of drawers) draw();
  });
}

/** @param {Text | null | undefined} text */
export const t = (text) => (text ? text[chosen.lang] : "");

/** A word of the page's own.
 * @param {string} key */
export const w = (key) => t(page.words[key]);

/** @param {number} number */
export const rungOf = (number) => page.rungs.find((each) => each.number === number);

/** The rungs that are shown, in order. */
export function shown() {
  const all = page.rungs.length > chosen.upto ? page.rungs.slice(0, chosen.upto) : page.rungs;
  return all.filter(
    (each) => (chosen.track === null || each.track === chosen.track) && (chosen.bare || !each.bare || each.number === chosen.packet),
  );
}

/** What an arrow says of a packet.
 * @param {Rung} rung */
export function label(rung) {
  const said = rung.messages?.filter((each) => !each.wraps && !chosen.hidden[each.protocol]) || [];
  if (rung.messages && !chosen.decrypted && rung.messages.some((each) => each.decrypted)) {
    const open = [...new Set(rung.messages.filter((each) => !each.decrypted).map((each) => each.name))];
    return `${[...open, `🔒 ${page.titles[rung.messages[0].protocol]}`].join(" + ")}${numbers(rung)}`;
  }
  if (chosen.raw && rung.raw) return `${said.length ? said.map((each) => each.name).join(" + ") : t(rung.name)}${numbers(rung)}`;
  return rung.messages && !said.length ? `${t(rung.name)}${numbers(rung)}` : (rung.label ?? t(rung.name));
}

/** @param {Rung} rung */
function numbers(rung) {
  if (!rung.space) return "";
  const { seq, ack } = rung.space;
  return chosen.raw ? ` ${rung.raw}` : ` seq=${seq}${ack === null ? "" : ` ack=${ack}`}`;
}

/** Why a rung was lost or refused, where no line of what is said of it says so.
 * @param {Rung} rung */
export function why(rung) {
  const said = t(rung.why).toLowerCase();
  return said && !rung.said.some((each) => t(each).toLowerCase().includes(said)) ? t(rung.why) : "";
}

/** Lines of what is said of a rung: none of messages that are folded, or not to be read.
 * @param {Rung} rung */
export function lines(rung) {
  const said = rung.messages || [];
  const hides = said.length > 0 && (said.every((each) => chosen.hidden[each.protocol]) || (!chosen.decrypted && said.some((each) => each.decrypted)));
  return rung.said.filter((each) => each.kind !== "message" || !hides);
}

/** Whether a rung has what is searched for.
 * @param {Rung} rung */
export function matches(rung) {
  const query = chosen.query.trim().toLowerCase();
  if (!query) return false;
  const states = [...(rung.states?.held || []), ...(rung.states?.delivered || [])];
  const said = [rung.label, rung.raw, t(rung.name), t(rung.sentence), ...states, ...rung.labels, `#${rung.number}`];
  return said.concat(rung.said.map(t)).some((each) => each && each.toLowerCase().includes(query));
}

/** Chooses a packet, and nothing of its bytes.
 * @param {number} number */
export function choosePacket(number) {
  if (number !== chosen.packet) choose({ packet: number, field: null });
}

/** Chooses the packet so many further on, among those that are shown.
 * @param {number} by */
export function go(by) {
  const rungs = shown();
  const at = rungs.findIndex((each) => each.number === chosen.packet);
  const to = rungs[Math.min(Math.max((at < 0 && by < 0 ? rungs.length : at) + by, 0), rungs.length - 1)];
  if (to) choosePacket(to.number);
}
