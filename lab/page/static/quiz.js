// @ts-check
// What comes next? The ladder is shown up to here, and the next packet only once somebody has said what it is.
import { html, nothing } from "./vendor/lit-html.js";
import { choose, chosen, data, label, t, w } from "./state.js";

let answers = /** @type {Record<string, string>} */ ({});
let told = /** @type {{ question: string, said: string, right: string, good: boolean }[] | null} */ (null);
const score = { right: 0, of: 0 };

/** Begins where the reader is, or at the beginning; ends it where it is on. */
export function toggle() {
  if (chosen.mode === "quiz") return choose({ mode: data().compare ? "compare" : "ladder", upto: Infinity });
  const at = data().rungs.findIndex((each) => each.number === chosen.packet);
  answers = {};
  told = null;
  Object.assign(score, { right: 0, of: 0 });
  return choose({ mode: "quiz", upto: at < 0 || at === data().rungs.length - 1 ? 0 : at + 1, field: null });
}

const next = () => data().rungs.slice(chosen.upto).find((each) => each.states);

function questions(rung) {
  const page = data(), roles = ["client", "server"].map((role) => [role, t(page.roles[role])]);
  const listed = Object.keys(page.phases).map((state) => [state, state]);
  const right = rung.states.delivered || rung.states.held;
  return [
    { key: "who", text: w("quiz-who"), choices: roles, right: rung.from },
    { key: "what", text: w("quiz-what"), choices: page.quiz.map((each) => [each, each]), right: rung.quiz },
    ...["client", "server"].map((role, at) => ({ key: role, text: `${t(page.roles[role])}: ${w("quiz-state")}`, choices: listed, right: right[at] })),
  ];
}

function judge(event) {
  event.preventDefault();
  const rung = next();
  const name = (each, value) => each.choices.find(([key]) => key === value)?.[1] ?? value ?? "–";
  told = questions(rung).map((each) => ({ question: each.text, said: name(each, answers[each.key]), right: name(each, each.right), good: answers[each.key] === each.right }));
  score.of += told.length;
  score.right += told.filter((each) => each.good).length;
  choose({ upto: data().rungs.indexOf(rung) + 1, packet: rung.number, field: null });
}

function goOn() {
  told = null;
  answers = {};
  choose({});
  requestAnimationFrame(() => requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector(".quiz select"))?.focus()));
}

export function quiz() {
  if (chosen.mode !== "quiz") return nothing;
  const rung = next();
  const points = html`<p class="soft" role="status">${w("quiz-score")}: ${score.right} / ${score.of}</p>`;
  if (told) {
    const shown = data().rungs[chosen.upto - 1];
    return html`<section class="quiz" aria-label=${w("quiz")}><h2>${label(shown)}</h2>
      <ul>${told.map((each) => html`<li class=${each.good ? "good" : "bad"}>${each.good ? "✓" : "✗"} ${each.question} <b>${each.right}</b>${each.good ? nothing : html` <s>${each.said}</s>`}</li>`)}</ul>
      ${points}${rung ? html`<button class="main" @click=${goOn}>${w("quiz-next")}</button>` : html`<p>${w("quiz-over")}</p>`} <button @click=${toggle}>${w("close")}</button></section>`;
  }
  if (!rung) return html`<section class="quiz"><p>${w("quiz-over")}</p>${points}<button @click=${toggle}>${w("close")}</button></section>`;
  return html`<section class="quiz" aria-label=${w("quiz")}><h2>${w("quiz")}</h2>
    <form @submit=${judge}>${questions(rung).map(
      (each) => html`<label><span>${each.text}</span><select name=${each.key} @change=${(event) => (answers[each.key] = event.target.value)}><option value="">–</option>${each.choices.map(([value, text]) => html`<option value=${value} ?selected=${answers[each.key] === value}>${text}</option>`)}</select></label>`,
    )}<button class="main" type="submit">${w("quiz-show")}</button> <button type="button" @click=${toggle}>${w("close")}</button></form>${points}</section>`;
}
