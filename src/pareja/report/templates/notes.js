// What is typed into the boxes of a report stays: in this browser, and in a file that can be loaded
// again. The page has no server, and must work without storage too.
"use strict";
(() => {
  const boxes = [...document.querySelectorAll(".paper")];
  const bar = document.querySelector(".notes");
  const state = bar.querySelector("[role=status]");
  const key = "pareja:" + bar.dataset.report;
  let unsaved = false;

  const noteOf = (box) => box.innerText.replace(/\n$/, "");
  const notes = () => Object.fromEntries(
    boxes.map((box) => [box.dataset.key, noteOf(box)]).filter(([, text]) => text.trim()));
  const put = (box, text) => { box.textContent = text; };

  function keep() {
    try {
      localStorage.setItem(key, JSON.stringify(notes()));
      unsaved = false;
      state.textContent = bar.dataset.kept;
    } catch {
      unsaved = Object.keys(notes()).length > 0;
      state.textContent = bar.dataset.notKept;
    }
  }

  // What a box holds already is never replaced: what a file adds goes below it.
  function add(found) {
    for (const box of boxes) {
      const text = found[box.dataset.key], own = noteOf(box);
      if (typeof text !== "string" || own.includes(text)) continue;
      put(box, own.trim() && !text.includes(own) ? own + "\n\n" + text : text);
    }
  }

  for (const box of boxes) {
    // Pasted text comes without the looks of where it was copied.
    box.setAttribute("contenteditable", "plaintext-only");
    if (!box.isContentEditable) box.setAttribute("contenteditable", "true");
    box.addEventListener("input", () => {
      if (!noteOf(box).trim()) box.textContent = "";
      keep();
    });
  }
  try {
    add(JSON.parse(localStorage.getItem(key) || "{}"));
    state.textContent = bar.dataset.where;
  } catch {
    state.textContent = bar.dataset.notKept;
  }

  bar.querySelector(".save").addEventListener("click", () => {
    const content = JSON.stringify({ pareja: "notes", report: bar.dataset.report, notes: notes() }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
    link.download = bar.dataset.file;
    link.click();
    URL.revokeObjectURL(link.href);
    unsaved = false;
    state.textContent = bar.dataset.saved;
  });
  bar.querySelector("input").addEventListener("change", async (event) => {
    try {
      const read = JSON.parse(await event.target.files[0].text());
      if (read.pareja !== "notes") throw new TypeError("notes");
      add(read.notes);
      keep();
    } catch {
      state.textContent = bar.dataset.noFile;
    }
    event.target.value = "";
  });
  // Two windows with one report: the one that is looked at shows what was typed last.
  addEventListener("storage", (event) => {
    if (event.key !== key || !event.newValue || boxes.includes(document.activeElement)) return;
    const found = JSON.parse(event.newValue);
    for (const box of boxes) put(box, found[box.dataset.key] || "");
  });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  bar.hidden = false;
})();
