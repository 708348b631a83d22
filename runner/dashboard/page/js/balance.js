// A limit at a glance: tokens grow from the gate to the left, the line of jobs from the gate to the right.
import { html } from "../vendor/htm-preact.js";
import { brief, plural, whole } from "./format.js";
import { Icon } from "./icons.js";
import { tone } from "./ui.js";

const DECADES = 6; // 1 to 1,000,000 jobs
export const reach = (n) => (n <= 0 ? 0 : Math.min(1, (Math.log10(n) + 0.35) / (DECADES + 0.35)));

/** The tokens of a bucket: few of them one by one, many as a level. */
export const Stock = ({ tokens, capacity }) => (capacity > 0 && capacity <= 24 ? html`<div class="cells" style=${{ gridTemplateColumns: `repeat(${capacity}, 1fr)` }}>${Array.from({ length: capacity }, (_, i) => html`<i class=${i >= capacity - tokens ? "on" : ""}></i>`)}</div>` : html`<div class="level"><i style=${{ transform: `scaleX(${capacity ? Math.max(0, Math.min(1, tokens / capacity)) : 0})` }}></i></div>`);

export function Balance({ row }) {
  const tokens = row.tokens ?? row.capacity;
  const what = row.policy.kind === "concurrency" ? "free slots" : row.policy.kind === "quota" ? "left" : "tokens";
  const label = `${whole(tokens)} of ${whole(row.capacity)} ${what}${row.bucket && row.policy.key ? ` in ${row.bucket}` : ""}; ${plural(row.waiting, "job")} in line`;
  return html`<div class="balance is-${tone(row)}" role="img" aria-label=${label}>
    <div class="stock"><${Stock} tokens=${tokens} capacity=${row.capacity} /></div>
    <div class="gate"><span><${Icon} name=${row.state} size=${11} /></span></div>
    <div class="queue"><div class="decades">${[10, 100, 1000, 10000, 100000].map((d) => html`<i style=${{ left: `${reach(d) * 100}%` }}></i>`)}</div><div class="people" style=${{ width: `${reach(row.waiting) * 100}%` }}></div></div>
  </div>`;
}
export const BalanceHead = () => html`<div class="balance-head" aria-hidden="true"><span class="h-stock">tokens</span><span class="h-gate"></span><span class="h-queue"><span>line</span>${[10, 1000, 100000].map((d) => html`<i style=${{ left: `${reach(d) * 100}%` }}>${d >= 1000 ? `${d / 1000}k` : brief(d)}</i>`)}</span></div>`;
