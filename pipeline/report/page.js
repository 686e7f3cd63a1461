"use strict";

// What the pages have in common: elements, images, figures in words, the address, tables.

const content = JSON.parse(document.getElementById("predictions").textContent);
const { size, perRow } = content;
const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function percent(fraction) {
  if (fraction > 0 && fraction < 0.00005) return "<0.01%";
  if (fraction < 1 && fraction >= 0.99995) return ">99.99%";
  return `${(100 * fraction).toFixed(2)}%`;
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

function bar(look, probability) {
  const made = element("span", { className: `bar is-${look}` });
  made.style.setProperty("--p", probability);
  return made;
}

function probabilityRows({ p, predicted, true: truth }) {
  return p.map((probability, digit) => {
    const look = digit === truth ? "true" : digit === predicted && truth !== null ? "error" : "other";
    return element("tr", {}, element("th", { scope: "row" }, String(digit)), element("td", {}, bar(look, probability)), element("td", {}, percent(probability)));
  });
}

// A dialog that shows one of several: its buttons and the arrow keys lead to the next.

function leaf(dialog, shown, i, show) {
  const step = (by) => show(shown, (i + by + shown.length) % shown.length);
  dialog.querySelectorAll(".buttons button").forEach((button) => {
    button.onclick = () => (button.value === "0" ? dialog.close() : step(Number(button.value)));
  });
  dialog.onkeydown = ({ key }) => { if (key === "ArrowLeft") step(-1); if (key === "ArrowRight") step(1); };
  if (!dialog.open) dialog.showModal();
}

// The address holds what a form chooses, "#true=4&predicted=9", and opens that view; the address of
// a section changes nothing.

function followAddress(form, section, start) {
  const choices = [...form.elements].filter(({ name }) => name);
  const startAndNote = () => {
    start();
    const chosen = choices.filter((choice) => choice.value !== choice.options[0].value);
    const view = new URLSearchParams(chosen.map(({ name, value }) => [name, value])).toString();
    history.pushState(null, "", `#${view || section}`);
  };
  const openAddress = () => {
    const hash = location.hash.slice(1);
    if (hash && hash !== section && !hash.includes("=")) return;
    const view = new URLSearchParams(hash.includes("=") ? hash : "");
    for (const choice of choices) {
      const wanted = view.get(choice.name);
      choice.value = [...choice.options].some(({ value }) => value === wanted) ? wanted : choice.options[0].value;
    }
    start();
    if (hash.includes("=")) byId(section).scrollIntoView();
  };
  form.addEventListener("change", startAndNote);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(startAndNote));
  addEventListener("hashchange", openAddress);
  return { choices, startAndNote, openAddress };
}

{% include "tables.js" %}
