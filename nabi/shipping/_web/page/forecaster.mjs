import { byId, element, embedded, facts, frame, modelOf, say, speak } from "./common.mjs";
import { Chart } from "./forecast-chart.mjs";
import { Engine, ForecastState } from "./forecast-state.mjs";
import { readValues, writtenValues } from "./forecast-values.mjs";

const TEXTS = {
  en: {
    about: "The model reads the values one by one and forecasts what follows. Change the past, and see the forecast change.",
    series: "Series",
    ahead: "Steps ahead:",
    chart: "The series and its forecast",
    legend: "Line: what was observed. Blue line: the median of the forecast. Bands: 50, 80 and 95 % of what may come. Red points were changed; the dashed line is as recorded.",
    said: "{0}: {1}; between {2} and {3} in 8 of 10 cases. {4} values were read.",
    point: "{0}: {1}",
    gap: "no value",
    recorded: "recorded: {0}",
    add: "Forecast as next value",
    remove: "Remove the last value",
    reset: "As recorded",
    keys: "Drag points with finger or mouse. Keys: left and right choose a point, up and down move it, delete removes its value.",
    values: "Values",
    lastValues: "The last {0} values",
    how: "Type or paste values, one a line, with or without a date before them; NA is a gap.",
    alone: "Read only these values, as if nothing came before them",
    numbers: "The forecast in numbers",
    time: "Time",
    median: "Median",
    reading: "The history is being read: {0} of {1} values.",
    nothing: "There is no value to forecast from.",
    ends: "The columns that must be known end here. Remove values at the end to see a forecast.",
    wrong: "Line {0}: expected a number, got “{1}”.",
    tooMany: "Expected at most {0} values, got {1}.",
    network: "The network forecasts alone.",
    simple: "The forecast is that of a simple method, {0}: in training, the network was no better.",
    mixed: "The forecast is {0} % network and {1} % {2}.",
    covered: "On the held-out ends of the series, the interval of 80 % held {0} % of the values.",
    footer: "Made with nabi. The model is in this file: nothing you type leaves it.",
  },
  ko: {
    about: "모델이 값을 하나씩 읽고 그다음을 예측합니다. 지난 값을 바꾸면 예측이 어떻게 달라지는지 볼 수 있습니다.",
    series: "계열",
    ahead: "예측 길이:",
    chart: "계열과 예측",
    legend: "선은 관측한 값, 파란 선은 예측의 중앙값, 띠는 50·80·95 % 예측 구간입니다. 빨간 점은 바꾼 값이고 점선은 기록된 값입니다.",
    said: "{0}: {1}, 열에 여덟은 {2}에서 {3} 사이입니다. 값 {4}개를 읽었습니다.",
    point: "{0}: {1}",
    gap: "값 없음",
    recorded: "기록된 값: {0}",
    add: "예측을 다음 값으로",
    remove: "마지막 값 지우기",
    reset: "기록대로",
    keys: "점을 손가락이나 마우스로 끌어 옮깁니다. 키보드: 왼쪽·오른쪽 화살표로 점을 고르고, 위·아래 화살표로 옮기고, Delete로 값을 지웁니다.",
    values: "값",
    lastValues: "마지막 값 {0}개",
    how: "값을 한 줄에 하나씩 입력하거나 붙여 넣으세요. 앞에 날짜가 있어도 됩니다. NA는 빠진 값입니다.",
    alone: "이 값들만 읽고 그 전의 값은 없는 것으로 하기",
    numbers: "예측값 표",
    time: "시점",
    median: "중앙값",
    reading: "지난 값을 읽는 중입니다: {1}개 가운데 {0}개.",
    nothing: "예측의 바탕이 될 값이 없습니다.",
    ends: "미리 알아야 하는 열이 여기서 끝납니다. 끝의 값을 지우면 예측을 볼 수 있습니다.",
    wrong: "{0}번째 줄: 숫자가 있어야 하는데 “{1}”이(가) 있습니다.",
    tooMany: "값은 {0}개까지인데 {1}개가 있습니다.",
    network: "신경망 혼자 예측합니다.",
    simple: "단순한 방법({0})의 예측입니다. 학습에서 신경망이 더 낫지 않았습니다.",
    mixed: "예측은 신경망 {0} %와 {2} {1} %를 섞은 것입니다.",
    covered: "학습에서 떼어 둔 끝부분에서는 80 % 구간에 값의 {0} %가 들었습니다.",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고, 입력한 값은 밖으로 나가지 않습니다.",
  },
};
const METHODS_IN_KOREAN = {
  "last value": "마지막 값",
  drift: "추세선",
  "seasonal naive": "지난 계절 값",
  "seasonal naive with drift": "추세를 더한 지난 계절 값",
  "exponential smoothing": "지수 평활",
  Theta: "세타",
  "Holt-Winters": "홀트-윈터스",
  "damped Holt-Winters": "감쇠 홀트-윈터스",
  "median of five": "다섯 방법의 중앙값",
};
const [LONGEST, FEWEST, MOST, SLICE, MIDDLE] = [120, 48, 5000, 12, 3];
const { plan } = facts;

