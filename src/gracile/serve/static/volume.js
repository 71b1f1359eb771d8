// A volume in NiiVue: slices and 3D, the mask, probability maps, landmarks and lines, jumps to findings, the truth.
import * as address from "./address.js";
import { at } from "./api.js";
import { zoomButtons } from "./canvas.js";
import { h, problem, slider, swatch } from "./dom.js";
import { profile } from "./profile.js";

const LIBRARY = at("/static/niivue/niivue-0.69.0.umd.js");
const USUAL_VIEW = "Slices and 3D";
const USUAL_CUT = 20; // percent
const [NO_3D, WITH_3D] = [0, 1];
const SOON_MS = 200; // who goes from case to case does not wait for 3D
const VIEWS = { "Slices and 3D": 3, Axial: 0, Coronal: 1, Sagittal: 2, "3D": 4 };
const MARKS = [{ value: 3, color: [253, 231, 37] }, { value: 2, color: [53, 183, 121] }];
const TRUTH = { value: 1, color: [49, 104, 142] }; // places and colors on viridis
const MOST_NAMES = 16;
let library = null;

function loadLibrary() {
  library ||= new Promise((resolve, reject) => {
    const script = h("script", { src: LIBRARY });
    script.addEventListener("load", () => {
      new window.niivue.Niivue({ logLevel: "silent" }); // so that loading is silent too
      resolve(window.niivue);
    });
    script.addEventListener("error", () => reject(new Error("the viewer of volumes could not be loaded")));
    document.head.append(script);
  });
  return library;
}

/** Load what is shown at first, as far as that goes before it is drawn. */
export async function prepare(scene, url) {
  const niivue = await loadLibrary();
  const layers = layersOf(scene).map((layer) => ({ ...layer, usual: layer.shown, volume: null }));
  for (const layer of layers) layer.options = () => options(scene, url, layer);
  await recalled(niivue, layers);
  return { niivue, layers };
}

/** Set layers as the address says, and load those that are on, and the one that the others lie over. Gives these. */
async function recalled(niivue, layers) {
  for (const layer of layers) {
    const [key, frame] = [layer.key, layer.frame];
    layer.shown = address.isOn(layer.name, layer.usual);
    layer.share = address.number(`opacity ${layer.name}`, layer.share);
    if (layer.choices) layer.key = (layer.choices.find((one) => one.name === address.get("landmark")) || layer.choices[0]).key;
    if (layer.frames > 1) layer.frame = Math.min(layer.frames - 1, address.number("class", 1));
    if (layer.colormap === "warm") layer.cut = address.number(`threshold ${layer.name}`, USUAL_CUT) / 100;
    if (key !== layer.key || frame !== layer.frame) layer.volume = null;
  }
  const seen = layers.filter((layer, index) => layer.shown || index === 0);
  for (const layer of layers) if (!seen.includes(layer)) layer.volume = null; // no view holds it yet
  await Promise.all(seen.map(async (layer) => (layer.volume ||= await niivue.NVImage.loadFromUrl(layer.options()))));
  return seen;
}

function layersOf(scene) {
  const { image, mask, truth, maps } = scene.volume;
  const labeled = { colormap: "gray", share: 60, labels: labels(scene.classes) };
  return [
    image && { key: image, name: "Scan", colormap: "gray", share: 100, shown: true },
    mask && { ...labeled, key: mask, name: "Found", shown: true },
    truth && { ...labeled, key: truth, name: "Truth", shown: false },
    ...maps.map((map) => ({ ...map, colormap: "warm", share: 70, shown: false, frame: map.frames > 1 ? 1 : 0 })),
  ].filter(Boolean);
}

function options(scene, url, layer) {
  const suffix = scene.files[layer.key].suffix.replace(/^.*?(\.nii(\.gz)?)$/, "$1");
  return { url: url(layer.key), name: `${layer.key}${suffix}`, colormap: layer.colormap, opacity: layer.share / 100, frame4D: layer.frame || 0 };
}

