// Uploads, and the list of this browser's jobs with their progress.
import { keepOnly } from "./ahead.js";
import { at, follow, getJson, under, upload } from "./api.js";
import { byId, h, problem } from "./dom.js";
import { leave, look } from "./look.js";
import { foldStripIfNarrow } from "./rooms.js";
import { pack } from "./zip.js";

const KEPT = `gracile-jobs${under}`; // servers under several paths of one host share its storage
let models = [];
let largest = Infinity;
let sending = Promise.resolve();

export async function startUploads(session) {
  models = await getJson("/api/models");
  const choice = byId("model");
  choice.replaceChildren(...models.map((m) => h("option", { value: m.name }, m.title ? `${m.title} (${m.name})` : m.name)));
  const about = () => {
    byId("about").textContent = [chosen()?.summary, ...together()].filter(Boolean).join(" ");
    byId("series").hidden = !takesVolumes();
  };
  choice.addEventListener("change", about);
  about();
  largest = session.limits.max_upload_mb;
  byId("limits").textContent = `Up to ${session.limits.max_upload_mb} MB. Results are kept for ${session.limits.keep_hours} hours.`;
  byId("upload").hidden = false;
  for (const field of [byId("file"), byId("folder")]) {
    field.addEventListener("change", () => {
      takeAll([...field.files].map((file) => ({ file, folder: folderOf(file.webkitRelativePath) })));
      field.value = "";
    });
  }
  dropping(byId("drop"));
  await recall();
}

function dropping(zone) {
  for (const name of ["dragenter", "dragover"]) {
    document.addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const name of ["dragleave", "drop"]) document.addEventListener(name, () => zone.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    takeAll((await Promise.all(entries.map((entry) => inside(entry)))).flat());
  });
}

const chosen = () => models.find((model) => model.name === byId("model").value);
const takesVolumes = () => chosen()?.takes === "volume";
/** Which files of a case are sent together, in words. */
const together = () => (takesChannels()
  ? [`Give the files of a case together: ${chosen().channels.map((name, index) => `CASE_${String(index).padStart(4, "0")} is ${name}`).join(", ")}.`]
  : []);
const takesChannels = () => (chosen()?.channels.length || 0) > 1;
const folderOf = (path) => (path || "").split("/").at(-2) || "";

/** The files of what was dropped, each with the name of its folder. */
async function inside(entry, folder = "") {
  if (entry.isFile) return [{ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), folder }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return (await Promise.all(found.map((one) => inside(one, entry.name)))).flat();
    found.push(...some);
  }
}

/**
 * Each file by itself; the DICOM files of a folder together, where the model takes volumes, and CASE_0000 with CASE_0001,
 * where it takes several channels. The first to be done is shown.
 */
async function takeAll(files) {
  problem("");
  const series = new Map();
  const cases = new Map();
  const turn = { free: true };
  for (const { file, folder } of files.filter(({ file }) => !file.name.startsWith("."))) {
    const part = takesChannels() && channel(file.name);
    if (part) {
      const key = `${folder}/${part.name}`;
      if (!cases.has(key)) cases.set(key, []);
      cases.get(key).push({ file, ...part });
    } else if (!takesVolumes() || !(await isDicom(file))) take(file, file.name, turn);
    else if (series.has(folder)) series.get(folder).push(file);
    else series.set(folder, [file]);
  }
  for (const parts of cases.values()) take({ channels: parts }, parts[0].name, turn);
  for (const [folder, parts] of series) take(parts, folder || `${parts.length} DICOM images`, turn);
}

/** The case and the channel of a file by nnU-Net's names, CASE_0000.nii.gz; null for another name. */
function channel(name) {
  const found = /^(.+)_(\d{4})(\.[^/]*)$/.exec(name);
  return found && { name: found[1] + found[3], number: found[2] };
}

async function isDicom(file) {
  return new TextDecoder("latin1").decode(await file.slice(128, 132).arrayBuffer()) === "DICM" && file.name.toUpperCase() !== "DICOMDIR";
}

/** Send one upload, after those that were chosen before it: so the page keeps connections for what is looked at. */
function take(content, name, turn) {
  const entry = new Entry(name);
  const wanted = { model: byId("model").value, name, probabilities: byId("probabilities").checked };
  if (takesVolumes()) wanted.series = byId("number").value.trim();
  sending = sending.then(() => send(entry, content, wanted, turn));
}

