"use strict";

const { items, sample, rules } = JSON.parse(document.getElementById("data").textContent);
const PAGE = 24;
const HANDS = { "left hand": "left", "right hand": "right" };
const byId = (id) => document.getElementById(id);

/** An element with properties and children; texts stay texts, whatever they hold. */
function make(kind, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(kind), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children.filter((child) => child !== null));
  return element;
}

const shown = (value) =>
  value === null ? "unknown" : Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
const words = (name) => name.replaceAll("_", " ");
const title = (item) => item.action || item.narration || item.id;

/** One frame with its boxes; `large` says labels too. */
function frame(item, which, large) {
  const name = which ? "action frame" : "input frame";
  const uri = item.frames[which];
  const picture = uri
    ? make("img", { src: uri, alt: `${name}: ${title(item)}`, draggable: false })
    : make("span", { className: "absent" }, `no ${name}`);
  const boxes = (item.boxes?.[which] ?? []).map((box) => drawn(box, large));
  return make("span", { className: "frame" }, picture, make("span", { className: "boxes" }, ...boxes));
}

function drawn(box, large) {
  const [x0, y0, x1, y1] = box.corners;
  const kind = HANDS[box.label] ?? "thing";
  const told = box.touches ? `${box.label} → ${box.touches}` : box.label;
  const element = make("span", { className: `box ${kind}${box.touches ? " touch" : ""}`, title: told });
  Object.assign(element.style, {
    left: `${100 * x0}%`, top: `${100 * y0}%`,
    width: `${100 * (x1 - x0)}%`, height: `${100 * (y1 - y0)}%`,
  });
  if (large) element.append(make("span", { className: labelled(box) }, told));
  return element;
}

/** Where a label is read whole: above things and below hands, or inside; to the left on the right. */
function labelled({ label, corners: [x0, y0, , y1] }) {
  const below = label in HANDS;
  const inside = below ? y1 > 0.94 : y0 < 0.06;
  return `label${below ? " below" : ""}${inside ? " inside" : ""}${x0 > 0.6 ? " rightmost" : ""}`;
}

/** A description in which whatever nobody annotated is marked. */
function marked(item) {
  const flags = item.flags.filter((flag) => flag.trim());
  if (!flags.length) return [item.description];
  const flagged = flags.map((flag) => flag.replace(/[\^$.*+?()[\]{}|\\/]/g, "\\$&")).join("|");
  return item.description.split(new RegExp(`(${flagged})`, "iu")).map((part, k) => (k % 2 ? make("mark", {}, part) : part));
}

function flags(item) {
  if (!item.flags?.length) return null;
  return make("p", { className: "flags" }, `⚑ not annotated: ${item.flags.join(", ")}`);
}

/** A pair or a rejected clip, small; a click opens it among `list`. */
function card(item, list, figure) {
  const button = make("button", { type: "button", className: "frames" }, frame(item, 0), frame(item, 1));
  button.setAttribute("aria-label", `Open: ${title(item)}, ${item.id}`);
  button.addEventListener("click", () => open(list, list.indexOf(item)));
  const figures = figure ? [figure] : Object.keys(item.figures).filter((name) => item.figures[name] !== null);
  const numbers = figures.map((name) =>
    make("span", {}, `${words(name)} `, make("b", {}, shown(item.figures[name]))));
  const about = [make("p", { className: "action" }, title(item))];
  if (figure === undefined) {
    about.push(make("p", { className: "quiet" }, `${item.verb} · ${item.noun} · ${item.split}`));
    if (item.description) {
      about.push(make("p", { className: "description", title: item.description }, ...marked(item)));
      about.push(make("p", { className: "quiet" }, `by ${item.writer || "somebody"}`));
    }
    about.push(flags(item));
  }
  about.push(make("p", { className: "figures" }, ...numbers));
  return make("article", { className: "card", dataset: { id: item.id } }, button, ...about);
}

/* ---- the grid of pairs ---- */

const pairs = sample.map((index) => items[index]);
const filters = byId("filters");
let found = pairs;
let page = 0;

function fill(name) {
  const counts = new Map();
  for (const pair of pairs) counts.set(pair[name], (counts.get(pair[name]) ?? 0) + 1);
  const options = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([value, count]) =>
    make("option", { value: `=${value}` }, `${value || "(not told)"} (${count})`));
  filters.elements[name].replaceChildren(make("option", { value: "" }, `all (${pairs.length})`), ...options);
}

const searched = new Map(pairs.map((pair) => [pair, [
  pair.id, pair.video_id, pair.action, pair.narration, pair.description ?? "", ...(pair.flags ?? []),
  ...pair.boxes.flat().map((box) => box.label),
].join("\n").toLowerCase()]));

function choose() {
  const wanted = new FormData(filters);
  const text = wanted.get("text").trim().toLowerCase();
  found = pairs.filter((pair) =>
    ["split", "source", "verb", "noun"].every((name) => ["", `=${pair[name]}`].includes(wanted.get(name)))
    && searched.get(pair).includes(text)
    && (!wanted.has("flagged") || pair.flags.length > 0));
  page = 0;
  draw();
}

