// Begins: what kind of server is it, and may we come in?
import { getJson } from "./api.js";
import { startCases } from "./cases.js";
import { byId, h, problem } from "./dom.js";
import { startKeys } from "./keys.js";
import { startRooms } from "./rooms.js";
import { startUploads } from "./upload.js";

async function begin() {
  const session = await getJson("/api/session");
  byId("version").textContent = session.version;
  if (!session.known) return askForToken();
  document.documentElement.dataset.mode = session.mode;
  startRooms();
  if (session.mode === "view") {
    byId("title").textContent = session.title;
    byId("subtitle").textContent = `Model ${session.model}`;
    document.title = session.title;
    tell(session.notes);
    await startCases();
  } else {
    byId("fold-strip").textContent = "Files";
    await startUploads(session);
  }
  startKeys();
  document.documentElement.dataset.ready = "true";
}

/** What is true of the whole run. */
function tell(notes) {
  byId("notes").hidden = !notes.length;
  byId("notes").querySelector("summary").textContent = `${notes.length} ${notes.length === 1 ? "note" : "notes"}`;
  byId("notes").querySelector("ul").replaceChildren(...notes.map((note) => h("li", {}, note)));
}

function askForToken() {
  const form = byId("enter");
  form.hidden = false;
  byId("token").focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await getJson("/api/session", { method: "POST", headers: { Authorization: `Bearer ${byId("token").value}` } });
      form.hidden = true;
      problem("");
      await begin();
    } catch (error) {
      problem(error.message);
    }
  });
}

begin().catch((error) => problem(error.message));
