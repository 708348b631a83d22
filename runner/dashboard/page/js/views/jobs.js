// Jobs: every job in view by filter, newest first, with exact counts; bulk acts on what the filter matches.
import { html, useEffect, useMemo, useState } from "../../vendor/htm-preact.js";
import { Many } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { brief, clock, fine, instant, short, whole } from "../format.js";
import { Icon } from "../icons.js";
import { can, ms, now } from "../live.js";
import { usePages } from "../pages.js";
import { Rows } from "../rows.js";
import { part } from "../service.js";
import { JobState, Search, Title } from "../ui.js";

const OPEN = ["waiting", "queued", "running", "scheduled"];
export const ENDED = ["succeeded", "failed", "cancelled", "expired"];
const STATES = [...OPEN, ...ENDED];
export const REASONS = { tokens: "for tokens of", line: "in the line of", frozen: "frozen at", paused: "paused at", concurrency: "for a slot of", quota: "for the next period of", delay: "delayed", retry: "to be retried", jobs: "for other jobs", "no worker": "no worker serves its task", slots: "for a free slot", bounced: "no worker took it, tried again", stopping: "should stop, and has not yet" };

function what(j) {
  if (j.state === "waiting") return html`<span>${REASONS[j.reason] ?? j.reason}${j.limit ? html` <b>${j.bucket ?? j.limit}</b>` : ""}${j.position ? `, place ${whole(j.position)}` : ""}${j.pause?.reason ? `: ${j.pause.reason}` : ""}</span>`;
  if (j.state === "scheduled") return html`<span>${REASONS[j.reason] ?? j.reason ?? ""}</span>`;
  if (j.state === "running") return html`<span>attempt ${j.attempt}${j.progress ? html`, ${progress(j.progress)}` : ""}</span>`;
  if (j.error) return html`<span><b>${j.error.type}</b> ${j.error.message}</span>`;
  return html`<span>${j.attempt > 1 ? `attempt ${j.attempt}` : ""}</span>`;
}
export const progress = (p) => `${p.total ? `${whole(p.done)} of ${whole(p.total)}` : whole(p.done)}${p.note ? ` ${p.note}` : ""}`;
const ended = (j) => j.finished_at && j.started_at && `took ${fine((ms(j.finished_at) - ms(j.started_at)) / 1000)}`;
const next = (j, at) => (j.eta_s != null ? `in ${short(j.eta_s)}` : j.state === "running" && j.started_at ? `for ${short((at - ms(j.started_at)) / 1000)}` : ended(j) || "–");

const BESIDE = ["task", "limit", "tag", "batch", "error"];

/** The filter of the view, as the service takes it. */
function useFilter(query) {
  const [fields, setFields] = useState({ state: query.get("state") || "waiting", ...Object.fromEntries(["find", ...BESIDE].map((name) => [name, query.get(name) || ""])) });
  const set = (change) => setFields((before) => ({ ...before, ...change }));
  const filter = useMemo(() => {
    const found = {};
    if (fields.state !== "all") found.state = [fields.state];
    for (const name of BESIDE) if (fields[name] && (name !== "error" || fields.state === "failed")) found[name] = fields[name];
    if (fields.find.trim()) found.id_prefix = fields.find.trim();
    return found;
  }, [fields]);
  return [fields, set, filter];
}

