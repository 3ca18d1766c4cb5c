"use strict";
// A part of a picture, marked with a pointer or by keys. The four fields are what is sent.
(() => {
  const svg = document.querySelector("[data-marked]");
  const form = document.getElementById("part-form");
  if (!svg || !form) return;
  const fields = [...form.querySelectorAll("[name=box]")];
  const [shade, casing, frame, corners] = svg.children;
  const said = form.querySelector("[data-said]");
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const REACH = 22; // pixels of the screen around a corner in which it is taken hold of

  const between = (value, least, most) => Math.min(Math.max(value, least), most);
  const marked = () => fields.map((field) => Number(field.value));

  function draw() {
    const [x, y, w, h] = marked();
    const fits = w >= 1 && h >= 1 && x >= 0 && y >= 0 && x + w <= width && y + h <= height;
    fields[2].setCustomValidity(fits ? "" : form.dataset.outside);
    if (!fits) return;
    for (const rect of [casing, frame]) {
      for (const [name, value] of Object.entries({ x, y, width: w, height: h })) {
        rect.setAttribute(name, value);
      }
    }
    shade.setAttribute("d", `M0 0H${width}V${height}H0ZM${x} ${y}V${y + h}H${x + w}V${y}Z`);
    corners.setAttribute(
      "d",
      `M${x} ${y}h0M${x + w} ${y}h0M${x} ${y + h}h0M${x + w} ${y + h}h0`,
    );
    const names = { left: x, top: y, width: w, height: h };
    svg.setAttribute(
      "aria-label",
      form.dataset.label.replace(/\{(\w+)\}/g, (_, name) => names[name]),
    );
  }

  function mark(x, y, w, h) {
    const wide = between(Math.round(w), 1, width);
    const high = between(Math.round(h), 1, height);
    [
      between(Math.round(x), 0, width - wide),
      between(Math.round(y), 0, height - high),
      wide,
      high,
    ].forEach((value, i) => {
      fields[i].value = value;
    });
    draw();
  }

  function say() {
    said.textContent = svg.getAttribute("aria-label");
  }

  function place(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(
      svg.getScreenCTM().inverse(),
    );
    return [between(at.x, 0, width), between(at.y, 0, height)];
  }

  // Or a quick drag counts as a fling of the page, and the next tap anywhere as what ends it.
  svg.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  let drag = null;
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || drag) return;
    event.preventDefault();
    svg.focus({ preventScroll: true });
    svg.setPointerCapture(event.pointerId);
    const [px, py] = place(event);
    const [x, y, w, h] = marked();
    const reach = REACH / svg.getScreenCTM().a;
    const corner = [
      [x, y],
      [x + w, y],
      [x, y + h],
      [x + w, y + h],
    ].findIndex(([cx, cy]) => Math.hypot(cx - px, cy - py) < reach);
    drag = { before: [x, y, w, h], fixed: [px, py] };
    if (corner >= 0) drag.fixed = [corner % 2 ? x : x + w, corner > 1 ? y : y + h];
    else if (px > x && px < x + w && py > y && py < y + h) drag.held = [px - x, py - y];
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [px, py] = place(event);
    const [, , w, h] = drag.before;
    if (drag.held) {
      mark(px - drag.held[0], py - drag.held[1], w, h);
    } else {
      const [fx, fy] = drag.fixed;
      mark(Math.min(px, fx), Math.min(py, fy), Math.abs(px - fx), Math.abs(py - fy));
    }
  });
  const end = (event) => {
    if (!drag) return;
    const [, , w, h] = marked();
    // A tap is no part, and what the system interrupts is taken back.
    const small = 6 / svg.getScreenCTM().a;
    if (event.type === "pointercancel" || (w < small && h < small)) mark(...drag.before);
    drag = null;
    say();
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", end);

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  svg.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key in STEPS) {
      event.preventDefault();
      const [dx, dy] = STEPS[event.key].map((d, i) => {
        return d * Math.max(1, Math.round([width, height][i] / 50));
      });
      const [x, y, w, h] = marked();
      if (event.shiftKey) mark(x, y, between(w + dx, 1, width - x), between(h + dy, 1, height - y));
      else mark(x + dx, y + dy, w, h);
      say();
    }
  });
  form.addEventListener("input", draw);

  svg.removeAttribute("aria-hidden");
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-describedby", "part-hint");
  svg.setAttribute("tabindex", "0");
  draw();
})();
