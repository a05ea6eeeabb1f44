// Every address of the HTTP interface that the page uses. Addresses are relative: the page works below any prefix.

import { byId } from "./dom.js";
import { events } from "./sse.js";

/** What the server said was wrong. `code` is its name, `status` the HTTP status (0: no answer at all). */
export class ApiError extends Error {
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

let asking = null;

/** Ask for a key and trade it for a cookie that scripts can't read; one dialog, however many requests wait for it. */
function signIn() {
  asking ??= new Promise((done) => {
    const dialog = byId("key");
    byId("key-error").hidden = true;
    byId("key-value").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", async () => {
      const key = byId("key-value").value.trim();
      asking = null;
      if (dialog.returnValue !== "yes" || !key) {
        done(false);
        return;
      }
      const answer = await fetch("api/login", send("POST", { key })).catch(() => null);
      if (answer?.ok) {
        done(true);
        return;
      }
      const again = signIn();
      byId("key-error").hidden = false;
      done(again);
    }, { once: true });
  });
  return asking;
}

/** fetch, with errors as ApiError; signs in where a key is asked for. */
async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server does not answer. Is it still running?", "unreachable", 0);
  }
  if (response.ok) return response;
  if (response.status === 401 && await signIn()) return call(path, options);
  throw problem(await response.json().catch(() => ({})), response.status);
}

/** What a problem document (RFC 9457) says, as an error. */
export function problem(body, status) {
  const text = typeof body.detail === "string" ? body.detail : body.error?.message ?? body.title;
  return new ApiError(text ?? `The server answered ${status}.`, body.error?.code ?? "error", body.status ?? status);
}

const json = async (path, options) => (await call(path, options)).json();

const send = (method, body) => ({ method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

const id = encodeURIComponent;

async function* stream(path, options) {
  const headers = { Accept: "text/event-stream", ...options.headers };
  const response = await call(path, { ...options, headers });
  for await (const event of events(response.body)) {
    yield { name: event.event, id: event.id, data: JSON.parse(event.data) };
  }
}

const some = (path, asked) => {
  const given = Object.entries(asked).filter(([, value]) => value !== null);
  return json(given.length ? `${path}?${new URLSearchParams(given)}` : path);
};

/** All of them; the server gives a thousand at a time. */
export async function documents() {
  const found = [];
  for (let more = true; more;) {
    const part = await some("api/documents", { limit: 1000, after: found.at(-1)?.document_id ?? null });
    found.push(...part.documents);
    more = part.has_more && part.documents.length > 0;
  }
  return found;
}

/** Its pages are in `page_list`: {page, width, height, label, has_text, text_source}. */
export const document_ = (document) => json(`api/documents/${id(document)}`);
export const removeDocument = (document) => call(`api/documents/${id(document)}`, { method: "DELETE" });

/** Hand files over. Answers the job ({job_id, state, files}) as soon as the server has them all. */
export function upload(files) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  return json("api/documents", { method: "POST", body: form });
}

/** The job each time it changes; the last one under the name `done`. Comes back by itself when the line breaks. */
export async function* jobEvents(job, signal) {
  let last = null;
  for (let tries = 0; tries < 5; tries += 1) {
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      for await (const event of stream(`api/jobs/${id(job)}/events`, { signal, headers })) {
        last = event.id ?? last;
        tries = 0;
        yield event;
        if (event.name === "done") return;
      }
    } catch (error) {
      if (error.name === "AbortError" || (error.status >= 400 && error.status < 500)) throw error;
    }
    await new Promise((done) => setTimeout(done, 400 * 2 ** tries));
  }
  throw new ApiError("The connection to the server was lost. What it has finished is kept.", "lost", 0);
}

export const cancelJob = (job) => call(`api/jobs/${id(job)}`, { method: "DELETE" });

export const search = (query, k, mode) => json("api/search", send("POST", { query, k, mode }));

/** A question, as events: started, delta, step, answer, then done or error. Aborting stops the model. */
export const ask = (question, signal) => stream("api/ask", { ...send("POST", question), signal });

/** {sessions, has_more}: the newest, or those behind the session `after`. */
export const sessions = (after = null) => some("api/sessions", { after });
/** {session, turns, has_more}: the last turns, or those before the turn `before`. */
export const session = (session_id, before = null) => some(`api/sessions/${id(session_id)}`, { before });
export const renameSession = (session_id, title) => json(`api/sessions/${id(session_id)}`, send("PATCH", { title }));
export const removeSession = (session_id) => call(`api/sessions/${id(session_id)}`, { method: "DELETE" });

export const feedback = (turn_id, rating) => call(`api/turns/${id(turn_id)}/feedback`, send("PUT", { rating }));
export const turnImage = (turn_id) => `api/turns/${id(turn_id)}/image.png`;
export const sessionFile = (session_id) => `api/sessions/${id(session_id)}/export?format=markdown`;

/** {tenant, auth: key | cookie | open, model, collection, status: starting | loading | ready | failed | stopping} */
export const me = () => json("api/me");
export const signOut = () => call("api/logout", { method: "POST" });

const pagePath = (document, page) => `api/documents/${id(document)}/pages/${page}`;
export const pageImage = (document, page, width) => `${pagePath(document, page)}.png${width ? `?width=${width}` : ""}`;

export function cropImage(document, page, [left, top, right, bottom], scale = 1) {
  return `${pagePath(document, page)}/crop.png?${new URLSearchParams({ left, top, right, bottom, scale })}`;
}

/** {tokens: [{index, text, weight}], boxes: [[l, t, r, b]...], values: [per box 0..1]}; of one token where it is named. */
export function heat(document, page, query, token, signal) {
  const asked = new URLSearchParams({ query, ...(token === null ? {} : { token }) });
  return json(`${pagePath(document, page)}/heatmap?${asked}`, { signal });
}
