// A clip: as it was with what was painted over it, frame by frame, and a timeline of gates and areas.
import * as address from "./address.js";
import { Canvas, zoomButtons } from "./canvas.js";
import { h, slider, swatch } from "./dom.js";

const COLORS = [[108, 201, 189], [240, 150, 80], [86, 180, 233], [230, 150, 200], [222, 196, 90], [150, 175, 255]];

/** Load both films up to their first frame. */
export async function prepare(scene, url) {
  const { painted, base } = scene.video;
  const [film, under] = await Promise.all([painted && clip(url(painted)), base && clip(url(base))]);
  return { film, under };
}

export async function show(place, scene, url, parts, panel) {
  const { film } = parts;
  let { under } = parts;
  if (!film && !under) return null;
  const lead = film || under;
  if (film && under && Math.abs(film.videoWidth / film.videoHeight - under.videoWidth / under.videoHeight) > 0.02) under = null; // beside its truth
  const state = { opacity: address.number("opacity", 100), bare: false };
  const [width, height] = [lead.videoWidth, lead.videoHeight];
  const canvas = new Canvas(`Clip ${scene.name}`, width, height, (context) => {
    if (under) context.drawImage(under, 0, 0, width, height);
    context.globalAlpha = !under ? 1 : state.bare ? 0 : state.opacity / 100;
    if (film) context.drawImage(film, 0, 0, width, height);
    context.globalAlpha = 1;
  });
  canvas.view = address.numbers("zoom", 3);
  canvas.moved = () => address.setNumbers("zoom", canvas.view, 2);
  const player = new Player(lead, under === lead ? null : under, scene.video.frames, canvas);
  place.replaceChildren(h("div", { class: "stage" }, canvas.element, zoomButtons(canvas)), player.element);
  const fade = (value) => { state.opacity = value; address.set("opacity", String(value), "100"); canvas.draw(); };
  if (film && under) panel.layers.replaceChildren(slider("Overlay", state.opacity, fade, { "aria-label": "Opacity of the overlay" }));
  player.seek(address.number("frame", 0));
  return {
    close: () => { player.close(); canvas.close(); },
    keys: {
      h: () => { state.bare = !state.bare; canvas.draw(); }, " ": () => player.toggle(), ",": () => player.step(-1), ".": () => player.step(1),
      "+": () => canvas.zoom(1.6), "-": () => canvas.zoom(1 / 1.6), 0: () => canvas.zoom(0),
    },
  };
}

function clip(source) {
  const video = h("video", { muted: true, playsinline: true, preload: "auto", src: source });
  video.muted = true;
  return new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", () => resolve(video), { once: true });
    video.addEventListener("error", () => reject(new Error("this browser cannot play the clip")), { once: true });
    video.load();
  });
}

class Player {
  constructor(lead, follower, frames, canvas) {
    Object.assign(this, { lead, follower, frames, canvas });
    this.times = frames?.time?.length ? frames.time : null;
    this.button = h("button", { type: "button", onclick: () => this.toggle() }, "Play");
    this.slider = h("input", { type: "range", min: 0, max: this.last(), step: this.times ? 1 : 0.01, value: 0, "aria-label": "Frame", oninput: () => this.seek(Number(this.slider.value)) });
    this.word = h("span", { class: "where", role: "status" });
    const step = (by, text, label) => h("button", { type: "button", class: "quiet", "aria-label": label, onclick: () => this.step(by) }, text);
    this.element = h("div", { class: "below" }, h("div", { class: "play" }, this.button, step(-1, "‹", "Frame before"), this.slider, step(1, "›", "Next frame")), this.word);
    if (this.times) this.addTimeline();
    this.ending = new AbortController();
    const { signal } = this.ending; // the films may be shown again
    for (const video of [lead, follower]) video?.addEventListener("seeked", () => this.arrived(), { signal });
    lead.addEventListener("ended", () => { this.pause(); this.follow(); }, { signal }); // so that the last frame is told
    this.observer = new ResizeObserver(() => this.drawTimeline());
    if (this.timeline) this.observer.observe(this.timeline);
  }

  last() {
    return this.times ? this.times.length - 1 : this.lead.duration;
  }

