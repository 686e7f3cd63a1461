"use strict";

const PAGE = 60;
const { columns, rows, size, perRow } = JSON.parse(document.getElementById("readings").textContent);
const readings = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
const ofKind = (kind) => readings.filter((reading) => reading.kind === kind);
const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function percent(share) {
  if (share > 0 && share < 0.00005) return "<0.01%";
  if (share < 1 && share >= 0.99995) return ">99.99%";
  return `${(100 * share).toFixed(2)}%`;
}

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

// One picture holds all images; a canvas shows one of them, pixel by pixel.
const sheet = byId("sheet");
const ready = sheet.decode();

function paint(canvas, sprite) {
  ready.then(() => {
    const x = (sprite % perRow) * size;
    const y = Math.floor(sprite / perRow) * size;
    canvas.getContext("2d").drawImage(sheet, x, y, size, size, 0, 0, size, size);
  });
}

// What is said of a reading: its digits with their probabilities, the most telling first.

function claims(reading) {
  const { p, predicted, runner_up: runnerUp } = reading;
  const known = reading.true !== null;
  const right = reading.true === predicted;
  const said = [["read", predicted, !known ? "other" : right ? "true" : "wrong"]];
  if (known && !right) said.push([reading.kind === "suspected" ? "label" : "true", reading.true, "true"]);
  if (runnerUp !== reading.true) said.push(["then", runnerUp, "other"]);
  return said.map(([word, digit, look]) => ({ word, digit, look, share: p[digit] }));
}

const place = (reading) => (reading.kind === "test" ? `image ${reading.row}` : `row ${reading.row}`);

function headline(reading) {
  if (reading.true === null) return `${reading.predicted}, or ${reading.runner_up}?`;
  return `${reading.true} → ${reading.predicted}`;
}

function sentence(reading) {
  const parts = claims(reading).map(({ word, digit, share }) => `${word} ${digit}: ${percent(share)}`);
  return `${place(reading)[0].toUpperCase()}${place(reading).slice(1)}; ${parts.join("; ")}`;
}

function score({ word, digit, look, share }) {
  const bar = element("span", { className: `bar is-${look}` });
  bar.style.setProperty("--p", share);
  return [element("span", { className: "score" }, element("span", {}, `${word} ${digit}`), element("span", {}, percent(share))), bar];
}

function tile(reading, open) {
  const canvas = element("canvas", { width: size, height: size, ariaHidden: "true" });
  paint(canvas, reading.sprite);
  const button = element(
    "button", { className: "tile", type: "button", onclick: open, ariaLabel: sentence(reading) }, canvas,
    element("strong", {}, headline(reading)), ...claims(reading).flatMap(score),
    element("span", { className: "place" }, place(reading)),
  );
  button.dataset.row = reading.row;
  return element("li", {}, button);
}

function fill(gallery, shown) {
  gallery.replaceChildren(...shown.map((reading, i) => tile(reading, () => enlarge(shown, i))));
  rove(gallery);
}

