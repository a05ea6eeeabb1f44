// The heat map: how much each place of the page is like the question, whole or word by word.

import { heat } from "./api.js";
import { announce, el, toast } from "./dom.js";
import { setting } from "./state.js";

const KEPT = 96;
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

/**
 * The words of the question, each with the tokens it is made of: models cut text into syllables or letters, people
 * look at words. Marks of the prompt round the question and bare punctuation get no button.
 */
export function wordsOf(tokens) {
  const words = [];
  const spaced = tokens.some(({ text }) => /\s/.test(text));
  let open = false;
  for (const { index, text } of tokens) {
    const mark = /^\s*<.*>\s*$/.test(text);
    if (mark || !text.trim()) {
      open = false;
      continue;
    }
    if (open && !/^\s/.test(text)) {
      words.at(-1).text += text.trimEnd();
      words.at(-1).tokens.push(index);
    } else words.push({ text: text.trim(), tokens: [index] });
    open = spaced && !/\s$/.test(text);
  }
  return words.filter((word) => /[\p{L}\p{N}]/u.test(word.text));
}

/** The mean of several maps, with its peak at 1. */
function blend(maps) {
  if (maps.length === 1) return maps[0];
  const values = maps[0].values.map((_, cell) => maps.reduce((sum, map) => sum + map.values[cell], 0) / maps.length);
  const peak = Math.max(...values) || 1;
  return { ...maps[0], values: values.map((value) => value / peak) };
}

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
    const all = { tokens: null, text: "whole question" };
    this.tokens.replaceChildren(...[all, ...wordsOf(map.tokens)].map((word) => this.#button(word)));
    announce("Heat map shown.");
  }

  #button({ tokens, text }) {
    const button = el("button", { type: "button", class: "token", text, "aria-pressed": String(tokens === null), "data-tokens": tokens?.join(" ") ?? "all",
      onclick: () => {
        for (const other of this.tokens.children) other.setAttribute("aria-pressed", String(other === button));
        this.#choose(tokens).catch((error) => { if (error.name !== "AbortError") toast(error.message, true); });
      } });
    return button;
  }

  /** Fetch and paint the map of some tokens, or of all; null when others were chosen meanwhile. */
  async #choose(tokens) {
    this.#run?.abort();
    const run = new AbortController();
    this.#run = run;
    const { document_id, page, query } = this.#spot;
    const map = blend(await Promise.all((tokens ?? [null]).map((token) => fetched(document_id, page, query, token, run.signal))));
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
