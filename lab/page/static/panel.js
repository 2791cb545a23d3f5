// @ts-check
// A panel beside the ladder.
import { html, nothing } from "./vendor/lit-html.js";
import { choose, chosen, w } from "./state.js";

/** A panel that folds. Its content is made only where it is open.
 * @param {string} name @param {() => unknown} content @param {boolean} [open] */
export function panel(name, content, open = true) {
  const key = `panel ${name}`, hides = chosen.hidden[key] ?? !open;
  const toggle = (event) => event.target.open === hides && choose({ hidden: { ...chosen.hidden, [key]: !event.target.open } });
  return html`<details class="panel" id=${name} ?open=${!hides} @toggle=${toggle}>
    <summary><h3>${w(name)}</h3></summary>${hides ? nothing : content()}</details>`;
}