// Arrow keys move to the nearest button in their direction; Tab enters and leaves the whole.

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function rove(container) {
  const buttons = [...container.querySelectorAll("button")];
  buttons.forEach((button, i) => { button.tabIndex = i === 0 ? 0 : -1; });
  container.onfocusin = ({ target }) => buttons.forEach((button) => { button.tabIndex = button === target ? 0 : -1; });
  container.onkeydown = (event) => {
    const next = event.key === "Home" ? buttons[0] : event.key === "End" ? buttons.at(-1)
      : event.key in DIRECTIONS ? nearest(buttons, event.target, DIRECTIONS[event.key]) : null;
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
}

function nearest(buttons, from, [dx, dy]) {
  const middle = (button) => {
    const box = button.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  const [x, y] = middle(from);
  const distance = (button) => {
    const [toX, toY] = middle(button);
    const ahead = (toX - x) * dx + (toY - y) * dy;
    const aside = Math.abs((toX - x) * dy) + Math.abs((toY - y) * dx);
    return ahead > 2 ? ahead + 4 * aside : Infinity;
  };
  const best = buttons.reduce((a, b) => (distance(b) < distance(a) ? b : a));
  return distance(best) < Infinity ? best : null;
}

// The closer look: one image, large, with the probabilities of all ten digits.

const closer = byId("closer");

function enlarge(shown, i) {
  const reading = shown[i];
  closer.querySelector("h2").textContent = sentence(reading);
  paint(closer.querySelector("canvas"), reading.sprite);
  closer.querySelector("tbody").replaceChildren(...reading.p.map((share, digit) => {
    const look = digit === reading.true ? "true" : digit === reading.predicted && reading.true !== null ? "wrong" : "other";
    const bar = element("span", { className: `bar is-${look}` });
    bar.style.setProperty("--p", share);
    return element("tr", {}, element("th", { scope: "row" }, String(digit)), element("td", {}, bar), element("td", {}, percent(share)));
  }));
  closer.querySelector(".note").textContent =
    (reading.loss === null ? "" : `Loss ${reading.loss.toFixed(3)}. `) + `${i + 1} of ${shown.length.toLocaleString("en")}`;
  const step = (by) => enlarge(shown, (i + by + shown.length) % shown.length);
  closer.querySelectorAll("button").forEach((button) => {
    button.onclick = () => (button.value === "0" ? closer.close() : step(Number(button.value)));
  });
  closer.onkeydown = ({ key }) => { if (key === "ArrowLeft") step(-1); if (key === "ArrowRight") step(1); };
  if (!closer.open) closer.showModal();
}

// The confusion matrix and the filters choose what the gallery shows.

const filters = byId("filters");
const matrix = byId("matrix");
const cells = [...matrix.querySelectorAll("button")];
const ORDERS = {
  loss: (a, b) => b.loss - a.loss,
  confidence: (a, b) => b.p[b.predicted] - a.p[a.predicted],
  row: (a, b) => a.row - b.row,
};
let shownAtMost = PAGE;

function chosen() {
  const value = (name) => filters.elements[name].value;
  const [low, high] = value("confidence").split(" ").map(Number);
  const digitsFit = (reading) =>
    (value("true") === "" || reading.true === Number(value("true"))) &&
    (value("read") === "" || reading.predicted === Number(value("read")));
  const onPage = ofKind(value("kind")).filter(digitsFit);
  const fitting = onPage.filter(({ p, predicted }) => p[predicted] >= low && (p[predicted] < high || high === 1));
  return { kind: value("kind"), true: value("true"), read: value("read"), onPage, fitting: fitting.sort(ORDERS[value("order")]) };
}

function describe({ kind, true: truth, read, onPage, fitting }) {
  const right = kind !== "misread";
  const inCells = cells.filter(({ dataset }) =>
    (dataset.true === dataset.read) === right &&
    (truth === "" || dataset.true === truth) && (read === "" || dataset.read === read));
  const total = inCells.reduce((sum, cell) => sum + Number(cell.querySelector("data").value), 0);
  const of = truth === "" ? "" : ` of ${truth === "8" ? "an" : "a"} ${truth}`;
  const what = right ? `${of} read right` : read === "" ? `${of} misread` : `${of} read as ${read}`;
  if (total === 0) return `No image${what}`;
  const shares = `${fitting.length.toLocaleString("en")} of ${count(total, "image", "images")}${what}`;
  if (right) return `${shares}: ${kind === "typical" ? "typical ones" : "the least certain"}`;
  if (onPage.length < total) return `${shares}; there is room for ${onPage.length.toLocaleString("en")}, errors.csv lists all`;
  return fitting.length < total ? shares : `${count(total, "image", "images")}${what}`;
}

function show() {
  const choice = chosen();
  const shown = choice.fitting.slice(0, shownAtMost);
  byId("found").textContent = describe(choice);
  const left = choice.fitting.length - shown.length;
  byId("more").hidden = left === 0;
  byId("more").textContent = `show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
  fill(byId("gallery"), shown);
  for (const cell of cells) {
    const { true: truth, read } = cell.dataset;
    const fits = truth === choice.true && read === choice.read && (truth === read) === (choice.kind !== "misread");
    cell.ariaPressed = String(fits);
  }
}

function start() { shownAtMost = PAGE; show(); }

filters.addEventListener("change", start);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(start));
byId("more").addEventListener("click", () => { shownAtMost += PAGE; show(); });
matrix.addEventListener("click", ({ target }) => {
  const cell = target.closest("button");
  if (!cell) return;
  const { true: truth, read } = cell.dataset;
  filters.reset();
  filters.elements.kind.value = truth === read ? "least certain" : "misread";
  filters.elements.true.value = truth;
  filters.elements.read.value = read;
  start();
  if (byId("found").getBoundingClientRect().top > 0.6 * innerHeight) byId("found").scrollIntoView();
});
rove(matrix);
show();
const COSTLIEST = 10;
const others = { costliest: ofKind("misread").slice(0, COSTLIEST), suspected: ofKind("suspected"), closest: ofKind("test") };
for (const [id, shown] of Object.entries(others)) if (byId(id)) fill(byId(id), shown);
document.querySelectorAll("canvas[data-sprite]").forEach((canvas) => paint(canvas, Number(canvas.dataset.sprite)));

// Tables sort by the column whose heading is pressed, first the greatest, then the smallest.

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button")?.addEventListener("click", () => {
    const descending = heading.ariaSort !== "descending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = descending ? "descending" : "ascending";
    const key = ({ cells: own }) => Number(own[column].querySelector("data")?.value ?? Number.parseFloat(own[column].textContent));
    const known = (row) => (Number.isNaN(key(row)) ? -Infinity : key(row));
    const sorted = [...table.tBodies[0].rows].sort((a, b) => (descending ? known(b) - known(a) : known(a) - known(b)));
    table.tBodies[0].append(...sorted);
  }));
}
