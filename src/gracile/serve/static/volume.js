// A volume in NiiVue: slices and 3D, the mask, probability maps, landmarks and lines, jumps to findings, the truth.
import { at } from "./api.js";
import { h, problem, slider, swatch } from "./dom.js";
import { profile } from "./profile.js";

const LIBRARY = at("/static/niivue/niivue-0.69.0.umd.js");
const VIEWS = { "Slices and 3D": 3, Axial: 0, Coronal: 1, Sagittal: 2, "3D": 4 };
const MARKS = [{ value: 3, color: [253, 231, 37] }, { value: 2, color: [53, 183, 121] }];
const TRUTH = { value: 1, color: [49, 104, 142] }; // places and colors on viridis
const MOST_NAMES = 16;
let library = null;

function loadLibrary() {
  library ||= new Promise((resolve, reject) => {
    const script = h("script", { src: LIBRARY });
    script.addEventListener("load", () => resolve(window.niivue));
    script.addEventListener("error", () => reject(new Error("the viewer of volumes could not be loaded")));
    document.head.append(script);
  });
  return library;
}

export async function show(place, scene, url) {
  const niivue = await loadLibrary();
  const { image, mask, truth, maps, points, findings } = scene.volume;
  const scan = { key: image, name: "Scan", colormap: "gray", share: 1, shown: true };
  const labeled = { colormap: "gray", share: 0.6, labels: labels(scene.classes) };
  const layers = [
    image && scan,
    mask && { ...labeled, key: mask, name: "Found", shown: true },
    truth && { ...labeled, key: truth, name: "Truth", shown: false },
    ...maps.map((map) => ({ ...map, colormap: "warm", share: 0.7, shown: false, frame: map.frames > 1 ? 1 : 0, cut: 0.2 })),
  ].filter(Boolean);
  const where = h("p", { class: "where hint", role: "status" });
  const stages = h("div", { class: "stages" });
  place.replaceChildren(stages, where);
  const panes = new Panes(niivue, stages, scene, url, (text) => (where.textContent = text));
  const main = await panes.add(`Volume ${scene.name}`, layers.filter((layer) => layer.shown));
  main.setSliceType(VIEWS["Slices and 3D"]);
  const lines = points.filter((group) => group.points.length).map((group, number) => {
    const mark = group.truth ? TRUTH : MARKS[number % MARKS.length];
    return { ...group, mark, mesh: addPoints(main, group, mark) };
  });
  const known = lines.find((group) => group.truth);
  const aside = (truth || known) && besides(panes, image && scan, layers.find((layer) => layer.key === truth), known);
  place.append(controls(panes, main, layers, lines, scene, aside));
  if (scene.volume.profile) place.append(profile(scene.volume.profile, (mm) => panes.jump(mm)));
  listFindings(place.closest("article").querySelector(".found"), panes, findings);
  return { close: () => panes.close() };
}

/** One or two views of the patient that look at the same place. */
class Panes {
  constructor(niivue, place, scene, url, tell) {
    Object.assign(this, { niivue, place, scene, url, tell, viewers: [] });
  }

  async add(label, layers) {
    const canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": `${label}. Click or use the arrow keys to move the cross; the list of findings jumps to places.` });
    const stage = h("div", { class: "stage volume" }, canvas);
    this.place.append(stage);
    const viewer = new this.niivue.Niivue({
      logLevel: "silent", dragAndDropEnabled: false, backColor: [0, 0, 0, 1], show3Dcrosshair: true, isColorbar: false,
      multiplanarShowRender: 1, multiplanarLayout: 2, crosshairColor: [0.4, 0.9, 0.8, 0.8], crosshairWidth: 0.6,
      meshXRay: 0.4, isResizeCanvas: true, isRadiologicalConvention: true, sagittalNoseLeft: true, // as in the reports
    });
    canvas.getContext("webgl2", { alpha: true, antialias: true, preserveDrawingBuffer: true }); // so that it is printed
    viewer.onLocationChange = (data) => this.moved(viewer, data);
    await viewer.attachToCanvas(canvas);
    await viewer.loadVolumes(layers.map((layer) => this.options(layer)));
    layers.forEach((layer, index) => finish(viewer, layer, viewer.volumes[index]));
    viewer.setMeshThicknessOn2D(Math.min(3, extent(viewer) / 30)); // how near marks are that a slice shows; it also draws
    canvas.addEventListener("keydown", (event) => step(viewer, event));
    this.viewers.push({ viewer, stage });
    return viewer;
  }

  remove(viewer) {
    const pane = this.viewers.find((one) => one.viewer === viewer);
    this.viewers = this.viewers.filter((one) => one !== pane);
    pane.stage.remove();
    release(viewer);
  }

  options(layer) {
    const suffix = this.scene.files[layer.key].suffix.replace(/^.*?(\.nii(\.gz)?)$/, "$1");
    return { url: this.url(layer.key), name: `${layer.key}${suffix}`, colormap: layer.colormap, opacity: layer.share, frame4D: layer.frame || 0 };
  }

  /** Load a layer when it is first wanted, as it is wanted at the end. */
  async load(viewer, layer) {
    for (;;) {
      const { key } = layer;
      const volume = await viewer.addVolumeFromUrl(this.options(layer)).catch((error) => error);
      if (key !== layer.key) {
        if (!(volume instanceof Error)) viewer.removeVolume(volume);
        continue;
      }
      if (volume instanceof Error) throw volume;
      finish(viewer, layer, volume);
      break;
    }
    if (layer.frames > 1) viewer.setFrame4D(layer.volume.id, layer.frame);
    viewer.updateGLVolume();
  }

