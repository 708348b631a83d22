// The queue as this tab knows it: one stream, told anew each second, and what it has told in the last minutes.
import { useEffect, useState } from "../vendor/htm-preact.js";
import { ask, follow } from "./service.js";

const STREAM = "v1/events", ALONE = "overview";
// Seconds of each limit's figures that this tab keeps.
const KEPT = 3600;
// Seconds between two readings that come on time: those between are as the later one tells.
const APART = 2;
const WAITS_S = [1, 2, 4, 8, 15]; // between two tries
const QUIET_S = 20; // the service says something each 15 s
export const ms = (text) => (text == null ? null : Date.parse(text));

/** status: "loading", "live", "offline" (the service does not answer), "away" (Redis does not), "signin", "refused" */
export const live = { status: "loading", why: "", said: "", since: null, nextTry: null, overview: null, session: null, line: null, job: null, audit: [] };
const FIGURES = ["taken", "started", "limit", "waiting", "throttled"];
const samples = new Map(); // limit -> the second it begins with, and of each figure one a second
const listeners = new Set();
let watch = ALONE, lastId = "", stop = null, timer = null, tries = 0, silence = null;

function subscribe(listener) { listeners.add(listener); return () => listeners.delete(listener); }
const tell = () => { for (const listener of [...listeners]) listener(); };
export function useLive() {
  const [, again] = useState(0);
  useEffect(() => subscribe(() => again((n) => n + 1)), []);
  return live;
}

/** The instant of the service, running on between two of its words while it is there. */
export const now = () => (live.overview ? ms(live.overview.at) : Date.now());
export const can = (...scopes) => live.status === "live" && scopes.every((scope) => live.session?.scopes.includes(scope));

/** What the stream tells beside the overview: "limit:stripe", "limit:tenant/t7", "job:o-17", or nothing. */
export function watching(what = ALONE) {
  if (watch === what) return;
  watch = what; live.line = live.job = null; lastId = "";
  if (live.session) connect();
}

export async function begin() {
  try {
    live.session = await ask("ui/session");
    connect();
  } catch (problem) { refuse(problem); }
}

export async function signIn(key) {
  await ask("ui/session", { method: "POST", headers: { Authorization: `Bearer ${key}` } });
  live.status = "loading";
  await begin();
}
export async function signOut() {
  await ask("ui/sign-out", { method: "POST" });
  disconnect();
  Object.assign(live, { status: "signin", why: "", overview: null, session: null, audit: [] });
  samples.clear();
  tell();
}
export function tryNow() { tries = 0; clearTimeout(timer); if (live.session) connect(); else begin(); }

function refuse(problem) {
  if (problem.status === 401) Object.assign(live, { status: "signin", why: live.session ? problem.message : "", said: problem.message, session: null, overview: null });
  else if (problem.status === 403) Object.assign(live, { status: "refused", why: problem.message });
  else {
    const away = problem.kind === "store-unavailable" || problem.kind === "damaged-queue", wait = WAITS_S[Math.min(tries++, WAITS_S.length - 1)];
    if (live.status !== "offline" && live.status !== "away") live.since = Date.now();
    Object.assign(live, { status: away ? "away" : "offline", why: problem.message, nextTry: Date.now() + wait * 1000 });
    clearTimeout(timer);
    timer = setTimeout(() => (live.session ? connect() : begin()), wait * 1000);
  }
  tell();
}

function disconnect() { stop?.abort(); stop = null; clearTimeout(silence); clearTimeout(timer); }

