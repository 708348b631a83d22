// Four time series on one axis, drawn on canvas: one cursor for all, amber where a wait is too long, hatched where the gate was shut.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { brief, clock, day, instant, minute, perSecond, short } from "./format.js";
import { Segments, slowAfter } from "./ui.js";

const LEFT = 46, RIGHT = 12;
let palette = null;
/** The colours of the style sheet, resolved for the canvas; asked for again when the theme changes. */
function colours() {
  if (palette) return palette;
  const probe = document.createElement("span");
  document.body.append(probe);
  palette = {};
  for (const name of ["ink", "ink-2", "ink-3", "rule", "token", "wait", "amber", "red", "ice", "pause", "surface"]) { probe.style.color = `var(--${name})`; palette[name] = getComputedStyle(probe).color; }
  probe.remove();
  return palette;
}
const forget = () => { palette = null; document.dispatchEvent(new Event("repaint")); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);
new MutationObserver(forget).observe(document.documentElement, { attributeFilter: ["data-theme"] });

function niceTop(v) {
  if (!(v > 0)) return 1;
  const p = 10 ** Math.floor(Math.log10(v)), m = v / p;
  return ([1, 1.5, 2, 3, 4, 5, 6, 8].find((n) => m <= n) ?? 10) * p;
}
const timeTop = (v) => [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400].find((s) => s >= v) ?? niceTop(v);
const TICKS = { "5m": 60e3, "1h": 600e3, "24h": 4 * 3600e3, "30d": 5 * 86400e3 };

/** What is under each pixel: the mean, which a reader follows, the lowest and the highest; so an hour of seconds costs as much as a minute. */
function perPixel(values, wide) {
  const per = values.length / wide, n = Math.floor(wide);
  if (per <= 1.5) return { mean: values };
  const [mean, low, high] = [0, 1, 2].map(() => new Float64Array(n).fill(NaN));
  for (let c = 0; c < n; c++) {
    let sum = 0, known = 0, least = Infinity, most = -Infinity;
    for (let i = Math.floor(c * per), end = Math.min(values.length, Math.floor((c + 1) * per)); i < end; i++) { const v = values[i]; if (v === v) { sum += v; known += 1; if (v < least) least = v; if (v > most) most = v; } }
    if (known) { mean[c] = sum / known; low[c] = least; high[c] = most; }
  }
  return { mean, low, high };
}
function trace(g, values, x0, wide, y, close) {
  const dx = wide / Math.max(1, values.length - 1);
  let on = false, start = 0;
  g.beginPath();
  for (let i = 0; i <= values.length; i++) {
    const v = values[i];
    if (v === v && v !== undefined) { if (on) g.lineTo(x0 + i * dx, y(v)); else { g.moveTo(x0 + i * dx, y(v)); start = x0 + i * dx; on = true; } }
    else if (on) { if (close) { g.lineTo(x0 + (i - 1) * dx, y(0)); g.lineTo(start, y(0)); g.closePath(); } on = false; }
  }
}

