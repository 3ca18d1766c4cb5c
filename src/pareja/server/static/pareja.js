"use strict";
// What htmx cannot do: moving in the grid by key, dropping and pasting pictures, the help.
(() => {
  const cards = () => [...document.querySelectorAll("[data-card]")];
  const isTyping = (element) =>
    element instanceof HTMLElement && element.matches("input:not([type=file]), textarea, select");

  function neighbour(current, key) {
    const all = cards();
    const at = all.indexOf(current);
    if (at < 0) return all[0];
    if (key === "ArrowRight" || key === "j") return all[at + 1];
    if (key === "ArrowLeft" || key === "k") return all[at - 1];
    const here = current.getBoundingClientRect();
    const middle = here.left + here.width / 2;
    const rows = all.filter((card) => {
      const top = card.getBoundingClientRect().top;
      return key === "ArrowDown" ? top > here.top + 8 : top < here.top - 8;
    });
    const tops = rows.map((card) => card.getBoundingClientRect().top);
    const nearest = key === "ArrowDown" ? Math.min(...tops) : Math.max(...tops);
    const distance = (card) => {
      const box = card.getBoundingClientRect();
      return Math.abs(box.left + box.width / 2 - middle);
    };
    return rows
      .filter((card, i) => Math.abs(tops[i] - nearest) < 8)
      .sort((a, b) => distance(a) - distance(b))[0];
  }

  function judge(yes) {
    const card = document.activeElement?.closest(".card");
    const buttons = (card ?? document).querySelectorAll(yes ? ".judge .yes" : ".judge .no");
    if (card && buttons.length) buttons[0].click();
  }

  function goBack() {
    const link = document.querySelector("[data-back]");
    if (!link) return;
    const from = document.referrer && new URL(document.referrer).origin === location.origin;
    if (from && history.length > 1) history.back();
    else location.assign(link.href);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const help = document.getElementById("help");
    if (help.open) return;
    const active = document.activeElement;
    if (event.key === "Escape") {
      if (isTyping(active)) active.blur();
      else goBack();
      return;
    }
    const search = document.getElementById("q");
    if (isTyping(active)) {
      if (event.key === "ArrowDown" && active === search && cards().length) {
        event.preventDefault();
        cards()[0].focus();
      }
      return;
    }
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "?") {
      help.showModal();
    } else if (event.key === "+" || event.key === "-") {
      judge(event.key === "+");
    } else if (event.key === "j" || event.key === "k" || event.key.startsWith("Arrow")) {
      const card = active?.closest(".card")?.querySelector("[data-card]");
      // Without a card in focus the arrows scroll the page, as everywhere.
      if (!card && event.key.startsWith("Arrow")) return;
      const next = neighbour(card, event.key);
      if (next) {
        event.preventDefault();
        next.focus();
        next.scrollIntoView({ block: "nearest" });
      }
    }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) document.getElementById("help").showModal();
    const copied = event.target.closest("[data-copy]");
    if (copied) copy(copied);
    const back = event.target.closest("a[data-back]");
    if (back && document.referrer.startsWith(`${location.origin}/`) && history.length > 1) {
      event.preventDefault();
      history.back();
    }
  });

  async function copy(button) {
    const path = document.getElementById(button.dataset.copy);
    try {
      // Browsers offer it on this machine and over https alone.
      await navigator.clipboard.writeText(path.textContent);
    } catch {
      getSelection().selectAllChildren(path);
      if (!document.execCommand("copy")) return;
    }
    const words = (button.dataset.words ??= button.textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => (button.textContent = words), 2000);
  }

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  const upload = document.getElementById("by-picture");
  if (upload) {
    const input = upload.querySelector("input[type=file]");
    const alert = document.getElementById("alert");

    const send = (files) => {
      const picture = [...files].find((file) => file.type.startsWith("image/"));
      if (!picture) return;
      if (picture.size > Number(upload.dataset.maxBytes)) {
        alert.textContent = upload.dataset.tooLarge;
        return;
      }
      const chosen = new DataTransfer();
      chosen.items.add(picture);
      input.files = chosen.files;
      upload.classList.add("busy");
      upload.requestSubmit();
    };

    input.addEventListener("change", () => send(input.files));
    document.addEventListener("paste", (event) => send(event.clipboardData.files));
    document.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      upload.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) upload.classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      upload.classList.remove("over");
      if (!event.dataTransfer.files.length) return;
      event.preventDefault();
      send(event.dataTransfer.files);
    });
    // A page that the back button brings out of the browser's cache is not busy any more.
    window.addEventListener("pageshow", () => upload.classList.remove("busy"));
  }
})();
