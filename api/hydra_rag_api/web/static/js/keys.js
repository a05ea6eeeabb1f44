// Shortcuts. The single-key ones can be switched off (help dialog), as speech input needs.

import { byId } from "./dom.js";
import { emit, setting, view } from "./state.js";

export function keys({ talk, viewer, browser, closeDrawer }) {
  const help = byId("help");
  const single = byId("single-keys");
  single.checked = setting("keys") !== "off";
  single.addEventListener("change", () => setting("keys", single.checked ? null : "off"));
  byId("help-open").addEventListener("click", () => help.showModal());

  const look = (run) => () => { if (!viewer.hidden) run(); };
  const actions = {
    "/": () => { view("talk"); byId("question").focus(); },
    "?": () => help.showModal(),
    n: () => emit("new-talk"),
    s: () => { emit("browse"); view("desk"); browser.focusSearch(); },
    "[": look(() => viewer.turn(-1)),
    "]": look(() => viewer.turn(1)),
    "+": look(() => viewer.stage.zoom(1.3)),
    "=": look(() => viewer.stage.zoom(1.3)),
    "-": look(() => viewer.stage.zoom(1 / 1.3)),
    0: look(() => viewer.stage.fit()),
    b: look(() => viewer.stage.target()),
    h: look(() => viewer.toggleHeat()),
  };

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (document.querySelector("dialog[open], .menu:popover-open")) return;
    if (event.key === "Escape") {
      if (talk.busy) emit("stop");
      else if (document.activeElement?.matches("input, textarea")) document.activeElement.blur();
      else closeDrawer();
      return;
    }
    if (!single.checked || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (/^[1-9]$/.test(event.key)) {
      talk.last?.show?.(Number(event.key) - 1);
      return;
    }
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