function draw(canvas, spec, h, range, cursor) {
  const c = colours(), ratio = devicePixelRatio || 1, W = canvas.clientWidth, H = canvas.clientHeight;
  if (!W) return;
  if (canvas.width !== Math.round(W * ratio) || canvas.height !== Math.round(H * ratio)) { canvas.width = Math.round(W * ratio); canvas.height = Math.round(H * ratio); }
  const g = canvas.getContext("2d"), wide = W - LEFT - RIGHT, bottom = spec.last ? H - 20 : H - 4, top = 6;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, W, H);
  g.font = "11px Inter, ui-sans-serif, system-ui, sans-serif";
  const shown = spec.series.map((s) => ({ ...s, values: h[s.of] }));
  let peak = spec.floor ?? 0;
  for (const s of shown) for (const v of s.smooth ? perPixel(s.values, wide / 4).mean : s.values) if (v > peak) peak = v;
  const ceiling = spec.seconds ? timeTop(peak * 1.02) : niceTop(peak * (spec.limit ? 1.12 : 1.04)), y = (v) => bottom - (v / ceiling) * (bottom - top);
  const end = h.from + (h.taken.length - 1) * h.every_s * 1000, xAt = (t) => LEFT + (t - h.from) / Math.max(1, end - h.from) * wide;
  // shut gate
  for (const m of h.marks) {
    const a = Math.max(LEFT, xAt(m.from)), b = Math.min(LEFT + wide, xAt(m.to));
    if (b <= a) continue;
    g.save(); g.beginPath(); g.rect(a, top, Math.max(2, b - a), bottom - top); g.clip();
    g.globalAlpha = 0.12; g.fillStyle = m.what === "frozen" ? c.ice : c.pause; g.fillRect(a, top, b - a, bottom - top);
    g.globalAlpha = 0.55; g.strokeStyle = m.what === "frozen" ? c.ice : c.pause; g.lineWidth = 1; g.beginPath();
    for (let k = a - (bottom - top); k < b; k += 6) { g.moveTo(k, bottom); g.lineTo(k + (bottom - top), top); }
    g.stroke(); g.restore();
  }
  // grid and labels
  g.strokeStyle = c.rule; g.lineWidth = 1; g.textBaseline = "middle"; g.textAlign = "right";
  for (const v of [0, ceiling / 2, ceiling]) {
    const yy = Math.round(y(v)) + 0.5;
    g.beginPath(); g.moveTo(LEFT, yy); g.lineTo(LEFT + wide, yy); g.stroke();
    g.fillStyle = c["ink-3"]; g.fillText(spec.seconds ? short(v).replace(/\.0/, "").replace(/^0.s$/, "0") : v >= 1000 ? brief(v).replace(",000", "k").replace(/\.0k/, "k") : String(+v.toPrecision(3)), LEFT - 8, Math.min(bottom - 4, Math.max(top + 5, yy)));
  }
  const gap = W < 460 && range !== "5m" ? TICKS[range] * 2 : TICKS[range], shift = new Date(end).getTimezoneOffset() * 60e3;
  for (let t = Math.ceil((h.from - shift) / gap) * gap + shift; t <= end; t += gap) {
    const x = Math.round(xAt(t)) + 0.5;
    g.beginPath(); g.moveTo(x, top); g.lineTo(x, bottom); g.stroke();
    if (spec.last) { g.textAlign = x > W - 40 ? "right" : x < LEFT + 16 ? "left" : "center"; g.fillStyle = c["ink-3"]; g.fillText(range === "30d" ? day(t) : minute(t), Math.min(x, W - 2), H - 8); }
  }
  // series
  g.save(); g.beginPath(); g.rect(LEFT, top - 2, wide, bottom - top + 3); g.clip();
  for (const s of shown) {
    const line = s.bars ? s.values : perPixel(s.values, s.smooth ? wide / 4 : wide).mean;
    if (s.area) {
      const { low, high } = s.range && peak > 8 ? perPixel(s.values, wide) : {};
      g.fillStyle = c[s.colour]; g.globalAlpha = 0.16;
      low?.forEach((v, i) => { if (v === v) g.fillRect(LEFT + i, y(high[i]), 1, Math.max(1, y(v) - y(high[i]))); });
      trace(g, line, LEFT, wide, y, true); g.globalAlpha = 0.15; g.fill(); g.globalAlpha = 1;
    }
    if (s.bars) {
      const n = Math.min(90, s.values.length), per = s.values.length / n; g.fillStyle = c[s.colour];
      for (let i = 0; i < n; i++) { let v = 0; for (let k = Math.floor(i * per); k < Math.floor((i + 1) * per); k++) v = Math.max(v, s.values[k]); if (v > 0) g.fillRect(LEFT + i * wide / n + 0.5, y(v), Math.max(1.5, wide / n - 1.5), bottom - y(v)); }
      continue;
    }
    trace(g, line, LEFT, wide, y, false);
    g.setLineDash(s.dash ?? []); g.lineWidth = s.thick ?? 1.6; g.lineJoin = "round"; g.strokeStyle = c[s.colour]; g.stroke();
    if (s.amber && peak > slowAfter()) { // the part above the threshold again, thicker and in amber
      g.save(); g.beginPath(); g.rect(LEFT, top - 2, wide, y(slowAfter()) - top + 2); g.clip();
      trace(g, line, LEFT, wide, y, false); g.lineWidth = 2.6; g.strokeStyle = c.amber; g.stroke(); g.restore();
    }
    g.setLineDash([]);
  }
  g.restore();
  if (spec.seconds && ceiling > slowAfter()) {
    const yy = Math.round(y(slowAfter())) + 0.5;
    g.setLineDash([2, 3]); g.strokeStyle = c.amber; g.lineWidth = 1; g.beginPath(); g.moveTo(LEFT, yy); g.lineTo(LEFT + wide, yy); g.stroke(); g.setLineDash([]);
  }
  if (cursor != null) {
    const x = LEFT + cursor * wide;
    g.strokeStyle = c.ink; g.lineWidth = 1; g.beginPath(); g.moveTo(Math.round(x) + 0.5, top); g.lineTo(Math.round(x) + 0.5, bottom); g.stroke();
    const i = Math.round(cursor * (h.taken.length - 1));
    for (const s of shown) { const v = s.values[i]; if (s.bars || v !== v) continue; g.fillStyle = c[s.colour]; g.strokeStyle = c.surface; g.lineWidth = 2; g.beginPath(); g.arc(x, y(Math.min(v, ceiling)), 4, 0, 7); g.fill(); g.stroke(); }
  }
}

