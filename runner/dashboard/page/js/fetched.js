// useFetched: an answer of the service, asked for again every so often while the view is there.
import { useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { live } from "./live.js";
import { ask } from "./service.js";

/**
 * `{data, problem, loading, again}` of a path; null as path asks nothing. While nothing is known `loading` is true; data stays while newer is asked for, and a problem too,
 * so nothing flickers. Nothing is asked while the tab is hidden or the service is away.
 */
export function useFetched(path, query = {}, every_s = 5) {
  const key = path && `${path} ${JSON.stringify(query)}`, [got, setGot] = useState({ key: null }), [turn, setTurn] = useState(0), latest = useRef(key);
  latest.current = key;
  useEffect(() => {
    if (!path) return undefined;
    const stop = new AbortController();
    let timer = null;
    const read = async () => {
      if (!document.hidden && live.status !== "offline" && live.status !== "away") {
        try {
          const data = await ask(path, { query, signal: stop.signal });
          if (latest.current === key) setGot({ key, data });
        } catch (problem) {
          if (problem.name === "AbortError") return;
          if (latest.current === key) setGot((before) => ({ key, data: before.key === key ? before.data : undefined, problem }));
        }
      }
      if (!stop.signal.aborted && every_s) timer = setTimeout(read, every_s * 1000);
    };
    read();
    return () => { stop.abort(); clearTimeout(timer); };
  }, [key, turn, every_s]);
  const current = got.key === key ? got : {};
  return { data: current.data, problem: current.problem, loading: Boolean(path) && current.data === undefined && !current.problem, again: () => setTurn((n) => n + 1) };
}
