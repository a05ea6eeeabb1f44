// Puts the parts together.

import "./askbox.js";
import "./browser.js";
import "./library.js";
import "./sessions.js";
import "./talk.js";
import "./trace.js";
import "./turn.js";
import "./viewer.js";
import { me, signOut } from "./api.js";
import { byId } from "./dom.js";
import { keys } from "./keys.js";
import { documents, emit, go, narrow, on, place, view } from "./state.js";
import { theme } from "./theme.js";

const part = (name) => document.querySelector(name);
const [talk, viewer, browser, sessions, library] = ["talk-log", "page-viewer", "page-browser", "session-list", "document-list"].map(part);

function browse() {
  viewer.hidden = true;
  browser.hidden = false;
  go({ page: null, box: null });
}

/** Another conversation, and the evidence of its last answer: never that of the one before. */
async function openTalk(id) {
  browse();
  await talk.open(id);
  if (!narrow() && viewer.hidden) talk.last?.show(0, true);
}

function drawer(open) {
  document.body.dataset.rail = open ? "open" : "closed";
  byId("menu").setAttribute("aria-expanded", String(open));
}

on("open-page", (spot) => {
  viewer.hidden = false;
  browser.hidden = true;
  drawer(false);
  if (!spot.quietly) view("desk");
  viewer.show(spot);
});
on("browse", () => {
  browse();
  browser.room.focus();
});
on("no-evidence", browse);
on("open-talk", (id) => { drawer(false); view("talk"); openTalk(id); });
on("new-talk", () => { drawer(false); view("talk"); openTalk(null); byId("question").focus(); });
on("scope", () => { drawer(false); view("talk"); });

byId("menu").addEventListener("click", () => drawer(document.body.dataset.rail !== "open"));
document.addEventListener("pointerdown", (event) => {
  if (document.body.dataset.rail === "open" && !event.target.closest("#rail, #menu, dialog, .menu")) drawer(false);
});
for (const button of document.querySelectorAll("[data-goto]")) button.addEventListener("click", () => view(button.dataset.goto));

theme(byId("theme"));
keys({ talk, viewer, browser, closeDrawer: () => drawer(false) });

/** The page and the box that an address names. */
function arrive({ talk: talking, page, box }) {
  if (!page) return;
  const marks = box ? [{ box, kind: "cite" }] : [];
  const { document: name } = documents.get(page.document_id) ?? {};
  const query = talk.last?.turn?.question ?? "";
  viewer.hidden = false;
  browser.hidden = true;
  if (!talking) view("desk"); // a citation that somebody followed, not a reload
  viewer.show({ ...page, document: name, marks, query });
}

let arrivals = 0;
addEventListener("popstate", async () => {
  const [to, mine] = [place(), ++arrivals];
  await openTalk(to.talk);
  if (mine === arrivals) arrive(to);
});

const start = place();
await library.load();
sessions.load();
await talk.open(start.talk);
arrive(start);
if (!narrow()) byId("question").focus();
document.documentElement.dataset.ready = "yes";

/** What the server is about to do, until it can answer; and who it takes us for. */
async function greet() {
  for (let wait = 1000; ; wait = Math.min(wait * 1.4, 8000)) {
    const found = await me().catch(() => null);
    byId("sign-out").hidden = found?.auth !== "cookie";
    emit("server", found?.status ?? "away");
    if (found?.status === "ready" || found?.status === "failed") return;
    await new Promise((done) => setTimeout(done, wait));
  }
}

byId("sign-out").addEventListener("click", async () => {
  await signOut().catch(() => {});
  location.reload();
});
greet();
