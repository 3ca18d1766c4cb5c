"use strict";
// Pan by dragging, zoom by wheel, pinch and buttons. Thumbnails grow more slowly than the distances
// between them, so that zooming in takes a crowd apart. A point becomes a picture where the server
// found room for it, and only once it is on the screen.
(() => {
  const frame = document.querySelector("[data-map]");
  if (!frame) return;
  const svg = frame.querySelector("svg");
  const points = [...svg.querySelectorAll("a")].map((node) => ({
    node,
    x: Number(node.dataset.x),
    y: Number(node.dataset.y),
    from: Number(node.dataset.zoom),
    image: node.querySelector("image"),
  }));
  const growth = Number(frame.dataset.growth);
  const closest = Number(frame.dataset.closest);
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
  let zoom = 1;
  let left = 0;
  let top = 0;

  function draw() {
    const size = Math.pow(zoom, growth);
    for (const point of points) {
      const [px, py] = [(point.x - left) * zoom, (point.y - top) * zoom];
      point.node.setAttribute("transform", `translate(${px} ${py}) scale(${size})`);
      const seen = px > -60 && px < width + 60 && py > -60 && py < height + 60;
      const fits = zoom >= point.from;
      if (fits && seen && !point.image) show(point);
      point.image?.toggleAttribute("hidden", !fits);
    }
  }

  function show(point) {
    const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
    const place = { x: -26, y: -20, width: 52, height: 40, preserveAspectRatio: "xMidYMid slice" };
    for (const [name, value] of Object.entries(place)) image.setAttribute(name, value);
    image.setAttribute("href", point.node.dataset.src);
    expect(image);
    point.node.append(image);
    point.image = image;
  }

  const status = document.querySelector("[data-loading]");
  let [done, total, late] = [0, 0, false];
  function expect(image) {
    total += 1;
    image
      .decode()
      .catch(() => {})
      .finally(() => tell((done += 1)));
    tell();
  }

  // Only those who would wait are told.
  function tell() {
    const words = status.dataset.loading.replace("{done}", done).replace("{total}", total);
    status.textContent = late && done < total ? words : "";
  }
  setTimeout(() => tell((late = true)), 1000);

  function place(event) {
    const at = new DOMPoint(event.clientX, event.clientY);
    return at.matrixTransform(svg.getScreenCTM().inverse());
  }

  function scale(factor, x = width / 2, y = height / 2) {
    const next = factor ? Math.min(closest, Math.max(1, zoom * factor)) : 1;
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

  for (const { image } of points) if (image) expect(image);
})();
