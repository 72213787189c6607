const facts = JSON.parse(document.getElementById("facts").textContent);
const byId = (name) => document.getElementById(name);
const steps = facts.labels.length;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

let language = document.documentElement.lang;
let step = 0; // which is shown
let shown = facts.lanes.length; // values of the step that are computed already, in the order of the equations
let timer = 0;
let colours = {};

const lanes = facts.lanes.map((lane) => {
  const bytes = Uint8Array.from(atob(lane.numbers), (one) => one.charCodeAt(0));
  const whole = new Int16Array(bytes.buffer);
  const numbers = Float32Array.from(whole, (one) => (one / 32767) * lane.scale);
  return { ...lane, numbers, at: (time, unit) => numbers[time * lane.width + unit] };
});

// Words ------------------------------------------------------------------------------------------------------

const say = (key, values = {}) =>
  (facts.words[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const meaning = (lane) => say(lane.meaning);
const number = (value) => {
  const rounded = Math.abs(value) < 0.005 ? 0 : value;
  return rounded.toFixed(2).replace("-", "\u2212");
};
const visible = (word) => (word === " " ? "\u2423" : word === "\n" ? "\u21b5" : word);

function write() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-text]")) one.textContent = say(one.dataset.text);
  for (const one of document.querySelectorAll("[data-name]")) one.setAttribute("aria-label", say(one.dataset.name));
  byId("language").textContent = language === "en" ? "한국어" : "English";
  byId("language").lang = language === "en" ? "ko" : "en";
  byId("about").textContent = say("about", facts);
  byId("diagram").setAttribute("aria-label", say("diagram", facts));
  for (const [place, lane] of lanes.entries()) parts[place].meaning.textContent = meaning(lane);
  for (const [time, one] of chain.entries())
    one.button.setAttribute("aria-label", say("step", { step: time + 1, steps, word: facts.labels[time] }));
}

// Colours ----------------------------------------------------------------------------------------------------

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["share", "plus", "minus", "none"])
    colours[name] = style.getPropertyValue(`--${name}`).split(",").map(Number);
}

function mixed(lane, value) {
  const strength = Math.min(Math.abs(value) / (lane.share ? 1 : lane.limit), 1);
  const end = lane.share ? colours.share : value < 0 ? colours.minus : colours.plus;
  return colours.none.map((from, place) => Math.round(from + (end[place] - from) * strength));
}
const colour = (lane, value) => `rgb(${mixed(lane, value).join(",")})`;

function mean(lane, time) {
  let total = 0;
  for (let unit = 0; unit < lane.width; unit++) total += lane.at(time, unit);
  return total / lane.width;
}

// What stands still ------------------------------------------------------------------------------------------

function make(kind, name, parent, text = "") {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text) made.textContent = text;
  parent?.append(made);
  return made;
}

const memory = lanes.filter((lane) => lane.state);
const remembered = memory.length ? memory : lanes.slice(-1);
const most = 24; // units in a column of a small box; of more, evenly spread ones

const chain = facts.labels.map((label, time) => {
  const links = make("span", "link", byId("chain"));
  links.setAttribute("aria-hidden", "true");
  const button = make("button", "step", byId("chain"));
  button.type = "button";
  make("span", "number", button, String(time + 1));
  const box = make("span", "box", button);
  const columns = remembered.map((lane) => {
    const place = make("span", "column", box);
    const column = make("span", "units", place);
    make("em", "", place, lane.name);
    const count = Math.min(lane.width, most);
    const units = Array.from({ length: count }, (_, place) => Math.floor((place * lane.width) / count));
    return { lane, units, cells: units.map(() => make("i", "", column)) };
  });
  make("span", "word", button, visible(label));
  button.addEventListener("click", () => go(time));
  return { button, link: links, columns };
});

