// Light, dark, or as the system says.

import { announce } from "./dom.js";
import { setting } from "./state.js";

const NEXT = { system: "light", light: "dark", dark: "system" };
const NAMES = { system: "as the system", light: "light", dark: "dark" };

export function theme(button) {
  const show = (name) => {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    const label = `Theme: ${NAMES[name]}. Change to ${NAMES[NEXT[name]]}`;
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  const now = () => (setting("theme") in NEXT ? setting("theme") : "system");
  button.addEventListener("click", () => {
    const next = NEXT[now()];
    setting("theme", next === "system" ? null : next);
    show(next);
    announce(`Theme: ${NAMES[next]}`);
  });
  show(now());
}