  moved(viewer, data) {
    this.tell(words(data));
    for (const other of this.viewers) if (other.viewer !== viewer) place(other.viewer, data.mm);
  }

  jump(mm) {
    const [{ viewer }] = this.viewers;
    place(viewer, mm);
    viewer.createOnLocationChange();
  }

  close() {
    for (const { viewer } of this.viewers) release(viewer);
  }
}

function finish(viewer, layer, volume) {
  layer.volume = volume;
  if (layer.labels) volume.setColormapLabel(layer.labels);
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

const release = (viewer) => viewer.gl?.getExtension("WEBGL_lose_context")?.loseContext();

function labels(classes) {
  const column = (i) => classes.map(({ color }) => color[i]);
  return { R: column(0), G: column(1), B: column(2), A: classes.map((_, i) => (i ? 255 : 0)), I: classes.map((_, i) => i), labels: classes.map((c) => c.name) };
}

function controls(panes, main, layers, lines, scene, aside) {
  const views = h("select", { "aria-label": "View", onchange: (event) => panes.viewers.forEach(({ viewer }) => viewer.setSliceType(Number(event.target.value))) },
    Object.entries(VIEWS).map(([name, value]) => h("option", { value }, name)));
  const legend = scene.classes.slice(1).map((c) => h("span", {}, swatch(c.color), c.name));
  const marks = lines.map((group) => h("label", {}, h("input", { type: "checkbox", checked: true, "data-layer": group.name,
    onchange: (event) => main.setMeshProperty(group.mesh.id, "visible", event.target.checked) }), !group.curve && swatch(group.mark.color), group.name));
  return h("div", { class: "layers" }, h("div", { class: "row" }, h("label", {}, "View ", views), h("span", { class: "legend" }, legend), aside),
    layers.map((layer) => control(panes, main, layer, scene)), marks.length > 0 && h("fieldset", {}, h("legend", {}, "Marks"), marks));
}

function control(panes, viewer, layer, scene) {
  let share = layer.share * 100;
  const box = h("input", { type: "checkbox", checked: layer.shown, "data-layer": layer.name, onchange: () => apply() });
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
    viewer.setOpacity(viewer.getVolumeIndexByID(layer.volume.id), box.checked ? share / 100 : 0);
  };
  const opacity = slider("Opacity", share, (value) => { share = value; apply(); }, { "aria-label": `Opacity of ${layer.name}` });
  const threshold = "cut" in layer && slider("Threshold", 20, (value) => {
    layer.cut = value / 100;
    if (!layer.volume) return;
    cut(layer);
    viewer.updateGLVolume();
  }, { "aria-label": `Threshold of ${layer.name} in percent`, max: 99 });
  const frame = layer.frames > 1 && h("select", { "aria-label": `Class of ${layer.name}`, onchange: (event) => {
    layer.frame = Number(event.target.value);
    if (layer.volume) viewer.setFrame4D(layer.volume.id, layer.frame);
  } }, Array.from({ length: layer.frames }, (_, i) => h("option", { value: i, selected: i === layer.frame }, scene.classes[i]?.name || `map ${i}`)));
  const choice = layer.choices && h("select", { "aria-label": `Landmark of ${layer.name}`, onchange: async (event) => {
    layer.key = event.target.value;
    if (layer.volume) viewer.removeVolume(layer.volume);
    layer.volume = null;
    await apply();
  } }, layer.choices.map(({ key, name }) => h("option", { value: key }, name)));
  return h("fieldset", {}, h("legend", {}, h("label", {}, box, layer.name)), frame, choice, opacity, threshold);
}

/** A button that sets the truth beside what was found, in a view of its own. */
function besides(panes, scan, truth, points) {
  let other = null;
  return h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: async (event) => {
    const button = event.target;
    button.disabled = true;
    if (other) {
      panes.remove(other);
      other = null;
    } else {
      const main = panes.viewers[0].viewer;
      other = await panes.add("Truth", [scan && { ...scan }, truth && { ...truth }].filter(Boolean));
      if (points) addPoints(other, points, points.mark);
      other.setSliceType(main.opts.sliceType);
      place(other, main.frac2mm(main.scene.crosshairPos));
    }
    button.setAttribute("aria-pressed", String(Boolean(other)));
    button.disabled = false;
  } }, "Truth beside it");
}

function addPoints(viewer, group, mark) {
  const size = group.curve ? 0.4 : extent(viewer) / 60;
  const nodes = group.points.map((p) => ({ name: group.curve ? "" : p.label, x: p.mm[0], y: p.mm[1], z: p.mm[2], colorValue: mark.value, sizeValue: size }));
  const edges = group.curve ? group.points.slice(1).map((_, i) => ({ first: i, second: i + 1, colorValue: 1 })) : [];
  const mesh = viewer.loadConnectomeAsMesh({
    name: group.name, nodeColormap: "viridis", nodeColormapNegative: "viridis", nodeMinColor: 0, nodeMaxColor: 3, nodeScale: 1,
    edgeColormap: "warm", edgeColormapNegative: "winter", edgeMin: 0, edgeMax: 1, edgeScale: 0.6, legendLineThickness: 1, nodes, edges,
  });
  if (group.curve || group.truth || group.points.length > MOST_NAMES) for (const node of mesh.nodes) delete node.label;
  viewer.addMesh(mesh);
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
  list.replaceChildren(h("h4", {}, "Findings"), h("ul", { class: "findings", tabindex: 0, "aria-label": "Findings" }, findings.map((finding) => {
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

/** Arrow keys, Page Up and Page Down move the cross by a voxel; the patient's right is on the left. */
function step(viewer, event) {
  const moves = { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1] };
  if (!moves[event.key] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  viewer.moveCrosshairInVox(...moves[event.key]);
}
