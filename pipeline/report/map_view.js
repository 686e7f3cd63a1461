// The map as it is drawn: digits in the colours of their true digit, at any zoom.

const WIDEST = 1000; // coordinates are from 0 to this
const MOST_ZOOM = 60;
const { points } = content;
const map = byId("map");
const pen = map.getContext("2d");
const isError = points.true.map((digit, i) => digit !== points.predicted[i]);
const swatches = [...document.querySelectorAll(".legend button")];
const view = { x: 0, y: 0, scale: 1 }; // of the map's origin on the screen, and pixels per unit
const state = { shown: [], focused: -1, chosen: -1 };
let sheets = [];
let look = {};
let drawing = 0;

const screenX = (i) => view.x + view.scale * points.x[i];
const screenY = (i) => view.y + view.scale * points.y[i];
const whole = () => (Math.min(map.clientWidth, map.clientHeight) - 48) / WIDEST;

// Digits grow slower than the distances between them, so that zooming in parts them.
function side() {
  const crowded = 0.75 * WIDEST * whole() / Math.sqrt(Math.max(1, state.shown.length));
  return Math.min(72, Math.max(7, Math.min(22, crowded) * (view.scale / whole()) ** 0.7));
}

// The sheet of all images in the digits' colours, transparent where there is no ink; and the same
// half and a quarter as large, because small pictures of a large sheet flicker.

function colourSheets() {
  const inks = swatches.map((swatch) => getComputedStyle(swatch).getPropertyValue("border-bottom-color").match(/[\d.]+/g).map(Number));
  const full = element("canvas", { width: sheet.naturalWidth, height: sheet.naturalHeight });
  const brush = full.getContext("2d", { willReadFrequently: true });
  brush.drawImage(sheet, 0, 0);
  for (let row = 0; row * size < full.height; row++) {
    const strip = brush.getImageData(0, row * size, full.width, size);
    const { data } = strip;
    for (let at = 0; at < data.length; at += 4) {
      const i = row * perRow + Math.floor(((at / 4) % full.width) / size);
      const ink = inks[points.true[i] ?? 0];
      data[at + 3] = data[at];
      data[at] = ink[0]; data[at + 1] = ink[1]; data[at + 2] = ink[2];
    }
    brush.putImageData(strip, 0, row * size);
  }
  const half = (larger) => {
    const smaller = element("canvas", { width: larger.width / 2, height: larger.height / 2 });
    const context = smaller.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(larger, 0, 0, smaller.width, smaller.height);
    return smaller;
  };
  sheets = [full, half(full), half(half(full))];
  const style = getComputedStyle(document.documentElement);
  const probe = element("span", { hidden: true });
  probe.style.forcedColorAdjust = "none";
  document.body.append(probe);
  const colour = (name) => { probe.style.color = style.getPropertyValue(name); return getComputedStyle(probe).color; };
  look = { error: colour("--error"), ink: colour("--ink"), quiet: colour("--quiet") };
  probe.remove();
}

function draw() {
  drawing = 0;
  const ratio = devicePixelRatio;
  const [width, height] = [map.clientWidth, map.clientHeight];
  if (map.width !== Math.round(width * ratio) || map.height !== Math.round(height * ratio)) {
    map.width = Math.round(width * ratio);
    map.height = Math.round(height * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (!sheets.length) return;
  const edge = side();
  const level = edge * ratio > 14 ? 0 : edge * ratio > 7 ? 1 : 2;
  const cell = size / 2 ** level;
  const inset = 0.09 * edge; // an image has an empty margin
  const frames = new Path2D();
  for (const i of state.shown) {
    const x = screenX(i) - edge / 2;
    const y = screenY(i) - edge / 2;
    if (x < -edge || y < -edge || x > width || y > height) continue;
    pen.drawImage(sheets[level], (i % perRow) * cell, Math.floor(i / perRow) * cell, cell, cell, x, y, edge, edge);
    if (isError[i]) frames.rect(x + inset, y + inset, edge - 2 * inset, edge - 2 * inset);
  }
  pen.lineWidth = 1.6;
  pen.strokeStyle = look.error;
  pen.stroke(frames);
  drawChosen(edge);
}

function drawChosen(edge) {
  const ring = (i, colour, wide) => {
    pen.lineWidth = wide;
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.arc(screenX(i), screenY(i), 0.62 * edge + 3, 0, 7);
    pen.stroke();
  };
  if (state.chosen >= 0) {
    pen.lineWidth = 1.2;
    pen.strokeStyle = look.quiet;
    pen.beginPath();
    for (const other of points.neighbours[state.chosen]) {
      pen.moveTo(screenX(state.chosen), screenY(state.chosen));
      pen.lineTo(screenX(other), screenY(other));
    }
    pen.stroke();
    ring(state.chosen, look.ink, 3);
  }
  if (state.focused >= 0 && state.focused !== state.chosen) ring(state.focused, look.ink, 1.5);
}

function drawInScheme(scheme) {
  document.documentElement.style.colorScheme = scheme;
  colourSheets();
  draw();
}

function redraw() { drawing ||= requestAnimationFrame(draw); }

function pan(x, y) {
  view.x += x;
  view.y += y;
  redraw();
}

function zoom(factor, x = map.clientWidth / 2, y = map.clientHeight / 2) {
  const scale = Math.min(MOST_ZOOM * whole(), Math.max(0.5 * whole(), view.scale * factor));
  view.x = x - (x - view.x) * scale / view.scale;
  view.y = y - (y - view.y) * scale / view.scale;
  view.scale = scale;
  redraw();
}

function showWhole() {
  view.scale = whole();
  view.x = (map.clientWidth - WIDEST * view.scale) / 2;
  view.y = (map.clientHeight - WIDEST * view.scale) / 2;
  redraw();
}

// Moves the map just as far as it takes to see an image.
function reveal(i) {
  const margin = side() + 12;
  const off = (at, extent) => Math.max(0, margin - at) + Math.min(0, extent - margin - at);
  pan(off(screenX(i), map.clientWidth), off(screenY(i), map.clientHeight));
}
