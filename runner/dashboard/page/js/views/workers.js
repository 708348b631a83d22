// Workers: who works, who leads, what is stuck, and how the server does.
import { html } from "../../vendor/htm-preact.js";
import { useFetched } from "../fetched.js";
import { plural, short, whole } from "../format.js";
import { Icon } from "../icons.js";
import { Answer } from "../ui.js";

const CELLS = 100, LONG_STALL_MS = 100, MB = 1e6;
const sum = (list, of) => list.reduce((total, one) => total + (one[of] ?? 0), 0);
const megabytes = (bytes) => (bytes == null ? "–" : `${whole(bytes / MB)} MB`);

function Slots({ w }) {
  const label = `${w.busy ?? "?"} of ${w.slots ?? "?"} slots busy, ${w.stuck} stuck`;
  if (!w.slots || w.slots > CELLS) return html`<span class="slots-bar" role="img" aria-label=${label}><i style=${{ transform: `scaleX(${w.slots ? Math.min(1, (w.busy ?? 0) / w.slots) : 0})` }}></i></span>`;
  return html`<span class="slots" role="img" aria-label=${label}>${Array.from({ length: w.slots }, (_, i) => html`<i class=${i < w.stuck ? "stuck" : i < (w.busy ?? 0) ? "on" : ""}></i>`)}</span>`;
}
function Head({ o, workers, pools }) {
  const busy = sum(workers, "busy"), slots = sum(workers, "slots"), stuck = sum(workers, "stuck"), unread = (pools ?? []).filter((p) => !p.readers && (p.ready || p.waiting));
  return html`<p class="lead"><b>${busy} of ${slots} slots are busy on ${plural(workers.length, "worker")}.</b> <span>${o.leader?.worker ? `${o.leader.worker} leads.` : "Nobody leads: workers stand in, 2 s at the latest."} ${stuck ? `${plural(stuck, "slot is", "slots are")} stuck: a handler goes on though it was told to stop.` : ""} ${unread.map((p) => html`<span class="amber">Nobody works for pool ${p.name}, where ${whole(p.ready + p.waiting)} wait. </span>`)}</span></p>`;
}
export function Workers({ o }) {
  const got = useFetched("v1/workers", {}, 2), pools = useFetched("v1/pools", {}, 5);
  return html`<${Answer} got=${got}>${({ workers }) => {
    if (!workers.length) return html`<div class="empty"><h1>No worker is there</h1><p>Jobs are kept, and start as soon as one is:</p><pre>python -m runner worker --app shop.tasks:jobs</pre></div>`;
    const versions = workers.map((w) => w.version).filter(Boolean).sort(), newest = versions.at(-1);
    return html`<div class="page workers">
      <div class="title"><div class="title-text"><h1>Workers</h1></div></div>
      <${Head} o=${o} workers=${workers} pools=${pools.data?.pools} />
      <div class="worker-table" role="table" aria-label="Workers"><div role="rowgroup"><div role="row" class="worker-row head"><span role="columnheader">Worker</span><span role="columnheader">Slots</span><span role="columnheader" class="n">Busy</span><span role="columnheader" class="w-pool">Pool, tasks</span><span role="columnheader" class="n">Last beat</span><span role="columnheader" class="n w-stall">Longest stall</span><span role="columnheader" class="n w-mem">Memory</span><span role="columnheader" class="n w-up">Up, version</span></div></div>
        <div role="rowgroup">${workers.map((w) => html`<div role="row" key=${w.id} class="worker-row"><span role="cell" class="two"><span class="w-name"><b>${w.id}</b>${w.leader && html` <span class="badge"><${Icon} name="leader" /> leader</span>`}</span><small>${w.host ?? ""}${w.pid ? `, pid ${w.pid}` : ""}</small></span>
          <span role="cell" class="w-slots"><${Slots} w=${w} /></span>
          <span role="cell" class="n two"><span><b>${w.busy ?? "–"}</b> of ${w.slots ?? "–"}</span>${w.stuck ? html`<small class="red">${w.stuck} stuck</small>` : html`<small>none stuck</small>`}</span>
          <span role="cell" class="two w-pool"><span>${(w.pools ?? []).join(", ")}</span><small class="cut" title=${w.tasks.join(", ")}>${w.tasks.join(", ")}</small></span><span role="cell" class="n">${short(w.renewed_s)}</span><span role="cell" class="n w-stall ${w.stall_ms > LONG_STALL_MS ? "amber" : ""}">${w.stall_ms == null ? "–" : `${whole(w.stall_ms)} ms`}</span><span role="cell" class="n w-mem">${megabytes(w.memory_bytes)}</span><span role="cell" class="n two w-up"><span>${short(w.up_s)}</span><small class=${w.version && w.version !== newest ? "amber" : ""}>${w.version ?? ""}${w.version && w.version !== newest ? ", older" : ""}</small></span></div>`)}</div></div>
    </div>`;
  }}</${Answer}>`;
}
