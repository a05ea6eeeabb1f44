// The conversation: its turns, and asking.

import * as api from "./api.js";
import { announce, byId, count, el, icon, toast } from "./dom.js";
import { pageImage } from "./api.js";
import { lazyImage } from "./pictures.js";
import { documents, emit, go, narrow, on, place, view } from "./state.js";

class TalkLog extends HTMLElement {
  #session = null;
  #running = null;
  #loading = 0;

  connectedCallback() {
    this.setAttribute("aria-label", "Conversation");
    this.setAttribute("role", "region");
    this.tabIndex = 0;
    this.log = el("div", { class: "log" });
    on("ask", (given) => this.ask(given));
    on("stop", () => this.#running?.abort());
    on("documents", () => { if (!this.log.childElementCount) this.#hello(); });
    on("session-renamed", ({ session_id, title }) => { if (session_id === this.#session) this.#title(title); });
    on("session-removed", (id) => { if (id === this.#session) this.open(null); });
  }

  get busy() { return this.#running !== null; }

  /** The last turn on the page, or null. */
  get last() { return this.log.lastElementChild; }

  #title(text) {
    byId("talk-title").textContent = text || "New conversation";
    document.title = text ? `${text} · hydra_rag` : "hydra_rag";
  }

  #hello() {
    const pages = [...documents.values()].reduce((sum, one) => sum + one.pages, 0);
    const shelf = [...documents.values()].filter((one) => one.pages > 0).slice(0, 6);
    const drop = el("button", { type: "button", class: "hello-drop", onclick: () => emit("choose-files") },
      icon("mark", "drop-mark"),
      el("span", {}, el("strong", { text: "Drop files here, or choose them" }),
        el("span", { text: "PDF, images, Office, text and Markdown. They stay on this server." })));
    this.replaceChildren(el("div", { class: "hello" },
      el("h2", {}, "Ask, and see ", el("span", { class: "hello-mark", text: "where it says so" }), "."),
      el("p", { text: shelf.length
        ? `${count(documents.size, "document")} with ${count(pages, "page")} can be asked. Every answer is marked on the page it was read from.`
        : "One model looks at your pages, answers, and marks the place on the page it read the answer from." }),
      shelf.length ? el("div", { class: "hello-shelf" }, ...shelf.map((one) =>
        el("button", { type: "button", title: one.document, "aria-label": `Open ${one.document}`,
          onclick: () => emit("open-page", { document_id: one.document_id, document: one.document, page: 1 }) },
          lazyImage(pageImage(one.document_id, 1, 240), "")))) : drop));
  }

  #showLog() {
    if (this.firstElementChild !== this.log) this.replaceChildren(this.log);
  }

  /** Open a stored conversation, or an empty one. */
  async open(session_id) {
    this.#running?.abort();
    this.#session = session_id;
    const ticket = ++this.#loading;
    if (place().talk !== session_id) go({ talk: session_id });
    this.log.replaceChildren();
    emit("session-open", session_id);
    if (!session_id) {
      this.#title("");
      this.#hello();
      return;
    }
    try {
      const found = await api.session(session_id);
      if (ticket !== this.#loading) return;
      this.#title(found.session.title);
      this.#showLog();
      this.log.append(...this.#before(session_id, ticket, found));
      this.#reveal(this.last);
      if (found.turns.some((turn) => turn.status === "running")) this.#follow(session_id, ticket);
    } catch (error) {
      if (ticket !== this.#loading) return;
      toast(error.status === 404 ? "That conversation is gone." : error.message, true);
      this.open(null);
    }
  }

  /** Stored turns, behind a button for those that were asked before them. */
  #before(session_id, ticket, { turns, has_more }) {
    const nodes = turns.map((turn) => {
      const node = el("chat-turn");
      node.turn = turn.status === "running" ? { ...turn, status: "interrupted" } : turn;
      return node;
    });
    if (!has_more || !turns.length) return nodes;
    const fetch = async () => {
      button.disabled = true;
      try {
        const found = await api.session(session_id, turns[0].turn_id);
        if (ticket !== this.#loading) return;
        const below = this.scrollHeight - this.scrollTop;
        button.replaceWith(...this.#before(session_id, ticket, found));
        this.scrollTop = this.scrollHeight - below;
        announce(`${count(found.turns.length, "earlier question")} shown.`);
      } catch (error) {
        button.disabled = false;
        toast(error.message, true);
      }
    };
    const button = el("button", { type: "button", class: "text-button", text: "Earlier questions", onclick: fetch });
    return [button, ...nodes];
  }

  /** A turn that another tab or client is waiting for: show it when it is done. */
  async #follow(session_id, ticket) {
    const node = this.last;
    node.turn = { ...node.turn, status: "running" };
    node.finish({ status: "running" });
    for (let wait = 1000; wait < 60_000; wait *= 1.3) {
      await new Promise((done) => setTimeout(done, wait));
      if (ticket !== this.#loading || this.busy) return;
      const turn = (await api.session(session_id).catch(() => null))?.turns.at(-1);
      if (turn && turn.status !== "running") {
        node.turn = turn;
        return;
      }
    }
  }

  #bottom() {
    this.scrollTop = this.scrollHeight;
  }

  /** All of a turn where it fits, else from its question on: an answer is read from its beginning. */
  #reveal(node) {
    if (node) this.scrollTop += node.getBoundingClientRect().top - this.getBoundingClientRect().top - 16;
  }

  #near() {
    return this.scrollHeight - this.scrollTop - this.clientHeight < 160;
  }

  async ask({ question, picture = null, options = {} }) {
    if (this.busy) return;
    view("talk");
    const node = el("chat-turn");
    node.turn = { question, picture };
    this.#showLog();
    this.log.append(node);
    this.#bottom();
    const run = new AbortController();
    this.#running = run;
    const ticket = this.#loading;
    emit("busy", true);
    announce("Asked. Searching the pages.");
    const first = this.#session === null;
    let stay = true;
    try {
      let ended = false;
      const body = { question, session_id: this.#session, ...(picture ? { image: picture } : {}), ...options };
      for await (const { name, data } of api.ask(body, run.signal)) {
        stay = this.#near();
        if (name === "started") {
          this.#session = data.session_id;
          go({ talk: data.session_id });
          node.started(data);
          if (first) this.#title(question.slice(0, 80));
          emit("session-open", data.session_id);
          if (first) emit("sessions-changed");
        } else if (name === "step") node.step(data);
        else if (name === "delta") node.delta(data);
        else if (name === "answer") {
          ended = true;
          node.finish(data);
        } else if (name === "error") throw api.problem(data, 500);
        if (stay) this.#bottom();
      }
      if (!ended) throw new api.ApiError("The connection ended before the answer did.", "lost", 0);
      if (ticket === this.#loading && !narrow()) node.show(0, true);
    } catch (error) {
      emit("no-evidence");
      if (error.name === "AbortError") node.stop("interrupted");
      else node.stop("failed", error.message);
    } finally {
      if (this.#running === run) this.#running = null;
      emit("busy", false);
      emit("sessions-changed");
      if (stay && ticket === this.#loading) this.#reveal(node);
    }
  }
}

customElements.define("talk-log", TalkLog);
