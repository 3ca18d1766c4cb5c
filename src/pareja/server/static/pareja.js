"use strict";
// What htmx cannot do: moving in the grid by key, dropping and pasting pictures, the help.
(() => {
  const cards = () => [...document.querySelectorAll("[data-card]")];
  const isTyping = (element) =>
    element instanceof HTMLElement && element.matches("input:not([type=file]), textarea, select");

  const box = (card) => card.closest(".card").getBoundingClientRect();

  // Only the next row is measured: a long list has thousands of cards.
  function below(all, at, step) {
    const here = box(all[at]);
    const middle = here.left + here.width / 2;
    let [best, least, row] = [undefined, Infinity, undefined];
    for (let i = at + step; i >= 0 && i < all.length; i += step) {
      const { top, left, width } = box(all[i]);
      if (Math.abs(top - here.top) < 8) continue;
      row ??= top;
      if (Math.abs(top - row) > 8) break;
      const distance = Math.abs(left + width / 2 - middle);
      if (distance < least) [best, least] = [all[i], distance];
    }
    return best;
  }

  function neighbour(current, key) {
    const all = cards();
    const at = all.indexOf(current);
    if (at < 0) return onScreen(all) ?? all[0];
    if (key === "ArrowRight" || key === "j") return all[at + 1];
    if (key === "ArrowLeft" || key === "k") return all[at - 1];
    return below(all, at, key === "ArrowDown" ? 1 : -1);
  }

  // The first key goes to what somebody sees, not to the top of what was scrolled away.
  function onScreen(all) {
    if (scrollY < 8) return all[0];
    return all.find((card) => box(card).top >= 0);
  }

  function judge(yes) {
    if (document.activeElement?.closest(".fold")) return;
    const card = document.activeElement?.closest(".card");
    const buttons = (card ?? document).querySelectorAll(yes ? ".judge .yes" : ".judge .no");
    if (card && buttons.length) buttons[0].click();
  }

  function cameFromHere() {
    if (window.navigation) return navigation.canGoBack;
    return history.length > 1 && document.referrer.startsWith(`${location.origin}/`);
  }

  function goBack() {
    const link = document.querySelector("[data-back]");
    if (cameFromHere()) history.back();
    else if (link) location.assign(link.href);
  }

  document.addEventListener("keydown", (event) => {
    // What a part of the page has made use of, as its arrows, means nothing else.
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const help = document.getElementById("help");
    if (help.open) return;
    const active = document.activeElement;
    if (event.key === "Escape") {
      // A search box would lose its words, and the results with them.
      event.preventDefault();
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
      const forward = ["j", "ArrowRight", "ArrowDown"].includes(event.key);
      const next = neighbour(card, event.key) ?? (forward ? more() : undefined);
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
    if (back && cameFromHere()) {
      event.preventDefault();
      history.back();
    }
    const card = event.target.closest("[data-card]");
    if (card) stayAt(card.closest(".card"), card.id);
  });

  // What is picked from a list under a box counts at once, not only when the box is left.
  document.addEventListener("input", ({ target }) => {
    const options = [...(target.list?.options ?? [])].map((option) => option.value);
    if (options.includes(target.value) || (target.list && !target.value)) {
      target.dispatchEvent(new Event("change", { bubbles: true }));
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

  // A long list: once somebody scrolls, the next page is fetched before they get there. The address
  // follows what is on the screen, so that a reload, a link and the way back lead to the same pictures.
  const more = () => document.getElementById("more")?.firstElementChild;

  const coming = new IntersectionObserver(
    (seen) => {
      for (const { isIntersecting, target } of seen) {
        if (isIntersecting) htmx.trigger(target, "more");
      }
    },
    { rootMargin: "1500px" },
  );

  let scrolled = false;
  function watch() {
    if (scrolled && more()) coming.observe(more());
  }

  function stayAt(card, hash) {
    const page = card?.dataset.page;
    if (!page) return;
    const address = new URL(location.href);
    // A scroll within a page leaves the picture that somebody came back to in the address.
    if (!hash && page === (address.searchParams.get("page") ?? "1")) return;
    if (page === "1") address.searchParams.delete("page");
    else address.searchParams.set("page", page);
    address.hash = hash;
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  }

  function begin() {
    if (scrolled) return;
    scrolled = true;
    watch();
  }
  // Somebody may have scrolled before this script was there.
  addEventListener("DOMContentLoaded", () => {
    if (scrollY > 0) begin();
  });

  let resting;
  addEventListener(
    "scroll",
    () => {
      begin();
      clearTimeout(resting);
      resting = setTimeout(() => {
        // Not by a point of the screen, which may lie between two cards.
        const seen = [...document.querySelectorAll(".card")].find(
          (card) => card.getBoundingClientRect().bottom > innerHeight / 3,
        );
        stayAt(seen, "");
      }, 300);
    },
    { passive: true },
  );

  // What is swapped takes the focus with it. After the link for more pictures it goes on with the
  // first of them, and in new results it stays at the same place.
  let place = -1;
  document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
    if (!["more", "results"].includes(target.id)) return;
    const all = cards();
    const active = document.activeElement;
    place = target.id === "more" ? all.length : all.indexOf(active);
    if (!target.contains(active)) place = -1;
    if (target.id === "results") scrolled = false;
  });
  // It comes once for each card: what it does must not take longer the longer the list is.
  document.addEventListener("htmx:afterSettle", () => {
    watch();
    if (place < 0) return;
    const all = cards();
    (all[place] ?? all.at(-1))?.focus();
    place = -1;
  });
  // Back from a picture, the keys go on where they were.
  addEventListener("pageshow", () => {
    const left = document.getElementById(location.hash.slice(1));
    if (left?.matches("[data-card]")) left.focus({ preventScroll: true });
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
