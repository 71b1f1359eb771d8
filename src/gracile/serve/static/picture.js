// A picture with its layers: classes, truth, differences, probabilities, a gate's attention, marks.
import * as address from "./address.js";
import { Canvas, zoomButtons } from "./canvas.js";
import { h, problem, slider, swatch } from "./dom.js";

const CUT = { Found: 85, Truth: 85, Differences: 85, Probability: 75, Attention: 60 };
const USUAL_THRESHOLD = 20;

/** Load what is shown at first. */
export async function prepare(scene, url) {
  if (!scene.picture) return null;
  const base = image(url(scene.picture.base));
  const layers = scene.layers.map((layer) => ({ ...layer, id: `${layer.group}/${layer.name}`, source: null }));
  await Promise.all([base, ...layers.filter(isSeen).map((layer) => load(layer, url))]);
  return { base: await base, layers };
}

const beside = () => address.get("beside") === "1";
const isSeen = (layer) => address.isOn(layer.id, layer.shown) || (beside() && layer.group === "Truth");

/** Load a layer when it is first seen. */
async function load(layer, url) {
  if (layer.source) return;
  layer.source = layer.plain = await image(url(layer.key));
  if (layer.kind === "gray") layer.values = grayValues(layer.plain);
}

export async function show(place, scene, url, parts, panel) {
  if (!parts) return null;
  const { width, height } = scene.picture;
  const { base, layers } = parts;
  const groups = [...new Set(layers.map((layer) => layer.group))];
  const state = {
    opacity: Object.fromEntries(groups.map((group) => [group, address.number(`opacity ${group}`, CUT[group])])),
    threshold: address.number("threshold", USUAL_THRESHOLD), marks: address.isOn("Marks", true), aside: beside() && groups.includes("Truth"), bare: false,
  };
  const canvas = new Canvas(`Picture of ${scene.name}`, width, height, (context, pane, pixel) => {
    context.drawImage(base, 0, 0, width, height);
    for (const layer of layers) {
      const other = layer.group === "Truth" || layer.group === "Differences";
      const visible = !state.aside ? layer.shown : pane === 0 ? layer.shown && !other : layer.group === "Truth";
      if (!visible || !layer.source || (state.bare && pane === 0)) continue;
      context.globalAlpha = state.opacity[layer.group] / 100;
      context.drawImage(layer.source, 0, 0, width, height);
    }
    context.globalAlpha = 1;
    if (state.marks && !state.bare && pane === 0) drawMarks(context, scene.marks, pixel);
    if (state.aside) caption(context, pane === 0 ? "found" : "truth", pixel, canvas);
  });
  /** Draw what is to be seen, once it is there. */
  const redraw = async () => {
    const missing = layers.filter((layer) => !layer.source && (layer.shown || (state.aside && layer.group === "Truth")));
    if (missing.length) {
      canvas.element.setAttribute("aria-busy", "true");
      await Promise.all(missing.map((layer) => load(layer, url))).catch((error) => problem(`A layer cannot be shown: ${error.message}`));
      canvas.element.removeAttribute("aria-busy");
    }
    for (const layer of layers) if (layer.values && layer.shown) layer.source = tinted(layer, state.threshold / 100);
    canvas.panes = state.aside ? 2 : 1;
    canvas.fit();
    canvas.draw();
  };
  layers.forEach((layer) => { layer.usual ??= layer.shown; layer.shown = address.isOn(layer.id, layer.usual); });
  canvas.view = address.numbers("zoom", 3);
  canvas.moved = () => address.setNumbers("zoom", canvas.view, 2);
  place.replaceChildren(h("div", { class: "stage" }, canvas.element, zoomButtons(canvas)));
  const { element, aside, bare } = controls(layers, groups, state, redraw, scene);
  panel.layers.replaceChildren(element);
  await redraw();
  return { close: () => canvas.close(), keys: { h: bare, t: () => aside?.click(), "+": () => canvas.zoom(1.6), "-": () => canvas.zoom(1 / 1.6), 0: () => canvas.zoom(0) } };
}

function controls(layers, groups, state, redraw, scene) {
  const sets = groups.map((group) => h("fieldset", {}, h("legend", {}, group),
    layers.filter((layer) => layer.group === group).map((layer) => h("label", {},
      h("input", { type: "checkbox", checked: layer.shown, "data-layer": layer.id, onchange: (event) => { layer.shown = event.target.checked; address.switchTo(layer.id, layer.usual, layer.shown); redraw(); } }),
      swatch(layer.color), layer.name)),
    slider("Opacity", state.opacity[group], (value) => { state.opacity[group] = value; address.set(`opacity ${group}`, String(value), String(CUT[group])); redraw(); }, { "aria-label": `Opacity of ${group}` }),
    group === "Probability" && slider("Threshold", state.threshold, (value) => { state.threshold = value; address.set("threshold", String(value), String(USUAL_THRESHOLD)); redraw(); }, { "aria-label": "Threshold of the probability maps in percent" })));
  const marks = Object.keys(scene.marks || {}).length > 0 && h("label", {},
    h("input", { type: "checkbox", checked: state.marks, "data-layer": "Marks", onchange: (event) => { state.marks = event.target.checked; address.switchTo("Marks", true, state.marks); redraw(); } }), "Marks");
  const aside = groups.includes("Truth") && h("button", { type: "button", class: "quiet", "aria-pressed": String(state.aside), onclick: (event) => {
    state.aside = !state.aside;
    address.set("beside", state.aside);
    event.target.setAttribute("aria-pressed", String(state.aside));
    redraw();
  } }, "Truth beside it");
  const bare = () => { state.bare = !state.bare; redraw(); };
  return { element: h("div", {}, sets, (marks || aside) && h("div", { class: "row" }, marks, aside)), aside, bare };
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
