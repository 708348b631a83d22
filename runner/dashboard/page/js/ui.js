// The words of states, and what every view shows while it has nothing to show.
import { html } from "../vendor/htm-preact.js";
import { span } from "./format.js";
import { Icon } from "./icons.js";
import { live, ms } from "./live.js";

/** From here on a wait is shown in amber. */
export const slowAfter = () => live.overview?.slow_after_s ?? 60;
export const slow = (row) => (row.state === "at_limit" || row.state === "slots_full") && row.oldest_wait_s > slowAfter();
export const tone = (row) => (slow(row) ? "slow" : row.state);

/** The state of a limit: glyph and word, then what a person needs to know about it. */
export function LimitState({ row, at, long }) {
  const word = row.state === "frozen" && row.frozen_s ? `frozen for ${span(row.frozen_s)}` : row.state.replace("_", " ");
  const keyed = row.policy.key && row.buckets.waiting ? ` in ${row.buckets.waiting}${row.buckets.known == null ? (row.buckets.waiting === 1 ? " key" : " keys") : ` of ${row.buckets.known}`}` : "";
  let detail = "";
  if (row.state === "paused") detail = byWhom(row.paused);
  else if (row.state === "frozen") detail = row.frozen_by ? `by ${row.frozen_by}` : row.frozen_reason ?? "";
  else if (slow(row)) detail = `oldest waits over ${span(slowAfter())}`;
  else if (row.state_since && row.waiting) detail = `for ${span((at - ms(row.state_since)) / 1000)}`;
  return html`<span class="state limit-state is-${tone(row)}"><b><${Icon} name=${row.state} />${word}${keyed}</b>${detail && html` <span class="why ${long ? "" : "cut"}" title=${detail}>${detail}</span>`}</span>`;
}

/** Who it was and why, as far as that is known. */
export const byWhom = (act) => [act?.by && `by ${act.by}`, act?.reason].filter(Boolean).join(": ");

export const JobState = ({ job }) => html`<span class="state is-${job.state}"><${Icon} name=${job.state} /><b>${job.state}</b></span>`;

/** What is known of a value, in words, or a dash. */
export const or = (value, word) => (value == null ? "–" : word(value));
/** A number with its name and what belongs to it. */
export const Figure = ({ label, value, sub, icon, children }) => html`<div class="figure"><dt>${icon && html`<${Icon} name=${icon} />`}${label}</dt><dd><b>${value}</b>${children}</dd><dd class="sub" title=${sub}>${sub}</dd></div>`;
/** What a view is called; `children` stand beside it. */
export const Title = ({ text, children }) => html`<div class="title"><div class="title-text"><h1>${text}</h1></div>${children}</div>`;

/** A field that narrows what is shown; `/` goes to it. */
export const Search = ({ label, value, set, cls = "", most }) => html`<label class="search ${cls}"><${Icon} name="search" size=${14} /><span class="hidden">${label}</span><input data-search placeholder=${label} maxlength=${most} value=${value} onInput=${(e) => set(e.target.value)} /><kbd>/</kbd></label>`;

/** One of some words: `choices` are rows of key, word and number. */
export const Segments = ({ label, choices, chosen, choose }) => html`<div class="segments" role="group" aria-label=${label}>${choices.map(([key, word, n]) => html`<button aria-pressed=${chosen === key} onClick=${() => choose(key)}>${word}${n != null && html` <small>${n}</small>`}</button>`)}</div>`;

/** A table of rows that are all there: `head` has the words and the classes of its columns, `cls` is the class of each row. */
export const Table = ({ label, cls, head, children }) => html`<div class="table" role="table" aria-label=${label}><div role="rowgroup"><div role="row" class="${cls} head">${head.map(([word, kind]) => html`<span role="columnheader" class=${kind}>${word}</span>`)}</div></div><div role="rowgroup">${children}</div></div>`;
/** The head of a column that has buttons only. */
export const ACTS = [html`<span class="hidden">Acts</span>`];

/** The shape of a page that has not come yet. */
export const Loading = () => html`<div role="status" aria-busy="true" class="ghosts"><h1 class="hidden">Loading</h1><div class="ghost ghost-title"></div><div class="ghost ghost-figures"></div>${[1, 2, 3, 4, 5, 6, 7].map(() => html`<div class="ghost ghost-row"></div>`)}</div>`;

/** What the service refused, in place of what was asked for. */
const Refused = ({ problem }) => html`<div class="empty" role="alert"><h1>${problem.status === 403 ? "You may not see this" : "This cannot be shown"}</h1><p>${problem.message}</p></div>`;

/** A view of one answer: its shape while it comes, the problem if there is no answer, else what `children` makes of it. */
export function Answer({ got, children }) {
  if (got.data !== undefined) return children(got.data);
  return got.problem ? html`<${Refused} problem=${got.problem} />` : html`<${Loading} />`;
}