const doubles = (name) => new Float64Array(embedded(name).slice().buffer);
const columns = Object.fromEntries(["target", "past", "known", "static"].map((name) => [name, doubles(name)]));
const streams = [];
for (let number = 0; number < facts.sizes.length; number += 1) streams.push((await modelOf(number)).stream());
const engine = new Engine(facts, streams, new Float32Array(embedded("heads").slice().buffer));
const { frequency } = engine;
const chart = new Chart(byId("chart"));

// The series, as they are in the parts of the page.
const held = [];
for (let [steps, rows] = [0, 0]; held.length < facts.series.length; ) {
  const one = facts.series[held.length];
  const place = held.length;
  held.push({
    ...one,
    target: columns.target.subarray(steps, steps + one.steps),
    past: columns.past.subarray(steps * plan.past, (steps + one.steps) * plan.past),
    known: columns.known.subarray(rows * plan.known, (rows + one.rows) * plan.known),
    fixed: columns.static.subarray(place * plan.static, (place + 1) * plan.static),
  });
  steps += one.steps;
  rows += one.rows;
}

let series = held[0];
let first = 0; // the step of the series that is shown first
let before = null; // the state before it
let start = 0; // the time of the first step that is shown
let recorded = [];
let values = [];
let outlook = [];
let chosen = null;
let version = 0;

const isAlone = () => byId("alone").checked;
const language = () => document.documentElement.lang;
const digits = (value, count) => new Intl.NumberFormat(language(), { maximumSignificantDigits: count }).format(value);
const shown = (value) => (Number.isNaN(value) ? say("gap") : digits(value, 4));
const timeOf = (at) => frequency.shown(frequency.time(start, at));

// The state of a series of which the steps before `first` are read, or of one that begins there.
async function stateBefore(own) {
  if (isAlone()) {
    return new ForecastState(engine, { start, known: series.known.subarray(first * plan.known), fixed: series.fixed });
  }
  const state = new ForecastState(engine, series);
  let until = performance.now() + SLICE;
  for (let step = 0; step < first; step += 1) {
    state.read(series.target[step], pastOf(step));
    if (performance.now() > until) {
      byId("said").textContent = say("reading", step, first);
      await frame();
      if (own !== version) return null;
      until = performance.now() + SLICE;
    }
  }
  return state;
}

function pastOf(step) {
  const row = series.past.subarray(step * plan.past, (step + 1) * plan.past);
  return row.length ? row : Array(plan.past).fill(NaN);
}

// Shows a series: all of it if it is short, and if known columns have to reach beyond it, so much less.
async function open(number) {
  series = held[number];
  const room = plan.known ? series.rows - plan.horizon : series.steps;
  const count = room > 0 ? Math.min(series.steps, room) : series.steps;
  const wanted = Math.max(FEWEST, 3 * plan.horizon, 2 * plan.season);
  // On a phone, points that are dragged need room.
  const most = window.innerWidth < 600 ? FEWEST : LONGEST;
  first = count <= most ? 0 : Math.max(0, count - Math.min(wanted, LONGEST));
  start = frequency.time(series.start, first);
  recorded = Array.from(series.target.subarray(first, count));
  values = [...recorded];
  chosen = null;
  byId("alone").checked = false;
  byId("apart").hidden = first === 0;
  await reread();
}

