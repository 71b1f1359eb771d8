// Talks to the server.

const ROOT = new URL("../", import.meta.url); // a proxy may have put the page under a path of its own
const OF_A_PROXY = {
  413: "A proxy in front of the server takes no uploads of this size: raise its limit (nginx: client_max_body_size).",
  502: "The proxy in front of the server does not reach it.",
  504: "The proxy in front of the server did not wait for its answer: let it wait longer (nginx: proxy_read_timeout).",
};

/** The full address of what the server has at a path, such as `/api/jobs`: every address is made here. */
export const at = (path) => new URL(`.${path}`, ROOT).href;

/** The path that the page lies under; empty at the root of its host. */
export const under = ROOT.pathname.slice(0, -1);

function told(status, text) {
  try {
    return JSON.parse(text).error || "The server answered with an error.";
  } catch {
    return OF_A_PROXY[status] || `The server answered ${status}.`;
  }
}

export async function getJson(path, options = {}) {
  const response = await fetch(at(path), options);
  if (!response.ok) throw new Error(told(response.status, await response.text()));
  return response.status === 204 ? null : response.json();
}

/** Upload a file; `wanted` is the query, `progress` gets shares from 0 to 1, `waiting` the seconds until a full server is asked again. */
export async function upload(file, wanted, progress, waiting) {
  for (;;) {
    const answer = await send(at(`/api/jobs?${new URLSearchParams(wanted)}`), file, progress);
    if (answer.status === 202) return JSON.parse(answer.text);
    if (answer.status !== 429) throw new Error(told(answer.status, answer.text));
    for (let seconds = answer.retry; seconds > 0; seconds -= 1) {
      waiting(seconds);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function send(url, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("load", () =>
      resolve({ status: request.status, text: request.responseText, retry: Number(request.getResponseHeader("Retry-After")) || 5 }));
    request.addEventListener("error", () => reject(new Error("The connection to the server broke off.")));
    request.send(file);
  });
}

const MOST_STREAMS = 2; // a browser opens six connections to a server, and a stream holds its own
const ASK_MS = 1500;
let streams = 0;

/** Follow a job; `change` gets it after each change, the last time when it is finished. */
export function follow(id, change) {
  const address = at(`/api/jobs/${encodeURIComponent(id)}`);
  if (streams < MOST_STREAMS) listen(address, change);
  else ask(address, change);
}

const finished = (job) => job.state === "done" || job.state === "failed";

function listen(address, change) {
  const events = new EventSource(`${address}/events`);
  const end = () => { events.close(); streams -= 1; };
  streams += 1;
  events.addEventListener("message", (event) => {
    const job = JSON.parse(event.data);
    if (finished(job)) end();
    change(job);
  });
  events.addEventListener("error", () => {
    if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
    end();
    ask(address, change);
  });
}

async function ask(address, change) {
  for (;;) {
    const response = await fetch(address).catch(() => null); // a server that starts anew answers later
    if (response && response.status < 500) {
      if (!response.ok) return change({ state: "failed", reason: told(response.status, await response.text()), progress: {} });
      const job = await response.json();
      change(job);
      if (finished(job)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
}
