// A quantity along a structure, from above to below: the chart and a slider that leads to each section.
import { h } from "./dom.js";

/** `go` gets the place in mm of the section that was chosen. */
export function profile({ title, x, y, points }, go) {
  const canvas = h("canvas", { class: "timeline", role: "img", "aria-label": `${title} in ${y}, over ${x}; click to go there, or use the slider` });
  const range = h("input", { type: "range", min: 0, max: points.length - 1, step: 1, value: 0, "aria-label": "Section", oninput: () => choose(Number(range.value)) });
  const word = h("span", { class: "where", role: "status" });
  const choose = (index) => {
    range.value = index;
    const point = points[index];
    word.textContent = [`${point.x.toFixed(1)} ${x}`, point.y !== null && `${point.y.toFixed(1)} ${y}`, point.level].filter(Boolean).join(" · ");
    draw(canvas, points, index);
    go(point.mm);
  };
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * points.at(-1).x;
    const far = points.map((point) => Math.abs(point.x - at));
    choose(far.indexOf(Math.min(...far)));
  });
  new ResizeObserver(() => draw(canvas, points, Number(range.value))).observe(canvas);
  return h("div", { class: "below profile" }, h("h3", {}, `${title}, ${y}`), canvas, h("div", { class: "play" }, range), word);
}

function draw(canvas, points, chosen) {
  if (!canvas.clientWidth) return;
  const dense = devicePixelRatio || 1;
  const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
  [canvas.width, canvas.height] = [wide * dense, high * dense];
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  const most = Math.max(...points.map((point) => point.y ?? 0)) || 1;
  const left = (point) => (point.x / (points.at(-1).x || 1)) * (wide - 2) + 1;
  const top = (point) => high - 4 - (point.y / most) * (high - 22);
  const style = getComputedStyle(canvas);
  context.fillStyle = style.color;
  context.font = `12px ${style.fontFamily}`;
  context.fillText(most.toFixed(1), 4, 13);
  context.strokeStyle = style.getPropertyValue("--accent");
  context.lineWidth = 1.8;
  context.beginPath();
  let drawing = false;
  for (const point of points) {
    if (point.y !== null) drawing ? context.lineTo(left(point), top(point)) : context.moveTo(left(point), top(point));
    drawing = point.y !== null;
  }
  context.stroke();
  context.strokeStyle = style.color;
  context.beginPath();
  context.moveTo(left(points[chosen]), 0);
  context.lineTo(left(points[chosen]), high);
  context.stroke();
}
