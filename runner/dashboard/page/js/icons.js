// Glyphs, each drawn for 16 by 16; a state is never told by its colour alone.
import { html } from "../vendor/htm-preact.js";

const ICONS = {
  flows: "M2 2h4v4H2zm8 0h4v4h-4zM6 3.3h4v1.4H6zM6 10h4v4H6zM3.3 6h1.4v3.3H6v1.4H3.3zm8 0h1.4v4.7H10V9.3h1.3z", out: "M2 2h7v1.6H3.6v8.8H9V14H2zm7.5 2.500L13.5 8l-4 3.5V9H6V7h3.5z",
  gate: "M9.5 2h3v12h-3zM2 6h4.5v4H2z", idle: "M8 3a5 5 0 100 10A5 5 0 008 3zm0 1.6a3.4 3.4 0 110 6.8 3.4 3.4 0 010-6.8z", flowing: "M2 3.5L7.5 8 2 12.5zM8.5 3.5L14 8l-5.5 4.5z",
  frozen: "~M8 1.5v13M2.4 4.7l11.2 6.6M13.6 4.7L2.4 11.3M6.2 2.3L8 4.1l1.8-1.8M6.2 13.7L8 11.9l1.8 1.8",
  paused: "M3.5 2.5h3.2v11H3.5zM9.3 2.5h3.2v11H9.3z", slots_full: "M2.5 2.5h11v11h-11z", spent: "M2 4h11v8H2zm1.6 1.6v4.8h7.8V5.6zM14 6.5h1.2v3H14zM4.4 6.5h1.2v3H4.4z",
  scheduled: "M8 1.5a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM8 3a5 5 0 110 10A5 5 0 018 3zm-.8 1.6v3.8l3 1.8.8-1.2-2.3-1.4v-3z",
  running: "M4 2.5L13 8l-9 5.5z", succeeded: "M13.6 4.2L6.4 12.4 2.3 8.6l1.2-1.3 2.8 2.6 6-6.9z", failed: "M3.9 2.7L8 6.8l4.1-4.1 1.2 1.2L9.2 8l4.1 4.1-1.2 1.2L8 9.2l-4.1 4.1-1.2-1.2L6.8 8 2.7 3.9z",
  cancelled: "M8 1.7a6.3 6.3 0 100 12.6A6.3 6.3 0 008 1.7zm0 1.6a4.7 4.7 0 012.8.9L4.2 10.8A4.7 4.7 0 018 3.3zm3.8 1.9a4.7 4.7 0 01-6.6 6.6z", expired: "M3.5 1.5h9V3c0 2-1.7 3.7-3 5 1.3 1.3 3 3 3 5v1.5h-9V13c0-2 1.7-3.7 3-5-1.3-1.3-3-3-3-5zm1.7 1.5c0 1.2 1.3 2.5 2.8 3.9C9.5 5.5 10.8 4.2 10.8 3z",
  submitted: "M7.2 1.5h1.6v7l2.5-2.5 1.1 1.1L8 11.5 3.6 7.1 4.7 6l2.5 2.5zM2.5 12.9h11v1.6h-11z", throttled: "M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2zM5 7.2v1.6h6V7.2z",
  leader: "M2 12.5V5l3.5 3L8 3l2.5 5L14 5v7.5z", changed: "M2 4h7v1.6H2zm9-1.5h1.6V4H14v1.6h-1.4v1.5H11zM2 10.4h3V12H2zm5-1.5h1.6v1.5H14V12H8.6v1.5H7z", search: "M6.8 2a4.8 4.8 0 103 8.5l3.3 3.3 1.1-1.1-3.3-3.3A4.8 4.8 0 006.8 2zm0 1.6a3.2 3.2 0 110 6.4 3.2 3.2 0 010-6.4z",
  sun: "M8 4.7a3.3 3.3 0 100 6.6 3.3 3.3 0 000-6.6zM7.2.8h1.6v2H7.2zM7.2 13.2h1.6v2H7.2zM.8 7.2h2v1.6h-2zM13.2 7.2h2v1.6h-2zM2.3 3.4l1.1-1.1 1.4 1.4-1.1 1.1zM11.2 12.3l1.1-1.1 1.4 1.4-1.1 1.1zM2.3 12.6l1.4-1.4 1.1 1.1-1.4 1.4zM11.2 3.7l1.4-1.4 1.1 1.1-1.4 1.4z",
  back: "M10.5 2.5L5 8l5.5 5.5 1.1-1.1L7.2 8l4.4-4.4z", lock: "M5 7V5a3 3 0 016 0v2h1.5v7h-9V7zm1.6 0h2.8V5a1.4 1.4 0 00-2.8 0z", key: "M10.5 2a3.5 3.5 0 00-3.3 4.7L2 11.9V14h3v-2h2v-2l.9-.9A3.5 3.5 0 1010.5 2zm1 1.8a1.2 1.2 0 110 2.4 1.2 1.2 0 010-2.4z",
  no_worker: "M8 1.5l7 12.5H1zm-.8 4.7v4h1.6v-4zm0 5.2v1.5h1.6v-1.5z",
  jobs: "M2 3h12v2.2H2zm0 3.9h12v2.2H2zm0 3.9h12V13H2z", workers: "M2 2h5v5H2zm7 0h5v5H9zM2 9h5v5H2zm7 0h5v5H9z", events: "M3 2h1.6v12H3zM6.5 3H14v2.2H6.5zm0 4H12v2.2H6.5zm0 4H14v2.2H6.5z",
};
ICONS.limits = ICONS.waiting = ICONS.at_limit = ICONS.gate; ICONS.schedules = ICONS.schedule = ICONS.scheduled; ICONS.queued = ICONS.waiting_elsewhere = ICONS.idle; ICONS.resumed = ICONS.retried = ICONS.running; ICONS.released = ICONS.flowing; ICONS.skipped = ICONS.cancelled;

/** A glyph; a path that begins with ~ is drawn as a line. */
export function Icon({ name, size = 12 }) {
  const d = ICONS[name] ?? ICONS.idle, line = d.startsWith("~");
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true"><path fill=${line ? "none" : "currentColor"} stroke=${line ? "currentColor" : "none"} stroke-width="1.5" fill-rule="evenodd" d=${line ? d.slice(1) : d} /></svg>`;
}

/** The mark of this project, and the picture of a limit: tokens, a gate, the line. */
export const Mark = ({ size = 22 }) => html`<svg width=${size * 26 / 22} height=${size} viewBox="0 0 26 22" aria-hidden="true"><rect y="8" width="6" height="6" rx="1.5" class="m-token" /><rect x="9" y="1" width="4" height="20" rx="1" class="m-gate" /><rect x="16" y="8" width="4" height="6" rx="1.2" class="m-wait" /><rect x="22" y="8" width="4" height="6" rx="1.2" class="m-wait m-far" /></svg>`;
