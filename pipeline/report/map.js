// What mouse, fingers, keys and the form do to the map, and the closer look at one image.

const form = byId("choices");
const panel = byId("closer");
const told = byId("told");
const CLICK = 5; // pixels that a pointer may move and still click
const fold = () => Number(form.elements.fold?.value ?? points.fold[0]);

function choose() {
  const digits = swatches.map((swatch) => swatch.ariaPressed === "true");
  const own = points.row.map((_, i) => i).filter((i) => points.fold[i] === fold());
  state.shown = own.filter((i) => digits[points.true[i]] && (isError[i] || !form.elements.errors.checked));
  document.querySelectorAll(".of-fold").forEach((about) => { about.hidden = Number(about.dataset.fold) !== fold(); });
  if (!state.shown.includes(state.focused)) state.focused = -1;
  redraw();
}

// An image in words, and the closer look at it.

const headline = (i) => `Row ${points.row[i]}: ${isError[i] ? `${points.true[i]} predicted as ${points.predicted[i]}` : `${points.true[i]}, correct`}`;

function sentence(i) {
  const digits = [...new Set([points.predicted[i], points.true[i]])];
  return `${headline(i)}; ${digits.map((digit) => `${digit}: ${percent(points.p[i][digit])}`).join(", ")}`;
}

function focusOn(i) {
  if (i < 0) return;
  state.focused = i;
  told.textContent = sentence(i);
  reveal(i);
}

function tile(i) {
  const canvas = element("canvas", { width: size, height: size, ariaHidden: "true" });
  paint(canvas, i);
  const words = isError[i] ? `${points.true[i]} → ${points.predicted[i]}` : String(points.true[i]);
  const button = element("button", { className: `tile${isError[i] ? " is-error" : ""}`, type: "button", ariaLabel: headline(i), onclick: () => open(i) }, canvas, element("strong", {}, words));
  button.dataset.row = points.row[i];
  return element("li", {}, button);
}

function open(i) {
  state.chosen = i;
  focusOn(i);
  panel.querySelector("h2").textContent = headline(i);
  panel.querySelector(".hint").hidden = true;
  panel.querySelector(".found").hidden = false;
  paint(panel.querySelector("canvas"), i);
  panel.querySelector("tbody").replaceChildren(...probabilityRows({ p: points.p[i], predicted: points.predicted[i], true: points.true[i] }));
  const nearest = byId("nearest");
  const within = nearest.contains(document.activeElement);
  nearest.replaceChildren(...points.neighbours[i].map(tile));
  rove(nearest);
  if (within) nearest.querySelector("button")?.focus();
  const [truth, predicted] = [points.true[i], points.predicted[i]];
  byId("in-report").hidden = !isError[i];
  const link = byId("in-report").querySelector("a");
  link.href = `report.html#true=${truth}&predicted=${predicted}`;
  link.textContent = `all ${truth} → ${predicted} in the report`;
  const digits = points.neighbours[i].map((other) => points.true[other]).join(", ");
  told.textContent = `${sentence(i)}. Nearest in features: ${digits || "none"}`;
  history.replaceState(null, "", `#row=${points.row[i]}`);
}

// "#row=644" in the address opens that image.
function openAddress() {
  const i = points.row.indexOf(Number(new URLSearchParams(location.hash.slice(1)).get("row") ?? -1));
  if (i < 0) return;
  if (form.elements.fold) form.elements.fold.value = points.fold[i];
  form.elements.errors.checked = false;
  swatches.forEach((swatch) => { swatch.ariaPressed = "true"; });
  choose();
  showWhole();
  zoom(4, screenX(i), screenY(i));
  open(i);
}

// Which image is meant: by a place on the screen, or by a direction from the focused one.

function nearestTo(x, y, reach) {
  const distance = (i) => Math.hypot(screenX(i) - x, screenY(i) - y);
  const best = state.shown.reduce((a, b) => (a < 0 || distance(b) <= distance(a) ? b : a), -1);
  return best >= 0 && distance(best) <= reach ? best : -1;
}