/** Of a limit whose jobs cost more than a token each, tokens are told. */
const specs = (counts) => [
  { title: counts ? "Tokens taken a second" : "Starts a second", limit: true, series: [{ of: "taken", name: counts ? "tokens" : "starts", colour: "token", area: true, range: true, smooth: true }, { of: "limit", name: "limit", colour: "ink", dash: [5, 4], thick: 1.4 }], say: perSecond },
  { title: "Waiting", floor: 4, series: [{ of: "waiting", name: "jobs", colour: "wait", area: true }], say: brief },
  { title: "Wait of what started", seconds: true, floor: 0.5, series: [{ of: "p50", name: "p50", colour: "wait", thick: 1.3, smooth: true }, { of: "p95", name: "p95", colour: "wait", dash: [6, 2], thick: 1.8, amber: true, smooth: true }], say: short },
  { title: "Throttled by the provider", floor: 3.8, last: true, series: [{ of: "throttled", name: "answers 429", colour: "amber", bars: true }], say: (v) => brief(v) },
];

export function Charts({ h, range, setRange }) {
  const box = useRef(), paint = useRef(), [cursor, setCursor] = useState(null), list = specs(h.taken.some((v, i) => v > h.started[i] * 1.5));
  paint.current = () => box.current.querySelectorAll("canvas").forEach((c, i) => draw(c, list[i], h, range, cursor));
  useLayoutEffect(() => paint.current());
  useEffect(() => {
    const again = () => paint.current(), watch = new ResizeObserver(again);
    watch.observe(box.current);
    document.addEventListener("repaint", again);
    return () => { watch.disconnect(); document.removeEventListener("repaint", again); };
  }, []);
  const move = (e) => { const r = e.currentTarget.getBoundingClientRect(), f = (e.clientX - r.left - LEFT) / (r.width - LEFT - RIGHT); setCursor(f < -0.02 || f > 1.02 ? null : Math.max(0, Math.min(1, f))); };
  const keys = (e) => {
    const hop = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (hop) { e.preventDefault(); setCursor((v) => Math.max(0, Math.min(1, (v ?? 1) + hop / 60))); }
    if (e.key === "Escape") { setCursor(null); e.stopPropagation(); }
  };
  const at = cursor == null ? h.taken.length - 1 : Math.round(cursor * (h.taken.length - 1)), when = h.from + at * h.every_s * 1000;
  const told = list.map((s) => s.series.map((q) => [q.name, h[q.of][at], s.say]).filter(([, v]) => v === v));
  return html`<section class="charts">
    <header><h2>History</h2><span class="when">${cursor == null ? "now" : range === "30d" || range === "24h" ? instant(when, 0) : clock(when)}</span>
      <${Segments} label="Range" choices=${[["5m", "5 min"], ["1h", "1 h"], ["24h", "24 h"], ["30d", "30 d"]]} chosen=${range} choose=${setRange} /></header>
    <div class="chart-stack" ref=${box} tabindex="0" role="group" aria-label="Four charts on one time axis. Left and right arrows move the cursor." onPointerMove=${move} onPointerLeave=${() => setCursor(null)} onKeyDown=${keys}>
      ${list.map((s, i) => html`<figure class=${s.last ? "last" : ""}><figcaption><b>${s.title}</b>${s.seconds && html`<span class="from">amber from 1 min</span>`}${s.series.map((q) => { const v = h[q.of][at]; return q.of === "limit" && v !== v ? null : html`<span class="read"><i class="key ${q.dash ? "dashed" : ""} ${q.bars ? "block" : ""} c-${q.amber && v > slowAfter() ? "amber" : q.colour}"></i>${q.name} <b>${v === v ? s.say(v) : "–"}</b></span>`; })}</figcaption><canvas aria-hidden="true"></canvas></figure>`)}
    </div>
    <p class="hidden" aria-live="polite">${cursor == null ? "" : `${clock(when)}: ${told.flat().map(([n, v, say]) => `${n} ${say(v)}`).join(", ")}`}</p>
  </section>`;
}