/** An upload as one file: what consists of several is packed. */
async function single(content) {
  if (Array.isArray(content)) return pack(content);
  if (content.channels) return pack(content.channels.map(({ file }) => file), content.channels.map(({ number }) => number));
  return content;
}

async function send(entry, content, wanted, turn) {
  try {
    entry.say("uploading", null);
    const file = await single(content);
    if (file.size > largest * 2 ** 20) throw new Error(`The upload is larger than ${largest} MB.`);
    const job = await upload(
      file, wanted,
      (share) => entry.say(share < 1 ? "uploading" : "being looked at", share < 1 ? share : null),
      (seconds) => entry.say(`the server is busy, again in ${seconds} s`, null),
    );
    entry.keep(job);
    entry.follow(job.id, turn);
  } catch (error) {
    entry.fail(error.message);
  }
}

/** One line of the list. */
class Entry {
  constructor(name) {
    this.name = h("span", { class: "name" }, name);
    this.state = h("span", { class: "state", role: "status" }, "waits to be sent");
    this.bar = h("progress", { max: 1, "aria-label": `Progress of ${name}` });
    this.buttons = h("span", { class: "buttons" });
    this.item = h("li", {}, this.name, this.state, this.bar, this.buttons);
    byId("jobs").hidden = false;
    byId("job-list").prepend(this.item);
  }

  say(text, share) {
    this.state.textContent = text;
    if (share === null || share === undefined) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  /** Follow the job; `turn` is shared by those that came together, of which one is shown by itself. */
  follow(id, turn) {
    follow(id, (job) => {
      this.item.dataset.state = job.state;
      if (job.state === "failed") this.fail(job.reason, id);
      else if (job.state === "done") this.done(job, turn);
      else this.say(...words(job));
    });
  }

  done(job, turn) {
    this.bar.remove();
    this.state.textContent = `done, model ${job.model}`;
    const base = `/api/jobs/${job.id}`;
    const see = () => look(base, { focus: true }).then((now) => now && (foldStripIfNarrow(), keepOnly(base)));
    this.buttons.replaceChildren(
      h("button", { type: "button", onclick: see, "aria-label": `Show ${job.name}` }, "Show"),
      h("button", { type: "button", class: "quiet", onclick: () => this.remove(job.id), "aria-label": `Delete ${job.name}` }, "Delete"));
    if (!turn.free) return;
    turn.free = false;
    see();
  }

  fail(reason, id) {
    this.bar.remove();
    this.item.dataset.state = "failed";
    this.state.classList.add("bad");
    this.state.textContent = reason;
    this.buttons.replaceChildren(h("button", { type: "button", class: "quiet", onclick: () => this.remove(id) }, "Dismiss"));
  }

  async remove(id) {
    if (id) await getJson(`/api/jobs/${id}`, { method: "DELETE" }).catch(() => null);
    forget(id);
    this.item.remove();
    leave(`/api/jobs/${id}`);
  }

  keep(job) {
    remember([...remembered(), { id: job.id, name: job.name }]);
  }
}

function words(job) {
  const { step, ahead, done, total } = job.progress;
  if (job.state === "queued") return [ahead ? `waiting, ${ahead} before it` : "waiting, next", null];
  if (total > 1) return [`${step}, ${done + 1} of ${total}`, Math.min(1, done / total)];
  return [step || job.state, null];
}

const remembered = () => { try { return JSON.parse(localStorage.getItem(KEPT)) || []; } catch { return []; } };
const remember = (jobs) => localStorage.setItem(KEPT, JSON.stringify(jobs.slice(-50)));
const forget = (id) => remember(remembered().filter((job) => job.id !== id));

/** This browser's earlier jobs, as far as the server still has them. */
async function recall() {
  const known = remembered();
  const jobs = await Promise.all(known.map(({ id }) => fetch(at(`/api/jobs/${encodeURIComponent(id)}`)).then((r) => (r.ok ? r.json() : null))));
  known.forEach(({ id }, index) => jobs[index] || forget(id));
  for (const job of jobs.filter(Boolean)) new Entry(job.name).follow(job.id, { free: false });
}
