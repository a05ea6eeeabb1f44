// All pages, and searching them.

import * as api from "./api.js";
import { announce, count, el, icon } from "./dom.js";
import { lazyImage } from "./pictures.js";
import { documents, emit, on } from "./state.js";
import { marksOf } from "./trace.js";

const SHOWN = 60;
const FEW = 3;
/** Documents at a time. */
const SHELVES = 60;

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const spotOf = ({ document_id, document }, page) => ({ document_id, document, page });

class PageBrowser extends HTMLElement {
  #ticket = 0;

  connectedCallback() {
    this.input = el("input", { type: "search", id: "page-search", placeholder: "Search pages", "aria-label": "Search pages", autocomplete: "off", maxlength: 1000,
      oninput: () => { if (!this.input.value) this.#all(); } });
    const form = el("form", { class: "search", role: "search", onsubmit: (event) => { event.preventDefault(); this.#search(this.input.value.trim()); } },
      icon("search"), this.input);
    this.room = el("div", { class: "browse", tabindex: 0, role: "region", "aria-label": "Pages" });
    this.append(el("div", { class: "desk-bar" }, form), this.room);
    on("documents", () => { if (!this.input.value) this.#all(); });
    this.#all();
  }

  #all() {
    this.#ticket += 1;
    const shelves = [...documents.values()].filter((one) => one.pages > 0);
    if (!shelves.length) {
      this.room.replaceChildren(el("div", { class: "desk-empty" }, icon("page", ""), el("p", { text: "Pages of your documents lie here, and the place an answer was read from." })));
      return;
    }
    this.room.replaceChildren();
    this.#lay(shelves);
  }

  /** Some documents, and a button for the others. */
  #lay(shelves) {
    const now = shelves.slice(0, SHELVES);
    const later = shelves.slice(SHELVES);
    // Short documents share a shelf, so that they do not waste a row each.
    const short = now.filter((one) => one.pages <= FEW);
    const together = el("div", { class: "sheets" }, ...short.flatMap((one) =>
      range(1, one.pages).map((page) => this.#sheet(spotOf(one, page), one.document, one.pages > 1))));
    this.room.append(...(short.length ? [together] : []),
      ...now.filter((one) => one.pages > FEW).map((one) => this.#shelf(one)));
    if (later.length) {
      const button = el("button", { type: "button", class: "button", text: count(later.length, "more document"), onclick: () => { button.remove(); this.#lay(later); } });
      this.room.append(button);
    }
  }

  #shelf(one) {
    const sheets = el("div", { class: "sheets" });
    const more = (from) => {
      const to = Math.min(one.pages, from + SHOWN);
      sheets.append(...range(from + 1, to).map((page) => this.#sheet(spotOf(one, page), `${page}`, false)));
      if (to < one.pages) {
        const button = el("button", { type: "button", class: "button", text: `${count(one.pages - to, "more page")}`, onclick: () => { button.remove(); more(to); } });
        sheets.append(button);
      }
    };
    more(0);
    return el("section", { class: "shelf", "aria-label": one.document },
      el("div", { class: "shelf-head" }, el("h2", { text: one.document, title: one.document }), el("span", { text: count(one.pages, "page") })), sheets);
  }

  #sheet(spot, text, numbered, extra = {}, rank = null) {
    return el("button", { type: "button", class: "sheet", "aria-label": `Open ${spot.document}, page ${spot.page}${rank ? `, rank ${rank}` : ""}`,
      onclick: () => emit("open-page", { ...spot, ...extra }) },
      el("span", { class: "sheet-pic" }, lazyImage(api.pageImage(spot.document_id, spot.page, 320), ""), rank ? el("span", { class: "rank", text: rank }) : null),
      // A long name is cut, never the number behind it.
      el("span", { class: "sheet-name" }, el("span", { text }), numbered ? el("span", { text: ` · ${spot.page}` }) : null));
  }

  async #search(query) {
    if (!query) {
      this.#all();
      return;
    }
    const ticket = ++this.#ticket;
    this.room.setAttribute("aria-busy", "true");
    try {
      const { hits } = await api.search(query, 24, "hybrid");
      if (ticket !== this.#ticket) return;
      if (!hits.length) {
        this.room.replaceChildren(el("div", { class: "desk-empty" }, icon("none", ""), el("p", { text: "No page fits that search. Fewer words, or others, may find one." })));
      } else {
        const sheets = hits.map((hit) => this.#sheet(hit, hit.document, true, { query, marks: marksOf(hit.regions, "region"), whole: true }, hit.rank));
        this.room.replaceChildren(el("section", { class: "shelf" },
          el("div", { class: "shelf-head" }, el("h2", { text: `Pages like “${query}”` }), el("span", { text: count(hits.length, "page") })),
          el("div", { class: "sheets" }, ...sheets)));
      }
      this.room.scrollTop = 0;
      announce(hits.length ? `${count(hits.length, "page")} found.` : "No page fits that search.");
    } catch (error) {
      if (ticket === this.#ticket) this.room.replaceChildren(el("div", { class: "desk-empty" }, icon("warn", ""), el("p", { text: error.message })));
    } finally {
      if (ticket === this.#ticket) this.room.removeAttribute("aria-busy");
    }
  }

  focusSearch() {
    this.input.focus();
    this.input.select();
  }
}

customElements.define("page-browser", PageBrowser);
