// Schedules: what starts by the clock, how the last runs went, when the next one is due.
import { html, useState } from "../../vendor/htm-preact.js";
import { pauseSchedule, resumeSchedule, triggerSchedule } from "../acts.js";
import { Act, Ask } from "../dialogs.js";
import { useFetched, useRead } from "../fetched.js";
import { instant, minute, plural, short, span, whole } from "../format.js";
import { Icon } from "../icons.js";
import { can, ms, now } from "../live.js";
import { ask, part } from "../service.js";
import { ACTS, Answer, byWhom, Table, Title } from "../ui.js";
import { ENDED } from "./jobs.js";

const HOUR_S = 3600, RUNS = 24, DENSE = 61, MOST_PAGES = 4, AGAIN_S = 30;
const when = (s) => s.cron ?? (s.every >= 1 ? `every ${span(s.every)}` : "–");
const seconds = (s, at) => (s.next_at == null ? null : (ms(s.next_at) - at) / 1000);
const due = (s) => (s < 1 ? "now" : `in ${short(s)}`);
/** The runs due in the next hour; of a cron expression the service says which. */
function dueIn(s, at) {
  const first = seconds(s, at);
  if (first == null || first >= HOUR_S) return [];
  if (s.every) return Array.from({ length: Math.floor((HOUR_S - first) / s.every) + 1 }, (_, i) => first + i * s.every);
  return (s.coming ?? [s.next_at]).map((t) => (ms(t) - at) / 1000).filter((t) => t < HOUR_S);
}

/** The last runs, the newest last; a page of them can be empty though there are more. */
function useRuns(name) {
  const [runs, setRuns] = useState(null);
  const read = async (signal) => {
    const found = [];
    for (let cursor = null, page = 0; page < MOST_PAGES && found.length < RUNS; page++) {
      const got = await ask("v1/jobs", { query: { schedule: name, state: ENDED, most: RUNS, cursor }, signal });
      found.push(...got.jobs.filter((j) => j?.finished_at));
      if (!(cursor = got.cursor)) break;
    }
    return found.sort((a, b) => ms(a.finished_at) - ms(b.finished_at)).slice(-RUNS);
  };
  useRead(read, setRuns, () => {}, AGAIN_S, [name]); // where it is refused, what was known stays
  return runs;
}

function Runs({ name }) {
  const runs = useRuns(name);
  if (!runs?.length) return html`<small class="muted">${runs ? "no run is known" : ""}</small>`;
  const took = (j) => (j.started_at ? (ms(j.finished_at) - ms(j.started_at)) / 1000 : 0), top = Math.max(0.001, ...runs.map(took)), count = (state) => runs.filter((j) => j.state === state).length;
  return html`<span class="runs" role="img" aria-label="Of the last ${runs.length} runs ${count("succeeded")} succeeded, ${count("failed")} failed">${runs.map((j) => html`<i class="is-${j.state === "succeeded" || j.state === "failed" ? j.state : "skipped"}" title="${j.id}, ${j.state}" style=${{ height: `${j.started_at ? 6 + 18 * took(j) / top : 4}px` }}></i>`)}</span>`;
}

function Last({ s, at }) {
  if (s.last_at == null) return html`<small>never yet</small>`;
  const job = s.last_job && html`<a href="#/jobs/${part(s.last_job)}">${short((at - ms(s.last_at)) / 1000)} ago</a>`;
  return html`<span class="state is-${s.last_state ?? "queued"}"><${Icon} name=${s.last_state ?? "queued"} /> <b>${s.last_state ?? "made"}</b></span><small>${job}${ms(s.last_ended_at) > ms(s.last_at) ? `, took ${short((ms(s.last_ended_at) - ms(s.last_at)) / 1000)}` : ""}</small>`;
}

function Next({ s, at }) {
  if (s.state === "paused") return html`<span class="state is-paused"><${Icon} name="paused" /> <b>paused</b></span><small>${byWhom(s.paused)}</small>`;
  if (s.state !== "active" || s.next_at == null) return html`<span class="state is-paused"><b>${s.state}</b></span><small>${s.why}</small>`;
  return html`<b>${due(seconds(s, at))}</b><small>${instant(ms(s.next_at), at)}</small>`;
}

