const PAGE = 60;
const { columns, rows, totals } = content;
const images = rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
const WORDS = { new_error: "new error", corrected: "corrected", other_error: "error of both, as other digits", same_error: "error of both" };
const MANY = { "": "images", new_error: "new errors", corrected: "corrected images", other_error: "errors of both, as other digits", same_error: "errors of both, as the same digit" };

// An image in words: what each run predicts, and how much each gives to the true digit.

function claims(image, when) {
  const [digit, p] = [image[when], image[`p_${when}`]];
  const correct = digit === image.true;
  const said = [{ digit, look: correct ? "true" : "error", probability: p[digit] }];
  if (!correct) said.push({ digit: image.true, look: "true", probability: p[image.true] });
  return said;
}

function sentence(image) {
  const parts = ["before", "after"].map((when) =>
    `${when} ${claims(image, when).map(({ digit, probability }) => `${digit}: ${percent(probability)}`).join(", ")}`);
  return [`Row ${image.row}`, `true ${image.true}`, ...parts, WORDS[image.change]].join("; ");
}

function half(image, when) {
  const scores = claims(image, when).flatMap(({ digit, look, probability }) => [
    element("span", { className: "score" }, element("span", {}, String(digit)), element("span", {}, percent(probability))),
    bar(look, probability),
  ]);
  return element("span", { className: "half" }, element("span", { className: "place" }, when), ...scores);
}

function picture(image) {
  const canvas = element("canvas", { width: size, height: size, ariaHidden: "true" });
  if (image.sprite !== null) paint(canvas, image.sprite);
  return canvas;
}

function tile(image, open) {
  const button = element(
    "button", { className: "tile", type: "button", onclick: open, ariaLabel: sentence(image) }, picture(image),
    element("strong", {}, `${image.true}: ${image.before} → ${image.after}`), half(image, "before"), half(image, "after"),
    element("span", { className: "place" }, `row ${image.row}`),
    element("span", { className: `tag ${image.change}` }, WORDS[image.change]),
  );
  button.dataset.row = image.row;
  return element("li", {}, button);
}

// The closer look: one image, large, with both runs' probabilities of all ten digits.

const closer = byId("closer");

function enlarge(shown, i) {
  const image = shown[i];
  closer.querySelector("h2").textContent = sentence(image);
  if (image.sprite !== null) paint(closer.querySelector("canvas"), image.sprite);
  closer.querySelector("tbody").replaceChildren(...image.p_after.map((_, digit) => {
    const of = (when) => {
      const probability = image[`p_${when}`][digit];
      const look = digit === image.true ? "true" : digit === image[when] ? "error" : "other";
      return [element("td", {}, bar(look, probability)), element("td", {}, percent(probability))];
    };
    return element("tr", {}, element("th", { scope: "row" }, String(digit)), ...of("before"), ...of("after"));
  }));
  closer.querySelector(".note").textContent = `${i + 1} of ${shown.length.toLocaleString("en")}`;
  leaf(closer, shown, i, enlarge);
}

// A run, the matrices and the filters choose what the gallery shows; the address holds the choice.

const filters = byId("filters");
const cells = [...document.querySelectorAll(".matrix button")];
const rise = ({ true: truth, p_before: before, p_after: after }) => after[truth] - before[truth];
const ORDERS = {
  change: () => 0,
  fell: (a, b) => rise(a) - rise(b),
  rose: (a, b) => rise(b) - rise(a),
  row: (a, b) => a.row - b.row,
};
let shownAtMost = PAGE;

function chosen() {
  const { run = "0", ...rest } = Object.fromEntries(choices.map(({ name, value }) => [name, value]));
  return { run, ...rest };
}

function fits(image, { change, true: truth, before, after, moved }) {
  const is = (wanted, digit) => wanted === "" || digit === Number(wanted);
  const came = moved === "" || (image.before === Number(moved)) !== (image.after === Number(moved));
  return (change === "" || image.change === change) && is(truth, image.true) && is(before, image.before) && is(after, image.after) && came;
}

function describe(choice, of_run, fitting) {
  const { change, true: truth, before, after, moved } = choice;
  const digits = Object.entries({ true: truth, before, after, "before or after": moved }).filter(([, digit]) => digit !== "");
  const where = digits.length ? ` (${digits.map((pair) => pair.join(" ")).join(", ")})` : "";
  const total = totals[Number(choice.run)];
  const words = fitting.length === 1 ? { ...WORDS, "": "image" }[change] : MANY[change];
  const found = fitting.length ? `${fitting.length.toLocaleString("en")} ${words}${where}` : `No ${MANY[change]}${where}`;
  return of_run.length < total ? `${found}; the page has ${of_run.length.toLocaleString("en")} of ${total.toLocaleString("en")} images, changes.csv all` : found;
}

function show() {
  const choice = chosen();
  for (const part of document.querySelectorAll("[data-run]")) part.hidden = part.dataset.run !== choice.run;
  const ofRun = images.filter(({ run }) => run === Number(choice.run));
  const fitting = ofRun.filter((image) => fits(image, choice)).sort(ORDERS[choice.order]);
  const shown = fitting.slice(0, shownAtMost);
  const left = fitting.length - shown.length;
  byId("found").textContent = describe(choice, ofRun, fitting);
  byId("more").hidden = left === 0;
  byId("more").textContent = `show ${Math.min(PAGE, left)} more of ${left.toLocaleString("en")}`;
  byId("gallery").replaceChildren(...shown.map((image, i) => tile(image, () => enlarge(shown, i))));
  rove(byId("gallery"));
  for (const cell of cells) cell.ariaPressed = String(isChosen(cell, choice));
}

function start() { shownAtMost = PAGE; show(); }

const field = (cell) => ({ before: "before", after: "after", difference: "moved" })[cell.closest("table").dataset.column];

function isChosen(cell, choice) {
  const wanted = { before: "", after: "", moved: "", true: cell.dataset.true, [field(cell)]: cell.dataset.predicted };
  return choice.change === "" && Object.entries(wanted).every(([name, value]) => choice[name] === value);
}

const { choices, startAndNote, openAddress } = followAddress(filters, "images", start);
byId("more").addEventListener("click", () => { shownAtMost += PAGE; show(); });
for (const matrix of document.querySelectorAll(".matrix")) {
  matrix.addEventListener("click", ({ target }) => {
    const cell = target.closest("button");
    if (!cell) return;
    for (const choice of choices) if (choice.name !== "run") choice.value = choice.options[0].value;
    filters.elements.true.value = cell.dataset.true;
    filters.elements[field(cell)].value = cell.dataset.predicted;
    startAndNote();
    if (byId("found").getBoundingClientRect().top > 0.8 * innerHeight) byId("found").scrollIntoView();
  });
  rove(matrix);
}
show();
if (location.hash.includes("=")) openAddress();