const parts = lanes.map((lane) => {
  const row = make("div", "lane", byId("lanes"));
  const head = make("div", "head", row);
  make("span", "symbol", head).innerHTML = lane.symbol;
  head.append(" ");
  const text = make("span", "meaning", head);
  const now = make("div", "now", row);
  const cells = make("div", "cells", now);
  const count = Math.min(lane.width, 64);
  const units = Array.from({ length: count }, (_, place) => Math.floor((place * lane.width) / count));
  const squares = units.map(() => make("i", "", cells));
  const level = make("span", "mean", now);
  const map = make("div", "map", row);
  const canvas = make("canvas", "", map);
  canvas.width = steps;
  canvas.height = lane.width;
  canvas.style.height = `${Math.min(Math.max(lane.width * 7, 34), 96)}px`;
  canvas.setAttribute("role", "img");
  const cursor = make("span", "cursor", map);
  if (lane.equation) make("div", "equation", row).innerHTML = lane.equation;
  const scrub = (event) => {
    const area = canvas.getBoundingClientRect();
    const time = Math.floor(((event.clientX - area.left) / area.width) * steps);
    const unit = Math.floor(((event.clientY - area.top) / area.height) * lane.width);
    if (time < 0 || time >= steps || unit < 0 || unit >= lane.width) return;
    if (event.buttons & 1) go(time);
    byId("reading").textContent = say("unit", {
      name: lane.plain, unit: unit + 1, step: time + 1, word: visible(facts.labels[time]),
      value: number(lane.at(time, unit)),
    });
  };
  canvas.addEventListener("pointerdown", scrub);
  canvas.addEventListener("pointermove", scrub);
  return { row, meaning: text, units, squares, level, canvas, cursor };
});

// The boxes of the drawing, and a row of the units below each.
const boxes = lanes.map((lane) => {
  const group = document.getElementById(`value-${lane.name}`);
  if (!group) return null;
  const area = group.getBBox();
  const wide = Math.max(area.width, 22);
  const count = Math.min(lane.width, 16);
  const units = Array.from({ length: count }, (_, place) => Math.floor((place * lane.width) / count));
  const strip = document.createElementNS("http://www.w3.org/2000/svg", "g");
  group.parentNode.append(strip);
  const cells = units.map((_, place) => {
    const cell = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    cell.setAttribute("x", area.x + area.width / 2 - wide / 2 + (place * wide) / count);
    cell.setAttribute("y", area.y + area.height - 1);
    cell.setAttribute("width", wide / count + 0.1);
    cell.setAttribute("height", 6);
    strip.append(cell);
    return cell;
  });
  const frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({
    x: area.x + area.width / 2 - wide / 2, y: area.y + area.height - 1, width: wide, height: 6, fill: "none",
    stroke: "var(--cell-line, #3c4651)", "stroke-width": 0.7,
  })) frame.setAttribute(name, value);
  strip.append(frame);
  return { group, shape: group.querySelector("path"), units, cells };
});

// One moment -------------------------------------------------------------------------------------------------

function draw() {
  for (const [time, one] of chain.entries()) {
    const past = time < step || (time === step && shown === lanes.length);
    one.button.classList.toggle("later", time > step);
    if (time === step) one.button.setAttribute("aria-current", "step");
    else one.button.removeAttribute("aria-current");
    one.link.classList.toggle("done", time <= step);
    for (const { lane, units, cells } of one.columns)
      for (const [place, unit] of units.entries())
        cells[place].style.background = past ? colour(lane, lane.at(time, unit)) : "var(--zero)";
  }
  for (const [place, lane] of lanes.entries()) {
    const time = place < shown ? step : step - 1; // what is not computed yet is as the step before left it
    const part = parts[place];
    const lit = timer && place === shown - 1 && shown < lanes.length;
    part.row.classList.toggle("lit", Boolean(lit));
    for (const [at, unit] of part.units.entries())
      part.squares[at].style.background = time < 0 ? "var(--zero)" : colour(lane, lane.at(time, unit));
    part.level.textContent = time < 0 ? "\u00a0" : say("mean", { value: number(mean(lane, time)) });
    part.cursor.style.left = `calc(${(step / steps) * 100}% - 1px)`;
    part.cursor.style.width = `calc(${100 / steps}% + 2px)`;
    part.canvas.setAttribute("aria-label", say("map", { name: lane.plain, meaning: meaning(lane), units: lane.width }));
    paint(lane, part.canvas, time);
    const box = boxes[place];
    if (!box) continue;
    box.group.classList.toggle("lit", Boolean(lit));
    if (lane.share) box.shape.style.fill = time < 0 ? "" : faint(lane, mean(lane, time));
    for (const [at, unit] of box.units.entries())
      box.cells[at].style.fill = time < 0 ? "var(--zero)" : colour(lane, lane.at(time, unit));
  }
  byId("place").textContent = say("place", { step: step + 1, steps, word: visible(facts.labels[step]) });
  byId("slider").value = step;
  byId("slider").setAttribute("aria-valuetext", say("step", { step: step + 1, steps, word: facts.labels[step] }));
  drawAnswers();
}

// The name of a gate stays readable on its colour.
const faint = (lane, value) => {
  const part = dark.matches ? 0.5 : 0.8;
  return `rgb(${mixed(lane, value * part).join(",")})`;
};

