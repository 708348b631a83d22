// Flows: how far each batch is, what failed in it, and what waits for it.
import { html, useState } from "../../vendor/htm-preact.js";
import { cancelBatch } from "../acts.js";
import { Ask } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { plural, short, whole } from "../format.js";
import { Icon } from "../icons.js";
import { can, ms, now } from "../live.js";
import { part } from "../service.js";
import { ACTS, Answer, Table, Title } from "../ui.js";
import { ENDED } from "./jobs.js";

const percent = (n, b) => `${b.total ? n / b.total * 100 : 0}%`;

function Row({ b, at, onCancel }) {
  const done = b.total - b.pending, label = `${whole(done)} of ${whole(b.total)} ended, ${whole(b.failed)} failed`;
  return html`<div role="row" class="row flow-row"><span role="cell" class="two"><b><a href="#/jobs?state=all&batch=${part(b.id)}">${b.id}</a></b><small>${b.sealed_at ? "" : "still being filled · "}opened ${short((at - ms(b.created_at)) / 1000)} ago</small></span>
    <span role="cell" class="two"><span class="flow-bar" role="img" aria-label=${label}>${ENDED.map((name) => html`<i class="is-${name}" style=${{ width: percent(b[name], b) }}></i>`)}</span><small>${label}</small></span>
    <span role="cell" class="n"><b class=${b.failed ? "red" : ""}>${whole(b.failed)}</b></span>
    <span role="cell" class="two"><span class="cut">${b.then ? html`<a href="#/jobs/${part(b.then)}">${b.then}</a>` : "–"}</span><small>${b.then ? `follows it${b.on_failure ? `, on failure: ${b.on_failure}` : ""}` : "nothing waits for it"}</small></span>
    <span role="cell" class="s-acts">${can("jobs:cancel") && !b.ended_at && html`<button class="small danger-quiet" aria-label="Cancel ${b.id}" onClick=${onCancel}>Cancel</button>`}</span></div>`;
}

export function Flows() {
  const got = useFetched("v1/batches", {}, 2), [ask, setAsk] = useState(null), at = now();
  return html`<${Answer} got=${got}>${({ batches }) => {
    if (!batches.length) return html`<div class="empty"><h1>No batch is open</h1><p>Jobs that belong together, and the job that follows them:</p><pre>async with jobs.batch() as batch: ...</pre></div>`;
    const open = batches.filter((b) => !b.ended_at).length, failed = batches.filter((b) => b.failed).length;
    return html`<div class="page flows"><${Title} text="Flows" />
      <p class="lead"><b>${plural(open, "batch is", "batches are")} open.</b> <span>${failed ? html`In ${failed === 1 ? "one" : failed} of them something failed.` : "Nothing in them has failed."}</span></p>
      <${Table} label="Batches" cls="row flow-row" head=${[["Batch"], ["Ended"], ["Failed", "n"], ["Then"], ACTS]}>${batches.map((b) => html`<${Row} key=${b.id} b=${b} at=${at} onCancel=${() => setAsk(b)} />`)}</${Table}>
      ${ask && html`<${Ask} title="Cancel ${ask.id}?" kind="danger" text="${plural(ask.pending, "job")} of it have not ended. Those that wait end as cancelled, those that run are asked to stop." action="Cancel the batch" onDo=${() => cancelBatch(ask.id).then(got.again)} onClose=${() => setAsk(null)} />`}
      <p class="muted after"><${Icon} name="flows" /> Batches that have ended leave this list. One of them: <code>python -m runner batch show ID</code>.</p></div>`;
  }}</${Answer}>`;
}
