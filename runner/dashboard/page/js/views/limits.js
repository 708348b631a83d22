// Home: what waits, for what, how long, and who set the limit.
import { html, useState } from "../../vendor/htm-preact.js";
import { releaseLimit, resumeLimit } from "../acts.js";
import { Balance, BalanceHead } from "../balance.js";
import { Act } from "../dialogs.js";
import { brief, instant, perSecond, plural, policyBrief, policyWords, short, span, whole } from "../format.js";
import { Icon, Mark } from "../icons.js";
import { can, ms, recent } from "../live.js";
import { Spark } from "../spark.js";
import { Figure, LimitState, or, Search, Segments, slow, tone } from "../ui.js";

/** One sentence that answers the page's question; decided by fixed rules, worst first. */
function verdict(o) {
  const holding = o.limits.filter((r) => r.waiting), n = holding.length, waiting = o.jobs?.waiting ?? sum(holding.map((r) => r.waiting));
  if (o.paused) return ["slow", "The queue is paused.", `Nothing starts until somebody resumes it${o.paused.reason ? `: ${o.paused.reason}` : ""}.`];
  if (!waiting) return ["idle", "Nothing waits.", "Every job that comes starts at once."];
  if (!n) return ["at_limit", `${plural(waiting, "job")} ${waiting === 1 ? "waits" : "wait"}, at no limit.`, "For other jobs, a pause to end, or a worker that serves their task."];
  const ends = holding.map((r) => r.clears_in_s).filter((s) => s != null), shut = holding.filter((r) => r.state === "paused"), unserved = holding.filter((r) => r.state === "no_worker");
  const names = (rows) => rows.map((r) => r.name).join(", "), stay = (rows) => (rows.length === 1 ? "stays" : "stay");
  const said = [ends.length ? `The lines that move are clear in ${span(Math.max(...ends))}` : shut.length + unserved.length === n ? "No line moves" : "Nobody can know when the lines are clear"];
  if (shut.length) said.push(`${names(shut)} ${stay(shut)} shut until somebody resumes it`);
  if (unserved.length) said.push(`no worker serves ${names(unserved)}`);
  return [holding.some(slow) ? "slow" : "at_limit", `${plural(waiting, "job")} ${waiting === 1 ? "waits" : "wait"} at ${plural(n, "limit")}.`, `${said.join("; ")}.`];
}
const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

function setBy(row, at) {
  if (!row.override) return html`<span class="setby"><b>code</b></span>`;
  return html`<span class="setby"><b>override</b><small class="cut">${[row.override.by, row.override.until && `until ${instant(ms(row.override.until), at)}`].filter(Boolean).join(", ")}</small></span>`;
}
const usage = (row) => {
  const p = row.policy;
  if (p.kind === "concurrency" || p.kind === "quota" || p.key) return html`<b>${perSecond(row.started_s)}</b><small>starts/s</small>`;
  return html`<b>${perSecond(row.taken_s)}</b><small>of ${perSecond(p.tokens_s)}/s</small>`;
};

const REASONS = [["tokens", "tokens"], ["frozen", "frozen"], ["paused", "paused"], ["slots", "concurrency"], ["quota", "quota"], ["other jobs", "after"], ["no worker", "no_worker"]];
const SHOW = { all: () => true, waiting: (r) => r.waiting > 0, held: (r) => r.state === "paused" || r.state === "frozen" };

const OPENS = { paused: ["Resume", resumeLimit], frozen: ["Release", releaseLimit] };