export async function show(place, scene, url, { niivue, layers }, panel) {
  const { truth, points, findings, profile: course } = scene.volume;
  const seen = await recalled(niivue, layers);
  const where = h("p", { class: "where hint", role: "status" });
  const stages = h("div", { class: "stages" });
  place.replaceChildren(stages, h("div", { class: "below" }, where));
  const panes = new Panes(niivue, stages, (text) => (where.textContent = text));
  const main = await panes.add(`Volume ${scene.name}`, seen);
  const lines = points.filter((group) => group.points.length).map((group, number) => {
    const mark = group.truth ? TRUTH : MARKS[number % MARKS.length];
    return { ...group, mark, mesh: addPoints(main, group, mark, address.isOn(group.name, true)) };
  });
  const known = lines.find((group) => group.truth);
  const scan = layers.find((layer) => layer.name === "Scan");
  const aside = (truth || known) && besides(panes, scan, layers.find((layer) => layer.key === truth), known);
  panel.layers.replaceChildren(controls(panes, main, layers, lines, scene, aside));
  if (course) place.append(profile(course, (mm) => panes.jump(mm)));
  listFindings(panel.findings, panes, findings);
  panes.recall();
  panes.draw(main);
  if (aside && address.get("beside") === "1") await aside.act();
  panes.live = true;
  return { close: () => panes.close(), keys: { h: () => panel.layers.querySelector("[data-layer=Found], [data-layer=Landmarks]")?.click(), t: () => aside?.button.click(), "+": () => panes.zoom(1.4), "-": () => panes.zoom(1 / 1.4), 0: () => panes.zoom(0) } };
}

/** One or two views of the patient that look at the same place. */
class Panes {
  constructor(niivue, place, tell) {
    Object.assign(this, { niivue, place, tell, viewers: [], live: false });
  }

  async add(label, layers) {
    const pane = spare || (await make(this.niivue));
    spare = null;
    const { viewer, stage, canvas } = pane;
    canvas.setAttribute("aria-label", `${label}. Click or use the arrow keys to move the cross; the list of findings jumps to places.`);
    this.place.append(stage);
    const first = this.viewers.length === 0;
    stage.querySelector(".zoom")?.remove();
    if (first) stage.append(zoomButtons(this));
    this.viewers.push(pane);
    Object.assign(viewer, { onLocationChange: (data) => this.moved(viewer, data), onAzimuthElevationChange: () => this.note(), onZoom3DChange: () => this.note() });
    Object.assign(viewer.scene, { pan2Dxyzmm: [0, 0, 0, 1], volScaleMultiplier: 1, renderAzimuth: 110, renderElevation: 10, crosshairPos: [0.5, 0.5, 0.5] });
    viewer.opts.sliceType = first ? VIEWS[address.get("view")] ?? VIEWS[USUAL_VIEW] : this.viewers[0].viewer.opts.sliceType;
    viewer.volumes = layers.slice(0, -1).map((layer) => layer.volume);
    for (const layer of layers) finish(layer);
    delete viewer.updateGLVolume;
    viewer.drawScene = () => null;
    if (layers.length) viewer.addVolume(layers.at(-1).volume); // with it all are made ready
    viewer.updateGLVolume = () => null; // what lies over them needs that no more
    viewer.opts.meshThicknessOn2D = Math.min(3, extent(viewer) / 30); // how near marks are that a slice shows
    return viewer;
  }

  /** Draw a view that was filled: once, not with each thing that was put into it; 3D, which takes longest, a little later. */
  draw(viewer) {
    const { canvas } = viewer;
    delete viewer.drawScene;
    delete viewer.updateGLVolume;
    if (!viewer.volumes.length) viewer.updateGLVolume();
    viewer.opts.multiplanarShowRender = NO_3D;
    viewer.resizeListener(); // draws, too
    canvas.setAttribute("aria-busy", "true");
    setTimeout(() => {
      canvas.removeAttribute("aria-busy");
      if (!this.viewers.some((pane) => pane.viewer === viewer)) return;
      viewer.opts.multiplanarShowRender = WITH_3D;
      viewer.drawScene();
    }, SOON_MS);
  }

  remove(viewer) {
    const pane = this.viewers.find((one) => one.viewer === viewer);
    this.viewers = this.viewers.filter((one) => one !== pane);
    pane.stage.remove();
    release(pane);
  }

