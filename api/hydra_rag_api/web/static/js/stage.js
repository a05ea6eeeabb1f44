// The page image with what lies on it: boxes, heat map; moved by pointer, wheel, touch and keys.

import { pageImage } from "./api.js";
import { Camera } from "./camera.js";
import { el, svg } from "./dom.js";

const STEP = 60;

export class Stage {
  #marks = [];
  #pointers = new Map();
  #ready = null;

  /** `changed` is called after every move. */
  constructor(changed) {
    this.camera = new Camera();
    this.changed = changed;
    this.canvas = el("canvas", { "aria-hidden": "true", hidden: true });
    this.boxes = svg("svg", { "aria-hidden": "true" });
    this.page = el("div", { class: "stage-page", hidden: true }, this.canvas, this.boxes);
    this.tags = el("div");
    this.note = el("p", { class: "stage-note", hidden: true, role: "status" });
    this.node = el("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "Page image" }, this.page, this.tags, this.note);
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(this.node);
  }

  get focusBox() { return this.#marks[this.focus ?? 0]?.box ?? null; }

  /** Show a page; resolves when its image is there. `name` is what screen readers call it. */
  load(document_id, page, name, dimensions) {
    const image = el("img", { alt: name, draggable: "false", decoding: "async" });
    this.note.hidden = true;
    this.#marks = [];
    this.#draw(false);
    this.#ready = new Promise((done) => {
      image.addEventListener("load", () => {
        if (this.image !== image) return;
        this.page.removeAttribute("aria-busy");
        this.page.style.backgroundImage = "";
        if (!dimensions) this.#lay(image.naturalWidth, image.naturalHeight);
        done(true);
      });
      image.addEventListener("error", () => {
        if (this.image !== image) return;
        this.page.hidden = true;
        this.note.textContent = "This page is not there any more.";
        this.note.hidden = false;
        done(false);
      });
    });
    this.page.hidden = true;
    this.image?.remove();
    this.image = image;
    this.page.prepend(image);
    this.page.setAttribute("aria-busy", "true");
    if (dimensions) { // its small picture, which is often known already, stands for it meanwhile
      this.page.style.backgroundImage = `url("${pageImage(document_id, page, 160)}")`;
      this.#lay(dimensions.width, dimensions.height);
    }
    image.src = pageImage(document_id, page);
    return this.#ready;
  }

  #lay(width, height) {
    this.camera.page = { width, height };
    this.page.style.width = `${width}px`;
    this.page.style.height = `${height}px`;
    this.boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.page.hidden = false;
    this.#measure();
    this.camera.fit();
    this.apply();
  }

  /** Lay marks over the page: {box, number?, kind: cite | region | gaze}; `focus` is the index of the strong one. */
  mark(marks, focus = 0, arrive = true) {
    this.#marks = marks;
    this.focus = Math.max(0, focus);
    this.#draw(arrive);
    this.apply();
  }

  get marks() { return this.#marks; }

  #draw(arrive) {
    this.boxes.replaceChildren();
    this.tags.replaceChildren();
    this.#marks.forEach((mark, index) => {
      const [left, top, right, bottom] = mark.box;
      const at = { x: left, y: top, width: right - left, height: bottom - top };
      const kind = mark.kind === "gaze" ? " gaze" : index === this.focus && mark.kind === "cite" ? "" : " faint";
      const fresh = arrive && index === this.focus ? " arrive" : "";
      this.boxes.append(svg("g", { class: `box-group${fresh}`, "data-box": mark.box.join(","), "data-kind": mark.kind },
        svg("rect", { class: `box${kind}`, ...at }), svg("rect", { class: `box-line${kind}`, ...at })));
      if (mark.number) this.tags.append(el("span", { class: "box-tag", "aria-hidden": "true", text: mark.number }));
    });
  }

  apply(glide = false) {
    const { x, y, scale } = this.camera;
    this.page.classList.toggle("gliding", glide);
    this.page.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    const numbered = this.#marks.filter((mark) => mark.number);
    [...this.tags.children].forEach((tag, index) => {
      const [left, top, right, bottom] = numbered[index].box;
      const { width, height } = this.camera.stage;
      tag.hidden = x + right * scale < 0 || y + bottom * scale < 0 || x + left * scale > width || y + top * scale > height;
      tag.style.left = `${Math.max(2, x + left * scale - 28)}px`;
      tag.style.top = `${Math.max(2, y + top * scale - 8)}px`;
    });
    this.tags.hidden = this.page.hidden;
    this.changed();
  }

  fit(glide = true) {
    this.camera.fit();
    this.apply(glide);
  }

  zoom(factor) {
    this.camera.zoom(factor);
    this.apply(true);
  }

  target(glide = true) {
    if (!this.focusBox) return;
    this.camera.focus(this.focusBox);
    this.apply(glide);
  }

  #measure() {
    this.camera.stage = { width: this.node.clientWidth || 1, height: this.node.clientHeight || 1 };
  }

  #resize() {
    const before = { ...this.camera.stage };
    this.#measure();
    if (this.page.hidden || before.width === 1) return;
    if (this.camera.fitted) this.camera.fit();
    else this.camera.move((this.camera.stage.width - before.width) / 2, (this.camera.stage.height - before.height) / 2);
    this.apply();
  }

  // -- pointer, wheel, keys --------------------------------------------------------------------------

  #listen() {
    const node = this.node;
    node.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) {
        const at = node.getBoundingClientRect();
        this.camera.zoom(Math.exp(-event.deltaY * 0.004), event.clientX - at.left, event.clientY - at.top);
      } else this.camera.move(-event.deltaX, -event.deltaY);
      this.apply();
    }, { passive: false });
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      node.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      node.classList.add("moving");
    });
    node.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      node.addEventListener(name, (event) => {
        this.#pointers.delete(event.pointerId);
        if (!this.#pointers.size) node.classList.remove("moving");
      });
    }
    node.addEventListener("dblclick", (event) => {
      const at = node.getBoundingClientRect();
      if (this.camera.scale > this.camera.fitScale * 1.05) this.camera.fit();
      else this.camera.zoom(2.2, event.clientX - at.left, event.clientY - at.top);
      this.apply(true);
    });
    node.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
      if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.camera.move(...move);
      this.apply(true);
    });
  }

  #drag(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const span = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      const at = this.node.getBoundingClientRect();
      this.camera.zoom(span(now) / span(before), (now.x + other.x) / 2 - at.left, (now.y + other.y) / 2 - at.top);
    }
    this.camera.move((now.x - before.x) / (other ? 2 : 1), (now.y - before.y) / (other ? 2 : 1));
    this.#pointers.set(event.pointerId, now);
    this.apply();
  }
}
