// A curve as small as a word: the last five minutes, as far as this tab has looked; a gap is unknown, not zero.
import { html } from "../vendor/htm-preact.js";

const WINDOW_S = 300, EACH_S = 5;

/** Means of each five seconds, the latest last; null where nothing is known. */
function means(values) {
  const points = [];
  for (let end = values.length; end > 0 && points.length < WINDOW_S / EACH_S; end -= EACH_S) {
    const known = values.slice(Math.max(0, end - EACH_S), end).filter((v) => v === v);
    points.unshift(known.length ? known.reduce((sum, v) => sum + v, 0) / known.length : null);
  }
  return points;
}

/** `values` are one a second, oldest first; the newest stands at the right edge. */
export function Spark({ values, ceiling, width = 110, height = 28, label }) {
  const points = means(values), top = Math.max(ceiling ? ceiling * 1.18 : 0, ...points, 0.001), step = width / (WINDOW_S / EACH_S - 1), left = width - step * (points.length - 1);
  const x = (i) => (left + i * step).toFixed(1), y = (v) => (height - 1 - v / top * (height - 3)).toFixed(1);
  let line = "", area = "", start = null;
  points.forEach((v, i) => {
    if (v == null) { start = null; return; }
    line += `${start == null ? "M" : "L"}${x(i)} ${y(v)}`;
    if (start == null) start = i;
    if (i === points.length - 1 || points[i + 1] == null) area += `M${x(start)} ${height}${points.slice(start, i + 1).map((p, k) => `L${x(start + k)} ${y(p)}`).join("")}L${x(i)} ${height}Z`;
  });
  return html`<svg class="spark" width=${width} height=${height} viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label=${label}>
    ${area && html`<path class="spark-area" d=${area} /><path class="spark-line" d=${line} />`}
    ${ceiling && html`<line class="spark-limit" x1="0" x2=${width} y1=${y(ceiling)} y2=${y(ceiling)} />`}</svg>`;
}
