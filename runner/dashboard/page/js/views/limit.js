// One limit: its bucket and line to one scale, four charts on one axis, the line job by job, and the acts.
import { html, useEffect, useState } from "../../vendor/htm-preact.js";
import { changeLimit, freezeLimit, pauseLimit, releaseLimit, restoreLimit, resumeLimit } from "../acts.js";
import { Charts } from "../chart.js";
import { Act, Ask, Dialog, Many, useAct, Wrong } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { amount, instant, KINDS, plural, policyWords, short, span, whole } from "../format.js";
import { useHistory } from "../history.js";
import { Icon } from "../icons.js";
import { Lane } from "../lane.js";
import { can, live, ms, now, watching } from "../live.js";
import { Rows } from "../rows.js";
import { part } from "../service.js";
import { LimitState, Search, Table } from "../ui.js";

const UNITS = { s: 1, min: 60, h: 3600, day: 86400 };
const smoothKind = (p) => p.kind === "token_bucket" && p.smooth;
function parseRate(text) {
  const m = /^\s*(\d[\d,]*(?:\.\d+)?)\s*\/\s*(\d+)?\s*(s|min|h|day)\s*$/.exec(text);
  return m && Number(m[1].replaceAll(",", "")) > 0 ? Number(m[1].replaceAll(",", "")) / ((Number(m[2]) || 1) * UNITS[m[3]]) : null;
}

function Edit({ row, line, onClose }) {
  const p = row.policy, smooth = smoothKind(p), [problem, busy, run] = useAct(onClose);
  const [rate, setRate] = useState(p.rate), [burst, setBurst] = useState(String(row.capacity)), [forS, setForS] = useState("3600"), [reason, setReason] = useState("");
  const perSecond = smooth ? parseRate(rate) : null, capacity = Number(burst), work = (row.clears_in_s ?? 0) * (p.tokens_s ?? 0);
  const biggest = line.jobs.reduce((m, j) => Math.max(m, j.cost), 1);
  const wrong = smooth && perSecond == null ? `“${rate}” is no rate. Write it like 10/s, 100/min or 5/10s.` : !Number.isInteger(capacity) || capacity < 1 ? "It must hold at least 1." : capacity < biggest ? `A job in line costs ${whole(biggest)}: with ${whole(capacity)} it could never start.` : null;
  const same = (!smooth || rate.trim() === p.rate) && capacity === row.capacity;
  const numbers = { ...(smooth ? { rate: rate.trim(), burst: capacity } : { capacity }), duration: Number(forS) || null, reason };
  const until = forS ? `until ${instant(now() + Number(forS) * 1000, now())}, then the code's numbers` : "until you restore it";
  const speed = smooth ? `${rate.trim()}, bursts of ${whole(capacity)}` : policyWords({ ...p, capacity });
  const clears = smooth && row.waiting ? ` The ${whole(row.waiting)} waiting clear in ${span(work / perSecond)} instead of ${span(row.clears_in_s)}.` : "";
  const bound = smooth ? ` At most ${whole(Math.floor(capacity + perSecond * 60))} ${biggest > 1 ? "tokens" : "starts"} in any minute.` : "";
  return html`<${Dialog} title="Change ${row.name}" onClose=${onClose}><form onSubmit=${(e) => { e.preventDefault(); if (!wrong && !same) run(() => changeLimit(row.name, numbers)); }}>
    <div class="pair">${smooth && html`<label class="field"><span>Rate</span><input autofocus value=${rate} onInput=${(e) => setRate(e.target.value)} /></label>`}
      <label class="field"><span>${smooth ? "Burst" : p.kind === "concurrency" ? "At once" : "Capacity"}</span><input inputmode="numeric" value=${burst} onInput=${(e) => setBurst(e.target.value)} /></label>
      <label class="field"><span>For</span><select value=${forS} onChange=${(e) => setForS(e.target.value)}><option value="600">10 min</option><option value="3600">1 h</option><option value="86400">24 h</option><option value="">until restored</option></select></label></div>
    <label class="field"><span>Reason</span><input maxlength="500" value=${reason} onInput=${(e) => setReason(e.target.value)} /></label>
    <p class="preview ${wrong ? "is-wrong" : ""}" role="status"><${Icon} name=${wrong ? "failed" : "gate"} /><span>${wrong ?? (same ? html`<b>${speed}</b>, as now.${bound}` : html`<b>${speed}</b> ${until}.${clears}${bound}`)}</span></p>
    <p class="muted">The code says ${policyWords(row.code)}.${row.override ? ` ${row.override.by} set ${p.rate}: ${row.override.reason || "no reason given"}.` : ""}</p>
    <${Wrong} problem=${problem} />
    <footer>${row.override && html`<button type="button" class="left" onClick=${() => run(() => restoreLimit(row.name))}>Restore the code's</button>`}<button type="button" onClick=${onClose}>Leave it</button><button class="primary" disabled=${wrong || same || busy}>Change for all workers</button></footer></form></${Dialog}>`;
}

