// Events: every act of an operator and every change of the queue itself: who, by which door, what, when, why.
import { html, useState } from "../../vendor/htm-preact.js";
import { useFetched } from "../fetched.js";
import { amount, clock, day, policyWords, short } from "../format.js";
import { Icon } from "../icons.js";
import { live, ms, now } from "../live.js";
import { Answer, Search, Segments, Title } from "../ui.js";

const MOST = 500;
const ICON = { pause: "paused", resume: "resumed", freeze: "frozen", release: "released", override: "changed", restore: "changed", cancel: "cancelled", retry: "retried", delete: "cancelled", purge: "cancelled", lead: "leader" };
const iconOf = (e) => ICON[e.action] ?? (e.action.startsWith("key") ? "key" : e.action.includes("schedule") ? "schedule" : e.action.startsWith("refuse") || /^40/.test(e.outcome) ? "throttled" : "changed");
const isQueue = (e) => e.door === "leader";
/** A policy is kept as the scripts have it, and what is spent of a budget: both are told in words. */
function words(told, target) {
  if (!told.startsWith("{")) return told;
  try {
    const p = JSON.parse(told), of = live.overview?.limits.find((r) => r.name === target.split(/[ /]/)[1])?.policy ?? {};
    if (p.share) return `${amount(of, p.spent)} of ${amount(of, p.capacity)} are spent`;
    return p.kind ? policyWords({ ...p, every_s: p.every_us / 1e6, window_s: p.window_us / 1e6 }) : told;
  } catch { return told; }
}
const text = (e) => html`${e.action} <b>${e.target}</b>${e.after ? html` <span class="muted">${e.before ? `${words(e.before, e.target)} → ` : ""}${words(e.after, e.target)}</span>` : ""}${e.outcome ? html` <span class="muted">${e.outcome}</span>` : ""}`;

/** A change as the stream tells it, in the words of the audit. */
const asLine = (e) => ({ id: e.id, at: e.at, by: e.who, door: e.door, action: e.act, target: e.target, before: "", after: e.text, outcome: "", reason: e.why });

export function Events() {
  const [find, setFind] = useState(""), [show, setShow] = useState("all"), got = useFetched("v1/audit", { most: MOST }, 10), at = now();
  return html`<${Answer} got=${got}>${({ lines }) => {
    const known = new Set(lines.map((e) => e.id)), feed = [...live.audit.filter((e) => !known.has(e.id)).map(asLine), ...[...lines].reverse()];
    const list = feed.filter((e) => (show === "all" || (show === "queue") === isQueue(e)) && `${e.by} ${e.action} ${e.target} ${e.after} ${e.reason}`.toLowerCase().includes(find.toLowerCase()));
    let last = "";
    return html`<div class="page events"><${Title} text="Events" />
      <div class="tools"><${Search} label="Who, what or why" value=${find} set=${setFind} /><${Segments} label="Show" choices=${[["all", "All"], ["people", "People"], ["queue", "The queue itself"]]} chosen=${show} choose=${setShow} /></div>
      <ol class="feed">${list.map((e) => { const when = ms(e.at), d = day(when), head = d !== last && html`<li class="feed-day"><h2>${d === day(at) ? "Today" : d}</h2></li>`; last = d; return html`${head}<li class="is-${iconOf(e)}"><span class="dot"><${Icon} name=${iconOf(e)} size=${13} /></span><time title="${short((at - when) / 1000)} ago">${clock(when)}</time><div><p><b>${e.by}</b> ${text(e)}</p><small>${e.reason && e.after.includes(e.reason) ? "" : e.reason || "no reason given"}</small></div><span class="door">${e.door}${e.address ? `, ${e.address}` : ""}</span></li>`; })}</ol>
      ${!list.length && html`<p class="none">${feed.length ? html`Nothing matches. <button class="link" onClick=${() => { setFind(""); setShow("all"); }}>Show all ${feed.length}</button>` : "Nobody has changed anything yet."}</p>`}
      <p class="muted after">The newest ${MOST}. All that are kept: <code>python -m runner audit</code>.</p></div>`;
  }}</${Answer}>`;
}
