// Begins: what kind of server is it, and may we come in?
import { getJson } from "./api.js";
import { startCases } from "./cases.js";
import { byId, problem } from "./dom.js";
import { startUploads } from "./upload.js";

async function begin() {
  const session = await getJson("/api/session");
  byId("version").textContent = session.version;
  if (!session.known) return askForToken();
  if (session.mode === "view") {
    byId("title").textContent = session.title;
    byId("subtitle").textContent = `Model ${session.model}`;
    document.title = session.title;
    await startCases();
  } else {
    await startUploads(session);
  }
  document.documentElement.dataset.ready = "true";
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