function draw() {
  const first = page * PAGE;
  const here = found.slice(first, first + PAGE);
  byId("grid").replaceChildren(...here.map((pair) => card(pair, found)));
  byId("found").textContent = found.length
    ? `${first + 1}–${first + here.length} of ${found.length} pairs`
    : pairs.length ? "No pair is like that; clear the filters to see all." : "There are no pairs.";
  const last = first + PAGE >= found.length;
  for (const [id, ended] of [["back", page === 0], ["on", last]]) {
    for (const button of [byId(id), document.querySelector(`[data-for=${id}]`)]) {
      button.setAttribute("aria-disabled", ended); // not `disabled`, which would lose the focus
    }
  }
  document.querySelector(".pager.low").hidden = found.length <= PAGE;
}

function turn(event, step) {
  if (event.currentTarget.getAttribute("aria-disabled") === "true") return;
  page += step;
  draw();
  if (event.currentTarget.dataset.for) byId("filters").scrollIntoView();
}

["split", "source", "verb", "noun"].forEach(fill);
filters.addEventListener("input", choose);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(() => { choose(); showBoxes(true); }));
for (const [id, step] of [["back", -1], ["on", 1]]) {
  byId(id).addEventListener("click", (event) => turn(event, step));
  document.querySelector(`[data-for=${id}]`).addEventListener("click", (event) => turn(event, step));
}

/* ---- boxes on or off, everywhere ---- */

function showBoxes(on) {
  document.body.classList.toggle("no-boxes", !on);
  for (const tick of document.querySelectorAll(".toggle-boxes")) tick.checked = on;
}

document.addEventListener("change", (event) => {
  if (event.target.matches(".toggle-boxes")) showBoxes(event.target.checked);
});

/* ---- the dialog ---- */

const dialog = byId("dialog");
let listed = [];
let place = 0;

function open(list, index) {
  listed = list;
  place = index;
  tell();
  dialog.showModal();
}

function step(by) {
  if (listed[place + by] === undefined) return;
  place += by;
  tell();
}

function tell() {
  const item = listed[place];
  byId("dialog-title").textContent = title(item);
  byId("dialog-place").textContent = `${place + 1} of ${listed.length}`;
  byId("dialog-back").setAttribute("aria-disabled", place === 0);
  byId("dialog-on").setAttribute("aria-disabled", place === listed.length - 1);
  const times = item.times.map((time) => (time === null ? "" : `, at ${time.toFixed(2)} s`));
  const frames = ["input frame", "action frame"].map((name, which) =>
    make("figure", {}, frame(item, which, true), make("figcaption", {}, name + times[which])));
  const tick = make("input", { type: "checkbox", className: "toggle-boxes" });
  tick.checked = !document.body.classList.contains("no-boxes");
  const boxed = item.boxes?.some((boxes) => boxes.length);
  byId("dialog-body").replaceChildren(...[
    make("div", { className: "pair" }, ...frames),
    boxed ? make("label", { className: "tick" }, tick, "boxes") : null,
    item.reason ? make("p", { className: "why" }, `Rejected: ${item.reason}. ${item.detail}`) : null,
    item.description ? make("blockquote", {}, make("p", {}, ...marked(item)),
      make("footer", {}, `by ${item.writer || "somebody"}`)) : null,
    flags(item),
    make("div", { className: "tables" }, facts(item), figures(item)),
  ].filter(Boolean));
  dialog.scrollTop = 0;
}

function facts(item) {
  const rows = [["id", item.id], ["narration", item.narration], ["verb", item.verb], ["noun", item.noun],
    ["split", item.split], ["source", item.source], ["video", item.video_id], ["file", item.file]];
  return make("dl", {}, ...rows.filter(([, value]) => value).map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

/** Every figure beside what is kept of it; one outside is marked. */
function figures(item) {
  const rows = Object.entries(item.figures).map(([name, value]) => {
    const own = rules.filter((rule) => rule.figure === name);
    const outside = value !== null && own.some((rule) => (rule.least ? value < rule.bound : value > rule.bound));
    const bounds = own.map((rule) => `${rule.least ? "≥" : "≤"} ${rule.bound}`).join(", ");
    return make("div", { className: outside ? "outside" : "" }, make("dt", {}, words(name)),
      make("dd", {}, make("b", {}, shown(value)), " ",
        make("span", { className: "quiet" }, bounds && `${outside ? "✗ " : ""}kept ${bounds}`)));
  });
  return make("dl", {}, ...rows);
}

byId("dialog-back").addEventListener("click", () => step(-1));
byId("dialog-on").addEventListener("click", () => step(1));
byId("dialog-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) { event.preventDefault(); step(by); }
});

/* ---- what Python left room for ---- */

for (const room of document.querySelectorAll("[data-items]")) {
  const list = room.dataset.items.split(" ").map((index) => items[index]);
  room.append(...list.map((item) => card(item, list, room.dataset.figure || null)));
}
choose();
