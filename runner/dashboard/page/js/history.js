// useHistory: the figures of a limit for the charts, from the service by minute or hour, and of the last minutes as this tab has seen them.
import { useFetched } from "./fetched.js";
import { ms, now, recent } from "./live.js";
import { part } from "./service.js";

const RANGES = { "1h": { every_s: 60, count: 60, again_s: 30 }, "24h": { every_s: 60, count: 1440, again_s: 60 }, "30d": { every_s: 3600, count: 720, again_s: 600 } };
const COLUMNS = { taken: "taken", started: "started", limit: "limit", waiting: "waiting", p50: "p50_s", p95: "p95_s", throttled: "throttled" };
const FIVE_MIN_S = 300;

/** Columns of numbers, oldest first, NaN is unknown; `from` in milliseconds. There are always some, so that the axis stands. */
export function useHistory(name, range) {
  const asked = RANGES[range], { data } = useFetched(asked && name ? `v1/limits/${part(name)}/history` : null, { range }, asked?.again_s);
  if (!asked) return seconds(name);
  if (!data) return empty(asked.count, asked.every_s);
  const h = { from: ms(data.from), every_s: data.every_s };
  for (const [own, theirs] of Object.entries(COLUMNS)) h[own] = data[theirs].map((v) => v ?? NaN);
  h.marks = data.marks.map((m) => ({ ...m, from: ms(m.from), to: m.to ? ms(m.to) : now() }));
  return h;
}

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
  for (const own of Object.keys(COLUMNS)) h[own] = Array(count).fill(NaN);
  return h;
}