// Reads what comes before the values that are shown, and these.
async function reread() {
  version += 1;
  before = null;
  const found = await stateBefore(version);
  if (found === null) return;
  before = found;
  update(true);
}

// Reads the values that are shown, and forecasts.
function update(fitted) {
  if (before === null) return;
  const state = before.copy();
  values.forEach((value, at) => state.read(value, pastOf(first + at)));
  const wanted = Math.min(Number(byId("ahead").value), state.reach);
  const something = state.target.some((value) => !Number.isNaN(value));
  outlook = something && wanted > 0 ? state.forecast(wanted) : [];
  byId("ahead-shown").value = digits(outlook.length || Number(byId("ahead").value), 6);
  if (outlook.length) {
    const [, low, , middle, , high] = outlook[0].quantiles;
    const when = timeOf(values.length);
    byId("said").textContent = say("said", when, ...[middle, low, high].map(shown), digits(state.target.length, 9));
  } else {
    byId("said").textContent = something ? say("ends") : say("nothing");
  }
  if (fitted) chart.fit(values, outlook);
  showPoint();
  showNumbers();
  showValues();
  draw();
  byId("add").disabled = outlook.length === 0;
  byId("remove").disabled = values.length < 2;
  document.body.dataset.forecast = JSON.stringify(outlook);
}

function draw() {
  chart.draw({ values, recorded, outlook, chosen, timeOf, shown: (value) => digits(value, 5) });
}

function showPoint() {
  const value = values[chosen];
  byId("point").textContent = chosen === null ? "" : say("point", timeOf(chosen), shown(value));
  const old = recorded[chosen];
  if (old !== undefined && !Object.is(old, value)) byId("point").textContent += ` (${say("recorded", shown(old))})`;
}

function showNumbers() {
  const names = [say("time"), "2.5 %", "10 %", say("median"), "90 %", "97.5 %"];
  byId("columns").replaceChildren(...names.map((name) => element("th", { scope: "col", textContent: name })));
  const rows = outlook.map(({ quantiles }, at) => {
    const figures = [0, 1, MIDDLE, 5, 6].map((which) => digits(quantiles[which], 5));
    const time = element("th", { scope: "row", textContent: timeOf(values.length + at) });
    return element("tr", {}, time, ...figures.map((text) => element("td", { textContent: text })));
  });
  byId("rows").replaceChildren(...rows);
}

function showValues() {
  if (document.activeElement !== byId("values")) {
    byId("values").value = writtenValues(values, timeOf);
    byId("problem").textContent = "";
  }
  byId("values-name").textContent = first === 0 || isAlone() ? say("values") : say("lastValues", values.length);
}

function showMethod() {
  const { share, baseline } = facts.calibration;
  const name = language() === "ko" ? METHODS_IN_KOREAN[baseline] : baseline;
  const percent = (part) => digits(100 * part, 3);
  const parts = [];
  if (share === 1) parts.push(say("network"));
  else if (share === 0) parts.push(say("simple", name));
  else parts.push(say("mixed", percent(share), percent(1 - share), name));
  if (facts.covered !== null) parts.push(say("covered", digits(100 * facts.covered, 2)));
  byId("method").textContent = parts.join(" ");
}

// Changing the past ----------------------------------------------------------------------------------------

function change(at, value, fitted = true) {
  values[at] = value;
  chosen = at;
  update(fitted);
}

let waiting = false;
let draggedTo = null;

function drag(event) {
  const { left, top } = byId("chart").getBoundingClientRect();
  const [right, down] = [event.clientX - left, event.clientY - top];
  if (draggedTo === null) {
    const at = chart.placeAt(right);
    if (at < 0 || at >= values.length) return;
    chosen = at;
  }
  draggedTo = chart.valueAt(down);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (draggedTo !== null) change(chosen, rounded(draggedTo), false);
  });
}

