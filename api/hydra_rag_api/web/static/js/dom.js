// Making nodes. Text always goes in as text: nothing here, or anywhere in the page, parses markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: attributes; functions become listeners (`onclick`); `text`, `class`; null and false are left out. */
export function el(name, props = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key.slice(2), value);
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function svg(name, props = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(props)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

export function icon(name, extra = "icon") {
  return svg("svg", { class: extra, "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/** A button that shows only an icon. `label` is its name for everyone. */
export function iconButton(name, label, onclick, props = {}) {
  return el("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...props }, icon(name));
}

export const byId = (id) => document.getElementById(id);

export const count = (n, one, many = `${one}s`) => `${Number(n).toLocaleString("en")} ${n === 1 ? one : many}`;

export const percent = (value) => `${Math.round(100 * value)} %`;

export function size(bytes) {
  let value = bytes;
  for (const unit of ["B", "kB", "MB"]) {
    if (value < 1000) return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}

/** Tell screen readers, and nobody else. */
export function announce(text) {
  byId("announcer").textContent = text;
}

export function toast(text, bad = false) {
  const note = el("p", { class: bad ? "toast bad" : "toast", text });
  byId("toasts").append(note);
  setTimeout(() => note.remove(), bad ? 9000 : 4000);
}

/** Resolves true when the person says yes. */
export function confirm(title, text, yes = "Remove") {
  const dialog = byId("confirm");
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true }));
}

/** A small menu under `anchor`. `items`: {icon, text, run, bad}. */
export function menu(anchor, items) {
  const box = el("div", { class: "menu", role: "menu", popover: "auto" });
  for (const item of items) {
    const act = () => { box.hidePopover(); item.run(); };
    box.append(el("button", { type: "button", role: "menuitem", class: item.bad ? "bad" : null, onclick: act }, icon(item.icon), item.text));
  }
  box.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (box.contains(document.activeElement) || document.activeElement === document.body) anchor.focus();
    box.remove();
  });
  box.addEventListener("keydown", (event) => {
    const all = [...box.children];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
  });
  anchor.after(box);
  box.showPopover();
  anchor.setAttribute("aria-expanded", "true");
  const at = anchor.getBoundingClientRect();
  const own = box.getBoundingClientRect();
  box.style.left = `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`;
  box.style.top = `${at.bottom + own.height + 8 > innerHeight ? at.top - own.height - 4 : at.bottom + 4}px`;
  box.firstElementChild.focus();
}