  /** Load a layer when it is first wanted, as it is wanted at the end. */
  async load(viewer, layer) {
    for (;;) {
      const { key } = layer;
      const volume = await viewer.addVolumeFromUrl(layer.options()).catch((error) => error);
      if (key !== layer.key) {
        if (!(volume instanceof Error)) viewer.removeVolume(volume);
        continue;
      }
      if (volume instanceof Error) throw volume;
      layer.volume = volume;
      finish(layer);
      break;
    }
    if (layer.frames > 1) viewer.setFrame4D(layer.volume.id, layer.frame);
    viewer.updateGLVolume();
  }

  moved(viewer, data) {
    this.tell(words(data));
    for (const other of this.viewers) if (other.viewer !== viewer) place(other.viewer, data.mm);
    if (this.live) address.setNumbers("at", [...data.mm].slice(0, 3), 2);
  }

  /** Keep how it is turned and how near it is in the address. */
  note() {
    if (!this.live) return;
    const { pan2Dxyzmm, renderAzimuth, renderElevation, volScaleMultiplier } = this.viewers[0].viewer.scene;
    address.setNumbers("turn", [renderAzimuth, renderElevation, volScaleMultiplier], 2);
    address.setNumbers("zoom", pan2Dxyzmm[3] === 1 ? null : [...pan2Dxyzmm], 3);
  }

  /** Look as the address says. */
  recall() {
    const [{ viewer }] = this.viewers;
    const [at, zoom, turn] = [address.numbers("at", 3), address.numbers("zoom", 4), address.numbers("turn", 3)];
    if (at) this.jump(at);
    if (zoom) viewer.scene.pan2Dxyzmm = zoom;
    if (turn) [viewer.scene.renderAzimuth, viewer.scene.renderElevation, viewer.scene.volScaleMultiplier] = turn;
  }

  /** Come nearer to the cross by a factor; 0 shows all. */
  zoom(by) {
    for (const { viewer } of this.viewers) {
      const [x, y, z, before] = viewer.scene.pan2Dxyzmm;
      const now = Math.min(32, Math.max(1, before * by));
      const [right, front, up] = viewer.frac2mm(viewer.scene.crosshairPos);
      const shift = before - now;
      viewer.setPan2Dxyzmm(now === 1 ? [0, 0, 0, 1] : [x + shift * right, y + shift * front, z + shift * up, now]);
      viewer.setScale(by ? Math.min(4, Math.max(0.5, viewer.scene.volScaleMultiplier * by)) : 1);
    }
    this.note();
  }

  jump(mm) {
    const [{ viewer }] = this.viewers;
    place(viewer, mm);
    viewer.createOnLocationChange();
  }

  close() {
    this.live = false;
    const [main, ...others] = this.viewers.splice(0);
    for (const pane of others) release(pane);
    if (!main) return;
    const quiet = { drawScene: () => null, updateGLVolume: () => null };
    Object.assign(main.viewer, quiet, { volumes: [], back: null, overlays: [] });
    for (const mesh of [...main.viewer.meshes]) main.viewer.removeMesh(mesh);
    if (spare) release(main);
    else spare = main;
  }
}

let spare = null; // a view that is kept from case to case: making one takes longer than filling it

async function make(niivue) {
  const canvas = h("canvas", { tabindex: 0, role: "img" });
  const stage = h("div", { class: "stage volume" }, canvas);
  const viewer = new niivue.Niivue({
    logLevel: "silent", dragAndDropEnabled: false, backColor: [0, 0, 0, 1], show3Dcrosshair: true, isColorbar: false,
    multiplanarShowRender: WITH_3D, multiplanarLayout: 2, crosshairColor: [0.4, 0.9, 0.8, 0.8], crosshairWidth: 0.6,
    meshXRay: 0.4, isResizeCanvas: true, isRadiologicalConvention: true, sagittalNoseLeft: true, // as in the reports
  });
  canvas.getContext("webgl2", { alpha: true, antialias: true, preserveDrawingBuffer: true }); // so that it is printed
  Object.assign(viewer, { keyDownListener: (event) => move(viewer, event), keyUpListener: () => null }); // its own letters are the page's
  await viewer.attachToCanvas(canvas);
  return { viewer, stage, canvas };
}

function finish(layer) {
  layer.volume.opacity = layer.shown ? layer.share / 100 : 0;
  if (layer.labels) layer.volume.setColormapLabel(layer.labels);
  if ("cut" in layer) cut(layer);
}

