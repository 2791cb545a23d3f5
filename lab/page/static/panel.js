// @ts-check
// A panel beside the ladder.
import { html } from "./vendor/lit-html.js";
import { chosen, w } from "./state.js";

/** A panel that folds. Its content is made only where it is open.
 * @param {string} name @param {() => unknown} content @param {boolean} [open] */
export function panel(name, content, open = true) {
  const key = `panel ${name}`, isOpen = !(chosen.hidden[key] ?? !open);
  return html`<details class="panel" id=${name} ?open=${isOpen} @toggle=${(event) => (chosen.hidden[key] = !event.target.open)}>
    <summary><h3>${w(name)}</h3></summary>${content()}</details>`;
}
