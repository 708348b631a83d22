// Workers: who works, who leads, what is stuck, how each process is, and pools for which nobody works.
import { html } from "../../vendor/htm-preact.js";
import { useFetched } from "../fetched.js";
import { bytes, plural, short, whole } from "../format.js";
import { Icon } from "../icons.js";
import { ms } from "../live.js";
import { Answer, Figure, or, Table, Title } from "../ui.js";

const CELLS = 100; // slots that are drawn one by one
const LATE_S = 6; // a worker renews its lease each 3 s
const STALL_MS = 100; // from here on other attempts of the worker feel it

function Head({ o, workers, pools }) {
  const stuck = o.slots?.stuck ?? 0, unread = (pools ?? []).filter((p) => !p.readers && (p.ready || p.waiting));
  const busy = o.slots ? `${whole(o.slots.busy)} of ${whole(o.slots.total)} slots are busy on ${plural(workers.length, "worker")}.` : `${plural(workers.length, "worker")}.`;
  return html`<p class="lead"><b>${busy}</b> <span>${o.leader?.worker ? `${o.leader.worker} leads.` : "Nobody leads: workers stand in, 2 s at the latest."} ${stuck ? `${plural(stuck, "slot is", "slots are")} stuck: a handler goes on though it was told to stop.` : ""} ${unread.map((p) => html`<span class="amber">Nobody works for pool ${p.name}, where ${whole(p.ready + p.waiting)} wait. </span>`)}</span></p>`;
}

function Server({ s }) {
  const kind = s.name === "valkey" ? "Valkey" : "Redis", keeps = s.memory_policy === "noeviction";
  return html`<dl class="figures server"><${Figure} label="Server" value="${kind} ${s.version ?? ""}" sub=${s.up_s == null ? "" : `up for ${short(s.up_s)}`} />
    <${Figure} label="Memory" value=${or(s.memory_bytes, bytes)} sub=${s.memory_max_bytes ? `of ${bytes(s.memory_max_bytes)}` : "no maxmemory"} />
    <${Figure} label="When it is full" value=${or(s.memory_policy, (word) => html`<span class=${keeps ? "" : "red"}>${word}</span>`)} sub=${keeps ? "it refuses, and forgets nothing" : "it can forget jobs and limits"} />
    <${Figure} label="Connections" value=${or(s.clients, whole)} sub="of all clients" /></dl>`;
}

/** A cell a slot: busy, stuck (hatched) or free; of very many slots a bar. */
function Slots({ w }) {
  if (w.slots == null) return "–";
  const busy = w.busy ?? 0, said = w.busy == null ? `${whole(w.slots)} slots` : `${whole(busy)} of ${whole(w.slots)} busy`;
  const cells = w.slots <= CELLS ? Array.from({ length: w.slots }, (_, i) => html`<i class=${i < w.stuck ? "stuck" : i < busy ? "on" : ""}></i>`) : html`<i class="on" style=${{ flexGrow: String(busy) }}></i><i style=${{ flexGrow: String(Math.max(0, w.slots - busy)) }}></i>`;
  return html`<span class="slots" role="img" aria-label="${said}, ${w.stuck} stuck">${cells}</span><small>${said}${w.children ? `, ${whole(w.children)} child processes` : ""}${w.stuck ? html`, <span class="red">${w.stuck} stuck</span>` : ""}${w.defects ? html`, <span class="amber">${plural(w.defects, "defect")}</span>` : ""}</small>`;
}

function Worker({ w, at }) {
  const beat_s = w.renewed_at && Math.max(0, (at - ms(w.renewed_at)) / 1000), pools = (w.pools ?? []).join(", "), tasks = w.tasks.join(", ");
  return html`<div role="row" class="row worker-row"><span role="cell" class="two"><span class="w-name"><b>${w.id}</b>${w.leader && html` <span class="badge"><${Icon} name="leader" /> leader</span>`}</span><small>${[w.version && `version ${w.version}`, w.python && `Python ${w.python}`, w.enlisted_at && `here for ${short((at - ms(w.enlisted_at)) / 1000)}`].filter(Boolean).join(", ")}</small></span>
    <span role="cell" class="two"><${Slots} w=${w} /></span>
    <span role="cell" class="n w-beat ${beat_s > LATE_S ? "amber" : ""}">${beat_s == null ? "–" : short(beat_s)}<small class="lbl">beat</small></span><span role="cell" class="n w-stall ${w.stall_ms >= STALL_MS ? "amber" : ""}">${or(w.stall_ms, (n) => `${whole(n)} ms`)}<small class="lbl">stall</small></span><span role="cell" class="n w-memory">${or(w.memory_bytes, bytes)}<small class="lbl">memory</small></span>
    <span role="cell" class="two w-tasks"><span class="cut" title=${tasks}>${tasks}</span><small>${pools === "default" ? "" : `pools ${pools}`}</small></span></div>`;
}

const POOL = [["Pool"], ["Ready", "n"], ["Waiting", "n"], ["Running", "n"], ["Slots", "n"], ["Workers", "n"]];
const Pools = ({ pools }) => html`<section class="card pools"><header><h2>Pools</h2></header><${Table} label="Pools" cls="pool-row" head=${POOL}>${pools.map((p) => html`<div role="row" class="pool-row" key=${p.name}><span role="cell"><b>${p.name}</b></span>${[p.ready, p.waiting, p.running, p.slots, p.readers].map((n, i) => html`<span role="cell" class="n ${i === 4 && !n && (p.ready || p.waiting) ? "amber" : ""}">${whole(n)}</span>`)}</div>`)}</${Table}></section>`;

const HEAD = [["Worker"], ["Slots"], ["Beat", "n w-beat"], ["Stall", "n w-stall"], ["Memory", "n w-memory"], ["Tasks", "w-tasks"]];
export function Workers({ o }) {
  const got = useFetched("v1/workers", {}, 2), pools = useFetched("v1/pools", {}, 5), server = useFetched("v1/server", {}, 10), at = ms(o.at);
  return html`<${Answer} got=${got}>${({ workers }) => {
    if (!workers.length) return html`<div class="empty"><h1>No worker is there</h1><p>Jobs are kept, and start as soon as one is:</p><pre>python -m runner worker --app shop.tasks:jobs</pre></div>`;
    return html`<div class="page workers"><${Title} text="Workers" />
      <${Head} o=${o} workers=${workers} pools=${pools.data?.pools} />
      ${server.data && html`<${Server} s=${server.data} />`}
      <div class="worker-table"><${Table} label="Workers" cls="row worker-row" head=${HEAD}>${workers.map((w) => html`<${Worker} key=${w.id} w=${w} at=${at} />`)}</${Table}></div>
      ${pools.data && html`<${Pools} pools=${pools.data.pools} />`}
    </div>`;
  }}</${Answer}>`;
}
