// The keyboard: rows, views, filter, theme and help. Nothing of it works while a dialog is open or somebody types.
import { useEffect } from "../vendor/htm-preact.js";

export const KEYS = [["/", "search or filter"], ["j, k or ↓, ↑", "next, previous row"], ["Enter", "open the row"], ["Esc", "back, or close"], ["g then l, j, s, w, f, e", "limits, jobs, schedules, workers, flows, events"], ["← →", "move the cursor in focused charts"], ["t", "light or dark"], ["?", "this help"]];
// Between the two keys of "g l".
const CHORD_MS = 900;

export function toggleTheme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  // Storage may be blocked.
  try { localStorage.setItem("theme", root.dataset.theme); } catch {}
}

/** `views` are those that "g" and their first letter lead to; `up()` leaves the page of one thing for the list; `help()` shows what the keys do. */
export function useKeys({ views, up, help }) {
  useEffect(() => {
    let chord = 0;
    const on = (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
      if (e.target.matches("input, select, textarea")) { if (e.key === "Escape") e.target.blur(); return; }
      const rows = [...document.querySelectorAll("[data-row]")], here = rows.indexOf(document.activeElement);
      const hop = e.key === "j" || (e.key === "ArrowDown" && here >= 0) ? 1 : e.key === "k" || (e.key === "ArrowUp" && here >= 0) ? -1 : 0;
      const view = Date.now() - chord < CHORD_MS && views.find((name) => name[0] === e.key);
      if (view) { location.hash = `#/${view}`; chord = 0; }
      else if (e.key === "g") chord = Date.now();
      else if (e.key === "/") { e.preventDefault(); document.querySelector("[data-search]")?.focus(); }
      else if (e.key === "?") help();
      else if (e.key === "t") toggleTheme();
      else if (hop && rows.length) { e.preventDefault(); rows[Math.max(0, Math.min(rows.length - 1, here + hop))].focus(); }
      else if (e.key === "Escape") up();
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, []);
}
