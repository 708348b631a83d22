// One bucket and its line to one scale: a job is as wide as its cost, so the axis under the line is tokens and time at once.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { Stock } from "./balance.js";
import { amount, plural, short, span, whole } from "./format.js";
import { Icon } from "./icons.js";
import { tone } from "./ui.js";

const NICE = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];
const LEAST = 5; // px: the narrowest job drawn

const idOf = (job) => job.id ?? `place ${job.place}`; // that of a job of another task is not told

export function Lane({ row: given, line }) {
  const row = { ...given, tokens: given.tokens ?? given.capacity }; // of a key at which nobody waits nothing is told: it is full
  const box = useRef(), belt = useRef({ px: 0, at: new Map(), chips: [], gone: [], start: 0 }), [width, setWidth] = useState(0);
  useEffect(() => {
    const watch = new ResizeObserver(() => setWidth(box.current.clientWidth));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  const p = row.policy, stockWide = Math.round(width * (width < 500 ? 0.3 : 0.32)), gate = stockWide, room = Math.max(0, width - gate - 14);
  const pxToken = row.capacity ? stockWide / row.capacity : 0;
  const last = p.shared && line.jobs.at(-1); // of a shared limit this queue gets a part, by which its jobs are told when they start
  const rate = last?.eta_s ? line.jobs.reduce((s, j) => s + j.cost, 0) / last.eta_s : p.tokens_s, ahead = rate ? Math.min(room, rate * pxToken * 1.4) : 0; // drawn beyond the edge, so that what comes in slides in
  // Each job keeps its offset while it is in sight and only the belt under all of them moves: one transition, however many jobs.
  const past = belt.current, anchor = past.px === pxToken ? line.jobs.slice(0, 200).findIndex((j) => past.at.has(idOf(j))) : -1, same = anchor >= 0, at = new Map(), chips = [];
  let start = same ? past.at.get(idOf(line.jobs[anchor])) : 0, x = 0;
  for (let i = 0; i < anchor; i++) start -= Math.max(LEAST, line.jobs[i].cost * pxToken);
  for (const job of line.jobs) {
    const w = Math.max(LEAST, job.cost * pxToken);
    if (x > room + ahead) break;
    at.set(idOf(job), start + x);
    chips.push({ job, x: start + x, w });
    x += w;
  }
  const gone = !same ? [] : start === past.start ? past.gone : past.chips.filter((c) => c.x < start && c.x > start - stockWide - 40 && !at.has(idOf(c.job)));
  useEffect(() => { belt.current = { px: pxToken, at, chips, gone, start }; });
  const drawn = [...gone, ...chips], seen = chips.filter((c) => c.x - start < room).length;
  const ticks = [], first = line.jobs[0], rest = line.total - seen;
  if (rate && line.jobs.length && row.state !== "paused" && chips.length > 1) {
    const scale = chips.every((c) => c.w > LEAST) ? pxToken : x / chips.reduce((s, c) => s + c.job.cost, 0);
    const pxSecond = scale * rate, step = NICE.find((s) => s * pxSecond >= 84) ?? 86400;
    for (let s = step; s * pxSecond < Math.min(x, room - (rest > 0 ? 90 : 30)) && ticks.length < 12; s += step) ticks.push([s * pxSecond, short(s + (row.frozen_s || 0))]);
  }
  const unit = p.kind === "concurrency" ? "slots free" : p.kind === "quota" ? `left this ${p.per}` : "tokens";
  const next = row.state === "paused" ? "nothing starts" : row.state === "frozen" ? `the first after ${span(row.frozen_s)}` : p.kind === "concurrency" ? "a slot comes back when its job ends" : p.kind === "quota" ? (row.next_token_s == null ? "" : `the next period begins in ${span(row.next_token_s)}`) : p.shared ? "in the hand of this queue" : row.tokens >= row.capacity ? "full" : rate >= 1000 ? `${whole(rate)} land each second` : `the next lands in ${span(row.next_token_s)}`;
  return html`<div class="lane is-${tone(row)}">
    <div class="lane-top" style=${{ gridTemplateColumns: `${gate}px 1fr` }}>
      <p class="lane-stock"><b>${amount(p, row.tokens)}</b> of ${amount(p, row.capacity)} ${unit}<small>${next}</small></p>
      <p class="lane-line"><b>${whole(line.total)}</b> in line<small>${first ? (first.eta_s == null ? `first: ${idOf(first)}` : `next: ${idOf(first)} in ${span(first.eta_s)}`) : "nobody waits"}</small></p>
    </div>
    <div class="track" ref=${box} role="img" aria-label="${whole(row.tokens)} of ${whole(row.capacity)} ${unit}, ${plural(line.total, "job")} in line">
      <div class="track-stock" style=${{ width: `${gate}px` }}><${Stock} tokens=${row.tokens} capacity=${row.capacity} /></div>
      <div class="track-gate" style=${{ left: `${gate}px` }}><span><${Icon} name=${row.state} size=${14} /></span></div>
      <div class="chips ${same ? "" : "jump"}" style=${{ transform: `translateX(${gate + 12 - start}px)` }}>${drawn.map((c) => html`<i key=${idOf(c.job)} class="chip ${c.x === start ? "first" : ""} ${c.job.priority === "high" ? "high" : ""}" style=${{ width: `${Math.max(3, c.w - 2)}px`, left: `${c.x}px` }}></i>`)}</div>
    </div>
    <div class="lane-axis" aria-hidden="true">${ticks.length > 0 && html`<b style=${{ width: `${gate}px` }}>starts in</b>`}${ticks.map(([left, text]) => html`<span style=${{ left: `${gate + 12 + left}px` }}>${text}</span>`)}${rest > 0 && html`<em>${whole(rest)} more ›</em>`}</div>
  </div>`;
}
