// One job: what happened when, for how long, and why; what went in and what came out.
import { html, useEffect, useState } from "../../vendor/htm-preact.js";
import { cancelJob, retryJob } from "../acts.js";
import { Act } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { clock, fine, instant, precise, short, span, whole } from "../format.js";
import { Icon } from "../icons.js";
import { can, live, ms, now, watching } from "../live.js";
import { part } from "../service.js";
import { storyOf } from "../story.js";
import { Answer, JobState } from "../ui.js";
import { progress, REASONS } from "./jobs.js";

const ENDED = ["succeeded", "failed", "cancelled", "expired"];
const since = (later, earlier) => (ms(later) - ms(earlier)) / 1000;

function sentence(j, spans, at) {
  if (j.explanation?.length) return j.explanation.map((line) => (/[.!?]$/.test(line) ? line : `${line}.`)).join(" ");
  if (j.state === "waiting") return `It waits, ${REASONS[j.reason] ?? j.reason} ${j.bucket ?? j.limit ?? ""}${j.position ? `: place ${whole(j.position)}, ${j.eta_s == null ? "and nobody can know when it starts" : `starts in about ${span(j.eta_s)}`}` : ""}.`;
  if (j.state === "running") return `Attempt ${j.attempt} runs for ${span((at - ms(j.started_at)) / 1000)}.`;
  if (j.state === "scheduled") return `It is ${REASONS[j.reason] ?? j.reason}${j.eta_s == null ? "" : ` and starts in ${span(j.eta_s)}`}.`;
  if (!j.finished_at) return `It is ${j.state}.`;
  const all = since(j.finished_at, j.submitted_at), run = spans.filter((s) => s.what === "running").reduce((sum, s) => sum + ((s.to ?? at) - s.from) / 1000, 0);
  return `It took ${span(all)} from submission to end: ${span(Math.max(0, all - run))} not running, ${span(run)} running in ${j.attempt} ${j.attempt === 1 ? "attempt" : "attempts"}.`;
}

/** The whole life in proportion. A piece too short to see keeps 6 px, and the list below tells its true length. */
function Strip({ job, spans, at }) {
  const end = job.finished_at ? ms(job.finished_at) : at, begin = ms(job.submitted_at), total = Math.max(1, end - begin), took = (s) => ((s.to ?? at) - s.from) / 1000;
  return html`<div class="strip-box"><div class="strip" role="img" aria-label=${spans.map((s) => `${s.text} ${span(took(s))}`).join(", ")}>
    ${spans.map((s) => html`<div class="piece is-${s.bad ? "failed" : s.throttled ? "throttled" : s.what} ${s.to ? "" : "open"}" style=${{ flexGrow: String(Math.max(0.001, took(s) * 1000 / total)) }} title="${s.text}, ${fine(took(s))}"><span><${Icon} name=${s.bad ? "failed" : s.throttled ? "throttled" : s.what} /> ${s.text}</span><b>${fine(took(s))}</b></div>`)}</div>
    <div class="strip-axis"><span>${precise(begin)}</span><span>${job.finished_at ? precise(end) : "now"}</span></div></div>`;
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
  return html`<section class="card ${job.state === "failed" ? "is-failed" : ""}"><header><h2>${job.state === "failed" ? "Error" : "Last error"}</h2><${Copy} text=${text} label="error" /></header>${e.traceback ? html`<pre tabindex="0" aria-label="Traceback">${e.traceback}</pre>` : html`<p class="error-line"><b>${e.type}</b> ${e.message}</p>`}</section>`;
}
function Story({ job, events, at }) {
  return html`<section class="card"><header><h2>What happened</h2></header><ol class="story">${events.map((e, i) => html`<li class="is-${e.what}"><span class="dot"><${Icon} name=${e.what} size=${13} /></span><time>${precise(e.at)}</time><div><b>${e.text}</b>${e.detail && html`<small>${e.detail}</small>`}</div><span class="n gap">${i ? `+${fine((e.at - events[i - 1].at) / 1000)}` : ""}</span></li>`)}
    ${job.state === "waiting" && html`<li class="is-waiting now"><span class="dot"><${Icon} name="waiting" size=${13} /></span><time>now</time><div><b>${job.position ? `Place ${whole(job.position)} in the line of ${job.bucket ?? job.limit}` : `Waits ${REASONS[job.reason] ?? job.reason}`}</b><small>${job.eta_s == null ? "no time can be told" : `starts in about ${span(job.eta_s)}, if all ahead of it start on time`}</small></div><span class="n gap">+${short((at - ms(job.submitted_at)) / 1000)}</span></li>`}</ol></section>`;
}
function factsOf(j) {
  const limits = (j.limits ?? []).map((l) => html`<a href="#/limits/${part(l.bucket.split("/")[0])}">${l.bucket}</a> <span class="muted">cost ${whole(l.cost)}</span><br />`);
  return [["Task", j.task], ["Priority", j.priority], ["Pool", j.pool], limits.length && ["Limits", limits], ["Attempts", `${j.attempt}${j.crashes ? `, ${j.crashes} lost` : ""}${j.throttled ? `, ${j.throttled} throttled` : ""}`], j.worker && ["Worker", j.worker], ["Submitted", `${instant(ms(j.submitted_at), 0)}:${clock(ms(j.submitted_at)).slice(-2)}`], j.progress && ["Progress", progress(j.progress)], j.deadline_at && ["Deadline", instant(ms(j.deadline_at), 0)], j.tags.length && ["Tags", j.tags.map((t) => html`<a href="#/jobs?state=all&tag=${part(t)}">${t}</a> `)], j.trace_id && ["Trace", html`<code class="cut">${j.trace_id}</code>`]].filter(Boolean);
}

