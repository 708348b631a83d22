// What a view asks of the service, again every so often while the view is there. Nothing is asked while the tab is hidden or the service is away.
import { useEffect, useState } from "../vendor/htm-preact.js";
import { live } from "./live.js";
import { ask } from "./service.js";

/** `read(signal)` now, and so many seconds after each time (0: once), or later if it took long: not for more than a tenth of the time; anew when `keys` change. What it finds goes to `keep`, a problem to `refuse`. */
export function useRead(read, keep, refuse, again_s, keys) {
  useEffect(() => {
    if (!read) return undefined;
    const stop = new AbortController();
    let timer = null;
    const go = async () => {
      const began = Date.now();
      if (!document.hidden && live.status !== "offline" && live.status !== "away") {
        try { const found = await read(stop.signal); if (!stop.signal.aborted) keep(found); } catch (problem) { if (!stop.signal.aborted) refuse(problem); }
      }
      if (!stop.signal.aborted && again_s) timer = setTimeout(go, Math.max(again_s * 1000, 9 * (Date.now() - began)));
    };
    go();
    return () => { stop.abort(); clearTimeout(timer); };
  }, keys);
}

/**
 * `{data, problem, loading, again}` of a path; null as path asks nothing. While nothing is known `loading` is true; data stays while newer is asked for, and a problem too,
 * so nothing flickers.
 */
export function useFetched(path, query = {}, every_s = 5) {
  const key = path && `${path} ${JSON.stringify(query)}`, [got, setGot] = useState({ key: null }), [turn, setTurn] = useState(0);
  const refuse = (problem) => setGot((before) => ({ key, data: before.key === key ? before.data : undefined, problem }));
  useRead(path && ((signal) => ask(path, { query, signal })), (data) => setGot({ key, data }), refuse, every_s, [key, turn, every_s]);
  const { data, problem } = got.key === key ? got : {};
  return { data, problem, loading: Boolean(path) && data === undefined && !problem, again: () => setTurn((n) => n + 1) };
}
