"use strict";

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });
const NOTHING = "Nothing is drawn yet.";
const BUSY = 503;

const BLANK = { strokes: [], picture: null };
const MOST_STEPS = 200; // that can be undone
const steps = [BLANK]; // the canvas after each step: strokes, or a picture in their place
let current = null; // the stroke under the pointer: a width, and points {x, y}
let version = 0; // of the canvas; answers to older versions are dropped
let sending = false;
let waiting = false;

const bars = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { textContent: digit });
  const track = Object.assign(document.createElement("span"), { className: "track" });
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  const share = Object.assign(document.createElement("span"), { className: "share", textContent: "–" });
  track.append(bar);
  row.append(name, track, share);
  $("bars").append(row);
  return { row, bar, share };
});

// ---------------------------------------------------------------- drawing

function canvasState() {
  return steps[steps.length - 1];
}

function isBlank() {
  const { strokes, picture } = canvasState();
  return strokes.length === 0 && !picture;
}

function addStep(step) {
  steps.push({ ...BLANK, ...step });
  if (steps.length > MOST_STEPS) steps.shift();
  changed();
}

function redraw() {
  const { strokes, picture } = canvasState();
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  if (picture) {
    const { naturalWidth = picture.image.width, naturalHeight = picture.image.height } = picture.image;
    const scale = Math.min(canvas.width / naturalWidth, canvas.height / naturalHeight);
    const [width, height] = [naturalWidth * scale, naturalHeight * scale];
    pen.drawImage(picture.image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  }
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = "#111";
  for (const { points, width } of strokes) {
    pen.lineWidth = width;
    pen.beginPath();
    pen.moveTo(points[0].x, points[0].y);
    for (const point of points.length > 1 ? points.slice(1) : points) pen.lineTo(point.x, point.y);
    pen.stroke();
  }
  $("undo").disabled = steps.length === 1;
  $("clear").disabled = isBlank();
}

function changed() {
  version += 1;
  redraw();
  ask();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * canvas.width,
    y: ((event.clientY - box.top) / box.height) * canvas.height,
  };
}

function begin(point) {
  current = { points: [point], width: Number($("width").value) };
  addStep({ strokes: [...canvasState().strokes, current] }); // a stroke replaces a picture
}

function extend(points) {
  current.points.push(...points);
  changed();
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || current) return;
  canvas.setPointerCapture(event.pointerId);
  begin(place(event));
});
canvas.addEventListener("pointermove", (event) => {
  if (!current || !canvas.hasPointerCapture(event.pointerId)) return;
  const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  extend((events.length ? events : [event]).map(place));
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => { current = null; });
}

function undo() {
  current = null;
  steps.pop();
  changed();
}

function clear() {
  current = null;
  addStep(BLANK);
}

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", clear);

// ---------------------------------------------------------------- the keyboard

const STEP = 20;
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const cursor = { x: 280, y: 120 };

canvas.addEventListener("keydown", (event) => {
  const move = MOVES[event.key];
  if (event.key === " ") {
    if (current) { current = null; redraw(); } else begin({ ...cursor });
  } else if (move) {
    cursor.x = Math.min(canvas.width, Math.max(0, cursor.x + move[0]));
    cursor.y = Math.min(canvas.height, Math.max(0, cursor.y + move[1]));
    if (current) extend([{ ...cursor }]);
  } else return;
  event.preventDefault();
  if (!current) showCursor();
});
canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) showCursor(); });
canvas.addEventListener("blur", () => { current = null; redraw(); });

function showCursor() {
  redraw();
  pen.strokeStyle = "#2856c8";
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(cursor.x, cursor.y, Number($("width").value) / 2 + 2, 0, 2 * Math.PI);
  pen.stroke();
}

document.addEventListener("keydown", (event) => {
  if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
  const key = event.key.toLowerCase();
  const command = event.ctrlKey || event.metaKey;
  const undoing = key === (command ? "z" : "u");
  if (key === "c" && !command && !$("clear").disabled) clear();
  else if (undoing && !$("undo").disabled) { event.preventDefault(); undo(); }
});

// ---------------------------------------------------------------- pictures

async function take(file) {
  if (!file) return;
  let image = new Image(1, 1);
  const address = URL.createObjectURL(file);
  try {
    image.src = address;
    await image.decode();
  } catch {
    image = document.createElement("canvas"); // the server knows more formats, or explains the error
  } finally {
    URL.revokeObjectURL(address);
  }
  current = null;
  addStep({ picture: { bytes: file, image } });
}

$("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
document.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").hidden = false; });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").hidden = true; });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  take(event.dataTransfer.files[0]);
});

// ---------------------------------------------------------------- asking and showing

async function ask() {
  if (sending) { waiting = true; return; }
  if (isBlank()) { show({ probabilities: null, remark: NOTHING }); return; }
  sending = true;
  const asked = version;
  let answer, status;
  try {
    const { picture } = canvasState();
    const body = picture ? picture.bytes : drawn();
    const response = await fetch("read", { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } });
    ({ status } = response);
    answer = await response.json();
  } catch {
    answer = { error: "The server does not answer. Is digits draw still running?" };
  }
  sending = false;
  if (asked === version) show(answer);
  if (status === BUSY) setTimeout(() => { if (asked === version) ask(); }, 500);
  if (waiting || asked !== version) { waiting = false; ask(); }
}

function drawn() { // toBlob would wait until the browser is idle, for up to a second
  const [, content] = canvas.toDataURL("image/png").split(",");
  return Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
}

function percent(share) {
  return `${(share * 100).toFixed(1)}\u00a0%`;
}

function show(answer) {
  const { digit = null, probabilities = null, problem = null, error = null } = answer;
  const message = error || (problem && `No digit: ${problem}.`);
  const verdict = document.querySelector(".verdict");
  verdict.classList.toggle("problem", Boolean(message));
  verdict.classList.toggle("not-sure", digit !== null && !answer.sure);
  verdict.classList.toggle("none", digit === null);
  $("digit").textContent = digit ?? "?";
  $("remark").textContent = message || answer.remark
    || `${percent(answer.probability)}${answer.sure ? "" : ", not sure"}`;
  $("second").textContent = digit === null ? "" :
    `Second guess: ${answer.runner_up} (${percent(probabilities[answer.runner_up])})`;
  bars.forEach(({ row, bar, share }, each) => {
    const value = digit === null ? 0 : probabilities[each];
    bar.style.transform = `scaleX(${value})`;
    share.textContent = digit === null ? "–" : percent(value);
    row.classList.toggle("best", each === digit);
  });
  const seen = $("seen").getContext("2d", { willReadFrequently: true });
  const pixels = seen.createImageData(28, 28);
  const levels = answer.seen ? atob(answer.seen) : "";
  for (let index = 0; index < 784; index += 1) {
    const level = levels ? levels.charCodeAt(index) : 0;
    pixels.data.set([level, level, level, 255], 4 * index);
  }
  seen.putImageData(pixels, 0, 0);
}

redraw();
