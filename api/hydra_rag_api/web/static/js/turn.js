// One question and what became of it.

import { feedback, turnImage } from "./api.js";
import { announce, count, el, icon, iconButton, percent, toast } from "./dom.js";
import { markedCrop, pageThumb } from "./pictures.js";
import { documents, emit, on } from "./state.js";
import { sentence } from "./trace.js";

/** Under this, an answer is shown with a warning. */
const WEAK = 0.5;
const SHORT = 90;
/** Of more evidence than this, the first `LARGE` pieces are shown with their picture. */
const MANY = 4;
const LARGE = 3;

class ChatTurn extends HTMLElement {
  #turn = null;
  #draft = "";

  /** `turn`: as stored ({turn_id, question, answer, status, confidence, citations, steps}), or {question, picture} for a new one. */
  set turn(turn) {
    this.#turn = { citations: [], steps: [], status: "running", ...turn };
    this.#build();
  }

  get turn() { return this.#turn; }

  #build() {
    const { question, picture, has_image, turn_id, steps, status } = this.#turn;
    const image = picture ?? (has_image ? turnImage(turn_id) : null);
    this.trace = el("look-trace");
    this.body = el("div", { class: "answer" });
    this.foot = el("div", { class: "turn-foot" });
    this.replaceChildren(el("article", { class: "turn", "aria-label": `Question: ${question}` },
      el("h2", { class: "question", text: question }),
      image ? el("img", { class: "question-image", src: image, alt: "Image sent with the question" }) : null,
      this.trace, this.body, this.foot));
    this.trace.query = question;
    this.trace.picture = image;
    this.trace.steps = steps;
    if (status !== "running") this.#close();
  }

  // -- while it is being answered ------------------------------------------------------------------

  started({ turn_id }) {
    this.#turn.turn_id = turn_id;
    this.trace.begin();
    this.#wait("Searching the pages");
  }

  step(step) {
    this.#turn.steps.push(step);
    this.trace.add(step);
    this.#draft = "";
    if (step.action !== "answer") announce(sentence(step));
    if (step.action === "search") this.#wait(step.hits?.length ? "Looking at the best pages" : "No page fits");
    if (step.action === "reflect") this.#wait("Checking");
  }

  delta({ text, pages }) {
    this.#draft += text;
    const spot = pages?.[0];
    const name = spot ? documents.get(spot.document_id)?.document : null;
    const shown = this.#draft.trim();
    if (!shown) return;
    const draft = el("p", { class: shown.length > SHORT ? "answer-text draft" : "answer-text short draft", text: shown });
    const from = name ? el("p", { class: "evidence-source", text: `Reading ${name}, page ${spot.page}` }) : null;
    this.body.replaceChildren(draft, ...(from ? [from] : []));
  }

