// What the parts of the page tell each other, and the place in the address (so that a reload or a link comes back to it).

const hub = new EventTarget();

export const on = (name, listener) => hub.addEventListener(name, (event) => listener(event.detail));
export const emit = (name, detail) => hub.dispatchEvent(new CustomEvent(name, { detail }));

/** Documents by id, as last listed. */
export const documents = new Map();

/** {talk, page: {document_id, page} | null, box: [l, t, r, b] | null} */
export function place() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [document_id, page] = (given.get("page") ?? "").split("/");
  const box = (given.get("box") ?? "").split(",").map(Number);
  return {
    talk: given.get("talk"),
    page: document_id && Number(page) >= 1 ? { document_id, page: Number(page) } : null,
    box: box.length === 4 && box.every(Number.isFinite) ? box : null,
  };
}

/** Change parts of the place. A new conversation gets an entry in the history, looking around does not. */
export function go(change) {
  const next = { ...place(), ...change };
  const parts = [];
  if (next.talk) parts.push(`talk=${encodeURIComponent(next.talk)}`);
  if (next.page) parts.push(`page=${encodeURIComponent(next.page.document_id)}/${next.page.page}`);
  if (next.page && next.box) parts.push(`box=${next.box.join(",")}`);
  const hash = parts.length ? `#${parts.join("&")}` : location.pathname + location.search;
  const pushes = "talk" in change && change.talk !== place().talk;
  history[pushes ? "pushState" : "replaceState"](null, "", hash);
}

/** Show one of the three views (matters on phones only). */
export function view(name) {
  document.body.dataset.view = name;
  for (const button of document.querySelectorAll("[data-goto]")) {
    button.setAttribute("aria-pressed", String(button.dataset.goto === name));
  }
}

export const narrow = () => matchMedia("(max-width: 47.5rem)").matches;

const memory = new Map();

/** A setting kept in this browser (or for this visit, where storage is blocked). */
export function setting(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(`hydra.${name}`);
    if (value === null) localStorage.removeItem(`hydra.${name}`);
    else localStorage.setItem(`hydra.${name}`, value);
  } catch {
    if (value === undefined) return memory.get(name) ?? null;
    memory.set(name, value);
  }
  return value;
}
