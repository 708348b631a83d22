// useHistory: the figures of a limit for the charts, from the service by minute or hour, and of the last minutes as this tab has seen them.
import { useFetched } from "./fetched.js";
import { now, recent } from "./live.js";

const RANGES = { "1h": { since: "1h", step: "minute", every_s: 60, count: 60, again_s: 30 }, "24h": { since: "24h", step: "minute", every_s: 60, count: 1440, again_s: 60 }, "30d": { since: "30d", step: "hour", every_s: 3600, count: 720, again_s: 600 } };
const COLUMNS = ["taken", "started", "limit", "waiting", "p50", "p95", "throttled"];
const FIVE_MIN_S = 300;
const NEAR = 4; // a limit many times above all starts counts something else than starts, and would flatten them

/** Columns of numbers, oldest first, NaN is unknown; `from` in milliseconds. There are always some, so that the axis stands. */
export function useHistory(row, range) {
  const asked = RANGES[range], name = row?.name;
  const { data } = useFetched(asked && name ? "v1/history" : null, { series: `l:${name}`, since: asked?.since, step: asked?.step }, asked?.again_s);
  if (!asked) return seconds(name);
  const h = empty(asked.count, asked.every_s);
  if (data) fill(h, data.series[0]?.rows ?? [], asked);
  const tokens_s = row?.policy.key ? null : row?.policy.tokens_s, peak = Math.max(0, ...h.started.filter((v) => v === v));
  if (tokens_s && tokens_s <= peak * NEAR) h.limit.fill(tokens_s);
  return h;
}

/** Minutes in which nothing happened have no row: that is zero, from the first row on; before it nothing is known. */
function fill(h, rows, { every_s, count }) {
  const first = rows.length ? place(h, rows[0], every_s) : count, last = count - 1;
  for (const name of ["taken", "started", "throttled"]) h[name].fill(0, Math.max(0, first), last);
  for (const one of rows) {
    const i = place(h, one, every_s);
    if (i < 0 || i >= count) continue;
    h.taken[i] = h.started[i] = one.started / every_s;
    h.throttled[i] = one.throttled;
    h.p50[i] = one.waited.p50_s ?? NaN;
    h.p95[i] = one.waited.p95_s ?? NaN;
  }
  const whole = every_s * 1000, part = Math.max(1, (now() % whole) / 1000); // the last row is of the time that has begun
  for (const name of ["taken", "started"]) h[name][last] = h[name][last] === h[name][last] ? (h[name][last] * every_s) / part : NaN;
}
const place = (h, one, every_s) => Math.round((one.at * 1000 - h.from) / (every_s * 1000));

function seconds(name) {
  const seen = recent(name, FIVE_MIN_S);
  if (!seen) return empty(FIVE_MIN_S, 1);
  const missing = FIVE_MIN_S - seen.taken.length, none = Array(missing).fill(NaN), h = { from: seen.from - missing * 1000, every_s: 1, marks: [] };
  for (const own of ["taken", "started", "limit", "waiting", "throttled"]) h[own] = [...none, ...seen[own]];
  h.p50 = Array(FIVE_MIN_S).fill(NaN);
  h.p95 = Array(FIVE_MIN_S).fill(NaN);
  return h;
}
function empty(count, every_s) {
  const whole = every_s * 1000, h = { from: Math.floor(now() / whole) * whole - (count - 1) * whole, every_s, marks: [] };
  for (const own of COLUMNS) h[own] = Array(count).fill(NaN);
  return h;
}