function nextTowards([dx, dy]) {
  if (state.focused < 0) return nearestTo(map.clientWidth / 2, map.clientHeight / 2, Infinity);
  const [x, y] = [points.x[state.focused], points.y[state.focused]];
  const cost = (i) => {
    const ahead = (points.x[i] - x) * dx + (points.y[i] - y) * dy;
    const aside = Math.abs((points.x[i] - x) * dy) + Math.abs((points.y[i] - y) * dx);
    return i !== state.focused && ahead > 0 ? ahead + 2 * aside : Infinity;
  };
  const best = state.shown.reduce((a, b) => (cost(b) < cost(a) ? b : a), state.focused);
  return cost(best) < Infinity ? best : -1;
}

function nextError(by) {
  const errors = state.shown.filter((i) => isError[i]);
  const at = errors.indexOf(state.focused);
  return errors.length ? errors[at < 0 ? (by > 0 ? 0 : errors.length - 1) : (at + by + errors.length) % errors.length] : -1;
}

const KEYS = {
  "+": () => zoom(1.4, ...middle()), "=": () => zoom(1.4, ...middle()),
  "-": () => zoom(1 / 1.4, ...middle()), "_": () => zoom(1 / 1.4, ...middle()),
  "0": showWhole,
  "e": () => focusOn(nextError(1)), "E": () => focusOn(nextError(-1)),
  "Enter": () => { if (state.focused >= 0) open(state.focused); },
  " ": () => { if (state.focused >= 0) open(state.focused); },
};
const middle = () => (state.focused >= 0 ? [screenX(state.focused), screenY(state.focused)] : []);

map.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const direction = DIRECTIONS[event.key];
  if (direction && event.shiftKey) pan(...direction.map((part) => -80 * part));
  else if (direction) focusOn(nextTowards(direction));
  else if (event.key in KEYS) KEYS[event.key]();
  else return;
  event.preventDefault();
});

// One pointer moves the map or clicks; two zoom it.

const pointers = new Map();
let moved = 0;

const place = ({ clientX, clientY }) => {
  const box = map.getBoundingClientRect();
  return [clientX - box.left - map.clientLeft, clientY - box.top - map.clientTop];
};

function stretch() {
  const [[x1, y1], [x2, y2]] = [...pointers.values()];
  return { x: (x1 + x2) / 2, y: (y1 + y2) / 2, apart: Math.hypot(x1 - x2, y1 - y2) };
}

map.addEventListener("pointerdown", (event) => {
  map.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, place(event));
  moved = pointers.size > 1 ? Infinity : 0;
});
map.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId)) return;
  const [fromX, fromY] = pointers.get(event.pointerId);
  const [x, y] = place(event);
  const before = pointers.size === 2 ? stretch() : null;
  pointers.set(event.pointerId, [x, y]);
  moved += Math.hypot(x - fromX, y - fromY);
  if (pointers.size === 1 && moved > CLICK) pan(x - fromX, y - fromY);
  if (!before) return;
  const after = stretch();
  pan(after.x - before.x, after.y - before.y);
  if (before.apart > 0) zoom(after.apart / before.apart, after.x, after.y);
});
map.addEventListener("pointerup", (event) => {
  if (pointers.size === 1 && moved <= CLICK) {
    const i = nearestTo(...place(event), Math.max(side(), 16));
    if (i >= 0) open(i);
    if (i >= 0 && panel.getBoundingClientRect().top > 0.8 * innerHeight) panel.scrollIntoView({ block: "end" });
  }
  pointers.delete(event.pointerId);
});
map.addEventListener("pointercancel", ({ pointerId }) => pointers.delete(pointerId));
map.addEventListener("wheel", (event) => {
  event.preventDefault();
  const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
  zoom(Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002)), ...place(event));
}, { passive: false });

form.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (swatches.includes(button)) { button.ariaPressed = String(button.ariaPressed !== "true"); choose(); }
  else if (button) ({ in: () => zoom(1.5), out: () => zoom(1 / 1.5), whole: showWhole })[button.value]();
});
form.addEventListener("change", ({ target }) => {
  choose();
  if (target.name === "fold") showWhole();
});
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", openAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { colourSheets(); redraw(); });
addEventListener("beforeprint", () => drawInScheme("light")); // paper is white
addEventListener("afterprint", () => drawInScheme(""));
new ResizeObserver(redraw).observe(map);

choose();
showWhole();
ready.then(() => { colourSheets(); openAddress(); redraw(); });
