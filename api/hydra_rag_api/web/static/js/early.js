// Runs before the first paint: the theme that was chosen, if one was.
try {
  const theme = localStorage.getItem("hydra.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* storage is blocked: the system's theme it is */ }
