// How the model looked: its steps, live and afterwards.

import { count, el, icon, percent } from "./dom.js";
import { cropPicture, mapPicture, pageThumb } from "./pictures.js";
import { documents } from "./state.js";

const NAMES = { search: "Searched", glance: "Glanced at", gaze: "Gazed into", reflect: "Checked", answer: "Answered" };
const OWN = "the question’s image";

const glyphOf = (step) => (step.look ? "target" : step.action in NAMES ? step.action : "glance");
const nameOf = (spot) => spot.document ?? documents.get(spot.document_id)?.document ?? "a document";
const spots = (step) => (step.pages ?? (step.document_id ? [step] : [])).map((spot) => ({ ...spot, document: nameOf(spot) }));
const where = (list) => list.map((spot) => `${nameOf(spot)}, page ${spot.page}`).join("; ");

/** One line about a step, also for screen readers. */
export function sentence(step) {
  if (step.action === "search") return `${NAMES.search} for “${step.query}”: ${count(step.hits?.length ?? 0, "page")}`;
  if (step.look) return `Looked for the place on ${step.own_image ? OWN : where(spots(step))}`;
  if (step.action === "glance" || step.action === "gaze") return `${NAMES[step.action]} ${where(spots(step)) || OWN}`;
  if (step.check) return `Held “${step.check.answer}” against its evidence`;
  if (step.action === "reflect") return `${NAMES.reflect} ${count(step.drafts?.length ?? 0, "draft")} against the pages`;
  return step.status === "not_found" ? "Found no answer" : NAMES[step.action] ?? step.action;
}

class LookTrace extends HTMLElement {
  #steps = [];
  #query = "";
  /** Address of the image that came with the question, if one did. */
  picture = null;