const COUNTS = ["missed", "skipped", "refused"];
export function Schedules() {
  const got = useFetched("v1/schedules", { coming: 61 }, 5), [pausing, setPausing] = useState(null), at = now();
  return html`<${Answer} got=${got}>${({ schedules: list }) => {
    if (!list.length) return html`<div class="empty"><h1>Nothing starts by the clock yet</h1><p>Declare it beside the task, and start a worker:</p><pre>@jobs.cron("0 6 * * 1-5", tz="Europe/Berlin")</pre></div>`;
    const soon = list.filter((s) => s.state === "active" && s.next_at != null).sort((a, b) => ms(a.next_at) - ms(b.next_at)), hour = soon.filter((s) => dueIn(s, at).length);
    const paused = list.filter((s) => s.state === "paused").length;
    return html`<div class="page schedules">
      <${Title} text="Schedules" />
      <p class="lead"><b>${soon.length ? `${soon[0].name} is next, ${due(seconds(soon[0], at))}.` : "None is due."}</b> <span>${plural(list.length, "schedule")}${paused ? `; ${paused} paused` : ""}.</span></p>
      ${hour.length > 0 && html`<section class="card hour"><header><h2>The next hour</h2></header><div class="hour-rows" role="img" aria-label="Runs due in the next hour: ${hour.map((s) => `${s.name} ${dueIn(s, at).length}`).join(", ")}">${hour.map((s) => { const ticks = dueIn(s, at); return html`<span class="cut">${s.name}</span><div class="hour-track">${ticks.length > DENSE ? html`<i class="dense"></i>` : ticks.map((t) => html`<i style=${{ left: `${t / HOUR_S * 100}%` }}></i>`)}</div><span class="n">${ticks.length}</span>`; })}
        <span></span><div class="hour-axis">${[0, 15, 30, 45, 60].map((m) => html`<span style=${{ left: `${m / 60 * 100}%` }}>${m ? minute(at + m * 60000) : "now"}</span>`)}</div><span></span></div></section>`}
      <${Table} label="Schedules" cls="row sched-row" head=${[["Schedule"], ["When"], ["Last 24 runs"], ["Last", "n"], ["Next", "n"], ACTS]}>
        ${list.map((s) => html`<div role="row" key=${s.name} class="row sched-row ${s.state === "active" ? "" : "is-paused"}">
          <span role="cell" class="two"><b>${s.name}</b><small>${s.task ?? ""} · ${s.overlap === "skip" ? "skip while one runs" : s.overlap === "queue" ? "queue one" : s.overlap}${s.fault ? html` · <span class="red">${s.fault}</span>` : ""}</small></span>
          <span role="cell" class="two s-when"><span>${when(s)}</span><small>${s.cron ? s.tz : ""}${COUNTS.filter((name) => s.counts[name]).map((name) => ` ${whole(s.counts[name])} ${name}`).join(",")}</small></span>
          <span role="cell" class="s-runs"><${Runs} name=${s.name} /></span>
          <span role="cell" class="n two s-last"><${Last} s=${s} at=${at} /></span><span role="cell" class="n two s-next"><${Next} s=${s} at=${at} /></span>
          <span role="cell" class="s-acts">${can("schedules:write") && html`<${Act} cls="small" label="Run now: ${s.name}" act=${() => triggerSchedule(s.name).then(got.again)}>Run now</${Act}>${s.state === "paused" ? html`<${Act} cls="small" label="Resume ${s.name}" act=${() => resumeSchedule(s.name).then(got.again)}>Resume</${Act}>` : html`<button class="small" aria-label="Pause ${s.name}" onClick=${() => setPausing(s.name)}>Pause</button>`}`}</span></div>`)}</${Table}>
      ${pausing && html`<${Ask} title="Pause ${pausing}?" text="It makes no runs until it is resumed; what runs goes on." action="Pause ${pausing}" onDo=${(reason) => pauseSchedule(pausing, reason).then(got.again)} onClose=${() => setPausing(null)} />`}
    </div>`;
  }}</${Answer}>`;
}
