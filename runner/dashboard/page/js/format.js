// Numbers, durations and instants as this project writes them. Pure.
const NB = "\u00a0";

export const whole = (n) => Math.round(n).toLocaleString("en-US");

/** A number in at most five characters, for places that have no room: 1,204 · 12.4k · 1.2M. */
export function brief(n) {
  if (n < 10_000) return whole(n);
  if (n < 1_000_000) return `${(n / 1000).toFixed(n < 100_000 && n % 1000 ? 1 : 0)}k`;
  return `${(n / 1_000_000).toFixed(n < 100_000_000 ? 1 : 0)}M`;
}

/** A duration as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function span(seconds) {
  if (seconds == null) return "–";
  const s = Math.max(seconds, 0);
  if (s < 10) return `${s.toFixed(1)}${NB}s`;
  const r = Math.round(s);
  for (const [size, unit, small, name] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (r >= size) {
      const rest = Math.floor((r % size) / small);
      return `${Math.floor(r / size)}${NB}${unit}${rest ? ` ${rest}${NB}${name}` : ""}`;
    }
  }
  return `${r}${NB}s`;
}

/** The same in one unit, for columns: 0.4 s, 48 s, 11 min, 2.1 h, 3 d. */
export function short(seconds) {
  if (seconds == null) return "–";
  const s = Math.max(seconds, 0);
  if (s < 10) return `${s.toFixed(1)}${NB}s`;
  if (s < 90) return `${Math.round(s)}${NB}s`;
  if (s < 5400) return `${Math.round(s / 60)}${NB}min`;
  if (s < 172800) return `${(s / 3600).toFixed(1)}${NB}h`;
  return `${Math.round(s / 86400)}${NB}d`;
}

/** Under a second in milliseconds: 4 ms, 182 ms, 2.4 s. */
export const fine = (s) => (s < 1 ? `${Math.round(s * 1000)}${NB}ms` : span(s));

/** Memory in three digits: 840 kB, 52 MB, 1.2 GB. */
export function bytes(n) {
  const [size, unit] = n < 1e6 ? [1e3, "kB"] : n < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${(n / size).toFixed(n / size < 10 ? 1 : 0)}${NB}${unit}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const clock = (ms) => CLOCK.format(ms);
export const minute = (ms) => MINUTE.format(ms);
export const day = (ms) => DAY.format(ms);
export const precise = (ms) => `${CLOCK.format(ms)}.${String(Math.floor(ms % 1000)).padStart(3, "0")}`;
export const instant = (ms, now) => (DAY.format(ms) === DAY.format(now) ? MINUTE.format(ms) : `${DAY.format(ms)} ${MINUTE.format(ms)}`);
export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export const perSecond = (v) => (v >= 1000 ? brief(v) : v >= 100 ? v.toFixed(0) : v >= 9.95 ? v.toFixed(1) : v.toFixed(v < 1 && v > 0 ? 2 : 1));
export const plural = (n, one, many = `${one}s`) => `${whole(n)}${NB}${n === 1 ? one : many}`;

/** Tokens of a limit in its unit: 412.50 of a budget in money. */
export const amount = (p, n) => (n / 10 ** (p.scale ?? 0)).toLocaleString("en-US", { minimumFractionDigits: p.scale ?? 0 }) + (p.unit ? ` ${p.unit}` : "");
const keyOf = (p) => (p.key ? `, by ${p.key.replace(/[{}]/g, "")}` : "");
/** A policy in few words, for a row: "100/min, burst 100, by tenant_id". */
export const policyBrief = (p) => (p.kind === "token_bucket" && p.smooth ? `${p.rate}, burst ${brief(p.capacity)}` : policyWords(p)) + keyOf(p);

/** A policy in words: "10/s, bursts of 20". */
export function policyWords(p) {
  if (p.kind === "token_bucket") return p.smooth ? `${p.rate}, bursts of ${brief(p.capacity)}` : `${whole(p.refill)} every ${span(p.every_s)}, at most ${brief(p.capacity)}`;
  if (p.kind === "sliding_window") return `${whole(p.capacity)} in any ${span(p.window_s)}`;
  if (p.kind === "concurrency") return `${whole(p.capacity)} at once`;
  return `${amount(p, p.capacity)} a ${p.per}`;
}
export const KINDS = { token_bucket: "Token bucket", sliding_window: "Sliding window", concurrency: "Concurrency", quota: "Quota" };
