// What the page asks of the service: JSON by path, and a stream of events. Errors are the service's problem documents.

const BASE = new URL("../", document.baseURI); // the page is at BASE/ui/
const OWN = { "X-Runner-Page": "1" }; // no page of another site can send it

/** What the service said instead of an answer; status 0: nothing came back. */
class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `the service answered ${status}`);
    this.status = status;
    this.kind = (document.type || "").split("/").pop();
  }
}

/** Raises the Problem of an answer that is none. A redirect comes from an app around this page whose session has ended: it leads to its sign-in. */
async function check(response) {
  if (response.type === "opaqueredirect") throw new Problem(401, { detail: "The app leads to its sign-in instead." });
  if (!response.ok) throw await problemOf(response);
}

async function problemOf(response) {
  let document = {};
  // What is no JSON is a page of a proxy, say.
  try { document = await response.json(); } catch {}
  return new Problem(response.status, document);
}

/** An address of the service, with the parameters that are not empty. */
function address(path, query) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) if (one != null && one !== "") url.searchParams.append(name, one);
  return url;
}

/** Ask for a path like "v1/limits", with the parameters that are not empty. `body` is sent as JSON. */
export async function ask(path, { query = {}, method = "GET", body, headers = {}, signal } = {}) {
  const sent = body === undefined ? headers : { "Content-Type": "application/json", ...headers };
  let response;
  try {
    response = await fetch(address(path, query), { method, headers: { ...OWN, ...sent }, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store", redirect: "manual" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The service does not answer." });
  }
  await check(response);
  return response.status === 204 ? null : response.json();
}

/** A part of a path, like the name of a limit. */
export const part = encodeURIComponent;

/**
 * Follow a stream of server-sent events until it ends: `on(event, data, id)`. It is read by fetch, which tells the status of a refusal,
 * as EventSource does not. Resolves when the service ends it, rejects with a Problem.
 */
export async function follow(path, { query = {}, lastId, on, signal }) {
  try {
    const response = await fetch(address(path, query), { headers: { ...OWN, Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) }, signal, cache: "no-store", redirect: "manual" });
    await check(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) tell(text.slice(0, end), on);
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof Problem) throw error;
    throw new Problem(0, { detail: "The connection is lost." });
  }
}

function tell(block, on) {
  let event = "message", id = "", data = "";
  for (const line of block.split("\n")) {
    const at = line.indexOf(":"), name = line.slice(0, at), value = line.slice(at + 1).trimStart();
    if (name === "event") event = value;
    else if (name === "id") id = value;
    else if (name === "data") data += value;
  }
  if (data) on(event, JSON.parse(data), id);
}