  #wait(text) {
    this.body.replaceChildren(el("p", { class: "answer-text draft", text }));
  }

  finish(result) {
    Object.assign(this.#turn, result);
    this.#close();
    const { status, answer, citations } = this.#turn;
    if (status === "answered") announce(`Answer: ${answer}. ${count(citations.length, "citation")}.`);
    if (status === "not_found") announce("Not found in your documents.");
  }

  stop(status, message = "") {
    Object.assign(this.#turn, { status, message });
    this.#close();
    announce(status === "interrupted" ? "Stopped." : `The question failed. ${message}`);
  }

  // -- afterwards ------------------------------------------------------------------------------------

  #close() {
    const { status, steps } = this.#turn;
    this.trace.steps = steps;
    this.trace.hidden = steps.length === 0;
    const parts = { answered: () => this.#answered(), not_found: () => this.#notFound() }[status]?.() ?? this.#ended();
    this.body.replaceChildren(...parts);
    this.foot.replaceChildren(...this.#tools());
  }

  #answered() {
    const { answer, citations, confidence } = this.#turn;
    const text = el("p", { class: answer.length > SHORT ? "answer-text" : "answer-text short" });
    const used = new Set();
    // Markers that the model wrote itself stand where it wrote them; the others follow the text.
    for (const part of answer.split(/ ?(\[\d{1,2}\])/)) {
      const index = /^\[\d{1,2}\]$/.test(part) ? Number(part.slice(1, -1)) - 1 : -1;
      if (index >= 0 && index < citations.length) {
        used.add(index);
        text.append(this.#marker(index));
      } else if (part) text.append(part);
    }
    citations.forEach((_, index) => { if (!used.has(index)) text.append(this.#marker(index)); });
    const weak = confidence !== null && confidence < WEAK;
    return [text,
      weak ? el("p", { class: "weak" }, icon("warn"), "Weak evidence: check it on the page.") : null,
      citations.length
        ? el("div", { class: "evidence", role: "list", "aria-label": "Evidence" }, ...citations.map((_, index) => el("div", { role: "listitem" }, this.#card(index))))
        : el("p", { class: "weak" }, icon("warn"), "This answer points at no page."),
    ].filter(Boolean);
  }

  #marker(index) {
    const citation = this.#turn.citations[index];
    return el("button", { type: "button", class: "cite", "data-cite": index, text: String(index + 1),
      "aria-label": `Show evidence ${index + 1}: ${citation.document}, page ${citation.page}`,
      onclick: () => this.show(index) });
  }

  #card(index) {
    const citation = this.#turn.citations[index];
    const compact = this.#turn.citations.length > MANY && index >= LARGE;
    const crop = citation.box && !compact ? markedCrop(citation, citation.box) : null;
    const said = citation.quote && (citation.quote !== this.#turn.answer || !crop);
    return el("button", { type: "button", class: compact ? "evidence-card compact" : "evidence-card", "data-cite": index, onclick: () => this.show(index),
      "aria-label": `Evidence ${index + 1}: ${citation.document}, page ${citation.page}${citation.quote ? `: ${citation.quote}` : ""}` },
      el("span", { class: "evidence-number", text: String(index + 1) }),
      el("span", { class: "evidence-body" }, crop,
        said ? el("span", { class: "evidence-quote", text: citation.quote }) : null,
        el("span", { class: "evidence-source" }, el("strong", { text: citation.document }), ` · page ${citation.page}${citation.box ? "" : " · the whole page"}`)));
  }

  /** Light up the evidence of citation `index` on its page, with the others of the same page fainter. */
  show(index, quietly = false) {
    const { citations, question } = this.#turn;
    const chosen = citations[index];
    if (!chosen) {
      if (quietly) emit("no-evidence"); // what lies on the desk belongs to another answer
      return;
    }
    const marks = citations.map((citation, at) => ({ ...citation, number: at + 1, kind: "cite" }))
      .filter((mark) => mark.box && mark.document_id === chosen.document_id && mark.page === chosen.page);
    const focus = marks.findIndex((mark) => mark.number === index + 1);
    emit("open-page", { document_id: chosen.document_id, document: chosen.document, page: chosen.page, marks, focus, query: question, quietly });
    unmark();
    for (const node of this.querySelectorAll(`[data-cite="${index}"]`)) node.setAttribute("aria-current", "true");
  }

  #notFound() {
    const { steps, question } = this.#turn;
    const hits = steps.find((step) => step.action === "search")?.hits ?? [];
    const looked = steps.some((step) => step.action === "glance" || step.action === "gaze");
    const nothing = documents.size === 0;
    return [el("div", { class: "notice" }, icon("none"), el("div", {},
      el("h3", { text: "Not found in your documents" }),
      el("p", { text: nothing ? "There are no documents yet. Add some, then ask again."
        : `${looked ? "It looked at the pages that fit best" : "It searched the pages"} and found no answer it would stand by.${hits.length ? " These came closest:" : ""}` }),
      hits.length ? el("div", { class: "near" }, ...hits.slice(0, 4).map((hit) => pageThumb(hit, "", { query: question }))) : null))];
  }

  #ended() {
    const { status, message, question } = this.#turn;
    if (status === "running") {
      return [el("div", { class: "notice" }, icon("again"), el("div", {},
        el("h3", { text: "Still being answered" }), el("p", { text: "The answer appears here when it is done." })))];
    }
    const failed = status === "failed";
    return [el("div", { class: failed ? "notice bad" : "notice" }, icon(failed ? "warn" : "stop"), el("div", {},
      el("h3", { text: failed ? "This question could not be answered" : "Stopped before there was an answer" }),
      el("p", { text: message || (failed ? "The server gave no reason. Its log has one." : "What it had looked at is kept above.") }),
      el("button", { type: "button", class: "button notice-act", onclick: () => emit("ask", { question, picture: this.#turn.picture ?? null }) }, icon("again"), "Ask again")))];
  }

  #tools() {
    const { turn_id, question, answer, status, confidence, feedback: rating } = this.#turn;
    const done = status === "answered" || status === "not_found";
    const tools = [];
    if (done && turn_id) {
      for (const [value, name, label] of [[1, "up", "Good answer"], [-1, "down", "Bad answer"]]) {
        const button = iconButton(name, label, () => this.#rate(value), { "aria-pressed": String(rating === value), "data-rating": value });
        button.classList.add("small");
        tools.push(button);
      }
    }
    if (status === "answered") tools.push(small(iconButton("copy", "Copy the answer", () => copy(answer))));
    if (done) tools.push(small(iconButton("again", "Ask again", () => emit("ask", { question }))));
    if (status === "answered" && Number.isFinite(confidence)) {
      tools.push(el("span", { class: "sure" }, el("meter", { min: 0, max: 1, value: confidence, "aria-label": "Confidence" }), `${percent(confidence)} sure`));
    }
    return tools;
  }

  async #rate(value) {
    try {
      await feedback(this.#turn.turn_id, value);
      this.#turn.feedback = value;
      for (const button of this.foot.querySelectorAll("[data-rating]")) {
        button.setAttribute("aria-pressed", String(Number(button.dataset.rating) === value));
      }
      announce("Thank you, noted.");
    } catch (error) {
      toast(error.message, true);
    }
  }
}

/** No evidence is on the desk. */
function unmark() {
  for (const node of document.querySelectorAll("[data-cite]")) node.removeAttribute("aria-current");
}

on("no-evidence", unmark);

function small(button) {
  button.classList.add("small");
  return button;
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } catch {
    toast("The browser does not allow copying here.", true);
  }
}

customElements.define("chat-turn", ChatTurn);
