// In the head, so that the page never flashes in the wrong theme.
(() => {
  "use strict";
  const KEY = "octosr-report-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is blocked for files in some browsers: the choice then lasts as long as the page
    }
  };
  const keep = (value) => {
    try {
      localStorage.setItem(KEY, value);
    } catch {
      return; // as above
    }
  };
  const current = () => root.dataset.theme || (system.matches ? "dark" : "light");
  const chosen = read();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const text = document.getElementById("theme-text");
    const label = () => {
      const other = current() === "dark" ? "light" : "dark";
      text.textContent = other === "dark" ? "Dark" : "Light";
      button.setAttribute("aria-label", `Switch to the ${other} theme`);
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    label();
  });
})();
