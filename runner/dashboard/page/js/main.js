// The shell: routes by hash, navigation, the state of the connection.
import { html, render, useEffect, useState } from "../vendor/htm-preact.js";
import { Dialog } from "./dialogs.js";
import { clock, span, zone } from "./format.js";
import { Icon, Mark } from "./icons.js";
import { KEYS, toggleTheme, useKeys } from "./keys.js";
import { begin, signOut, tryNow, useLive } from "./live.js";
import { Loading } from "./ui.js";
import { Events } from "./views/events.js";
import { Flows } from "./views/flows.js";
import { Job } from "./views/job.js";
import { Jobs } from "./views/jobs.js";
import { Limit } from "./views/limit.js";
import { Limits } from "./views/limits.js";
import { Schedules } from "./views/schedules.js";
import { Shut, SignIn } from "./views/sign_in.js";
import { Workers } from "./views/workers.js";

// "g" and the first letter lead to each.
const TABS = ["limits", "jobs", "schedules", "workers", "flows", "events"];
const word = (tab) => tab[0].toUpperCase() + tab.slice(1);
const VIEWS = { limits: Limits, limit: Limit, jobs: Jobs, job: Job, schedules: Schedules, workers: Workers, flows: Flows, events: Events };
const RIGHTS = { jobs: "jobs:read", schedules: "schedules:read", workers: "workers:read", flows: "jobs:read", events: "audit:read" }; // without which a view is empty
const WRITES = ["limits:write", "jobs:cancel", "jobs:manage", "schedules:write"];
const REFILLS_LATE_S = 3; // a leader refills many times a second
const GHOST_AFTER_MS = 150;

function route() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?"), [view, ...rest] = path.split("/");
  let name = rest.join("/");
  // What is not encoded stays as it is written.
  try { name = decodeURIComponent(name); } catch {}
  const tab = Object.hasOwn(VIEWS, view) && view !== "limit" && view !== "job" ? view : "limits";
  return { view: tab === "limits" && name ? "limit" : tab === "jobs" && name ? "job" : tab, tab, name, query: new URLSearchParams(search) };
}

/** The leader, the stream and the access, in one line that is always there. */
function Pulse({ live }) {
  const o = live.overview;
  if (live.status !== "live") return html`<span class="pulse is-bad"><${Icon} name="failed" /> <b>${live.status === "loading" ? "connecting" : "not connected"}</b></span>`;
  const leads = o.leader?.worker && (o.leader.refill_age_s ?? 0) < REFILLS_LATE_S;
  if (!leads) return html`<span class="pulse is-slow"><${Icon} name="leader" /> <b>no leader</b><span class="wide"> · workers stand in, 2 s at the latest</span></span>`;
  return html`<span class="pulse"><i class="beat" key=${o.at}></i><b>live</b><span class="wide"> · leader ${o.leader.worker}${o.leader.refill_age_s == null ? "" : `, refill ${Math.round(o.leader.refill_age_s * 1000)} ms ago`}</span></span>`;
}

function Banner({ live }) {
  const [, again] = useState(0);
  useEffect(() => { const timer = setInterval(() => again((n) => n + 1), 1000); return () => clearInterval(timer); }, []);
  if (live.status !== "offline" && live.status !== "away") return null;
  const next = live.nextTry && Math.max(0, Math.round((live.nextTry - Date.now()) / 1000));
  const said = live.status === "offline" ? html`<b>The connection to the API is lost since ${clock(live.since)}.</b> What you see is from then, and no count-down runs.` : html`<b>Redis does not answer since ${clock(live.since)}.</b> Jobs that run go on; nothing new starts. Look at: <code>python -m runner doctor</code>`;
  return html`<p class="banner is-bad" role="alert"><${Icon} name="failed" /><span>${said} ${next != null && `Next try in ${span(next).replace(".0", "")}.`}</span><button onClick=${tryNow}>Try now</button></p>`;
}

function Bar({ at, live, help }) {
  const session = live.session, mayWrite = session && WRITES.some((scope) => session.scopes.includes(scope));
  const tabs = TABS.filter((tab) => !session || !RIGHTS[tab] || session.scopes.includes(RIGHTS[tab]));
  return html`<header class="bar">
    <a class="mark" href="#/limits"><${Mark} /><span><span class="wide brand">metered-runner</span>${session?.queue ?? ""}</span></a>
    <nav aria-label="Views">${tabs.map((tab) => html`<a href="#/${tab}" aria-current=${tab === at.tab ? "page" : null}><${Icon} name=${tab} size=${16} /><span>${word(tab)}</span></a>`)}</nav>
    <div class="bar-end"><${Pulse} live=${live} />${session && !mayWrite && html`<span class="pulse access"><${Icon} name="lock" /> read-only</span>`}
      <button class="quiet" title="Light or dark (t)" onClick=${toggleTheme}><${Icon} name="sun" size=${16} /></button><button class="quiet wide" aria-label="Keyboard" title="Keyboard (?)" onClick=${help}>?</button>
      ${session?.by_key && html`<button class="quiet" title="Sign out ${session.who}" onClick=${signOut}><${Icon} name="out" size=${16} /></button>`}</div>
  </header>`;
}

function Content({ at, live }) {
  const [late, setLate] = useState(false);
  useEffect(() => { const timer = setTimeout(() => setLate(true), GHOST_AFTER_MS); return () => clearTimeout(timer); }, []);
  if (live.status === "signin") return html`<${SignIn} why=${live.why} />`;
  if (live.status === "refused") return html`<${Shut} why=${live.why} />`;
  if (!live.overview) return late ? html`<${Loading} />` : null;
  const View = VIEWS[at.view];
  return html`<${View} key=${at.view + at.name + at.query} o=${live.overview} name=${at.name} query=${at.query} />`;
}

function App() {
  const [at, setAt] = useState(route()), [help, setHelp] = useState(false), live = useLive();
  useKeys({ views: TABS, up: () => { const here = route(); if (here.name) location.hash = `#/${here.tab}`; }, help: () => setHelp(true) });
  useEffect(() => {
    const on = () => { setAt(route()); scrollTo(0, 0); };
    addEventListener("hashchange", on);
    begin();
    return () => removeEventListener("hashchange", on);
  }, []);
  useEffect(() => { document.title = `${at.name || word(at.tab)} · ${live.session?.queue ?? ""} · metered-runner`; }, [at, live.session]);
  const stale = live.status === "offline" || live.status === "away";
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.getElementById("main").focus(); }}>Skip to the content</a>
    <${Bar} at=${at} live=${live} help=${() => setHelp(true)} />
    <${Banner} live=${live} />
    <main id="main" tabindex="-1" class=${stale ? "stale" : ""}><${Content} at=${at} live=${live} /></main>
    <footer class="foot"><span>metered-runner ${live.overview?.version ?? ""}</span><span>times in ${zone()}</span><span class="grow"></span>${live.session?.described && html`<a href="../docs">HTTP API</a>`}</footer>
    ${help && html`<${Dialog} title="Keyboard" onClose=${() => setHelp(false)}><dl class="keys">${KEYS.map(([k, what]) => html`<dt><kbd>${k}</kbd></dt><dd>${what}</dd>`)}</dl></${Dialog}>`}`;
}

const root = document.getElementById("app");
root.textContent = "";
render(html`<${App} />`, root);
