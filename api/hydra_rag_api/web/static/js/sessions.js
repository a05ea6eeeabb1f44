// Earlier conversations.

import * as api from "./api.js";
import { confirm, count, el, icon, iconButton, menu, toast } from "./dom.js";
import { emit, on } from "./state.js";

/** More of them would push the documents out of sight. */
const SHOWN = 8;

class SessionList extends HTMLElement {
  #current = null;
  #sessions = [];
  #all = false;
  #older = false;
  #late = false;

  connectedCallback() {
    this.list = el("div");
    this.append(
      el("button", { type: "button", class: "button new-talk", onclick: () => emit("new-talk") }, icon("plus"), "New conversation"),
      el("div", { class: "rail-head" }, el("h2", { text: "Conversations" })), this.list);
    // A menu that has closed is removed by then.
    this.list.addEventListener("toggle", () => setTimeout(() => { if (this.#late) this.#draw(); }), true);
    on("sessions-changed", () => this.load());
    on("session-open", (id) => { this.#current = id; this.#draw(); });
  }

  async load() {
    try {
      const found = await api.sessions();
      this.#sessions = found.sessions;
      this.#older = found.has_more;
      this.#draw();
    } catch (error) {
      this.list.replaceChildren(el("p", { class: "rail-empty", text: error.message }));
    }
  }

  async #fetchOlder() {
    const last = this.#sessions.length;
    try {
      const found = await api.sessions(this.#sessions.at(-1).session_id);
      this.#sessions.push(...found.sessions);
      this.#older = found.has_more;
    } catch (error) {
      toast(error.message, true);
    }
    this.#draw();
    this.list.querySelectorAll(".row-main")[last]?.focus();
  }

  #draw() {
    // Nobody's menu or name is taken away under their hands; what is new is shown afterwards.
    this.#late = this.list.querySelector(".menu, .row > input") !== null;
    if (this.#late) return;
    if (!this.#sessions.length) {
      this.list.replaceChildren(el("p", { class: "rail-empty", text: "What you ask is kept here." }));
      return;
    }
    const groups = new Map();
    const open = this.#sessions.findIndex((session) => session.session_id === this.#current);
    const shown = this.#all ? this.#sessions : this.#sessions.slice(0, Math.max(SHOWN, open + 1));
    for (const session of shown) {
      const day = dayOf(session.updated);
      groups.set(day, [...(groups.get(day) ?? []), session]);
    }
    this.list.replaceChildren(...[...groups].flatMap(([day, sessions]) => [
      el("h3", { class: "day", text: day }),
      el("ul", {}, ...sessions.map((session) => this.#row(session)))]));
    if (this.#all && this.#older) {
      this.list.append(el("button", { type: "button", class: "text-button rail-all", text: "Older ones", onclick: () => this.#fetchOlder() }));
    }
    if (this.#sessions.length > SHOWN) {
      const text = this.#all ? "Show fewer" : this.#older ? "Show more" : `Show all ${this.#sessions.length}`;
      this.list.append(el("button", { type: "button", class: "text-button rail-all", text, onclick: () => { this.#all = !this.#all; this.#draw(); [...this.querySelectorAll(".rail-all")].at(-1)?.focus(); } }));
    }
  }

  #row(session) {
    const open = session.session_id === this.#current;
    const row = el("li", { class: "row", "data-current": open });
    const more = iconButton("more", `More about: ${session.title ?? "Untitled"}`, () => this.#menu(more, row, session), { "aria-haspopup": "menu", "aria-expanded": "false" });
    more.classList.add("small", "row-more");
    row.append(el("button", { type: "button", class: "row-main", "aria-current": open ? "page" : null, title: session.title,
      onclick: () => emit("open-talk", session.session_id) }, el("span", { class: "row-name", text: session.title || "Untitled" })), more);
    return row;
  }

  #menu(anchor, row, session) {
    menu(anchor, [
      { icon: "pen", text: "Rename", run: () => this.#rename(row, session) },
      { icon: "save", text: "Save as a file", run: () => el("a", { href: api.sessionFile(session.session_id), download: "" }).click() },
      { icon: "bin", text: "Remove", bad: true, run: () => this.#remove(session) },
    ]);
  }

  #rename(row, session) {
    const input = el("input", { type: "text", value: session.title ?? "", "aria-label": "Name of the conversation", maxlength: 200 });
    let done = false;
    const end = async (keep) => {
      if (done) return;
      done = true;
      const title = input.value.trim();
      if (keep && title && title !== session.title) {
        try {
          await api.renameSession(session.session_id, title);
          for (const known of this.#sessions) {  // perhaps loaded anew meanwhile
            if (known.session_id === session.session_id) known.title = title;
          }
          emit("session-renamed", { session_id: session.session_id, title });
        } catch (error) {
          toast(error.message, true);
        }
      }
      input.remove();
      this.#draw();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") { event.stopPropagation(); end(false); }
    });
    input.addEventListener("blur", () => end(true));
    row.replaceChildren(input);
    input.focus();
    input.select();
  }

  async #remove(session) {
    const what = `“${session.title ?? "Untitled"}” with ${count(session.turns, "question")} and everything that was looked at.`;
    if (!await confirm("Remove this conversation?", what)) return;
    try {
      await api.removeSession(session.session_id);
      emit("session-removed", session.session_id);
      await this.load();
    } catch (error) {
      toast(error.message, true);
    }
  }
}

function dayOf(stamp) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const days = Math.ceil((midnight - new Date(stamp)) / 86_400_000);
  if (!(days > 0)) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 8) return "This week";
  return new Date(stamp).toLocaleDateString("en", { month: "long", year: "numeric" });
}

customElements.define("session-list", SessionList);