  connectedCallback() { this.#make(); }

  #make() {
    if (this.details) return;
    this.glyphs = el("span", { class: "trace-glyphs" });
    this.label = el("span", { class: "trace-label", text: "Looking…" });
    this.list = el("ol", { class: "steps" });
    this.details = el("details", { class: "trace" },
      el("summary", {}, this.glyphs, this.label, icon("next", "icon trace-caret")), this.list);
    this.append(this.details);
    // Steps are drawn when somebody looks at them: their pictures cost requests.
    this.details.addEventListener("toggle", () => this.#draw());
  }

  set query(text) { this.#query = text; }

  set steps(steps) {
    this.#make();
    this.#steps = [...steps];
    this.#head(false);
    this.#draw();
  }

  add(step) {
    this.#steps.push(step);
    this.#head(true);
    this.#draw();
  }

  /** The first step is on its way. */
  begin() { this.#head(true); }

  #head(running) {
    const shown = this.#steps.filter((step) => step.action !== "answer");
    const glyphs = shown.map((step) => icon(glyphOf(step)));
    if (running) glyphs.push(icon("gaze", "icon now"));
    this.glyphs.replaceChildren(...glyphs);
    const last = this.#steps.at(-1);
    const number = (action) => shown.filter((step) => step.action === action).length;
    const parts = [["search", "search", "searches"], ["glance", "glance"], ["gaze", "gaze"], ["reflect", "check"]]
      .filter(([action]) => number(action)).map(([action, one, many]) => count(number(action), one, many));
    this.label.textContent = running ? (last ? sentence(last) : "Looking…") : parts.length ? `How it looked: ${parts.join(", ")}` : "How it looked";
  }

  #draw() {
    if (!this.details?.open) return;
    while (this.list.childElementCount < this.#steps.length) {
      this.list.append(this.#step(this.#steps[this.list.childElementCount]));
    }
  }

  #step(step) {
    return el("li", { class: "step", "data-action": step.action },
      el("span", { class: "step-dot" }, icon(glyphOf(step))),
      el("p", { class: "step-head", text: sentence(step) }),
      el("div", { class: "step-body" }, ...this.#body(step)));
  }

  #body(step) {
    if (step.action === "search") {
      const by = { hybrid: "by looks and text", visual: "by looks", text: "by text" }[step.mode] ?? step.mode;
      const note = by ? `${by}${step.image ? ", with an image" : ""}` : null;
      return [note ? el("p", { class: "step-note", text: note }) : null,
        el("div", { class: "strip" }, ...(step.hits ?? []).map((hit) =>
          pageThumb(hit, Number.isFinite(hit.score) ? hit.score.toFixed(hit.score < 10 ? 2 : 1) : "", { query: this.#query, marks: marksOf(hit.regions, "region") })))];
    }
    if (step.look) return this.#map(step);
    if (step.action === "glance" || step.action === "gaze") return this.#read(step);
    if (step.check) return checkLines(step.check);
    if (step.action === "reflect") return [el("div", { class: "drafts" }, ...(step.drafts ?? []).map(draftLine))];
    return [];
  }

  /** Where the model looked before it decided whether to gaze: its own map over the picture. */
  #map(step) {
    const { map, spots: places = [] } = step.look;
    const shown = step.own_image ? { picture: this.picture } : spots(step)[0];
    const marks = marksOf(places, "gaze");
    const best = places[0];
    const facts = [best ? `${count(places.length, "place")}, the best holds ${percent(best.mass)} of its attention` : "no place stands out"];
    return [map && shown ? mapPicture(shown, map, { query: this.#query, marks, whole: true }) : null,
      el("p", { class: "step-note", text: facts.join(" · ") })];
  }

  #read(step) {
    const pages = spots(step);
    const boxes = step.boxes ?? (step.box ? [step.box] : []);
    const marks = marksOf(boxes.map((box) => ({ box })), "gaze");
    const extra = { query: this.#query, marks };
    const pictures = boxes.length
      ? boxes.map((box) => cropPicture(pages[0], box, extra))
      : pages.map((spot) => pageThumb(spot, "", extra));
    const facts = [
      Number.isFinite(step.confidence) ? `confidence ${percent(step.confidence)}` : null,
      Number.isFinite(step.prompt_tokens) ? `${count(step.prompt_tokens, "token")} seen` : null,
      Number.isFinite(step.new_tokens) ? `${step.new_tokens} written` : null,
      step.reason ?? null,
    ].filter(Boolean);
    const larger = (step.read ?? []).filter(Boolean).join(" … ");
    return [el("div", { class: "strip" }, ...pictures),
      larger ? el("p", { class: "step-note step-larger", text: `Read larger: ${larger}` }) : null,
      step.text ? el("p", { class: "step-read", text: step.text }) : null,
      facts.length ? el("p", { class: "step-note", text: facts.join(" · ") }) : null];
  }
}

function draftLine(draft) {
  const [mark, words] = draft.supported === true ? ["yes", "stands on the page"]
    : draft.supported === false ? ["no", "not in the page’s text"] : ["", "read from the image alone"];
  return el("p", { class: "draft-line" },
    el("span", { class: mark, "aria-hidden": "true", text: mark === "yes" ? "✓" : mark === "no" ? "✗" : "·" }),
    el("span", {}, el("strong", { text: draft.answer ?? draft.read }),
      ` ${words}, ${nameOf(draft)} p. ${draft.page}, ${percent(draft.confidence ?? 0)}`));
}

/** Sufficient: the crop alone says the same. Necessary: without it the page does not. */
function checkLines(check) {
  const line = (holds, text) => el("p", { class: "draft-line" },
    el("span", { class: holds ? "yes" : "no", "aria-hidden": "true", text: holds ? "✓" : "✗" }), el("span", { text }));
  const said = (text) => (text ? ` (“${text}”)` : "");
  return [el("div", { class: "drafts" },
    check.sufficient === null ? null : line(check.sufficient, check.sufficient ? "The place alone gives the same answer" : `The place alone does not give it${said(check.crop_alone)}`),
    check.necessary === null ? null : line(check.necessary, check.necessary ? "Without the place the page does not give it" : `The page gives it without the place too${said(check.page_without)}`))];
}

export function marksOf(regions, kind) {
  return (regions ?? []).filter((region) => region.box).map((region) => ({ box: region.box, kind }));
}

customElements.define("look-trace", LookTrace);
