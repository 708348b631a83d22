// Long lists: only the rows in sight are in the page.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";

const AROUND = 6; // rows drawn above and below those in sight

/** A window on a list. `row(item, index)` draws one of height `height`; `onEnd` is called when its end comes into sight; `total` counts those not here yet. */
export function Rows({ items, total, height, row, label, columns, head, empty, onEnd }) {
  const ref = useRef(), [top, setTop] = useState(0), [seen, setSeen] = useState(600);
  useEffect(() => {
    const box = ref.current, watch = new ResizeObserver(() => setSeen(box.clientHeight));
    watch.observe(box);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / height) - AROUND), last = Math.min(items.length, Math.ceil((top + seen) / height) + AROUND);
  useEffect(() => { if (onEnd && last >= items.length - AROUND) onEnd(); }, [last, items.length]);
  return html`<div class="rows" role="table" aria-label=${label} aria-rowcount=${Math.max(total ?? 0, items.length) + 1}>
    <div class="rows-head ${columns}" role="rowgroup"><div role="row" class="line-row">${head.map(([text, kind]) => html`<span role="columnheader" class=${kind}>${text}</span>`)}</div></div>
    <div class="rows-body ${columns}" ref=${ref} role="rowgroup" tabindex="0" aria-label="${label}, rows" onScroll=${(e) => setTop(e.target.scrollTop)}>
      ${items.length === 0 && html`<div role="row"><p role="cell" class="none">${empty}</p></div>`}
      <div role="presentation" style=${{ height: `${first * height}px` }}></div>
      ${items.slice(first, last).map((item, i) => row(item, first + i))}
      <div role="presentation" style=${{ height: `${Math.max(0, items.length - last) * height}px` }}></div>
    </div></div>`;
}
