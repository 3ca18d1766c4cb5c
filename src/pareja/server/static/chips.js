"use strict";
// Labels as chips. Without this script they are one field with commas between them.
(() => {
  const box = document.querySelector("[data-chips]");
  const field = box.querySelector("input");
  const label = box.querySelector("label");
  const alert = document.getElementById("alert");
  const list = document.createElement("ul");
  const entry = field.cloneNode();

  entry.id = "new-label";
  entry.value = "";
  entry.removeAttribute("name");
  label.htmlFor = entry.id;
  field.type = "hidden";
  field.after(list);
  list.after(entry);

  const split = (text) => text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean);
  const say = (template, text) => template.replace("{label}", () => text);
  let labels = split(field.value);

  function draw() {
    list.replaceChildren(
      ...labels.map((text, at) => {
        const item = document.createElement("li");
        const remove = document.createElement("button");
        remove.type = "button";
        remove.className = "quiet";
        remove.textContent = "×";
        remove.setAttribute("aria-label", say(box.dataset.remove, text));
        remove.addEventListener("click", () => {
          keep(labels.filter((_, other) => other !== at));
          (list.querySelectorAll("button")[at] ?? entry).focus();
        });
        item.append(text, remove);
        return item;
      })
    );
  }

  function keep(changed) {
    labels = changed;
    field.value = labels.join(", ");
    draw();
    field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function add(text) {
    const known = new Set(labels.map((one) => one.toLowerCase()));
    const fresh = [];
    for (const one of split(text)) {
      if (known.has(one.toLowerCase())) alert.textContent = say(box.dataset.twice, one);
      else fresh.push(one);
      known.add(one.toLowerCase());
    }
    entry.value = "";
    if (fresh.length) keep([...labels, ...fresh]);
  }

  entry.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      add(entry.value);
    } else if (event.key === "Backspace" && !entry.value && labels.length) {
      keep(labels.slice(0, -1));
    }
  });
  // Whoever leaves the field with a word in it, or pastes a list, means these labels.
  entry.addEventListener("change", (event) => {
    event.stopPropagation();
    add(entry.value);
  });
  entry.addEventListener("input", () => {
    if (/[,\n]/.test(entry.value)) add(entry.value);
  });
  draw();
})();
