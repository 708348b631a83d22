// Sign in: the key goes to the service once, which gives the browser a cookie that no script can read.
import { html, useState } from "../../vendor/htm-preact.js";
import { useAct, Wrong } from "../dialogs.js";
import { Icon } from "../icons.js";
import { signIn } from "../live.js";

export function SignIn({ why }) {
  const [key, setKey] = useState(""), [problem, busy, run] = useAct();
  return html`<div class="empty sign-in"><${Icon} name="key" size=${28} /><h1>A key is needed</h1>
    <p>${why || "This queue has keys. Whoever can reach Redis makes one:"}</p><pre>python -m runner keys create wall-screen --preset observer</pre>
    <form onSubmit=${(e) => { e.preventDefault(); run(() => signIn(key.trim())); }}>
      <label class="field"><span>Key</span><input type="password" autocomplete="current-password" spellcheck="false" autofocus required placeholder="mr1_…" value=${key} onInput=${(e) => setKey(e.target.value)} /></label>
      <${Wrong} problem=${problem} />
      <footer><button class="primary" disabled=${busy || !key.trim()}>Look</button></footer></form></div>`;
}