function paint(lane, canvas, last) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(steps, lane.width);
  for (let time = 0; time < steps; time++) {
    const strength = time <= last ? 1 : 0.16; // what is still to come shines through
    for (let unit = 0; unit < lane.width; unit++) {
      const full = mixed(lane, lane.at(time, unit));
      const at = 4 * (unit * steps + time);
      for (let part = 0; part < 3; part++)
        image.data[at + part] = colours.none[part] + (full[part] - colours.none[part]) * strength;
      image.data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

function drawAnswers() {
  if (!facts.says) return;
  const time = shown === lanes.length ? step : step - 1;
  let last = time;
  while (last >= 0 && !facts.says[last].length) last--;
  const rows = last < 0 ? [] : facts.says[last];
  const place = byId("says");
  while (place.children.length > rows.length) place.lastChild.remove();
  while (place.children.length < rows.length) {
    const bar = make("div", "bar", place);
    make("span", "name", bar);
    make("span", "fill", make("span", "track", bar));
    make("span", "number", bar);
  }
  const greatest = Math.max(1e-9, ...facts.says.flat().map(([, value]) => Math.abs(value)));
  for (const [at, [name, value]] of rows.entries()) {
    const bar = place.children[at];
    bar.children[0].textContent = visible(name);
    bar.children[0].title = name;
    const share = facts.shares ? value : Math.abs(value) / greatest;
    bar.querySelector(".fill").style.width = `${share * 100}%`;
    bar.children[2].textContent = facts.shares ? `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %` : number(value);
  }
}

// Moving -----------------------------------------------------------------------------------------------------

function centre() {
  const one = chain[step].button;
  const area = byId("chain");
  const left = one.offsetLeft - area.offsetLeft - area.clientWidth / 2 + one.offsetWidth / 2;
  area.scrollTo({ left, behavior: still.matches ? "auto" : "smooth" });
}

function go(time, computed = lanes.length) {
  step = Math.min(Math.max(time, 0), steps - 1);
  shown = Math.min(Math.max(computed, 0), lanes.length);
  draw();
  centre();
  if (!timer) byId("spoken").textContent = spoken();
}

function spoken() {
  const told = lanes.filter((lane) => lane.share || lane.state);
  const levels = told.map((lane) => `${lane.plain} ${number(mean(lane, step))}`).join(", ");
  return `${say("step", { step: step + 1, steps, word: facts.labels[step] })}: ${levels}`;
}

function tick() {
  if (shown < lanes.length && !still.matches) go(step, shown + 1);
  else if (step < steps - 1) go(step + 1, still.matches ? lanes.length : 0);
  else return play(false);
  wait();
}

function wait() {
  const pause = still.matches ? 1500 : shown === lanes.length ? 600 : 1500 / lanes.length;
  timer = setTimeout(tick, pause / Number(byId("speed").value));
}

function play(start) {
  clearTimeout(timer);
  timer = 0;
  if (start) {
    if (step === steps - 1) go(0, still.matches ? lanes.length : 0);
    wait();
  } else go(step);
  byId("sign").setAttribute("d", start ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4v16l13-8z");
  label();
}

function label() {
  byId("playing").textContent = say(timer ? "pause" : "play");
  byId("play").setAttribute("aria-label", say(timer ? "pause" : "play"));
}

byId("play").addEventListener("click", () => play(!timer));
byId("back").addEventListener("click", () => { play(false); go(step - 1); });
byId("next").addEventListener("click", () => { play(false); go(step + 1); });
byId("slider").addEventListener("input", (event) => { play(false); go(Number(event.target.value)); });
byId("language").addEventListener("click", () => {
  language = language === "en" ? "ko" : "en";
  write();
  label();
  draw();
});
document.addEventListener("keydown", (event) => {
  const place = event.target.closest?.("button, select, input");
  if (event.altKey || event.ctrlKey || event.metaKey || place?.tagName === "SELECT") return;
  const moves = {
    ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1), Home: () => go(0), End: () => go(steps - 1),
    ArrowDown: () => (shown < lanes.length ? go(step, shown + 1) : step < steps - 1 && go(step + 1, 1)),
    ArrowUp: () => (shown > 1 ? go(step, shown - 1) : step > 0 && go(step - 1)),
  };
  if (event.key === " " && place?.tagName !== "BUTTON") play(!timer);
  else if (event.key in moves && place?.tagName !== "INPUT") {
    if (timer) play(false);
    moves[event.key]();
  } else return;
  event.preventDefault();
});
dark.addEventListener("change", () => { readColours(); draw(); });

byId("slider").max = steps - 1;
byId("answers").hidden = !facts.says;
byId("stage").classList.toggle("two", Boolean(facts.says));
readColours();
write();
label();
go(0);
document.body.dataset.ready = "yes";