function Row({ row, at }) {
  const p = row.policy, opens = can("limits:write") && OPENS[row.state];
  return html`<div role="row" class="limit-row is-${tone(row)}" onClick=${(e) => { if (!e.target.closest("a,button")) location.hash = `#/limits/${encodeURIComponent(row.name)}`; }}>
    <span role="cell" class="c-name"><a data-row href="#/limits/${encodeURIComponent(row.name)}">${row.name}</a><small title="${policyWords(p)}${row.override ? `, set by ${row.override.by || "an operator"}: ${row.override.reason || "no reason given"}` : ""}">${row.override ? html`<span class="over-tag">override by ${row.override.by || "an operator"}: </span>` : ""}${policyBrief(p)}</small></span>
    <span role="cell" class="c-tokens n"><b>${or(row.tokens, brief)}</b><small>of ${brief(row.capacity)}${!p.key ? "" : row.bucket ? ` · ${row.bucket.slice(row.name.length + 1)}` : " each"}</small></span>
    <span role="cell" class="c-balance"><${Balance} row=${row} /></span>
    <span role="cell" class="c-waiting n"><b class=${row.waiting ? "" : "nil"}>${row.waiting ? whole(row.waiting) : "0"}</b><small class="lbl">waiting</small></span>
    <span role="cell" class="c-oldest n ${slow(row) ? "amber" : ""}"><b>${short(row.oldest_wait_s)}</b><small class="lbl">oldest</small></span>
    <span role="cell" class="c-clears n"><b>${row.waiting ? (row.state === "paused" ? "paused" : row.clears_in_s == null ? "unknown" : short(row.clears_in_s)) : "–"}</b><small class="lbl">clears in</small></span>
    <span role="cell" class="c-use"><${Spark} values=${recent(row.name)?.taken ?? []} ceiling=${p.key ? null : p.tokens_s} label="Starts in the last 5 minutes against the limit" /><span class="use">${usage(row)}</span></span>
    <span role="cell" class="c-state"><${LimitState} row=${row} at=${at} />${opens && html`<${Act} cls="small" label="${opens[0]} ${row.name}" act=${() => opens[1](row.name)}>${opens[0]}</${Act}>`}</span>
    <span role="cell" class="c-set">${setBy(row, at)}</span>
  </div>`;
}

export function Limits({ o }) {
  const [find, setFind] = useState(""), [show, setShow] = useState("all"), [sort, setSort] = useState("waiting");
  const at = ms(o.at), [word, headline, sub] = verdict(o);
  const rows = o.limits.filter((r) => r.name.includes(find.toLowerCase()) && SHOW[show](r)).sort(sort === "name" ? (a, b) => a.name.localeCompare(b.name) : sort === "oldest" ? (a, b) => (b.oldest_wait_s ?? 0) - (a.oldest_wait_s ?? 0) : (a, b) => b.waiting - a.waiting || b.started_s - a.started_s);
  if (!o.limits.length) return html`<div class="empty"><${Mark} size=${44} /><h1>No limit is known yet</h1><p>A worker publishes the limits of its code when it starts. Start one:</p><pre>python -m runner worker --app shop.tasks:jobs</pre></div>`;
  const oldest = o.limits.reduce((m, r) => ((r.oldest_wait_s ?? 0) > (m?.oldest_wait_s ?? 0) ? r : m), null);
  const why = REASONS.map(([word, name]) => [word, o.reasons?.[name]]).filter(([, n]) => n).map(([w, n]) => `${brief(n)} ${w}`).join(" · ");
  const sorter = (key, text, cls) => html`<span role="columnheader" class=${cls} aria-sort=${sort === key ? (key === "name" ? "ascending" : "descending") : null}><button class="sort" onClick=${() => setSort(key)}>${text}${sort === key ? (key === "name" ? " ↑" : " ↓") : ""}</button></span>`;
  return html`<div class="page home">
    <div class="verdict is-${word}"><${Icon} name=${word === "idle" ? "succeeded" : "gate"} size=${20} /><div><h1>${headline}</h1><p>${sub}</p></div></div>
    <dl class="figures">
      <${Figure} label="Waiting" icon="waiting" value=${or(o.jobs?.waiting, whole)} sub=${why} />
      <${Figure} label="Oldest wait" value=${short(o.oldest_wait_s)} sub=${oldest?.oldest_wait_s ? `at ${oldest.name}` : "nobody waits"} />
      <${Figure} label="Running" icon="running" value=${or(o.jobs?.running, whole)} sub=${o.slots ? `of ${whole(o.slots.total)} slots, ${o.slots.stuck} stuck` : ""} />
      <${Figure} label="Starts/s" value=${or(o.started_s, perSecond)} sub="last 10 s"><${Spark} values=${recent("")?.started ?? []} width=${84} height=${24} label="Starts of all limits in the last 5 minutes" /></${Figure}>
      <${Figure} label="Finished/min" icon="succeeded" value=${or(o.finished_min, whole)} sub="all tasks" />
      <${Figure} label="Failed/min" icon="failed" value=${or(o.failed_min, whole)} sub=${o.jobs ? `${whole(o.jobs.failed)} dead letters` : ""} />
    </dl>
    <div class="tools"><${Search} label="Filter limits" cls=${o.limits.length > 12 ? "" : "few"} value=${find} set=${setFind} />
      <${Segments} label="Show" choices=${[["all", "All"], ["waiting", "With a line"], ["held", "Shut"]].map(([key, word]) => [key, word, o.limits.filter(SHOW[key]).length])} chosen=${show} choose=${setShow} /></div>
    <div class="limit-table" role="table" aria-label="Limits">
      <div role="rowgroup"><div role="row" class="limit-row head">${sorter("name", "Limit", "c-name")}<span role="columnheader" class="c-tokens n">Tokens</span><span role="columnheader" class="c-balance"><span class="hidden">Tokens and line</span><${BalanceHead} /></span>${sorter("waiting", "Waiting", "c-waiting n")}${sorter("oldest", "Oldest", "c-oldest n")}<span role="columnheader" class="c-clears n">Clears in</span><span role="columnheader" class="c-use">Use, 5 min</span><span role="columnheader" class="c-state">State</span><span role="columnheader" class="c-set">Set by</span></div></div>
      <div role="rowgroup">${rows.map((row) => html`<${Row} key=${row.name} row=${row} at=${at} />`)}${!rows.length && html`<div role="row"><p role="cell" class="none">No limit matches “${find}”. <button class="link" onClick=${() => { setFind(""); setShow("all"); }}>Show all ${o.limits.length}</button></p></div>`}</div>
      ${o.more > 0 && html`<p class="muted">${plural(o.more, "more limit")} with shorter lines: <code>python -m runner limits list</code></p>`}
    </div></div>`;
}
