// Where a question is written.

import { announce, el, icon, iconButton, toast } from "./dom.js";
import { documents, emit, on, setting } from "./state.js";

const CHOICES = [
  ["mode", "Find pages by", [["hybrid", "looks and text"], ["visual", "looks alone"], ["text", "text alone"]]],
  ["gaze", "Look closer", [["auto", "when it helps"], ["always", "always"], ["never", "never"]]],
];
const SERVER = {
  starting: "The server is starting", loading: "The model is being loaded", stopping: "The server is stopping",
  failed: "The model could not be loaded: see the server’s log", away: "The server does not answer",
};
const LARGEST_IMAGE = 10_000_000;

class AskBox extends HTMLElement {
  #picture = null;
  #busy = false;
  #server = "ready";

  connectedCallback() {
    this.text = el("textarea", { id: "question", rows: 1, placeholder: "Ask your documents", "aria-label": "Question", maxlength: 4000,
      oninput: () => this.#refresh(), onkeydown: (event) => this.#key(event), onpaste: (event) => this.#paste(event) });
    this.chips = el("div", { class: "ask-chips", hidden: true });
    this.state = el("span", { class: "ask-state" });
    this.button = el("button", { type: "submit", class: "ask-send", "aria-label": "Ask", title: "Ask (Enter)" }, icon("send"));
    this.file = el("input", { type: "file", accept: "image/*", hidden: true, onchange: () => this.#attach(this.file.files[0]) });
    this.options = this.#makeOptions();
    this.tune = iconButton("tune", "Options", () => this.#toggle(), { "aria-expanded": "false", "aria-controls": "ask-options" });
    const form = el("form", { class: "ask", onsubmit: (event) => this.#submit(event) }, this.chips, this.text,
      el("div", { class: "ask-foot" }, iconButton("image", "Add an image to the question", () => this.file.click()), this.tune, this.file, this.state, this.button),
      this.options);
    this.append(form);
    on("busy", (busy) => { this.#busy = busy; this.#refresh(); });
    on("server", (status) => { this.#server = status; this.#refresh(); });
    on("documents", () => this.#fillScope());
    on("scope", (document_id) => { this.scope.value = document_id; this.#chips(); this.text.focus(); });
    this.#refresh();
  }

  #makeOptions() {
    const fields = CHOICES.map(([name, label, values]) => {
      const select = el("select", { name, onchange: () => { setting(name, select.value); this.#refresh(); } },
        ...values.map(([value, text]) => el("option", { value, text })));
      select.value = setting(name) ?? values[0][0];
      if (select.selectedIndex < 0) select.selectedIndex = 0;
      return el("label", { class: "field" }, label, select);
    });
    this.scope = el("select", { name: "scope", onchange: () => this.#chips() });
    this.#fillScope();
    return el("div", { class: "options", id: "ask-options", hidden: true }, ...fields, el("label", { class: "field" }, "Look in", this.scope));
  }

  #fillScope() {
    const chosen = this.scope.value;
    this.scope.replaceChildren(el("option", { value: "", text: "all documents" }),
      ...[...documents.values()].map((one) => el("option", { value: one.document_id, text: one.document })));
    this.scope.value = documents.has(chosen) ? chosen : "";
    if (this.chips) this.#chips();
  }

  #toggle() {
    this.options.hidden = !this.options.hidden;
    this.tune.setAttribute("aria-expanded", String(!this.options.hidden));
    if (!this.options.hidden) this.options.querySelector("select").focus();
  }

  #chips() {
    const scope = documents.get(this.scope.value);
    this.chips.replaceChildren();
    if (this.#picture) {
      this.chips.append(chip("Image", () => { this.#picture = null; this.file.value = ""; this.#chips(); }, el("img", { src: this.#picture, alt: "" })));
    }
    if (scope) this.chips.append(chip(`Only in ${scope.document}`, () => { this.scope.value = ""; this.#chips(); }));
    this.chips.hidden = !this.chips.childElementCount;
  }

  #refresh() {
    const label = this.#busy ? "Stop" : "Ask";
    this.button.replaceChildren(icon(this.#busy ? "stop" : "send"));
    this.button.setAttribute("aria-label", label);
    this.button.title = this.#busy ? "Stop (Esc)" : "Ask (Enter)";
    this.button.disabled = !this.#busy && !this.text.value.trim();
    const [mode, gaze] = [...this.options.querySelectorAll("select")].map((select) => select.value);
    const notes = [mode !== "hybrid" ? `pages by ${mode === "visual" ? "looks" : "text"} alone` : "", gaze !== "auto" ? `looks closer: ${gaze}` : ""];
    this.state.textContent = SERVER[this.#server] ?? notes.filter(Boolean).join(" · ");
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!this.#busy) this.#submit(event);
    }
  }

  #paste(event) {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    this.#attach(file);
  }

  #attach(file) {
    if (!file) return;
    if (file.size > LARGEST_IMAGE) {
      toast("That image is larger than 10 MB.", true);
      return;
    }
    const reader = new FileReader();
    reader.addEventListener("load", () => { this.#picture = reader.result; this.#chips(); this.text.focus(); announce("Image added."); });
    reader.readAsDataURL(file);
  }

  #submit(event) {
    event.preventDefault();
    if (this.#busy) {
      emit("stop");
      return;
    }
    const question = this.text.value.trim();
    if (!question) return;
    const [mode, gaze] = [...this.options.querySelectorAll("select")].map((select) => select.value);
    const options = { mode, gaze, ...(this.scope.value ? { documents: [this.scope.value] } : {}) };
    emit("ask", { question, picture: this.#picture, options });
    this.text.value = "";
    this.#picture = null;
    this.file.value = "";
    this.#chips();
    this.#refresh();
  }
}

function chip(text, remove, picture = null) {
  const close = iconButton("close", `Remove: ${text}`, remove);
  close.classList.add("small");
  return el("span", { class: "chip" }, picture, el("span", { text }), close);
}

customElements.define("ask-box", AskBox);
