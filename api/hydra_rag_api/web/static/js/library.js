// The documents: the list, adding files, and their progress.

import * as api from "./api.js";
import { announce, byId, confirm, count, el, iconButton, menu, size, toast } from "./dom.js";
import { lazyImage } from "./pictures.js";
import { documents, emit, on } from "./state.js";

/** From so many documents on there is a field to find one by its name. */
const MANY = 12;
/** Rows at a time; the others are found by name. */
const ROWS = 200;

class DocumentList extends HTMLElement {
  connectedCallback() {
    this.uploads = el("div", { class: "uploads" });
    this.list = el("ul", { class: "docs" });
    this.filter = el("input", { type: "search", class: "docs-filter", hidden: true, placeholder: "Find a document", "aria-label": "Find a document by name",
      oninput: () => this.#sift(), onkeydown: (event) => { if (event.key === "Escape" && this.filter.value) { event.stopPropagation(); this.filter.value = ""; this.#sift(); } } });
    this.file = el("input", { type: "file", multiple: true, hidden: true, id: "files", "aria-label": "Files to add",
      onchange: () => { this.add([...this.file.files]); this.file.value = ""; } });
    const add = iconButton("plus", "Add files", () => this.file.click());
    add.classList.add("small");
    this.append(el("div", { class: "rail-head" }, el("h2", { text: "Documents" }), add), this.uploads, this.filter, this.list, this.file,
      el("button", { type: "button", class: "drop", onclick: () => this.file.click() }, el("strong", { text: "Add files" }), "or drop them anywhere"));
    on("choose-files", () => this.file.click());
    this.#dropping();
  }

  async load() {
    try {
      const found = await api.documents();
      documents.clear();
      for (const one of found) documents.set(one.document_id, one);
      this.filter.hidden = found.length < MANY;
      this.#sift();
      emit("documents");
    } catch (error) {
      this.list.replaceChildren(el("li", { class: "rail-empty", text: error.message }));
    }
  }

  /** Only documents whose names hold all words of the filter. */
  #sift() {
    const words = this.filter.hidden ? [] : plain(this.filter.value).split(/\s+/);
    const fit = [...documents.values()].filter((one) => words.every((word) => plain(one.document).includes(word)));
    const rows = fit.slice(0, ROWS).map((one) => this.#row(one));
    const rest = fit.length - rows.length;
    if (rest) rows.push(el("li", { class: "rail-empty", text: `${count(rest, "more document")}: find them by name.` }));
    if (!fit.length && words.some(Boolean)) rows.push(el("li", { class: "rail-empty", text: "No document has that in its name." }));
    this.list.replaceChildren(...rows);
  }

  #row(one) {
    const note = one.status === "ready" ? `${count(one.pages, "page")} · ${size(one.bytes)}` : `${one.status}…`;
    const row = el("li", { class: "row doc-row" });
    const more = iconButton("more", `More about: ${one.document}`, () => menu(more, [
      { icon: "search", text: "Ask only this one", run: () => emit("scope", one.document_id) },
      { icon: "bin", text: "Remove", bad: true, run: () => this.#remove(one) },
    ]), { "aria-haspopup": "menu", "aria-expanded": "false" });
    more.classList.add("small", "row-more");
    const picture = lazyImage(api.pageImage(one.document_id, 1, 160), "");
    picture.className = "doc-thumb";
    row.append(el("button", { type: "button", class: "row-main", title: one.document,
      onclick: () => emit("open-page", { document_id: one.document_id, document: one.document, page: 1 }) }, picture,
      el("span", {}, el("span", { class: "row-name", text: one.document }), el("span", { class: "row-note", text: note }))), more);
    return row;
  }

  async #remove(one) {
    if (!await confirm("Remove this document?", `${one.document} with ${count(one.pages, "page")}. Answers that cite it keep their text, but not its pages.`)) return;
    try {
      await api.removeDocument(one.document_id);
      toast(`Removed ${one.document}.`);
    } catch (error) {
      toast(error.message, true);
    }
    await this.load();
    emit("document-removed", one.document_id);
  }

  // -- adding ------------------------------------------------------------------------------------------

  async add(files) {
    if (!files.length) return;
    const rows = files.map((file) => uploadRow(file.name));
    const stop = new AbortController();
    let job = null;
    for (const row of rows) {
      this.uploads.append(row.node);
      row.cancel = () => { stop.abort(); if (job) api.cancelJob(job).catch(() => {}); };
    }
    announce(`Adding ${count(files.length, "file")}.`);
    try {
      ({ job_id: job } = await api.upload(files));
      for await (const { data } of api.jobEvents(job, stop.signal)) {
        const ready = data.files.filter((file, index) => rows[index]?.show(file));
        if (ready.length) await this.load();
      }
      const failed = rows.filter((row) => row.failed).length;
      announce(failed ? `${count(failed, "file")} could not be read.` : "All files are ready to be asked.");
    } catch (error) {
      const message = error.name === "AbortError" ? "Cancelled" : error.message;
      for (const row of rows) row.fail(message);
      announce(message);
    }
    await this.load();
  }

  #dropping() {
    const veil = byId("drop-veil");
    const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let depth = 0;
    addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; veil.hidden = false; } });
    addEventListener("dragleave", (event) => { if (carries(event)) { depth = Math.max(0, depth - 1); veil.hidden = depth === 0; } });
    addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      depth = 0;
      veil.hidden = true;
      this.add([...event.dataTransfer.files]);
    });
  }
}

/** Without case and accents. */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();

/** A file on its way in. */
function uploadRow(name) {
  const bar = el("progress", { "aria-label": `Progress of ${name}`, max: 1 });
  const note = el("span", { class: "row-note", text: "Sending" });
  const close = iconButton("close", `Cancel ${name}`, () => (row.done ? row.node.remove() : row.cancel()));
  close.classList.add("small");
  const row = {
    node: el("div", { class: "upload" }, el("div", { class: "upload-line" }, el("span", { class: "upload-name", text: name, title: name }), close), bar, note),
    done: false,
    failed: false,
    cancel: () => {},
    /** How far the server is with it. True when it has just become ready. */
    show(file) {
      if (row.done) return false;
      bar.hidden = file.state === "queued";
      if (file.state === "queued") {
        note.textContent = "Waiting";
        return false;
      }
      if (file.state === "running") {
        if (file.pages_total) bar.value = file.pages_done / file.pages_total;
        note.textContent = file.pages_total ? `${file.pages_done} of ${count(file.pages_total, "page")}` : "Reading";
        return false;
      }
      if (file.state === "succeeded") {
        row.done = true;
        bar.value = 1;
        note.textContent = file.outcome === "unchanged" ? "Already there, unchanged" : `Ready, ${count(file.pages_done, "page")}`;
        setTimeout(() => row.node.remove(), 2500);
        return true;
      }
      row.fail(file.state === "cancelled" ? "Cancelled" : file.error?.message ?? "Could not be read.");
      return false;
    },
    fail(message) {
      if (row.done) return;
      row.done = row.failed = true;
      bar.remove();
      row.node.classList.add("bad");
      note.textContent = message;
      close.setAttribute("aria-label", `Dismiss ${name}`);
    },
  };
  return row;
}

customElements.define("document-list", DocumentList);
