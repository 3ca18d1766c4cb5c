"use strict";
// Pan by dragging, zoom by wheel, pinch, buttons and keys. Thumbnails grow more slowly than the
// distances between them, so that zooming in takes a crowd apart.
(() => {
  const frame = document.querySelector("[data-map]");
  if (!frame) return;
  const svg = frame.querySelector("svg");
  const points = [...svg.querySelectorAll("a")].map((node) => ({
    node,
    x: Number(node.dataset.x),
    y: Number(node.dataset.y),
  }));
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  let zoom = 1;
  let left = 0;
  let top = 0;

  function draw() {
    const size = Math.pow(zoom, 0.35);
    for (const { node, x, y } of points) {
      const [px, py] = [(x - left) * zoom, (y - top) * zoom];
      node.setAttribute("transform", `translate(${px} ${py}) scale(${size})`);
    }
  }

  function place(event) {
    const at = new DOMPoint(event.clientX, event.clientY);
    return at.matrixTransform(svg.getScreenCTM().inverse());
  }

  function scale(factor, x = width / 2, y = height / 2) {
    const next = factor ? Math.min(24, Math.max(1, zoom * factor)) : 1;
    left += x / zoom - x / next;
    top += y / zoom - y / next;
    zoom = next;
    keepInside();
  }

  function keepInside() {
    left = Math.min(width - width / zoom, Math.max(0, left));
    top = Math.min(height - height / zoom, Math.max(0, top));
    draw();
  }

  const fingers = new Map();
  let moved = 0;

  svg.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = place(event);
      scale(Math.exp(-event.deltaY / 400), x, y);
    },
    { passive: false },
  );
  svg.addEventListener("pointerdown", (event) => {
    if (!fingers.size) moved = 0;
    fingers.set(event.pointerId, place(event));
  });
  window.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (fingers.size === 1) {
      left -= (now.x - before.x) / zoom;
      top -= (now.y - before.y) / zoom;
      keepInside();
    } else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const spread = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      scale(spread(now) / spread(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
    fingers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    window.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  // The end of a drag over a picture is no click on it.
  svg.addEventListener("click", (event) => moved > 6 && event.preventDefault(), true);
  svg.addEventListener("dragstart", (event) => event.preventDefault());

  for (const button of frame.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => scale(Number(button.dataset.zoom)));
  }
})();
