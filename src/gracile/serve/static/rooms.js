// The rooms beside the picture, which fold away.
import { byId } from "./dom.js";

const root = document.documentElement;
const narrow = matchMedia("(max-width: 52rem)");
const buttons = { strip: "fold-strip", panel: "fold-panel" };

export function startRooms() {
  for (const [room, id] of Object.entries(buttons)) byId(id).addEventListener("click", () => toggle(room));
  fold("panel", false);
  fold("strip", narrow.matches && root.dataset.mode === "view");
  narrow.addEventListener("change", () => fold("strip", narrow.matches));
}

export const toggle = (room) => fold(room, root.dataset[room] !== "folded");

/** On a phone the list covers the picture: out of its way. */
export const foldStripIfNarrow = () => narrow.matches && fold("strip", true);

function fold(room, folded) {
  root.dataset[room] = folded ? "folded" : "open";
  byId(buttons[room]).setAttribute("aria-expanded", String(!folded));
}