const KEYS_SHOWN = 8;
function Buckets({ row, found, find, setFind, chosen, choose }) {
  const list = found.data?.buckets ?? [];
  return html`<section class="keys-panel"><header><h2>Hottest keys</h2><${Search} label="Find a key" cls="small" value=${find} set=${setFind} /></header>
    <ul>${list.slice(0, KEYS_SHOWN).map((k) => html`<li key=${k.bucket}><button aria-pressed=${chosen === k.bucket} onClick=${() => choose(k.bucket)}><b>${k.key ?? k.bucket}</b><span class="mini"><i style=${{ transform: `scaleX(${Math.max(0, Math.min(1, k.tokens / row.capacity))})` }}></i></span><span class="n">${k.tokens}/${row.capacity}</span><span class="n w">${k.waiting ? whole(k.waiting) : "–"}</span><span class="n">${short(k.clears_in_s || null)}</span></button></li>`)}</ul>
    <p class="muted">${found.problem ? found.problem.message : found.data && !list.length ? "No key matches. " : list.length > KEYS_SHOWN ? `${KEYS_SHOWN} of ${whole(found.data.matched)} keys · ` : ""}tokens, waiting, clears in</p></section>`;
}

function Line({ row, line }) {
  const mixed = line.jobs.some((j) => j.cost !== 1);
  const head = [["#", "n"], ["Job", ""], ["Task", "l-task"], mixed ? ["Cost", "n l-cost"] : null, ["Waited", "n"], ["Starts in", "n"]].filter(Boolean);
  return html`<${Rows} items=${line.jobs} height=${32} label="Waiting line" columns="cols-line ${mixed ? "mixed" : ""}" head=${head} empty=${html`Nobody waits. A job that comes now starts at once.`}
    row=${(j, i) => html`<div role="row" key=${j.id ?? j.place} class="line-row" aria-rowindex=${i + 2}>
      <span role="cell" class="n place">${whole(j.place)}</span><span role="cell" class="id">${j.id ? html`<a data-row href="#/jobs/${part(j.id)}">${j.id}</a>` : html`<span class="muted">of another task</span>`}${j.priority === "high" && html`<em title="priority high">high</em>`}</span><span role="cell" class="l-task cut">${j.task ?? "–"}</span>
      ${mixed && html`<span role="cell" class="n l-cost">${whole(j.cost)}</span>`}<span role="cell" class="n">${short(j.waited_s)}</span><span role="cell" class="n">${j.eta_s == null ? "–" : short(j.eta_s)}</span></div>`} />`;
}

const HANDS = [["Queue"], ["In hand", "n"], ["Used/min", "n"], ["Wanted", "n"], ["Share", "n"], ["Heard", "n"]];
const Hands = ({ s }) => html`<section class="card pools"><header><h2>Shared by ${plural(s.queues.length, "queue")}</h2><span class="muted">scope ${s.scope}: ${whole(s.out)} in their hands, ${whole(s.tokens)} that no queue has</span></header><${Table} label="Queues that share it" cls="pool-row" head=${HANDS}>${s.queues.map((q) => html`<div role="row" class="pool-row" key=${q.queue}><span role="cell"><b>${q.queue}</b></span>${[q.in_hand, q.used_per_minute, q.wanted, q.weight].map((n) => html`<span role="cell" class="n">${whole(n)}</span>`)}<span role="cell" class="n">${short(q.heard_s)}</span></div>`)}</${Table}></section>`;

/** The line of a bucket: as the stream tells it each second; of a bucket that is not watched yet nothing. */
const EMPTY = { total: 0, jobs: [] };