// A value with as many digits as the chart can tell apart.
function rounded(value) {
  const step = 10 ** Math.floor(Math.log10((chart.range[1] - chart.range[0]) / 400));
  return Number((Math.round(value / step) * step).toPrecision(12));
}

byId("chart").addEventListener("pointerdown", (event) => {
  if (before === null) return;
  byId("chart").setPointerCapture(event.pointerId);
  byId("chart").focus();
  draggedTo = null;
  drag(event);
});
byId("chart").addEventListener("pointermove", (event) => {
  if (draggedTo !== null && byId("chart").hasPointerCapture(event.pointerId)) drag(event);
});
for (const kind of ["pointerup", "pointercancel"]) {
  byId("chart").addEventListener(kind, () => {
    if (draggedTo === null) return;
    const value = rounded(draggedTo);
    draggedTo = null;
    change(chosen, value);
  });
}
byId("chart").addEventListener("keydown", (event) => {
  if (before === null) return;
  const last = values.length - 1;
  const at = chosen ?? last;
  const step = (chart.range[1] - chart.range[0]) / 50;
  const known = Number.isNaN(values[at]) ? (chart.range[0] + chart.range[1]) / 2 : values[at];
  const chose = (place) => {
    chosen = Math.min(last, Math.max(0, place));
    showPoint();
    draw();
  };
  if (event.key === "ArrowLeft") chose(chosen === null ? last : at - 1);
  else if (event.key === "ArrowRight") chose(at + 1);
  else if (event.key === "Home") chose(0);
  else if (event.key === "End") chose(last);
  else if (event.key === "ArrowUp") change(at, rounded(known + step));
  else if (event.key === "ArrowDown") change(at, rounded(known - step));
  else if (event.key === "Delete" || event.key === "Backspace") change(at, NaN);
  else return;
  event.preventDefault();
});

byId("values").addEventListener("input", () => {
  const found = readValues(byId("values").value, frequency);
  let problem = "";
  if (found.line !== undefined) problem = say("wrong", found.line, found.found);
  else if (found.values.length > MOST) problem = say("tooMany", MOST, found.values.length);
  byId("problem").textContent = problem;
  if (problem || found.values.length === 0 || before === null) return;
  values = found.values;
  chosen = null;
  // A series that begins with these values may begin at another time; columns beside it have their own.
  const free = (first === 0 || isAlone()) && plan.past + plan.known === 0;
  const begin = free && found.start !== null ? found.start : start;
  if (begin === start) {
    update(true);
    return;
  }
  start = begin;
  before = new ForecastState(engine, { start, known: series.known, fixed: series.fixed });
  update(true);
});
byId("values").addEventListener("blur", showValues);
byId("add").addEventListener("click", () => {
  const place = values.length;
  values.push(rounded(outlook[0].quantiles[MIDDLE]));
  change(place, values[place]);
});
byId("remove").addEventListener("click", () => {
  values.pop();
  chosen = null;
  update(true);
});
byId("reset").addEventListener("click", () => {
  values = [...recorded];
  chosen = null;
  const begin = frequency.time(series.start, first);
  if (begin === start) {
    update(true);
    return;
  }
  start = begin;
  reread();
});
byId("alone").addEventListener("change", () => {
  start = frequency.time(series.start, first);
  reread();
});
byId("series").append(...held.map(({ name }, at) => element("option", { value: at, textContent: name })));
byId("series").addEventListener("change", () => open(Number(byId("series").value)));
byId("choice").hidden = held.length < 2;
byId("ahead").max = 3 * plan.horizon;
byId("ahead").value = plan.horizon;
byId("ahead").addEventListener("input", () => update(true));
new ResizeObserver(draw).observe(byId("chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

speak(TEXTS, () => {
  showMethod();
  update(false);
});
await open(0);
document.body.dataset.ready = "yes";