/** Show a map from its threshold on: of a landmark, whose share in any one voxel is small, relative to its peak. */
function cut(layer) {
  const peak = layer.choices ? layer.volume.global_max || 1 : 1;
  layer.volume.cal_min = layer.cut * peak;
  layer.volume.cal_max = peak;
}

function place(viewer, mm) {
  viewer.scene.crosshairPos = viewer.mm2frac([mm[0], mm[1], mm[2], 1]);
  viewer.drawScene();
}

const release = ({ viewer }) => viewer.gl?.getExtension("WEBGL_lose_context")?.loseContext();

function labels(classes) {
  const column = (i) => classes.map(({ color }) => color[i]);
  return { R: column(0), G: column(1), B: column(2), A: classes.map((_, i) => (i ? 255 : 0)), I: classes.map((_, i) => i), labels: classes.map((c) => c.name) };
}

function controls(panes, main, layers, lines, scene, aside) {
  const turn = (name) => { address.set("view", name, USUAL_VIEW); panes.viewers.forEach(({ viewer }) => viewer.setSliceType(VIEWS[name])); };
  const views = h("select", { "aria-label": "View", onchange: (event) => turn(event.target.value) },
    Object.entries(VIEWS).map(([name, value]) => h("option", { value: name, selected: value === main.opts.sliceType }, name)));
  const legend = scene.classes.slice(1).map((c) => h("span", {}, swatch(c.color), c.name));
  const marks = lines.map((group) => h("label", {}, h("input", { type: "checkbox", checked: address.isOn(group.name, true), "data-layer": group.name,
    onchange: (event) => { address.switchTo(group.name, true, event.target.checked); main.setMeshProperty(group.mesh.id, "visible", event.target.checked); } }), !group.curve && swatch(group.mark.color), group.name));
  return h("div", {}, h("div", { class: "row" }, h("label", {}, "View ", views), h("span", { class: "legend" }, legend), aside?.button),
    layers.map((layer) => control(panes, main, layer, scene)), marks.length > 0 && h("fieldset", {}, h("legend", {}, "Marks"), marks));
}

function control(panes, viewer, layer, scene) {
  const box = h("input", { type: "checkbox", checked: layer.shown, "data-layer": layer.name, onchange: () => { address.switchTo(layer.name, layer.usual, box.checked); apply(); } });
  const apply = async () => {
    if (box.hasAttribute("aria-busy") || (!layer.volume && !box.checked)) return; // what is being loaded is shown as the controls then stand
    if (!layer.volume) {
      box.setAttribute("aria-busy", "true");
      try {
        await panes.load(viewer, layer);
      } catch (error) {
        box.checked = false;
        if (box.isConnected) problem(`${layer.name} cannot be shown: ${error.message}`);
        return;
      } finally {
        box.removeAttribute("aria-busy");
      }
    }
    viewer.setOpacity(viewer.getVolumeIndexByID(layer.volume.id), box.checked ? layer.share / 100 : 0);
  };
  const opacity = slider("Opacity", layer.share, (value) => { layer.share = value; address.set(`opacity ${layer.name}`, String(value)); apply(); }, { "aria-label": `Opacity of ${layer.name}` });
  const threshold = "cut" in layer && slider("Threshold", layer.cut * 100, (value) => {
    layer.cut = value / 100;
    address.set(`threshold ${layer.name}`, String(value), String(USUAL_CUT));
    if (!layer.volume) return;
    cut(layer);
    viewer.updateGLVolume();
  }, { "aria-label": `Threshold of ${layer.name} in percent`, max: 99 });
  const frame = layer.frames > 1 && h("select", { "aria-label": `Class of ${layer.name}`, onchange: (event) => {
    layer.frame = Number(event.target.value);
    address.set("class", event.target.value, "1");
    if (layer.volume) viewer.setFrame4D(layer.volume.id, layer.frame);
  } }, Array.from({ length: layer.frames }, (_, i) => h("option", { value: i, selected: i === layer.frame }, scene.classes[i]?.name || `map ${i}`)));
  const choice = layer.choices && h("select", { "aria-label": `Landmark of ${layer.name}`, onchange: async (event) => {
    layer.key = event.target.value;
    address.set("landmark", layer.choices.find(({ key }) => key === layer.key).name);
    if (layer.volume) viewer.removeVolume(layer.volume);
    layer.volume = null;
    await apply();
  } }, layer.choices.map(({ key, name }) => h("option", { value: key, selected: key === layer.key }, name)));
  return h("fieldset", {}, h("legend", {}, h("label", {}, box, layer.name)), frame, choice, opacity, threshold);
}