export function Jobs({ o, query }) {
  const [fields, set, filter] = useFilter(query), [ask, setAsk] = useState(null), at = now(), word = fields.state;
  // Of a state alone the overview has the number; of other filters jobs are looked at one by one.
  const known = o.jobs && Object.keys(filter).every((name) => name === "state");
  const pages = usePages("v1/jobs", filter, "jobs"), counts = useFetched(known ? null : "v1/counts", filter, 5), numbers = known ? o.jobs : counts.data, tasks = useFetched("v1/tasks", {}, 60);
  const dead = useFetched(word === "failed" ? "v1/dead-letters" : null, { ...filter, error: undefined }, 10);
  const groups = (dead.data?.groups ?? []).reduce((all, g) => all.set(g.error, (all.get(g.error) ?? 0) + g.count), new Map());
  const exact = numbers ? STATES.reduce((sum, state) => sum + (word === "all" || word === state ? numbers[state] ?? 0 : 0), 0) : null;
  const said = [word === "all" ? "any state" : word, ...BESIDE.filter((name) => filter[name]).map((name) => `${name} ${filter[name]}`), ...(fields.find ? [`id ${fields.find}…`] : [])].join(", ");
  const verb = OPEN.includes(word) ? "Cancel" : word === "all" || word === "succeeded" ? null : "Retry";
  const done = () => { setAsk(null); pages.again(); counts.again(); dead.again(); };
  return html`<div class="page jobs">
    <${Title} text="Jobs">${can("jobs:manage") && verb && exact > 0 && html`<div class="acts"><button class=${verb === "Cancel" ? "danger-quiet" : ""} onClick=${() => setAsk(verb)}>${verb} ${whole(exact)} ${word}…</button></div>`}</${Title}>
    <div class="chips-row" role="group" aria-label="State">${["all", ...STATES].map((s) => html`<button aria-pressed=${word === s} class="is-${s}" onClick=${() => set({ state: s, error: "" })}>${s !== "all" && html`<${Icon} name=${s} />`}<span>${s}</span>${o.jobs?.[s] != null && html`<b>${brief(o.jobs[s])}</b>`}</button>`)}</div>
    <div class="tools"><${Search} label="Job id, or its beginning" most="128" value=${fields.find} set=${(find) => set({ find })} />
      <label class="pick"><span class="hidden">Limit</span><select value=${fields.limit} onChange=${(e) => set({ limit: e.target.value })}><option value="">any limit</option>${o.limits.map((r) => html`<option value=${r.name}>${r.name}</option>`)}</select></label>
      <label class="pick"><span class="hidden">Task</span><select value=${fields.task} onChange=${(e) => set({ task: e.target.value })}><option value="">any task</option>${(tasks.data?.tasks ?? []).map((t) => html`<option value=${t.name}>${t.name}</option>`)}</select></label>
      ${["tag", "batch"].filter((name) => fields[name]).map((name) => html`<button key=${name} class="small" onClick=${() => set({ [name]: "" })}>${name} ${fields[name]} <${Icon} name="failed" size=${10} /></button>`)}
      <span class="grow"></span><span class="count" role="status">${exact == null ? "" : html`${numbers.is_complete === false ? "at least " : ""}<b>${whole(exact)}</b> match${exact === 1 ? "es" : ""}`}</span></div>
    ${groups.size > 0 && html`<div class="chips-row groups" role="group" aria-label="Error type">${[...groups].sort((a, b) => b[1] - a[1]).map(([type, n]) => html`<button aria-pressed=${fields.error === type} onClick=${() => set({ error: fields.error === type ? "" : type })}><span>${type}</span><b>${whole(n)}</b></button>`)}</div>`}
    ${pages.problem && html`<p class="preview is-wrong" role="alert"><${Icon} name="failed" /><span>${pages.problem.message}</span></p>`}
    <${Rows} items=${pages.items} total=${exact} height=${40} label="Jobs" columns="cols-jobs" onEnd=${pages.more} head=${[["State", "j-state"], ["Job", "j-id"], ["Task", "j-task"], ["Why, where", "j-what"], ["Submitted", "n j-at"], ["Starts in, took", "n j-next"]]} empty=${pages.loading ? "" : `No job matches ${said}. Ended jobs are kept for a day, dead letters for a week.`}
      row=${(j, i) => html`<div role="row" key=${j.id} class="line-row" aria-rowindex=${i + 2}>
        <span role="cell" class="j-state"><${JobState} job=${j} /></span><span role="cell" class="id j-id"><a data-row href="#/jobs/${part(j.id)}">${j.id}</a>${j.priority === "high" && html`<em>high</em>`}</span><span role="cell" class="j-task cut">${j.task}</span><span role="cell" class="j-what cut">${what(j)}</span>
        <span role="cell" class="n j-at" title=${instant(ms(j.submitted_at), at)}>${clock(ms(j.submitted_at))}</span><span role="cell" class="n j-next">${next(j, at)}</span></div>`} />
    ${ask && html`<${Many} action=${ask.toLowerCase()} verb=${ask} filter=${filter} scope=${`Filter: ${said}. ${ask === "Retry" ? "They run again as their next attempt, at the end of their lines." : word === "running" ? "Running jobs are asked to stop." : "They end as cancelled and never start."}`} note="Jobs that come later are not touched." onClose=${done} />`}
  </div>`;
}