export function Limit({ name, o }) {
  const [ask, setAsk] = useState(null), [range, setRange] = useState("1h"), [bucket, setBucket] = useState(null), [find, setFind] = useState("");
  const row = o.limits.find((r) => r.name === name), keyed = Boolean(row?.policy.key), chosen = keyed ? bucket ?? row.bucket : null;
  const found = useFetched(keyed ? `v1/limits/${part(name)}/buckets` : null, { find }, 2), history = useHistory(row?.name, range);
  const of = row?.policy ?? {}, own = `v1/limits/${part(name)}`, { shared } = useFetched(of.shared && !keyed ? own : null).data ?? {}, budget = useFetched(of.unit && !keyed && can("stats:read") ? `${own}/budget` : null, {}, 30).data;
  useEffect(() => { watching(row ? `limit:${chosen ?? name}` : undefined); return () => watching(); }, [name, chosen, Boolean(row)]);
  if (!row) return html`<div class="empty"><h1>No limit is called “${name}”</h1><p>${o.limits.map((r) => html`<a href="#/limits/${part(r.name)}">${r.name}</a> `)}</p></div>`;
  const at = ms(o.at), one = chosen && found.data?.buckets.find((b) => b.bucket === chosen);
  const shown = one ? { ...row, tokens: one.tokens, frozen_s: one.frozen_s } : row, line = live.line?.bucket === (chosen ?? name) ? live.line : EMPTY;
  const close = () => setAsk(null), p = row.policy;
  const ends = !row.waiting ? "Nobody waits." : row.state === "paused" ? `${plural(row.waiting, "job")} wait until somebody resumes it.` : row.clears_in_s == null ? `${plural(row.waiting, "job")} wait; nobody can know when the last one starts.` : `${plural(row.waiting, "job")} wait; the last one starts in ${span(row.clears_in_s)}.`;
  const set = row.override ? html`Set by <b>${row.override.by || "an operator"}</b>${row.override.until ? ` until ${instant(ms(row.override.until), at)}` : ""}: ${row.override.reason || "no reason given"}; the code says ${policyWords(row.code)}.` : "Set by the code.";
  return html`<div class="page limit">
    <div class="title"><a class="up" href="#/limits" aria-label="All limits"><${Icon} name="back" size=${16} /></a><div class="title-text"><h1>${row.name}</h1><${LimitState} row=${row} at=${at} long=${true} /></div>
      ${can("limits:write") && html`<div class="acts"><button class="primary" onClick=${() => setAsk("edit")}>Change</button>${row.state === "paused" ? html`<${Act} act=${() => resumeLimit(name)}>Resume</${Act}>` : html`<button onClick=${() => setAsk("pause")}>Pause</button>`}${row.state === "frozen" ? html`<${Act} act=${() => releaseLimit(name)}>Release</${Act}>` : html`<button onClick=${() => setAsk("freeze")}>Freeze</button>`}${can("jobs:manage") && row.waiting > 0 && html`<button class="danger-quiet" onClick=${() => setAsk("cancel")}>Cancel ${whole(row.waiting)} waiting…</button>`}</div>`}</div>
    <p class="lead"><b>${ends}</b> <span>${KINDS[p.kind]}: ${policyWords(p)}${p.key ? ` for each ${p.key.replace(/[{}]/g, "")}` : ""}${p.tz ? `, ${p.tz}` : ""}. ${set}${budget ? ` ${budget.says}.` : ""}${row.provider ? ` Its provider says ${amount(p, row.provider.left)} left, we had ${amount(p, row.provider.had)}, ${short((at - ms(row.provider.at)) / 1000)} ago.` : ""}</span></p>
    <section class="lane-card">${chosen && html`<p class="of">bucket <b>${chosen}</b></p>`}<${Lane} row=${shown} line=${line} key=${chosen} /></section>
    ${shared && html`<${Hands} s=${shared} />`}
    <div class="split">
      <${Charts} h=${history} range=${range} setRange=${setRange} />
      <div class="side">${p.key && html`<${Buckets} row=${row} found=${found} find=${find} setFind=${setFind} chosen=${chosen} choose=${setBucket} />`}
        <section class="line-panel"><header><h2>The line</h2><span class="muted">${line.total > line.jobs.length ? `first ${whole(line.jobs.length)} of ${whole(line.total)}` : plural(line.total, "job")}${chosen ? ` in ${chosen}` : ""}</span></header><${Line} row=${row} line=${line} /></section></div>
    </div>
    ${ask === "edit" && html`<${Edit} row=${row} line=${line} onClose=${close} />`}
    ${ask === "pause" && html`<${Ask} title="Pause ${name}?" text="Nothing more starts for ${name} until it is resumed. What runs goes on, and ${whole(row.waiting)} waiting jobs keep their places." action="Pause ${name}" onDo=${(reason) => pauseLimit(name, reason)} onClose=${close} />`}
    ${ask === "freeze" && html`<${Ask} title="Freeze ${chosen ?? name}?" seconds=${30} text="Nothing starts for that long; then one job probes, and the normal rate follows without a burst." action="Freeze" onDo=${(reason, s) => freezeLimit(name, s, chosen, reason)} onClose=${close} />`}
    ${ask === "cancel" && html`<${Many} action="cancel" verb="Cancel" filter=${{ state: ["waiting"], limit: name }} scope="All jobs that wait at ${name} now end as cancelled. What runs is not touched." note="Jobs that come later are not touched. What is cancelled can be retried." onClose=${close} />`}
  </div>`;
}
