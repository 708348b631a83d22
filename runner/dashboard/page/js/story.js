// The life of a job as pieces of time and as what happened, from what the service keeps of it.
import { ms } from "./live.js";
import { fine } from "./format.js";

const ENDS = { succeeded: "Succeeded", failed: "Failed", cancelled: "Cancelled", expired: "Expired" };

/** `{events, spans}` in milliseconds, from the instants in the job's document. */
export function storyOf(job) {
  const spans = [], events = [{ at: ms(job.submitted_at), what: "submitted", text: "Submitted", detail: job.task }];
  let last = ms(job.submitted_at);
  const pause = (until, text) => { if (until - last > 1) spans.push({ what: "waiting", from: last, to: until, text }); };
  for (const a of job.attempts) {
    const from = ms(a.started_at), to = from + a.ran_s * 1000;
    pause(from, spans.length ? "until the next attempt" : "before its start");
    spans.push({ what: "running", from, to, text: `attempt ${a.attempt}`, bad: true });
    events.push({ at: from, what: "running", text: `Attempt ${a.attempt} on ${a.worker}` }, { at: to, what: "failed", text: `Attempt ${a.attempt} failed after ${fine(a.ran_s)}`, detail: `${a.type}: ${a.message}` });
    last = to;
  }
  const begun = job.started_at && ms(job.started_at) >= last - 1 && job.attempts.at(-1)?.attempt !== job.attempt ? ms(job.started_at) : null, end = job.finished_at ? ms(job.finished_at) : null;
  if (begun) {
    pause(begun, spans.length ? "until the next attempt" : "before its start");
    spans.push({ what: "running", from: begun, to: end, text: `attempt ${job.attempt}` });
    events.push({ at: begun, what: "running", text: `Attempt ${job.attempt}${job.worker ? ` on ${job.worker}` : ""}` });
  } else if (!end) spans.push({ what: job.state === "scheduled" ? "scheduled" : "waiting", from: last, to: null, text: job.state });
  else pause(end, "until its end");
  if (end) events.push({ at: end, what: job.state, text: ENDS[job.state] ?? job.state, detail: job.error && end > last + 1 ? `${job.error.type}: ${job.error.message}` : null });
  return { events, spans };
}
