// usePages: a long list, one page after the other as far as somebody scrolls; its first page again every so often while nobody has scrolled.
import { useRef, useState } from "../vendor/htm-preact.js";
import { useRead } from "./fetched.js";
import { ask } from "./service.js";

const PAGE = 100, AGAIN_S = 3;

/** `{items, more(), again(), loading, problem}`; `name` is the field of an answer that holds the list, `cursor` the place of the next page. */
export function usePages(path, query, name) {
  const key = JSON.stringify(query), [state, setState] = useState({ key: null, items: [], cursor: null }), [turn, setTurn] = useState(0), busy = useRef(false);
  const current = state.key === key ? state : { items: state.key === null ? [] : state.items, cursor: null, loading: true };
  const read = async (cursor, signal) => {
    const { cursor: next, [name]: found } = await ask(path, { query: { ...query, most: PAGE, cursor }, signal });
    return { key, items: found.filter(Boolean), cursor: next };
  };
  const keep = (got) => setState((s) => (s.key === key && s.items.length > PAGE ? s : got)), refuse = (problem) => setState({ key, items: [], cursor: null, problem });
  useRead((signal) => read(null, signal), keep, refuse, AGAIN_S, [key, turn]);
  const more = async () => {
    if (busy.current || !current.cursor || state.key !== key) return;
    busy.current = true;
    try { const got = await read(current.cursor); setState((s) => (s.key === key ? { ...got, items: [...s.items, ...got.items] } : s)); } catch (problem) { setState((s) => ({ ...s, problem })); }
    busy.current = false;
  };
  return { ...current, more, again: () => setTurn((n) => n + 1) };
}
