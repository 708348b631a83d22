// Questions before an act: one dialog at a time. What the service refuses is told inside it, and it stays open.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { confirmMany, countMany, dropMany, stateOfMany } from "./acts.js";
import { clock, whole } from "./format.js";
import { Icon } from "./icons.js";

const LOOK_MS = 400; // between two looks at how far the service is
const TYPED_ABOVE = 100; // jobs: from here on their number is typed

/** It takes the focus and gives it back. */
export function Dialog({ title, onClose, children }) {
  const ref = useRef();
  useEffect(() => {
    const dialog = ref.current, before = document.activeElement;
    dialog.showModal();
    return () => { if (dialog.open) dialog.close(); before?.focus?.(); };
  }, []);
  return html`<dialog ref=${ref} aria-label=${title} onClose=${onClose} onClick=${(e) => e.target === ref.current && onClose()}>
    <div class="dialog-in"><header><h2>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${onClose}><${Icon} name="failed" /></button></header>${children}</div></dialog>`;
}

export const Wrong = ({ problem }) => problem && html`<p class="preview is-wrong" role="alert"><${Icon} name="failed" /><span>${problem.message}</span></p>`;

/** Runs an act: `[problem, busy, run]`. `run` closes what `done` closes, unless the service refuses. */
export function useAct(done) {
  const [problem, setProblem] = useState(null), [busy, setBusy] = useState(false);
  const run = async (act) => {
    setBusy(true); setProblem(null);
    try { await act(); done?.(); } catch (refused) { setProblem(refused); }
    setBusy(false);
  };
  return [problem, busy, run];
}

/** A button for an act that needs no question. What is refused is told beside it. */
export function Act({ act, children, cls = "", label }) {
  const [problem, busy, run] = useAct();
  return html`<span class="act"><button class=${cls} disabled=${busy} aria-label=${label} onClick=${() => run(act)}>${children}</button>${problem && html`<small class="red" role="alert">${problem.message}</small>`}</span>`;
}

/** Asks for a reason, and seconds where the act needs them. */
export function Ask({ title, text, seconds, action, onDo, onClose, kind = "primary" }) {
  const [reason, setReason] = useState(""), [s, setS] = useState(seconds), [problem, busy, run] = useAct(onClose);
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${(e) => { e.preventDefault(); run(() => onDo(reason, Number(s))); }}>
    <p>${text}</p>
    ${seconds && html`<label class="field"><span>Seconds</span><input type="number" min="1" max="86400" required value=${s} onInput=${(e) => setS(e.target.value)} /></label>`}
    <label class="field"><span>Reason, shown to everybody who waits</span><input maxlength="500" autofocus value=${reason} onInput=${(e) => setReason(e.target.value)} /></label>
    <${Wrong} problem=${problem} />
    <footer><button type="button" onClick=${onClose}>Leave it</button><button class=${kind} disabled=${busy}>${action}</button></footer></form></${Dialog}>`;
}

/**
 * Asks before an act on many jobs. The service counts first, and that number stands in the question, in the field and on the button: it is
 * the number that is done, whatever comes meanwhile.
 */
export function Many({ action, verb, filter, scope, note, onClose }) {
  const [bulk, setBulk] = useState(null), [typed, setTyped] = useState(""), [problem, busy, run] = useAct(), open = useRef(null);
  useEffect(() => {
    let timer = null, gone = false;
    const look = async (first) => {
      try {
        const found = await first;
        if (gone) { dropMany(found.id).catch(() => {}); return; }
        open.current = found;
        setBulk(found);
        if (!found.ended_at && found.phase !== "counted") timer = setTimeout(() => look(stateOfMany(found.id)), LOOK_MS);
      } catch (refused) { run(() => Promise.reject(refused)); }
    };
    open.look = () => look(stateOfMany(open.current.id));
    look(countMany(action, filter, ""));
    return () => {
      gone = true;
      clearTimeout(timer);
      if (open.current && !open.current.confirmed_at && !open.current.ended_at) dropMany(open.current.id).catch(() => {});
    };
  }, []);
  const counted = bulk && bulk.phase !== "counting" ? bulk.counted : null, done = bulk?.confirmed_at, ended = bulk?.ended_at;
  const text = counted == null ? "" : whole(counted), many = counted > TYPED_ABOVE;
  const ready = counted > 0 && (!many || typed.replace(/[,.\s]/g, "") === String(counted));
  const go = (e) => { e.preventDefault(); if (ready) run(async () => { await confirmMany(bulk.id, counted); await open.look(); }); };
  const left = bulk && (ended ? counted - bulk.done : bulk.skipped);
  const title = counted == null ? "Counting…" : done ? `${verb} ${text} jobs` : `${verb} ${text} ${counted === 1 ? "job" : "jobs"}?`;
  return html`<${Dialog} title=${title} onClose=${onClose}><form onSubmit=${go}>
    <p>${scope}</p><p class="muted">${note}${bulk?.counted_at ? ` Counted at ${clock(Date.parse(bulk.counted_at))}.` : ""}</p>
    ${counted == null && !problem && html`<p class="preview" role="status"><${Icon} name="running" /><span>${whole(bulk?.counted ?? 0)} so far.</span></p>`}
    ${done && html`<div role="status"><progress max=${Math.max(1, counted)} value=${bulk.done + bulk.skipped} aria-label="Progress"></progress><p class="muted">${whole(bulk.done)} done${left ? `, ${whole(left)} had changed meanwhile and were left` : ""} of ${text}.${ended ? " Finished; it is kept in Events." : ""}</p></div>`}
    ${many && !done && html`<label class="field"><span>Type <b>${text}</b> to confirm</span><input inputmode="numeric" autocomplete="off" autofocus value=${typed} onInput=${(e) => setTyped(e.target.value)} /></label>`}
    <${Wrong} problem=${problem} />
    <footer>${done ? html`<button type="button" class="primary" onClick=${onClose}>${ended ? "Close" : "Close, it goes on"}</button>` : html`<button type="button" onClick=${onClose}>Leave them</button><button class="danger" disabled=${!ready || busy}>${verb} ${text} ${counted === 1 ? "job" : "jobs"}</button>`}</footer>
  </form></${Dialog}>`;
}
