// Workers: who works, who leads, what is stuck, and pools for which nobody works.
import { html } from "../../vendor/htm-preact.js";
import { useFetched } from "../fetched.js";
import { plural, whole } from "../format.js";
import { Icon } from "../icons.js";
import { Answer } from "../ui.js";

function Head({ o, workers, pools }) {
  const stuck = o.slots?.stuck ?? 0, unread = (pools ?? []).filter((p) => !p.readers && (p.ready || p.waiting));
  const busy = o.slots ? `${whole(o.slots.busy)} of ${whole(o.slots.total)} slots are busy on ${plural(workers.length, "worker")}.` : `${plural(workers.length, "worker")}.`;
  return html`<p class="lead"><b>${busy}</b> <span>${o.leader?.worker ? `${o.leader.worker} leads.` : "Nobody leads: workers stand in, 2 s at the latest."} ${stuck ? `${plural(stuck, "slot is", "slots are")} stuck: a handler goes on though it was told to stop.` : ""} ${unread.map((p) => html`<span class="amber">Nobody works for pool ${p.name}, where ${whole(p.ready + p.waiting)} wait. </span>`)}</span></p>`;
}

function Pools({ pools }) {
  return html`<section class="card pools"><header><h2>Pools</h2></header><div class="pool-table" role="table" aria-label="Pools"><div role="rowgroup"><div role="row" class="pool-row head">${["Pool", "Ready", "Waiting", "Running", "Slots", "Workers"].map((word, i) => html`<span role="columnheader" class=${i ? "n" : ""}>${word}</span>`)}</div></div>
    <div role="rowgroup">${pools.map((p) => html`<div role="row" class="pool-row" key=${p.name}><span role="cell"><b>${p.name}</b></span>${[p.ready, p.waiting, p.running, p.slots, p.readers].map((n, i) => html`<span role="cell" class="n ${i === 4 && !n && (p.ready || p.waiting) ? "amber" : ""}">${whole(n)}</span>`)}</div>`)}</div></div></section>`;
}

export function Workers({ o }) {
  const got = useFetched("v1/workers", {}, 2), pools = useFetched("v1/pools", {}, 5);
  return html`<${Answer} got=${got}>${({ workers }) => {
    if (!workers.length) return html`<div class="empty"><h1>No worker is there</h1><p>Jobs are kept, and start as soon as one is:</p><pre>python -m runner worker --app shop.tasks:jobs</pre></div>`;
    return html`<div class="page workers">
      <div class="title"><div class="title-text"><h1>Workers</h1></div></div>
      <${Head} o=${o} workers=${workers} pools=${pools.data?.pools} />
      <div class="worker-table" role="table" aria-label="Workers"><div role="rowgroup"><div role="row" class="worker-row head"><span role="columnheader">Worker</span><span role="columnheader" class="n">Slots</span><span role="columnheader" class="n">Stuck</span><span role="columnheader" class="n w-stall">Defects</span><span role="columnheader" class="w-pool">Pools</span><span role="columnheader" class="w-tasks">Tasks</span><span role="columnheader" class="n w-up">Python</span></div></div>
        <div role="rowgroup">${workers.map((w) => html`<div role="row" key=${w.id} class="worker-row"><span role="cell" class="two"><span class="w-name"><b>${w.id}</b>${w.leader && html` <span class="badge"><${Icon} name="leader" /> leader</span>`}</span><small>${w.host ?? ""}${w.pid ? `, pid ${w.pid}` : ""}</small></span>
          <span role="cell" class="n"><b>${w.slots ?? "–"}</b></span><span role="cell" class="n ${w.stuck ? "red" : ""}">${w.stuck}</span><span role="cell" class="n w-stall ${w.defects ? "amber" : ""}">${w.defects}</span>
          <span role="cell" class="w-pool">${(w.pools ?? []).join(", ")}</span><span role="cell" class="w-tasks cut" title=${w.tasks.join(", ")}>${w.tasks.join(", ")}</span><span role="cell" class="n w-up">${w.python ?? ""}</span></div>`)}</div></div>
      ${pools.data && html`<${Pools} pools=${pools.data.pools} />`}
    </div>`;
  }}</${Answer}>`;
}
