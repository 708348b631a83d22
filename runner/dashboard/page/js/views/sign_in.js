// Who is not let in: by a key, which goes to the service once and becomes a cookie that no script can read, or by an app that has users of its own.
import { html, useState } from "../../vendor/htm-preact.js";
import { useAct, Wrong } from "../dialogs.js";
import { useFetched } from "../fetched.js";
import { Icon } from "../icons.js";
import { live, signIn, signOut } from "../live.js";

/** Whether keys open this service; undefined until it has said so. An app that lets strangers ask not even this has users of its own. */
function useByKey() {
  const { data, problem, loading } = useFetched("ui/door", {}, 0);
  if (loading) return undefined;
  return data ? data.by_key : problem.status !== 401 && problem.status !== 403;
}

export function SignIn({ why }) {
  const byKey = useByKey();
  if (byKey === undefined) return null;
  return byKey ? html`<${KeyForm} why=${why} />` : html`<div class="empty" role="alert"><h1>Sign in first</h1>
    <p>This page is part of an app with users of its own. It said:</p><pre>${live.said}</pre><p><button onClick=${() => location.reload()}>Load the page again</button></p></div>`;
}

function KeyForm({ why }) {
  const [key, setKey] = useState(""), [problem, busy, run] = useAct();
  return html`<div class="empty sign-in"><${Icon} name="key" size=${28} /><h1>A key is needed</h1>
    <p>${why || "This queue has keys. Whoever can reach Redis makes one:"}</p><pre>python -m runner keys create wall-screen --preset observer</pre>
    <form onSubmit=${(e) => { e.preventDefault(); run(() => signIn(key.trim())); }}>
      <label class="field"><span>Key</span><input type="password" autocomplete="current-password" spellcheck="false" autofocus required placeholder="mr1_…" value=${key} onInput=${(e) => setKey(e.target.value)} /></label>
      <${Wrong} problem=${problem} />
      <footer><button class="primary" disabled=${busy || !key.trim()}>Look</button></footer></form></div>`;
}

/** Somebody who is known, and may not see the queue. */
export function Shut({ why }) {
  return html`<div class="empty" role="alert"><h1>You may not see this</h1><p>${why}</p>${useByKey() && html`<p><button onClick=${signOut}>Use another key</button></p>`}</div>`;
}
