// One job: what happened when, for how long, and why; what went in and what came out.
import { html, useEffect, useState } from "../../vendor/htm-preact.js";
import { cancelJob, retryJob } from "../acts.js";
import { Act } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { clock, fine, instant, precise, span, whole } from "../format.js";
import { Icon } from "../icons.js";
import { can, live, ms, now, watching } from "../live.js";
import { part } from "../service.js";
import { Answer, JobState } from "../ui.js";
import { ENDED, progress } from "./jobs.js";

/** The whole life in proportion. A piece too short to see keeps 6 px, and the list below tells its true length. */
function Strip({ job, spans, at }) {
  const took = (s) => ((s.to ? ms(s.to) : at) - ms(s.from)) / 1000;
  return html`<div class="strip-box"><div class="strip" role="img" aria-label=${spans.map((s) => `${s.text} ${fine(took(s))}`).join(", ")}>
    ${spans.map((s) => html`<div class="piece is-${s.what} ${s.to ? "" : "open"}" style=${{ flexGrow: String(took(s) * 1000) }} title="${s.text}, ${fine(took(s))}"><span><${Icon} name=${s.what} /> ${s.text}</span><b>${fine(took(s))}</b></div>`)}</div>
    <div class="strip-axis"><span>${precise(ms(job.submitted_at))}</span><span>${job.finished_at ? precise(ms(job.finished_at)) : "now"}</span></div></div>`;
}
function Copy({ text, label }) {
  const [done, setDone] = useState(false);
  const copy = async () => { try { await navigator.clipboard.writeText(text); } catch { const t = document.createElement("textarea"); t.value = text; document.body.append(t); t.select(); document.execCommand("copy"); t.remove(); } setDone(true); setTimeout(() => setDone(false), 1500); };
  return html`<button class="small quiet" onClick=${copy} aria-label="Copy ${label}">${done ? "copied" : "copy"}</button>`;
}
function Json({ title, value }) {
  if (value == null) return null;
  const text = JSON.stringify(value, null, 2);
  return html`<section class="card"><header><h2>${title}</h2><${Copy} text=${text} label=${title} /></header><pre tabindex="0" aria-label=${title}>${text}</pre></section>`;
}
function Failure({ job }) {
  const e = job.error;
  if (!e) return null;
  const text = e.traceback || `${e.type}: ${e.message}`;
  return html`<section class="card"><header><h2>${job.state === "failed" ? "Error" : "Last error"}</h2><${Copy} text=${text} label="error" /></header>${e.traceback ? html`<pre tabindex="0" aria-label="Traceback">${e.traceback}</pre>` : html`<p class="error-line"><b>${e.type}</b> ${e.message}</p>`}</section>`;
}
const Story = ({ events }) => html`<section class="card"><header><h2>What happened</h2></header><ol class="story">${events.map((e, i) => html`<li class="is-${e.what}"><span class="dot"><${Icon} name=${e.what} size=${13} /></span><time>${precise(ms(e.at))}</time><div><b>${e.text}</b>${e.detail && html`<small>${e.detail}</small>`}</div><span class="n gap">${i ? `+${fine((ms(e.at) - ms(events[i - 1].at)) / 1000)}` : ""}</span></li>`)}</ol></section>`;
function factsOf(j) {
  const limits = Object.entries(j.costs).map(([bucket, cost]) => html`<a href="#/limits/${part(bucket.split("/")[0])}">${bucket}</a> <span class="muted">cost ${whole(cost)}</span><br />`);
  return [["Task", j.task], ["Priority", j.priority], ["Pool", j.pool], limits.length > 0 && ["Limits", limits], ["Attempts", `${j.attempt}${j.crashes ? `, ${j.crashes} lost` : ""}${j.throttled ? `, ${j.throttled} throttled` : ""}`], j.worker && ["Worker", j.worker], ["Submitted", `${instant(ms(j.submitted_at), 0)}:${clock(ms(j.submitted_at)).slice(-2)}`], j.progress && ["Progress", progress(j.progress)], j.end_eta_s != null && ["Ends", `in about ${span(j.end_eta_s)}`], j.deadline_at && ["Deadline", instant(ms(j.deadline_at), 0)], j.tags.length && ["Tags", j.tags.map((t) => html`<a href="#/jobs?state=all&tag=${part(t)}">${t}</a> `)], j.trace_id && ["Trace", html`<code class="cut">${j.trace_id}</code>`]].filter(Boolean);
}

export function Job({ name }) {
  const got = useFetched(`v1/jobs/${part(name)}`, { explain: true, story: true }, 2), at = now();
  useEffect(() => { watching(`job:${name}`); return () => watching(); }, [name]);
  useEffect(() => { if (live.job) got.again(); }, [live.job]);
  if (got.problem?.status === 404 && !got.data) return html`<div class="empty"><h1>No job is called “${name}”</h1><p>Ended jobs are kept for a day, dead letters for a week.</p><p><a href="#/jobs">All jobs</a></p></div>`;
  return html`<${Answer} got=${got}>${(j) => {
    const { events, spans } = j.story, over = ENDED.includes(j.state);
    return html`<div class="page job">
      <div class="title"><a class="up" href="#/jobs" aria-label="All jobs"><${Icon} name="back" size=${16} /></a><div class="title-text"><h1 class="mono">${j.id}</h1><${JobState} job=${j} /></div>
        <div class="acts">${can("jobs:cancel") && (over ? j.state !== "succeeded" && html`<${Act} cls="primary" act=${() => retryJob(j.id).then(got.again)}>Retry</${Act}>` : !j.cancel_requested && html`<${Act} cls="danger-quiet" act=${() => cancelJob(j.id).then(got.again)}>Cancel it</${Act}>`)}<${Copy} text=${j.id} label="job id" /></div></div>
      <p class="lead"><b>${j.explanation[0]}</b> <span>${j.explanation.slice(1).map((line) => (/[.!?]$/.test(line) ? line : `${line}.`)).join(" ")}</span></p>
      <section class="card"><${Strip} job=${j} spans=${spans} at=${at} /></section>
      <div class="split job-split"><${Story} events=${events} />
        <div class="side"><section class="card"><header><h2>Facts</h2></header><dl class="facts">${factsOf(j).map(([k, v]) => html`<dt>${k}</dt><dd>${v}</dd>`)}</dl></section>
          <${Json} title="Arguments" value=${j.args} /><${Json} title="Result" value=${j.result} /><${Failure} job=${j} />
          ${Object.keys(j.metadata).length > 0 && html`<${Json} title="Metadata" value=${j.metadata} />`}</div>
      </div></div>`;
  }}</${Answer}>`;
}
