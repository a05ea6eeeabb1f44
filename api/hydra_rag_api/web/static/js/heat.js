// The heat map: how much each place of the page is like the question, whole or word by word.

import { heat } from "./api.js";
import { announce, el, toast } from "./dom.js";
import { setting } from "./state.js";

const KEPT = 48;
const cache = new Map();

/** A fetched map, kept for a while: people switch between words. */
async function fetched(document_id, page, query, token, signal) {
  const key = JSON.stringify([document_id, page, query, token]);
  if (!cache.has(key)) {
    cache.set(key, await heat(document_id, page, query, token, signal));
    if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  }
  return cache.get(key);
}

/** Words worth a button: not the marks of the prompt round the question. */
const speaks = (token) => /[\p{L}\p{N}]/u.test(token.text) && !/^<.*>$/.test(token.text.trim());

export class Heat {
  #spot = null;
  #run = null;

  constructor(canvas) {
    this.canvas = canvas;
    this.tokens = el("div", { class: "tokens", role: "group", "aria-label": "Words of the question" });
    this.query = el("span", { class: "heat-query" });
    this.strength = el("input", { type: "range", min: 10, max: 100, value: setting("heat") ?? 70, "aria-label": "Strength of the heat map",
      oninput: () => { setting("heat", this.strength.value); this.#shade(); } });
    this.node = el("div", { class: "heat", hidden: true },
      el("div", { class: "heat-row" }, this.query, el("label", {}, "Strength", this.strength)), this.tokens);
    this.#shade();
  }

  get on() { return !this.node.hidden; }

  hide() {
    this.#run?.abort();
    this.node.hidden = true;
    this.canvas.hidden = true;
  }

  /** `size`: of the page in pixels. */
  async show(document_id, page, query, size) {
    this.#spot = { document_id, page, query, size };
    this.node.hidden = false;
    this.canvas.hidden = true;
    this.query.textContent = `Where the page is like “${query}”`;
    this.tokens.replaceChildren();
    const map = await this.#choose(null);
    if (!map) return;
    const all = { index: null, text: "whole question" };
    this.tokens.replaceChildren(...[all, ...map.tokens.filter(speaks)].map((token) => this.#button(token)));
    announce("Heat map shown.");
  }

  #button({ index, text }) {
    const button = el("button", { type: "button", class: "token", text: text.trim(), "aria-pressed": String(index === null), "data-token": index ?? "all",
      onclick: () => {
        for (const other of this.tokens.children) other.setAttribute("aria-pressed", String(other === button));
        this.#choose(index).catch((error) => { if (error.name !== "AbortError") toast(error.message, true); });
      } });
    return button;
  }

  /** Fetch and paint the map of one token, or of all; null when another was chosen meanwhile. */
  async #choose(token) {
    this.#run?.abort();
    const run = new AbortController();
    this.#run = run;
    const { document_id, page, query } = this.#spot;
    const map = await fetched(document_id, page, query, token, run.signal);
    if (run.signal.aborted) return null;
    this.#paint(map);
    return map;
  }

  #paint({ boxes, values }) {
    const { size } = this.#spot;
    const shrink = Math.min(1, 1200 / Math.max(size.width, size.height));
    const small = document.createElement("canvas");
    small.width = Math.max(1, Math.round(size.width * shrink));
    small.height = Math.max(1, Math.round(size.height * shrink));
    const pen = small.getContext("2d");
    values.forEach((value, index) => {
      const [left, top, right, bottom] = boxes[index];
      pen.fillStyle = colour(value);
      pen.fillRect(left * shrink, top * shrink, Math.ceil((right - left) * shrink), Math.ceil((bottom - top) * shrink));
    });
    this.canvas.width = small.width;
    this.canvas.height = small.height;
    const out = this.canvas.getContext("2d");
    const [left, top, right, bottom] = boxes[0] ?? [0, 0, 1, 1];
    out.filter = `blur(${0.3 * shrink * Math.max(right - left, bottom - top)}px)`;
    out.drawImage(small, 0, 0);
    this.canvas.hidden = false;
    this.#shade();
  }

  #shade() {
    this.canvas.style.opacity = String(this.strength.value / 100);
  }
}

/** Clear, marker yellow, orange, red; drawn with multiply, so white leaves the page as it is. */
function colour(value) {
  const stops = [[255, 255, 255], [255, 226, 92], [255, 140, 66], [226, 62, 47]];
  const at = Math.min(0.9999, Math.max(0, value)) * (stops.length - 1);
  const [from, to] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  const mix = from.map((start, index) => Math.round(start + (to[index] - start) * (at % 1)));
  return `rgb(${mix.join(" ")})`;
}
