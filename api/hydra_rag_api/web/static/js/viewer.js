// One page, with what was found on it.

import * as api from "./api.js";
import { announce, count, el, iconButton, toast } from "./dom.js";
import { Heat } from "./heat.js";
import { Stage } from "./stage.js";
import { documents, emit, go, on, setting } from "./state.js";
import { copy } from "./turn.js";

class PageViewer extends HTMLElement {
  #spot = null;
  #ticket = 0;
  #details = new Map();

  connectedCallback() {
    this.stage = new Stage(() => this.#moved());
    this.heat = new Heat(this.stage.canvas);
    this.title_ = el("h2", { class: "desk-title" });
    this.number = el("span", { class: "page-number" });
    this.before = iconButton("back", "Page before ([)", () => this.turn(-1));
    this.after = iconButton("next", "Page after (])", () => this.turn(1));
    this.zoomed = el("button", { type: "button", class: "zoom-value", title: "Whole page (0)", onclick: () => this.stage.fit() });
    this.aim = iconButton("target", "Zoom to the evidence (b)", () => this.stage.target());
    this.warm = iconButton("heat", "Heat map (h)", () => this.toggleHeat(), { "aria-pressed": "false" });
    const bar = el("div", { class: "desk-bar", role: "toolbar", "aria-label": "Page" },
      iconButton("grid", "All pages", () => emit("browse")), this.title_, this.before, this.number, this.after,
      el("span", { class: "tool-gap tool-zoom" }),
      zoomButton("minus", "Farther (−)", () => this.stage.zoom(1 / 1.3)), this.zoomed, zoomButton("plus", "Closer (+)", () => this.stage.zoom(1.3)),
      this.aim, this.warm, iconButton("link", "Copy a link to this place", () => copy(location.href)));
    this.append(bar, el("div", { class: "viewer" }, this.stage.node, this.heat.node));
    on("document-removed", (id) => { this.#details.delete(id); if (this.#spot?.document_id === id) emit("browse"); });
  }

  get spot() { return this.#spot; }

  /** `spot`: {document_id, document, page, marks?, focus?, query?, whole?}. */
  async show(spot) {
    const ticket = ++this.#ticket;
    const same = this.#spot && this.#spot.document_id === spot.document_id && this.#spot.page === spot.page && this.stage.image?.complete;
    this.#spot = { query: this.#spot?.query ?? "", ...spot };
    const details = await this.#about(spot.document_id);
    if (ticket !== this.#ticket) return;
    const name = details?.document ?? spot.document ?? "A document";
    const pages = details?.page_list ?? [];
    const page = pages.find((one) => one.page === spot.page);
    this.title_.replaceChildren(name, ...(page?.label && page.label !== String(spot.page) ? [el("span", { text: ` · ${page.label}` })] : []));
    this.title_.title = name;
    this.number.textContent = `${spot.page} / ${pages.length || "?"}`;
    this.number.setAttribute("aria-label", `Page ${spot.page} of ${pages.length || "unknown"}`);
    this.before.disabled = spot.page <= 1;
    this.after.disabled = pages.length > 0 && spot.page >= pages.length;
    const marks = (spot.marks ?? []).filter((mark) => mark.box);
    this.aim.disabled = marks.length === 0;
    go({ page: { document_id: spot.document_id, page: spot.page }, box: marks[spot.focus ?? 0]?.box ?? null });
    if (!same && !await this.stage.load(spot.document_id, spot.page, `Page ${spot.page} of ${name}`, page)) return;
    if (ticket !== this.#ticket) return;
    this.stage.mark(marks, spot.focus ?? 0);
    // A new page lies fitted already; who has zoomed while its picture was loading stays there.
    if (marks.length && !spot.whole) this.stage.target(Boolean(same));
    if (marks.length && !spot.quietly) announce(`${name}, page ${spot.page}: ${count(marks.length, "place")} marked.`);
    if (setting("heat-on") === "yes" && this.#spot.query) await this.#showHeat();
    else this.#hideHeat();
  }

  async #about(document_id) {
    if (!this.#details.has(document_id)) {
      try {
        this.#details.set(document_id, await api.document_(document_id));
      } catch {
        return documents.get(document_id) ? { document: documents.get(document_id).document, page_list: [] } : null;
      }
    }
    return this.#details.get(document_id);
  }

  turn(step) {
    if (!this.#spot || (step < 0 ? this.before : this.after).disabled) return;
    this.show({ ...this.#spot, page: this.#spot.page + step, marks: [], focus: 0 });
  }

  toggleHeat() {
    if (this.heat.on) {
      setting("heat-on", null);
      this.#hideHeat();
      return;
    }
    if (!this.#spot?.query) {
      toast("Ask or search first: the heat map shows where a page is like the question.");
      return;
    }
    setting("heat-on", "yes");
    this.#showHeat();
  }

  #hideHeat() {
    this.heat.hide();
    this.warm.setAttribute("aria-pressed", "false");
  }

  async #showHeat() {
    const { document_id, page, query } = this.#spot;
    this.warm.setAttribute("aria-pressed", "true");
    try {
      await this.heat.show(document_id, page, query, this.stage.camera.page);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.#hideHeat();
      toast(error.message, true);
    }
  }

  #moved() {
    this.zoomed.textContent = `${Math.round(this.stage.camera.scale * 100)} %`;
    this.zoomed.setAttribute("aria-label", `Zoom ${this.zoomed.textContent}; show the whole page`);
  }
}

/** Not on phones, where two fingers do it. */
function zoomButton(...given) {
  const button = iconButton(...given);
  button.classList.add("tool-zoom");
  return button;
}

customElements.define("page-viewer", PageViewer);
