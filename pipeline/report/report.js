const PAGE = 60;
const { columns, rows, costliest } = content;
const predictions = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
const ofKind = (kind) => predictions.filter((prediction) => prediction.kind === kind);

// A prediction in words: its digits with their probabilities, the predicted one first.

function claims(prediction) {
  const { p, predicted, runner_up: runnerUp } = prediction;
  const known = prediction.true !== null;
  const correct = prediction.true === predicted;
  const digits = [["predicted", predicted, !known ? "other" : correct ? "true" : "error"]];
  if (known && !correct) digits.push([["suspected", "contradicted"].includes(prediction.kind) ? "label" : "true", prediction.true, "true"]);
  if (runnerUp !== prediction.true) digits.push(["then", runnerUp, "other"]);
  return digits.map(([word, digit, look]) => ({ word, digit, look, probability: p[digit] }));
}

function tags(prediction) {
  const words = [];
  if (prediction.label_suspected) words.push("label suspected");
  if (prediction.refined) words.push("refined by neighbours");
  return words;
}

const place = (prediction) => (prediction.kind === "test" ? `image ${prediction.row}` : `row ${prediction.row}`);

function headline(prediction) {
  if (prediction.true === null) return `${prediction.predicted}, or ${prediction.runner_up}?`;
  return `${prediction.true} → ${prediction.predicted}`;
}

function sentence(prediction) {
  const parts = claims(prediction).map(({ word, digit, probability }) => `${word} ${digit}: ${percent(probability)}`);
  const where = place(prediction);
  return [where[0].toUpperCase() + where.slice(1), ...parts, ...tags(prediction)].join("; ");
}

function score({ digit, look, probability }) {
  const words = element("span", { className: "score" }, element("span", {}, String(digit)), element("span", {}, percent(probability)));
  return [words, bar(look, probability)];
}

function tile(prediction, open) {
  const canvas = element("canvas", { width: size, height: size, ariaHidden: "true" });
  paint(canvas, prediction.sprite);
  const button = element(
    "button", { className: "tile", type: "button", onclick: open, ariaLabel: sentence(prediction) }, canvas,
    element("strong", {}, headline(prediction)), ...claims(prediction).flatMap(score),
    element("span", { className: "place" }, place(prediction)),
    ...tags(prediction).map((words) => element("span", { className: "tag" }, words)),
  );
  button.dataset.row = prediction.row;
  return element("li", {}, button);
}

function fill(gallery, shown) {
  gallery.replaceChildren(...shown.map((prediction, i) => tile(prediction, () => enlarge(shown, i))));
  rove(gallery);
}

// The closer look: one image, large, with the probabilities of all ten digits.

const closer = byId("closer");

function enlarge(shown, i) {
  const prediction = shown[i];
  closer.querySelector("h2").textContent = sentence(prediction);
  paint(closer.querySelector("canvas"), prediction.sprite);
  closer.querySelector("tbody").replaceChildren(...probabilityRows(prediction));
  closer.querySelector(".note").textContent =
    (prediction.loss === null ? "" : `Loss ${prediction.loss.toFixed(3)}. `) + `${i + 1} of ${shown.length.toLocaleString("en")}`;
  leaf(closer, shown, i, enlarge);
  closer.dispatchEvent(new CustomEvent("enlarged", { detail: shown[i] }));
}

// The confusion matrix and the filters choose what the gallery shows; the address holds the choice.

const filters = byId("filters");
const matrix = byId("matrix");
const cells = [...matrix.querySelectorAll("button")];
const ORDERS = {
  loss: (a, b) => b.loss - a.loss,
  confidence: (a, b) => b.p[b.predicted] - a.p[a.predicted],
  row: (a, b) => a.row - b.row,
};
let shownAtMost = PAGE;

function select() {
  const { kind, true: truth, predicted, confidence, order } = Object.fromEntries(choices.map(({ name, value }) => [name, value]));
  const [low, high] = (confidence || "0-1").split("-").map(Number);
  const onPage = ofKind(kind).filter((prediction) =>
    (truth === "" || prediction.true === Number(truth)) && (predicted === "" || prediction.predicted === Number(predicted)));
  const fitting = onPage.filter(({ p, predicted: digit }) => p[digit] >= low && (p[digit] < high || high === 1));
  return { kind, truth, predicted, onPage, fitting: fitting.sort(ORDERS[order]) };
}

function describe({ kind, truth, predicted, onPage, fitting }) {
  const correct = kind !== "error";
  const total = cells
    .filter(({ dataset }) => (dataset.true === dataset.predicted) === correct &&
      (truth === "" || dataset.true === truth) && (predicted === "" || dataset.predicted === predicted))
    .reduce((sum, cell) => sum + Number(cell.querySelector("data").value), 0);
  const digits = truth && predicted ? ` (${truth} → ${predicted})` : truth ? ` (true ${truth})` : predicted ? ` (predicted ${predicted})` : "";
  const all = `${correct ? `${total.toLocaleString("en")} correct` : count(total, "error", "errors")}${digits}`;
  if (total === 0) return `${correct ? "None correct" : "No errors"}${digits}`;
  const some = `${fitting.length.toLocaleString("en")} of ${all}`;
  if (correct) return `${some}: ${kind === "typical" ? "typical" : "lowest confidence"}`;
  if (onPage.length < total) return `${some}; the page has ${onPage.length.toLocaleString("en")} of these, errors.csv all`;
  return fitting.length < total ? some : all;
}

function show() {
  const selected = select();
  const shown = selected.fitting.slice(0, shownAtMost);
  byId("found").textContent = describe(selected);
  const left = selected.fitting.length - shown.length;
  byId("more").hidden = left === 0;
  byId("more").textContent = `show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
  fill(byId("gallery"), shown);
  for (const cell of cells) {
    const { true: truth, predicted } = cell.dataset;
    const fits = truth === selected.truth && predicted === selected.predicted && (truth === predicted) === (selected.kind !== "error");
    cell.ariaPressed = String(fits);
  }
}

function start() { shownAtMost = PAGE; show(); }

const { choices, startAndNote, openAddress } = followAddress(filters, "confusions", start);
byId("more").addEventListener("click", () => { shownAtMost += PAGE; show(); });
matrix.addEventListener("click", ({ target }) => {
  const cell = target.closest("button");
  if (!cell) return;
  const { true: truth, predicted } = cell.dataset;
  for (const choice of choices) choice.value = choice.options[0].value;
  filters.elements.kind.value = truth === predicted ? "low_confidence" : "error";
  filters.elements.true.value = truth;
  filters.elements.predicted.value = predicted;
  startAndNote();
  if (byId("found").getBoundingClientRect().top > 0.6 * innerHeight) byId("found").scrollIntoView();
});
rove(matrix);
const others = { costliest: ofKind("error").slice(0, costliest), suspected: ofKind("suspected"), lowest: ofKind("test") };
for (const [id, shown] of Object.entries(others)) if (byId(id)) fill(byId(id), shown);
document.querySelectorAll("canvas[data-sprite]").forEach((canvas) => paint(canvas, Number(canvas.dataset.sprite)));
show();
if (location.hash.includes("=")) openAddress();