/** A button that sets the truth beside what was found, in a view of its own. */
function besides(panes, scan, truth, points) {
  let other = null;
  const act = async () => {
    button.disabled = true;
    if (other) {
      panes.remove(other);
      other = null;
    } else {
      const layers = [scan, truth].filter(Boolean).map((layer) => ({ ...layer, shown: true }));
      for (const layer of layers) layer.volume = await panes.niivue.NVImage.loadFromUrl(layer.options());
      other = await panes.add("Truth", layers);
      if (points) addPoints(other, points, points.mark);
      const main = panes.viewers[0].viewer;
      place(other, main.frac2mm(main.scene.crosshairPos));
      panes.draw(other);
    }
    address.set("beside", Boolean(other));
    button.setAttribute("aria-pressed", String(Boolean(other)));
    button.disabled = false;
  };
  const button = h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: act }, "Truth beside it");
  return { button, act };
}

function addPoints(viewer, group, mark, visible = true) {
  const size = group.curve ? 0.4 : extent(viewer) / 60;
  const nodes = group.points.map((p) => ({ name: group.curve ? "" : p.label, x: p.mm[0], y: p.mm[1], z: p.mm[2], colorValue: mark.value, sizeValue: size }));
  const edges = group.curve ? group.points.slice(1).map((_, i) => ({ first: i, second: i + 1, colorValue: 1 })) : [];
  const mesh = viewer.loadConnectomeAsMesh({
    name: group.name, nodeColormap: "viridis", nodeColormapNegative: "viridis", nodeMinColor: 0, nodeMaxColor: 3, nodeScale: 1,
    edgeColormap: "warm", edgeColormapNegative: "winter", edgeMin: 0, edgeMax: 1, edgeScale: 0.6, legendLineThickness: 1, nodes, edges,
  });
  if (group.curve || group.truth || group.points.length > MOST_NAMES) for (const node of mesh.nodes) delete node.label;
  viewer.addMesh(mesh);
  if (!visible) viewer.setMeshProperty(mesh.id, "visible", false);
  return mesh;
}

/** The longest side of what is shown, in mm; of a head where there is nothing. */
const extent = ({ volumes: [volume] }) => (volume ? Math.max(...[1, 2, 3].map((axis) => volume.hdr.dims[axis] * volume.hdr.pixDims[axis])) : 200);

function listFindings(list, panes, findings) {
  if (!findings.length) return;
  const go = (button, mm) => {
    list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    button.setAttribute("aria-current", "true");
    panes.jump(mm);
  };
  list.replaceChildren(h("h3", {}, "Findings"), h("ul", { class: "findings", tabindex: 0, "aria-label": "Findings" }, findings.map((finding) => {
    const words = [h("span", {}, finding.label), h("small", {}, finding.note), finding.more && h("small", { class: "more" }, finding.more)];
    return h("li", {}, finding.mm ? h("button", { type: "button", class: "quiet", onclick: (event) => go(event.currentTarget, finding.mm) }, words) : h("p", { class: "missing" }, words));
  })));
  const first = findings.find((finding) => finding.mm);
  if (first) panes.jump(first.mm);
}

function words(data) {
  const [right, front, up] = data.mm;
  const values = data.values.map((v) => Number(v.value).toPrecision(3)).join("  ");
  return `R ${right.toFixed(1)}  A ${front.toFixed(1)}  S ${up.toFixed(1)} mm   ${values}`;
}

/** Arrow keys, Page Up and Page Down move the cross by a voxel; the patient's right is on the left. In 3D they turn it. */
function move(viewer, event) {
  const moves = { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
  if (!moves[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const [x, y, z] = moves[event.key];
  const { renderAzimuth, renderElevation } = viewer.scene;
  if (viewer.opts.sliceType === VIEWS["3D"]) viewer.setRenderAzimuthElevation(renderAzimuth + 10 * x, renderElevation + 10 * y);
  else viewer.moveCrosshairInVox(x, y, z);
}
