// Small pictures of pages and of parts of pages, that open the page.

import { cropImage, pageImage } from "./api.js";
import { el } from "./dom.js";
import { emit } from "./state.js";

/** An image that is fetched when it comes near the view. */
export function lazyImage(path, alt) {
  // `loading` before `src`, or it is fetched at once.
  return el("img", { alt, loading: "lazy", decoding: "async", draggable: "false", src: path });
}

/** `spot`: {document_id, document, page}. `extra` goes to the viewer (marks, query). */
export function pageThumb(spot, note, extra = {}) {
  const name = `${spot.document ?? "document"}, page ${spot.page}`;
  return el("button", { type: "button", class: "thumb", "aria-label": `Open ${name}${note ? ` (${note})` : ""}`, title: name,
    onclick: () => emit("open-page", { ...spot, ...extra }) },
    el("span", { class: "thumb-pic" }, lazyImage(pageImage(spot.document_id, spot.page, 160), "")),
    el("span", { class: "thumb-name", text: `p. ${spot.page}` }),
    note ? el("span", { class: "thumb-name", text: note }) : null);
}

export function cropPicture(spot, box, extra = {}) {
  const name = `part of ${spot.document ?? "document"}, page ${spot.page}`;
  return el("button", { type: "button", class: "crop", "aria-label": `Open ${name}`,
    onclick: () => emit("open-page", { ...spot, ...extra }) },
    lazyImage(cropImage(spot.document_id, spot.page, box, 1.5), name));
}

/** A box with some of the page round it, inside the page where its size is known. */
export function roomy([left, top, right, bottom], width = Infinity, height = Infinity) {
  const dx = Math.max(170, Math.round((right - left) * 0.35));
  const dy = Math.max(16, Math.round((bottom - top) * 0.7));
  return [Math.max(0, left - dx), Math.max(0, top - dy), Math.min(width, right + dx), Math.min(height, bottom + dy)];
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
