// Talks to the server.

async function told(response) {
  try {
    const content = await response.json();
    return content.error || "The server answered with an error.";
  } catch {
    return `The server answered ${response.status}.`;
  }
}

export async function getJson(url, options = {}) {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(await told(response));
  return response.status === 204 ? null : response.json();
}

/** Upload a file; `progress` gets shares from 0 to 1, `waiting` the seconds until a full server is asked again. */
export async function upload(file, name, model, probabilities, progress, waiting) {
  const query = new URLSearchParams({ model, name, probabilities });
  for (;;) {
    const answer = await send(`/api/jobs?${query}`, file, progress);
    if (answer.status === 202) return JSON.parse(answer.text);
    if (answer.status !== 429) {
      let reason = `The server answered ${answer.status}.`;
      try { reason = JSON.parse(answer.text).error || reason; } catch { /* not JSON */ }
      throw new Error(reason);
    }
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
  const address = `/api/jobs/${encodeURIComponent(id)}`;
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
      if (!response.ok) return change({ state: "failed", reason: await told(response), progress: {} });
      const job = await response.json();
      change(job);
      if (finished(job)) return;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
  }
}
