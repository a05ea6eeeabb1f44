// Small pictures of pages and of parts of pages, that open the page.

import { cropImage, pageImage } from "./api.js";
import { el } from "./dom.js";
import { emit } from "./state.js";

/** An image that is fetched when it comes near the view. */
export function lazyImage(path, alt) {
  // `loading` before `src`, or it is fetched at once.
  const image = el("img", { alt, loading: "lazy", decoding: "async", draggable: "false", src: path });
  image.addEventListener("load", () => { image.dataset.loaded = ""; }, { once: true });
  return image;
}

/** `spot`: {document_id, document, page}. `extra` goes to the viewer (marks, query). */
export function pageThumb(spot, note, extra = {}) {
  const name = `${spot.document ?? "document"}, page ${spot.page}`;
  return el("button", { type: "button", class: "thumb", "aria-label": `Open ${name}${note ? ` (${note})` : ""}`, title: name,
    onclick: () => emit("open-page", { ...spot, ...extra }) },
    el("span", { class: "thumb-pic" }, lazyImage(pageImage(spot.document_id, spot.page, 160), "")),
    spot.document ? el("span", { class: "thumb-name", text: spot.document }) : null,
    el("span", { class: "thumb-name", text: note ? `p. ${spot.page} · ${note}` : `p. ${spot.page}` }));
}

/** A page (or `spot.picture`, the address of another image) under the model's own map: {rows, cols, values: base64, a byte a cell}. */
export function mapPicture(spot, map, extra = {}) {
  const sheet = el("canvas", { class: "map-cells", width: map.cols, height: map.rows, "aria-hidden": "true" });
  const levels = Uint8Array.from(atob(map.values), (letter) => letter.charCodeAt(0));
  const pen = sheet.getContext("2d");
  const dots = pen.createImageData(map.cols, map.rows);
  // Evidence has the marker's yellow; where the model looks is ink blue, here as on the page.
  levels.forEach((level, cell) => dots.data.set([43, 59, 184, Math.round(level * 0.75)], 4 * cell));
  pen.putImageData(dots, 0, 0);
  if (spot.picture) return el("span", { class: "map-pic" }, el("img", { src: spot.picture, alt: "The question’s image with the places the model looked at" }), sheet);
  const name = `${spot.document ?? "document"}, page ${spot.page}`;
  return el("button", { type: "button", class: "map-pic", "aria-label": `Open ${name}, with the places the model looked at`, title: name,
    onclick: () => emit("open-page", { ...spot, ...extra }) }, lazyImage(pageImage(spot.document_id, spot.page, 320), ""), sheet);
}

export function cropPicture(spot, box, extra = {}) {
  const name = `part of ${spot.document ?? "document"}, page ${spot.page}`;
  return el("button", { type: "button", class: "crop", "aria-label": `Open ${name}`,
    onclick: () => emit("open-page", { ...spot, ...extra }) },
    lazyImage(cropImage(spot.document_id, spot.page, box, 1.5), name));
}

/** A box with some of the page round it, more on the left: there stands what a value is the value of. */
export function roomy([left, top, right, bottom], width = Infinity, height = Infinity) {
  const dx = Math.max(130, Math.round((right - left) * 0.25));
  const dy = Math.max(16, Math.round((bottom - top) * 0.7));
  return [Math.max(0, left - 2 * dx), Math.max(0, top - dy), Math.min(width, right + dx), Math.min(height, bottom + dy)];
}

/** The part of the page round `box`, with the marker over it; goes away where it can't be shown. */
export function markedCrop(spot, box) {
  const scale = 1.5;
  const around = roomy(box);
  const image = lazyImage(cropImage(spot.document_id, spot.page, around, scale), "");
  const mark = el("span", { class: "evidence-mark" });
  const crop = el("span", { class: "evidence-crop" }, image, mark);
  image.addEventListener("load", () => {
    const [width, height] = [image.naturalWidth / scale, image.naturalHeight / scale];
    mark.style.left = `${(100 * (box[0] - around[0])) / width}%`;
    mark.style.top = `${(100 * (box[1] - around[1])) / height}%`;
    mark.style.width = `${(100 * (box[2] - box[0])) / width}%`;
    mark.style.height = `${(100 * (box[3] - box[1])) / height}%`;
  });
  image.addEventListener("error", () => crop.remove());
  return crop;
}