export function Job({ name }) {
  const got = useFetched(`v1/jobs/${part(name)}`, { explain: true }, 2), at = now();
  useEffect(() => { watching(`job:${name}`); return () => watching(); }, [name]);
  useEffect(() => { if (live.job) got.again(); }, [live.job]);
  if (got.problem?.status === 404 && !got.data) return html`<div class="empty"><h1>No job is called “${name}”</h1><p>Ended jobs are forgotten after a day, dead letters after a week.</p><p><a href="#/jobs">All jobs</a></p></div>`;
  return html`<${Answer} got=${got}>${(j) => {
    const { events, spans } = storyOf(j), over = ENDED.includes(j.state);
    return html`<div class="page job">
      <div class="title"><a class="up" href="#/jobs" aria-label="All jobs"><${Icon} name="back" size=${16} /></a><div class="title-text"><h1 class="mono">${j.id}</h1><${JobState} job=${j} /></div>
        <div class="acts">${can("jobs:cancel") && (over ? j.state !== "succeeded" && html`<${Act} cls="primary" act=${() => retryJob(j.id).then(got.again)}>Retry</${Act}>` : !j.cancel_requested && html`<${Act} cls="danger-quiet" act=${() => cancelJob(j.id).then(got.again)}>Cancel it</${Act}>`)}<${Copy} text=${j.id} label="job id" /></div></div>
      <p class="lead"><b>${sentence(j, spans, at)}</b></p>
      <section class="card"><${Strip} job=${j} spans=${spans} at=${at} /></section>
      <div class="split job-split"><${Story} job=${j} events=${events} at=${at} />
        <div class="side"><section class="card"><header><h2>Facts</h2></header><dl class="facts">${factsOf(j).map(([k, v]) => html`<dt>${k}</dt><dd>${v}</dd>`)}</dl></section>
          <${Json} title="Arguments" value=${j.args} /><${Json} title="Result" value=${j.result} /><${Failure} job=${j} />
          ${Object.keys(j.metadata).length > 0 && html`<${Json} title="Metadata" value=${j.metadata} />`}</div>
      </div></div>`;
  }}</${Answer}>`;
}