  addTimeline() {
    const names = Object.keys(this.frames.gates);
    this.timeline = h("canvas", { class: "timeline", role: "img", "aria-label": `Timeline of ${names.join(", ") || "the frames"}; click to go there, or use the slider` });
    this.timeline.addEventListener("click", (event) => {
      const box = this.timeline.getBoundingClientRect();
      this.seek(Math.round(((event.clientX - box.left) / box.width) * this.last()));
    });
    const legend = h("p", { class: "legend hint" }, names.map((name, i) => h("span", {}, swatch(COLORS[i % COLORS.length]), `probability of ${name}`)));
    this.element.append(this.timeline, legend);
  }

  step(by) {
    this.seek(Number(this.slider.value) + by);
  }

  seek(frame) {
    this.pause();
    const at = Math.min(this.last(), Math.max(0, frame));
    this.slider.value = at;
    const start = this.times ? this.times[0] : 0;
    // Half a millisecond into the frame, so that rounding does not show the one before.
    const time = this.times ? this.times[at] - start + 0.0005 : at;
    for (const video of [this.lead, this.follower]) if (video) video.currentTime = Math.min(time, Math.max(0, video.duration - 0.0005));
    this.canvas.element.setAttribute("aria-busy", "true");
    this.tell(at);
  }

  arrived() {
    this.draw();
    if (!this.lead.seeking && !this.follower?.seeking) this.canvas.element.removeAttribute("aria-busy");
  }

  tell(at) {
    if (this.times) {
      const gates = Object.entries(this.frames.gates).map(([name, values]) => (values[at] === null ? "" : `${name} ${values[at].toFixed(2)}`));
      const areas = Object.entries(this.frames.areas).map(([name, values]) => (values[at] ? `${name} ${values[at]} px` : ""));
      this.word.textContent = [`frame ${at}`, `${this.times[at].toFixed(2)} s`, this.frames.class[at], ...gates, ...areas].filter(Boolean).join(" · ");
    } else this.word.textContent = `${this.lead.currentTime.toFixed(2)} s`;
    if (this.lead.paused) address.set("frame", String(at), "0");
    this.drawTimeline();
  }

  toggle() {
    if (!this.lead.paused) {
      this.pause();
      return this.follow();
    }
    if (this.lead.ended) this.seek(0);
    this.button.textContent = "Pause";
    for (const video of [this.lead, this.follower]) video?.play().catch(() => null); // a pause may come before it has begun
    this.tick();
  }

  pause() {
    for (const video of [this.lead, this.follower]) video?.pause();
    this.button.textContent = "Play";
    cancelAnimationFrame(this.ticking);
  }

  tick() {
    this.follow();
    if (!this.lead.paused) this.ticking = requestAnimationFrame(() => this.tick());
  }

  follow() {
    const drift = this.follower ? this.lead.currentTime - this.follower.currentTime : 0;
    if (Math.abs(drift) > 0.08 && !this.follower.seeking) this.follower.currentTime = this.lead.currentTime;
    const now = this.lead.currentTime + (this.times ? this.times[0] : 0);
    const at = this.times ? Math.max(0, this.times.findLastIndex((time) => time <= now + 0.001)) : this.lead.currentTime;
    this.slider.value = at;
    this.tell(at);
    this.draw();
  }

  draw() {
    this.canvas.draw();
  }

  drawTimeline() {
    if (!this.timeline?.clientWidth) return;
    const dense = devicePixelRatio || 1;
    const canvas = this.timeline;
    canvas.width = canvas.clientWidth * dense;
    canvas.height = canvas.clientHeight * dense;
    const context = canvas.getContext("2d");
    context.scale(dense, dense);
    const [wide, high] = [canvas.clientWidth, canvas.clientHeight];
    const x = (frame) => (frame / Math.max(1, this.last())) * (wide - 2) + 1;
    const soft = getComputedStyle(canvas).color;
    context.fillStyle = "rgb(127 127 127 / 0.18)";
    this.frames.class.forEach((kind, frame) => { if (kind && kind !== "absent" && kind !== "failed") context.fillRect(x(frame - 0.5), 0, Math.max(1, x(1) - x(0)), high); });
    Object.values(this.frames.gates).forEach((values, index) => {
      context.strokeStyle = `rgb(${COLORS[index % COLORS.length].join(",")})`;
      context.lineWidth = 1.8;
      context.beginPath();
      values.forEach((value, frame) => value !== null && context.lineTo(x(frame), high - 4 - value * (high - 8)));
      context.stroke();
    });
    context.strokeStyle = soft;
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(x(Number(this.slider.value)), 0);
    context.lineTo(x(Number(this.slider.value)), high);
    context.stroke();
  }

  close() {
    this.pause();
    this.ending.abort();
    this.observer.disconnect();
  }
}
