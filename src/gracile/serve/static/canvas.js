// A canvas to look at pictures: zoom and pan by wheel, mouse, fingers and keys; what is drawn is given.

const LARGEST = 32;

export class Canvas {
  /** `paint(context, pane)` draws in picture coordinates; `panes` are set side by side. */
  constructor(label, width, height, paint) {
    this.size = [width, height];
    this.paint = paint;
    this.panes = 1;
    [this.scale, this.center] = [1, [width / 2, height / 2]];
    [this.cursor, this.moved] = [null, () => null];
    this.element = document.createElement("canvas");
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", `${label}. Plus and minus zoom, arrow keys move, 0 shows all.`);
    this.fit();
    this.listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  /** Tell the page the panes' proportions; it gives the canvas as much room as there is. */
  fit() {
    const [width, height] = this.size;
    this.element.style.setProperty("--ratio", String((width * this.panes) / height));
  }

  /** Where one looks: the scale and the place of the picture in the middle; null where all of it is seen. */
  get view() {
    return this.scale === 1 ? null : [this.scale, ...this.center];
  }

  set view(view) {
    if (!view) return;
    [this.scale, ...this.center] = view;
    this.scale = Math.min(LARGEST, Math.max(1, this.scale));
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const canvas = this.element;
    const dense = devicePixelRatio || 1;
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    if (!wide || !high) return;
    if (canvas.width !== Math.round(wide * dense) || canvas.height !== Math.round(high * dense)) {
      canvas.width = Math.round(wide * dense);
      canvas.height = Math.round(high * dense);
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    for (let pane = 0; pane < this.panes; pane += 1) {
      context.save();
      const left = (canvas.width / this.panes) * pane;
      context.beginPath();
      context.rect(left, 0, canvas.width / this.panes, canvas.height);
      context.clip();
      const { factor, dx, dy } = this.placed();
      context.setTransform(factor * dense, 0, 0, factor * dense, left + dx * dense, dy * dense);
      context.imageSmoothingEnabled = factor * dense < 4;
      this.paint(context, pane, 1 / factor);
      if (this.cursor && this.panes > 1) cross(context, this.cursor, 1 / factor);
      context.restore();
    }
  }

  /** Where the picture lies in a pane, in CSS pixels; no edge of it comes further in than it must. */
  placed() {
    const room = [this.element.clientWidth / this.panes, this.element.clientHeight];
    const factor = Math.min(...room.map((wide, axis) => wide / this.size[axis])) * this.scale;
    if (!factor) return { factor: 1, dx: 0, dy: 0 };
    const [dx, dy] = room.map((wide, axis) => {
      const free = wide - this.size[axis] * factor;
      const shift = free > 0 ? free / 2 : Math.min(0, Math.max(free, wide / 2 - this.center[axis] * factor));
      this.center[axis] = (wide / 2 - shift) / factor;
      return shift;
    });
    return { factor, dx, dy };
  }

  zoom(by, at) {
    const box = this.element.getBoundingClientRect();
    const room = [box.width / this.panes, box.height];
    const held = at ? [(at.clientX - box.left) % room[0], at.clientY - box.top] : room.map((wide) => wide / 2);
    const before = this.placed();
    const place = [(held[0] - before.dx) / before.factor, (held[1] - before.dy) / before.factor];
    this.scale = Math.min(LARGEST, Math.max(1, this.scale * by));
    const { factor } = this.placed();
    this.center = place.map((one, axis) => one + (room[axis] / 2 - held[axis]) / factor);
    this.draw();
    this.moved();
  }

  move(dx, dy) {
    const { factor } = this.placed();
    this.center = [this.center[0] - dx / factor, this.center[1] - dy / factor];
    this.placed(); // no further than there is picture
    this.draw();
    this.moved();
  }

  /** A cross at the same place of all panes, where the pointer is in one of them. */
  point(event) {
    const box = this.element.getBoundingClientRect();
    const { factor, dx, dy } = this.placed();
    const inPane = (event.clientX - box.left) % (box.width / this.panes);
    this.cursor = event.type === "pointerleave" ? null : [(inPane - dx) / factor, (event.clientY - box.top - dy) / factor];
    if (this.panes > 1) this.draw();
  }

  listen() {
    const canvas = this.element;
    const keys = {
      "+": () => this.zoom(1.6), "=": () => this.zoom(1.6), "-": () => this.zoom(1 / 1.6), 0: () => this.zoom(0),
      ArrowLeft: () => this.move(60, 0), ArrowRight: () => this.move(-60, 0),
      ArrowUp: () => this.move(0, 60), ArrowDown: () => this.move(0, -60),
    };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      if (event.key.startsWith("Arrow") && this.scale === 1) return;
      event.preventDefault();
      keys[event.key]();
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event);
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => this.zoom(this.scale > 1 ? 0 : 3, event));
    this.listenToPointers();
  }

  listenToPointers() {
    const fingers = new Map();
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return [Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 }];
    };
    this.element.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      fingers.set(event.pointerId, event);
      this.element.setPointerCapture(event.pointerId);
    });
    this.element.addEventListener("pointermove", (event) => {
      this.point(event);
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const [wide, middle] = fingers.size === 2 ? spread() : [0];
      fingers.set(event.pointerId, event);
      if (fingers.size === 2) {
        const [wider, now] = spread();
        this.move(now.clientX - middle.clientX, now.clientY - middle.clientY);
        this.zoom(wider / wide, now);
      } else this.move(event.clientX - before.clientX, event.clientY - before.clientY);
    });
    this.element.addEventListener("pointerleave", (event) => this.point(event));
    for (const name of ["pointerup", "pointercancel"]) this.element.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
}

function cross(context, [x, y], pixel) {
  for (const [style, wide] of [["rgb(0 0 0 / 0.6)", 3], ["rgb(102 230 204)", 1]]) {
    context.strokeStyle = style;
    context.lineWidth = wide * pixel;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 5 * pixel * dx, y + 5 * pixel * dy);
      context.lineTo(x + 18 * pixel * dx, y + 18 * pixel * dy);
    }
    context.stroke();
  }
}

/** Buttons for what keys do; `canvas` is anything that zooms. */
export function zoomButtons(canvas) {
  const box = document.createElement("div");
  box.className = "zoom";
  for (const [text, label, act] of [["+", "Zoom in", () => canvas.zoom(1.6)], ["−", "Zoom out", () => canvas.zoom(1 / 1.6)], ["⤢", "Show all", () => canvas.zoom(0)]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    box.append(button);
  }
  return box;
}
