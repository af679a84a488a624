// Single keys for those who do not leave the keyboard. They can be switched off, because what dictates or reads a
// screen aloud uses single keys itself; that is remembered in this browser.
"use strict";

(() => {
  const KEPT = "compose-agent.keys";
  const dialog = document.getElementById("keys");
  const box = document.getElementById("keys-on");
  const opener = document.getElementById("keys-open");

  function remembered() {
    try { return localStorage.getItem(KEPT) !== "off"; } catch { return true; }
  }

  function isTyping(element) {
    return element.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
  }

  // Rows are what has a name that leads somewhere: of a table, or of a list.
  function rows() {
    return [...document.querySelectorAll("main tbody th a, main [data-row]")];
  }

  function step(by) {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? all[by > 0 ? 0 : all.length - 1] : all[Math.min(all.length - 1, Math.max(0, at + by))];
    if (next) { next.focus(); next.closest("tr, li")?.scrollIntoView({ block: "nearest" }); }
  }

  const DEEDS = {
    "/": () => { const field = document.querySelector("main input[type=search]"); field?.focus(); field?.select(); },
    j: () => step(1),
    k: () => step(-1),
    u: () => document.querySelector("#back a")?.click(),
    p: () => document.querySelector("#live button")?.click(),
    "?": () => dialog.showModal(),
  };

  function page(number) {
    document.querySelectorAll("nav.menu a")[number - 1]?.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || dialog.open) return;
    if (event.key === "Escape" && isTyping(event.target)) { event.target.blur(); return; }
    if (!box.checked || isTyping(event.target)) return;
    const deed = /^[1-9]$/.test(event.key) ? () => page(Number(event.key)) : DEEDS[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  });

  box.checked = remembered();
  box.addEventListener("change", () => {
    try { localStorage.setItem(KEPT, box.checked ? "on" : "off"); } catch { /* it holds for this page then */ }
  });
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
})();
