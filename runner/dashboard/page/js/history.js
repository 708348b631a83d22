// useHistory: the figures of a limit for the charts, from the service by minute or hour; the last minutes by second, as far as this tab has looked.
import { useFetched } from "./fetched.js";
import { ms, now, recent } from "./live.js";
import { part } from "./service.js";

const RANGES = { "1h": { every_s: 60, count: 60, again_s: 30 }, "24h": { every_s: 60, count: 1440, again_s: 60 }, "30d": { every_s: 3600, count: 720, again_s: 600 } };
const COLUMNS = { taken: "taken", started: "started", limit: "limit", waiting: "waiting", p50: "p50_s", p95: "p95_s", throttled: "throttled" };
const FIVE_MIN_S = 300;

/** Columns of numbers, oldest first, NaN is unknown; `from` in milliseconds. There are always some, so that the axis stands. */
export function useHistory(name, range) {
  const own = range === "5m", asked = RANGES[own ? "1h" : range], { data } = useFetched(name ? `v1/limits/${part(name)}/history` : null, { range: own ? "1h" : range }, asked.again_s);
  const from = data && ms(data.from), marks = (data?.marks ?? []).filter((m) => m.what === "paused" || m.what === "frozen").map((m) => ({ ...m, from: ms(m.from), to: m.to ? ms(m.to) : now() }));
  if (own) return { ...table(FIVE_MIN_S, 1, (column, at, seen) => seen?.[column]?.[(at - seen.from) / 1000] ?? data?.[COLUMNS[column]][Math.floor((at - from) / 60000)], recent(name, FIVE_MIN_S)), marks };
  if (!data) return { ...table(asked.count, asked.every_s, () => NaN), marks };
  const h = { from, every_s: data.every_s, marks };
  for (const [column, theirs] of Object.entries(COLUMNS)) h[column] = data[theirs].map((v) => v ?? NaN);
  return h;
}

/** A table up to now: `of(column, instant, seen)` is each figure. */
function table(count, every_s, of, seen) {
  const step = every_s * 1000, from = Math.floor(now() / step) * step - (count - 1) * step, h = { from, every_s };
  for (const column of Object.keys(COLUMNS)) h[column] = Array.from({ length: count }, (_, i) => of(column, from + i * step, seen) ?? NaN);
  return h;
}
