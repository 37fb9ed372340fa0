// Comfort only: every page works without it. Keys: g then a letter goes to a page, / searches, j and k move in lists, ? tells the keys. They can be switched off.
(() => {
  "use strict";
  let waiting = false;
  // on a phone the pages stand in one long line: the current one is brought into sight
  document.querySelector(".side a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  const typing = (node) => node.closest("input, textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.keys === "off") return;
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "/") { document.querySelector(".search input")?.focus(); event.preventDefault(); return; }
    if (waiting) {
      waiting = false;
      document.querySelector(`.side a[data-key="${CSS.escape(event.key)}"]`)?.click();
      return;
    }
    if (event.key === "?") {
      const keys = document.querySelector("details.keys");
      if (keys) { keys.open = !keys.open; keys.scrollIntoView({ block: "nearest", inline: "nearest" }); }
      return;
    }
    if (event.key === "g") { waiting = true; setTimeout(() => { waiting = false; }, 1500); return; }
    if (event.key === "j" || event.key === "k") {
      const links = [...document.querySelectorAll("tbody a.row")];
      const at = links.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
      links[Math.max(0, Math.min(links.length - 1, at))]?.focus();
    }
  });
  document.addEventListener("change", (event) => {
    const all = event.target.closest("input[data-check-all]");
    if (all) for (const box of all.closest("form").querySelectorAll("tbody input[type=checkbox]")) box.checked = all.checked;
  });
  // marketing calendar: a planned campaign is dragged to another day by sending the form that "move" opens
  let dragged = null;
  for (const event of document.querySelectorAll(".event[data-moves]")) event.draggable = true;
  const dayAt = (event) => (dragged ? event.target.closest?.(".month [data-day]") : null);
  document.addEventListener("dragstart", (event) => { dragged = event.target.closest?.(".event[data-moves]"); });
  document.addEventListener("dragend", () => { dragged = null; });
  document.addEventListener("dragover", (event) => { if (dayAt(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    const day = dayAt(event);
    if (!day) return;
    event.preventDefault();
    const form = dragged.nextElementSibling?.querySelector("form");
    const to = form?.elements.namedItem("to");
    if (!to || to.value.startsWith(day.dataset.day)) return;
    to.value = day.dataset.day + to.value.slice(10);
    form.requestSubmit(form.querySelector("button[value=move]"));
  });
  // a page's frame has the focus within: its border shows it
  const framed = () => { for (const one of document.querySelectorAll("iframe")) one.classList.toggle("at", one === document.activeElement); };
  window.addEventListener("blur", framed);
  window.addEventListener("focus", framed);
  // what replaces a part of the page takes over the focus that was in it, and a job says when it stands otherwise
  let left = false;
  document.addEventListener("htmx:beforeSwap", (event) => { left = event.detail.target.contains(document.activeElement); });
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = document.getElementById(event.detail.target.id);
    if (left && document.activeElement === document.body) target?.focus();
    const told = document.querySelector("[data-told]"), status = document.getElementById("job-status")?.textContent;
    if (told && status && told.dataset.told !== status) { told.dataset.told = status; told.textContent = status; }
  });
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
})();