async function connect() {
  disconnect();
  if (document.hidden) return;
  const own = (stop = new AbortController());
  const heard = () => { clearTimeout(silence); silence = setTimeout(() => own.abort(), QUIET_S * 1000); };
  heard();
  try {
    await follow(STREAM, { query: { watch }, lastId, signal: own.signal, on: (event, data, id) => { heard(); if (id) lastId = id; take(event, data); } });
    if (stop === own) refuse({ status: 0, message: "The service ended the stream." });
  } catch (problem) {
    if (stop === own && watch !== ALONE && [403, 404, 422].includes(problem.status)) watching(); // it is not there, or not for this key
    else if (stop === own) { if (problem.name === "AbortError") problem = { status: 0, message: "The service has said nothing for 20 s." }; refuse(problem); }
  }
}
document.addEventListener("visibilitychange", () => { if (document.hidden) disconnect(); else if (live.session) tryNow(); });
addEventListener("online", tryNow);

function take(event, data) {
  if (event === "overview") { live.overview = whole(data); came(); }
  else if (event === "change") { live.overview = changed(live.overview, data); came(); }
  else if (event === "line") live.line = data;
  else if (event === "job") live.job = data;
  else if (event === "audit") live.audit = [data, ...live.audit].slice(0, 200);
  else if (event === "away") { if (live.status !== "away") { live.status = "away"; live.since = Date.now(); live.why = data.detail ?? data.error ?? ""; live.nextTry = null; } }
  tell();
}
function came() { live.status = "live"; live.since = null; tries = 0; sample(live.overview); }

const whole = (o) => ({ ...o, limits: o.limits.map(rowOf) });
function rowOf(row) {
  const p = row.policy, tokens_s = p.kind === "token_bucket" ? p.refill / p.every_s : p.kind === "sliding_window" ? p.capacity / p.window_s : null;
  return { ...row, policy: { ...p, tokens_s }, capacity: p.capacity };
}
/** What differs, laid over what was: some parts by their fields, limits by their names, null for one that is not told any more. */
const BY_FIELDS = ["jobs", "reasons", "slots", "leader"];
function changed(o, change) {
  if (!o) return o;
  const next = { ...o };
  for (const [name, value] of Object.entries(change)) {
    if (name === "limits") next.limits = limitsOf(o.limits, value);
    else next[name] = BY_FIELDS.includes(name) && value && o[name] ? { ...o[name], ...value } : value;
  }
  return next;
}
function limitsOf(rows, change) {
  const told = new Map(Object.entries(change)), kept = [];
  for (const row of rows) {
    const value = told.get(row.name);
    if (value === undefined) kept.push(row);
    else if (value) kept.push(rowOf({ ...row, ...value }));
    told.delete(row.name);
  }
  return [...kept, ...[...told.values()].filter(Boolean).map(rowOf)];
}

/** A figure for each second; a second in which nothing was heard is unknown. */
function sample(o) {
  const second = Math.floor(ms(o.at) / 1000);
  for (const row of [...o.limits, { name: "", started_s: o.started_s, waiting: o.jobs?.waiting }]) {
    let kept = samples.get(row.name);
    if (!kept) { samples.set(row.name, (kept = { from: second })); for (const name of FIGURES) kept[name] = []; }
    const behind = second - (kept.from + kept.taken.length);
    if (behind < 0) continue;
    for (let i = 0; i < Math.min(behind, KEPT); i++) push(kept, behind < APART ? row : {});
    push(kept, row);
    const over = kept.taken.length - KEPT;
    if (over > 0) { for (const name of FIGURES) kept[name].splice(0, over); kept.from += over; }
  }
}
function push(kept, { taken_s, started_s, waiting, throttled_min, policy }) {
  const figures = { taken: taken_s, started: started_s, waiting, limit: policy && !policy.key && policy.tokens_s ? policy.tokens_s : NaN, throttled: throttled_min == null ? NaN : throttled_min / 60 };
  for (const name of FIGURES) kept[name].push(figures[name] ?? NaN);
}
/** The last seconds of a limit, "" is the whole queue; only as far as this tab has looked. */
export function recent(name, seconds = 300) {
  const kept = samples.get(name);
  if (!kept) return null;
  const from = Math.max(0, kept.taken.length - seconds), cut = {};
  for (const name of FIGURES) cut[name] = kept[name].slice(from);
  return { from: (kept.from + from) * 1000, every_s: 1, ...cut };
}
