// Verdicts on suspected labels: kept in this browser, saved as labels.csv, read again from one. A
// choice is "right", "unreadable", the digit that a label should be, or "" while it is open.

{
  const { data: DATA, sha256: givenHash, verdicts: given } = JSON.parse(byId("labels-given").textContent);
  const STORE = `digit-recognizer labels ${DATA}`;
  const HEADER = ["row", "label", "verdict", "correction", "data"];
  const [suspected, contradicted] = [ofKind("suspected"), ofKind("contradicted")];
  let suspects = suspected;
  const note = (text) => { byId("labels-note").textContent = text; };
  const fromCells = ([row, label, verdict, correction]) => [row, { label, choice: verdict === "wrong" ? String(correction) : verdict }];

  let decided = new Map();
  let unsaved = false;

  // The browser's memory. Where it has none for pages on disk, what was decided lasts as long as the page.

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(STORE));
      return kept && { sha256: kept.sha256, decided: new Map(kept.decided.map(fromCells)) };
    } catch { return null; }
  }

  function keep() {
    try {
      localStorage.setItem(STORE, JSON.stringify({ sha256: givenHash, decided: toCells() }));
      byId("labels-lost").hidden = true;
    } catch { byId("labels-lost").hidden = false; }
  }

  // What the page was made with is data/labels.csv; where it has changed since, it wins.
  function begin() {
    const own = new Map(given.map(fromCells));
    const kept = recall() ?? { sha256: givenHash, decided: own };
    decided = kept.sha256 === givenHash ? kept.decided : new Map([...kept.decided, ...own]);
    const replaced = differing(kept.decided, decided);
    if (replaced) note(`${count(replaced, "verdict of data/labels.csv differs", "verdicts of data/labels.csv differ")} from what this browser kept, and replaced it.`);
  }

  const differing = (before, after) => [...before].filter(([row, { choice }]) => after.has(row) && after.get(row).choice !== choice).length;

  function toCells() {
    const verdict = (choice) => (/\d/.test(choice) ? ["wrong", Number(choice)] : [choice, ""]);
    return [...decided].sort(([a], [b]) => a - b).map(([row, { label, choice }]) => [row, label, ...verdict(choice)]);
  }

  function decide({ row, true: label }, choice) {
    if (choice === String(label)) choice = "right";
    if (choice) decided.set(row, { label, choice });
    else decided.delete(row);
    unsaved = true;
    keep();
    showVerdicts();
  }

  // The controls of one image: three buttons, and a list of the other digits.

  function controls(prediction) {
    const { row, true: label, predicted } = prediction;
    const button = (choice, words) => {
      const made = element("button", { type: "button", onclick: () => decide(prediction, made.ariaPressed === "true" ? "" : choice) }, words);
      made.dataset.choice = choice;
      return made;
    };
    const others = [...Array(10).keys()].filter((digit) => digit !== label && digit !== predicted);
    const list = element("select", { ariaLabel: "another digit", onchange: () => decide(prediction, list.value) },
      element("option", { value: "" }, "another digit"), ...others.map((digit) => element("option", { value: String(digit) }, `should be ${digit}`)));
    const group = element("div", { className: "verdict", role: "group", ariaLabel: `Row ${row}, labelled ${label}` },
      button("right", "label is right"), button(String(predicted), `should be ${predicted}`), button("unreadable", "cannot be read"), list);
    group.dataset.row = row;
    return group;
  }

  function showVerdict(group) {
    const choice = decided.get(Number(group.dataset.row))?.choice ?? "";
    group.classList.toggle("decided", choice !== "");
    group.querySelectorAll("button").forEach((button) => { button.ariaPressed = String(button.dataset.choice === choice); });
    const list = group.querySelector("select");
    list.value = [...list.options].some(({ value }) => value === choice) ? choice : "";
    list.classList.toggle("chosen", list.value !== "");
  }

  function showVerdicts() {
    document.querySelectorAll(".verdict").forEach(showVerdict);
    const here = suspects.filter(({ row }) => decided.has(row)).length;
    const number = (test) => [...decided.values()].filter(({ choice }) => test(choice)).length;
    const parts = [[number((choice) => choice === "right"), "right"], [number((choice) => /\d/.test(choice)), "should be another digit"], [number((choice) => choice === "unreadable"), "cannot be read"]];
    const said = parts.filter(([n]) => n).map(([n, words]) => `${n.toLocaleString("en")} ${words}`).join(", ");
    const elsewhere = decided.size - here;
    byId("labels-decided").textContent = `${here.toLocaleString("en")} of ${suspects.length.toLocaleString("en")} decided`
      + (elsewhere ? `, and ${elsewhere.toLocaleString("en")} not shown here` : "") + (said ? `: ${said}` : "");
    byId("labels-save").disabled = decided.size === 0;
  }

  // A key decides on the image that has the focus: a digit, r for right, u for unreadable, Backspace for open.

  function press(event, prediction) {
    if (!prediction || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const choice = /^\d$/.test(event.key) ? event.key : { r: "right", u: "unreadable", Backspace: "", Delete: "" }[event.key];
    if (choice === undefined) return;
    event.preventDefault();
    decide(prediction, choice);
  }

  function placeControls(gallery) {
    const items = [...gallery.children];
    const groups = suspects.map(controls);
    const activate = (item) => groups.forEach((group, i) => group.querySelectorAll("button, select").forEach((control) => { control.tabIndex = items[i] === item ? 0 : -1; }));
    items.forEach((item, i) => {
      item.append(groups[i]);
      item.addEventListener("focusin", () => activate(item));
      item.addEventListener("keydown", (event) => press(event, suspects[i]));
      groups[i].addEventListener("focusin", (event) => { activate(item); event.stopPropagation(); });
      groups[i].querySelector("select").addEventListener("keydown", (event) => event.stopPropagation());
    });
    if (items.length) activate(items[0]);
  }

  // More labels: those that confident learning does not suspect, though the predictions contradict them.
  function showMore() {
    const first = suspects.length;
    suspects = [...suspected, ...contradicted];
    fill(byId("suspected"), suspects);
    placeControls(byId("suspected"));
    showVerdicts();
    byId("labels-more").hidden = true;
    byId("suspected").children[first].querySelector(".tile").focus();
  }

  function decideInCloserLook() {
    let enlarged = null;
    closer.addEventListener("enlarged", ({ detail: prediction }) => {
      enlarged = suspects.includes(prediction) ? prediction : null;
      const former = closer.querySelector(".verdict");
      const focused = [...former?.children ?? []].indexOf(document.activeElement);
      former?.remove();
      if (!enlarged) return;
      const group = controls(enlarged);
      group.querySelector("select").addEventListener("keydown", (event) => event.stopPropagation());
      closer.querySelector(".buttons").before(group);
      showVerdict(group);
      group.children[focused]?.focus();
    });
    closer.addEventListener("keydown", (event) => press(event, enlarged));
  }

  // labels.csv, written and read by the rules of the pipeline's own reader.

  function save() {
    const lines = [HEADER, ...toCells().map((cells) => [...cells, DATA])].map((cells) => `${cells.join(",")}\n`);
    const address = URL.createObjectURL(new Blob(lines, { type: "text/csv" }));
    element("a", { href: address, download: "labels.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    unsaved = false;
    note("Saved. Put the file into data/ as labels.csv, then run: dvc repro");
  }

  function splitLine(line) {
    const cell = /\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(,|$)/y;
    const cells = [];
    for (;;) {
      const found = cell.exec(line);
      if (!found) return null;
      cells.push((found[1]?.replaceAll('""', '"') ?? found[2]).trim());
      if (!found[3]) return cells;
    }
  }

  function parse(text) {
    const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/);
    if (lines.at(-1) === "") lines.pop();
    const header = splitLine(lines[0] ?? "")?.join() ?? "";
    const width = [HEADER.slice(0, 4), HEADER].find((names) => names.join() === header)?.length;
    if (!width) throw new Error(`expected the columns ${HEADER.slice(0, 4).join(", ")} and, if you like, data, separated by commas.`);
    const found = new Map();
    lines.slice(1).forEach((line, i) => {
      const [row, verdict] = parseLine(splitLine(line), width, (problem) => { throw new Error(`line ${i + 2}: ${problem}`); });
      if (found.has(row)) throw new Error(`line ${i + 2}: row ${row} was already given; expected every row once at most.`);
      found.set(row, verdict);
    });
    return found;
  }

  function parseLine(cells, width, refuse) {
    if (cells?.length !== width) refuse(`expected ${width} cells.`);
    const [row, label, verdict, correction, data] = cells;
    const integer = (name, text, high) => (/^\d{1,10}$/.test(text) && Number(text) <= high ? Number(text) : refuse(`${name} must be an integer from 0 to ${high.toLocaleString("en")}, found ${text || "nothing"}.`));
    const known = { label: integer("label", label, 9), choice: verdict };
    const at = integer("row", row, 1e9);
    if (!["right", "wrong", "unreadable"].includes(verdict)) refuse(`verdict must be right, wrong or unreadable, found ${verdict || "nothing"}.`);
    if (verdict === "wrong") known.choice = String(integer("correction", correction, 9));
    else if (correction) refuse(`a label that is ${verdict} takes no correction, found ${correction}.`);
    if (known.choice === String(known.label)) refuse(`the correction ${correction} is the label itself.`);
    if (data && data !== DATA) refuse(`it is of other data: expected ${DATA}, found ${data}.`);
    const shown = suspects.find((prediction) => prediction.row === at);
    if (shown && shown.true !== known.label) refuse(`row ${at} has the label ${shown.true}, found ${known.label}. The file seems to be of other data.`);
    return [at, known];
  }

  async function readTable({ target }) {
    const [file] = target.files;
    if (!file) return;
    try {
      const found = parse(await file.text());
      const replaced = differing(decided, found);
      decided = new Map([...decided, ...found]);
      keep();
      showVerdicts();
      note(`${count(found.size, "verdict", "verdicts")} read from ${file.name}` + (replaced ? `; ${replaced.toLocaleString("en")} of them replaced another` : "") + ".");
    } catch (error) {
      note(`${file.name} was not read, and nothing changed: ${error.message}`);
    }
    target.value = "";
  }

  begin();
  placeControls(byId("suspected"));
  decideInCloserLook();
  byId("labels-more").hidden = contradicted.length === 0;
  byId("labels-more").textContent = `show ${count(contradicted.length, "more label", "more labels")} that the predictions contradict`;
  byId("labels-more").onclick = showMore;
  byId("labels-tools").hidden = false;
  byId("labels-save").onclick = save;
  byId("labels-open").onchange = readTable;
  keep();
  showVerdicts();
  addEventListener("storage", ({ key }) => { if (key === STORE) { begin(); showVerdicts(); } });
  addEventListener("beforeunload", (event) => { if (unsaved && !byId("labels-lost").hidden) event.preventDefault(); });
}
