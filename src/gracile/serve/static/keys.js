// Keys that work wherever one is on the page, and the list of them.
import { byId } from "./dom.js";
import { press } from "./look.js";
import { toggle } from "./rooms.js";

const acts = {
  "?": () => byId("help").showModal(),
  c: () => toggle("strip"),
  m: () => toggle("panel"),
};
const OF_ARROWS = ["ArrowLeft", "ArrowRight"];

/** Add keys to those that are listened to. */
export const listen = (more) => Object.assign(acts, more);

export function startKeys() {
  byId("keys").addEventListener("click", acts["?"]);
  byId("close-help").addEventListener("click", () => byId("help").close());
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    const { target, key } = event;
    if (target.matches("textarea, select, input:not([type=checkbox], [type=range])")) return;
    if (target.matches("[type=range], [tabindex='0'].scroll") && OF_ARROWS.includes(key)) return;
    if (key === " " && target.matches("button, input, summary, a")) return;
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (acts[name]) acts[name]();
    else if (!press(name)) return;
    event.preventDefault();
  });
}
