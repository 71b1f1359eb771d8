// A picture with its layers: classes, truth, differences, probabilities, a gate's attention, marks.
import { Canvas, zoomButtons } from "./canvas.js";
import { h, slider, swatch } from "./dom.js";

const CUT = { Found: 85, Truth: 85, Differences: 85, Probability: 75, Attention: 60 };

export async function show(place, scene, url) {
  if (!scene.picture) return null;
  const { width, height } = scene.picture;
  const state = { base: await image(url(scene.picture.base)), opacity: { ...CUT }, threshold: 20, marks: true, aside: false };
  const layers = await Promise.all(scene.layers.map(async (layer) => ({ ...layer, source: await image(url(layer.key)) })));
  for (const layer of layers) if (layer.kind === "gray") layer.values = grayValues(layer.source);
  const tint = () => layers.forEach((layer) => { if (layer.kind === "gray") layer.source = tinted(layer, state.threshold / 100); });
  tint();
  const canvas = new Canvas(`Picture of ${scene.name}`, width, height, (context, pane, pixel) => {
    context.drawImage(state.base, 0, 0, width, height);
    for (const layer of layers) {
      const other = layer.group === "Truth" || layer.group === "Differences";
      const visible = !state.aside ? layer.shown : pane === 0 ? layer.shown && !other : layer.group === "Truth";
      if (!visible) continue;
      context.globalAlpha = state.opacity[layer.group] / 100;
      context.drawImage(layer.source, 0, 0, width, height);
    }
    context.globalAlpha = 1;
    if (state.marks && pane === 0) drawMarks(context, scene.marks, pixel);
    if (state.aside) caption(context, pane === 0 ? "found" : "truth", pixel, canvas);
  });
  const redraw = () => canvas.draw();
  const stage = h("div", { class: "stage" }, canvas.element, zoomButtons(canvas));
  place.replaceChildren(stage, controls(layers, state, canvas, redraw, tint, scene));
  canvas.draw();
  return canvas;
}

function controls(layers, state, canvas, redraw, tint, scene) {
  const groups = [...new Set(layers.map((layer) => layer.group))];
  const sets = groups.map((group) => h("fieldset", {}, h("legend", {}, group),
    layers.filter((layer) => layer.group === group).map((layer) => h("label", {},
      h("input", { type: "checkbox", checked: layer.shown, "data-layer": `${group}/${layer.name}`, onchange: (event) => { layer.shown = event.target.checked; redraw(); } }),
      swatch(layer.color), layer.name)),
    slider("Opacity", state.opacity[group], (value) => { state.opacity[group] = value; redraw(); }, { "aria-label": `Opacity of ${group}` }),
    group === "Probability" && slider("Threshold", state.threshold, (value) => { state.threshold = value; tint(); redraw(); }, { "aria-label": "Threshold of the probability maps in percent" })));
  const marks = Object.keys(scene.marks || {}).length > 0 && h("label", {},
    h("input", { type: "checkbox", checked: true, "data-layer": "Marks", onchange: (event) => { state.marks = event.target.checked; redraw(); } }), "Marks");
  const aside = groups.includes("Truth") && h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: (event) => {
    state.aside = !state.aside;
    event.target.setAttribute("aria-pressed", String(state.aside));
    canvas.panes = state.aside ? 2 : 1;
    canvas.fit();
    redraw();
  } }, "Truth beside it");
  return h("div", { class: "layers" }, sets, (marks || aside) && h("div", { class: "row" }, marks, aside));
}

function image(url) {
  const element = new Image();
  element.src = url;
  return element.decode().then(() => element);
}

function grayValues(source) {
  const canvas = new OffscreenCanvas(source.naturalWidth, source.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const values = new Uint8Array(data.length / 4);
  for (let i = 0; i < values.length; i += 1) values[i] = data[4 * i];
  return { values, width: canvas.width, height: canvas.height };
}

/** A probability map in its class's color: as opaque as it is likely, nothing below the threshold. */
function tinted(layer, threshold) {
  const { values, width, height } = layer.values;
  const pixels = new ImageData(width, height);
  const words = new Uint32Array(pixels.data.buffer);
  const [red, green, blue] = layer.color;
  const color = (blue << 16) | (green << 8) | red;
  const least = Math.max(1, Math.round(threshold * 255));
  for (let i = 0; i < values.length; i += 1) if (values[i] >= least) words[i] = ((values[i] << 24) | color) >>> 0;
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** Places are mappings with row and column and, where they have an extent, diameter, width or two radii, in pixels. */
function drawMarks(context, marks, pixel, name = "") {
  for (const [key, mark] of Object.entries(marks || {})) {
    for (const place of Array.isArray(mark) ? mark : [mark]) {
      if (!place || typeof place !== "object") continue;
      if ("row" in place && "column" in place) drawPlace(context, place, pixel, Array.isArray(mark) ? "" : key);
      else if (!Array.isArray(mark)) drawMarks(context, place, pixel, key);
    }
  }
}

function drawPlace(context, place, pixel, name) {
  const [x, y] = [place.column + 0.5, place.row + 0.5];
  const radii = [place.diameter / 2, place.width / 2, place.inner_radius, place.outer_radius].filter((r) => r > 0);
  for (const [style, wide] of [["rgb(0 0 0 / 0.5)", 4], ["#fff", 1.6]]) {
    context.strokeStyle = style;
    context.lineWidth = wide * pixel;
    for (const radius of radii.length ? radii : [3 * pixel]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  if (name) write(context, name.replaceAll("_", " "), x, y - Math.max(0, ...radii) - 8 * pixel, pixel, "center");
}

function write(context, text, x, y, pixel, align) {
  context.font = `600 ${14 * pixel}px system-ui, sans-serif`;
  context.textAlign = align;
  context.lineWidth = 4 * pixel;
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}

function caption(context, text, pixel, canvas) {
  const { dx, dy } = canvas.placed();
  write(context, text, (10 - dx) * pixel, (24 - dy) * pixel, pixel, "left");
}
