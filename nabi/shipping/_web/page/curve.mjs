import { byId, colour, drawing, modelOf, say, speak } from "./common.mjs";

const TEXTS = {
  en: {
    about: "Draw a curve: the model reads it point by point and goes on, each point from what it has read so far.",
    curve: "Your curve, and how the model continues it",
    keys: "Draw with finger or mouse. Keys: up and down move the last point, right adds one, left removes one.",
    wave: "Wave",
    steps: "Steps",
    trend: "Trend",
    clear: "Clear",
    ahead: "Points ahead:",
    range: "Values up to:",
    said: "{0} points read; next: {1}, then {2}.",
    nothing: "Nothing is drawn yet.",
    footer: "Made with nabi. The model is in this file and needs no network.",
  },
  ko: {
    about: "곡선을 그려 보세요. 모델이 한 점씩 읽고, 읽은 것에서 다음 점을 하나씩 이어 그립니다.",
    curve: "그린 곡선과 모델이 이어 그린 곡선",
    keys: "손가락이나 마우스로 그립니다. 위·아래 화살표는 마지막 점을 옮기고, 오른쪽은 더하고, 왼쪽은 지웁니다.",
    wave: "물결",
    steps: "계단",
    trend: "추세",
    clear: "지우기",
    ahead: "내다볼 점:",
    range: "값의 범위:",
    said: "점 {0}개를 읽었습니다. 다음은 {1}, 그다음은 {2}입니다.",
    nothing: "아직 그린 것이 없습니다.",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고 네트워크가 필요 없습니다.",
  },
};
const POINTS = 60;

const stream = (await modelOf(0)).stream();
const canvas = byId("curve");
let values = [];
let ahead = [];

const largest = () => 10 ** Number(byId("range").value);
const count = () => Number(byId("ahead").value);
const short = (value) => Number(value.toPrecision(3)).toString();

// What the model gives after the curve, and after each of its own points.
function goOn(given, steps) {
  stream.reset();
  const found = [];
  let y = 0;
  for (const value of given) [y] = stream.step(value);
  for (let step = 0; given.length && step < steps; step += 1) {
    found.push(y);
    [y] = stream.step(y);
  }
  return found;
}

function update() {
  ahead = goOn(values, count());
  byId("said").textContent = values.length
    ? say("said", values.length, short(ahead[0]), short(ahead[1] ?? ahead[0]))
    : say("nothing");
  byId("ahead-shown").value = count();
  byId("range-shown").value = largest();
  draw();
  document.body.dataset.ahead = ahead.join(" ");
}

function draw() {
  const { context, width, height } = drawing(canvas);
  const total = POINTS + count();
  const x = (at) => ((at + 0.5) / total) * width;
  const y = (value) => height / 2 - (value / largest()) * (height / 2 - 14);
  context.fillStyle = colour("--tint");
  context.fillRect(x(POINTS - 0.5), 0, width, height);
  context.strokeStyle = colour("--line");
  for (const level of [-1, -0.5, 0, 0.5, 1]) {
    context.beginPath();
    context.moveTo(0, y(level * largest()));
    context.lineTo(width, y(level * largest()));
    context.stroke();
  }
  const first = POINTS - values.length;
  line(values.map((value, at) => [x(first + at), y(value)]), "--ink", []);
  const joined = values.length ? [values.at(-1), ...ahead] : [];
  line(joined.map((value, at) => [x(POINTS - 1 + at), y(value)]), "--accent", [7, 4]);
  context.fillStyle = colour("--soft");
  context.font = "13px system-ui, sans-serif";
  context.fillText(short(largest()), 6, 13);
  context.fillText(short(-largest()), 6, height - 4);

  function line(points, name, dashes) {
    context.beginPath();
    for (const [right, down] of points) context.lineTo(right, down);
    context.strokeStyle = colour(name);
    context.lineWidth = 2.5;
    context.lineJoin = "round";
    context.setLineDash(dashes);
    context.stroke();
    context.setLineDash([]);
  }
}

let last = null;

// Sets the point under the pointer, and those between it and the last one.
function place(event) {
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const total = POINTS + count();
  const at = Math.floor(((event.clientX - left) / width) * total);
  const share = (height / 2 - (event.clientY - top)) / (height / 2 - 14);
  const value = Math.max(-1, Math.min(1, share)) * largest();
  if (at < 0 || at >= POINTS) return;
  const row = Array(POINTS).fill(null);
  values.forEach((one, number) => (row[POINTS - values.length + number] = one));
  const from = last === null ? at : last.at;
  const start = last === null ? value : last.value;
  const way = Math.sign(at - from) || 1;
  for (let now = from; now !== at + way; now += way) {
    const part = at === from ? 1 : (now - from) / (at - from);
    row[now] = start + part * (value - start);
  }
  last = { at, value };
  const begin = row.findIndex((one) => one !== null);
  const drawn = row.slice(begin);
  // Places that were left out get the value before them; what is drawn moves to the end.
  let before = drawn[0];
  values = drawn.map((one) => (before = one ?? before));
  update();
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  last = null;
  place(event);
});
canvas.addEventListener("pointermove", (event) => {
  if (canvas.hasPointerCapture(event.pointerId)) place(event);
});
canvas.addEventListener("keydown", (event) => {
  const step = largest() / 20;
  const end = values.at(-1) ?? 0;
  if (event.key === "ArrowUp") values = [...values.slice(0, -1), Math.min(largest(), end + step)];
  else if (event.key === "ArrowDown") values = [...values.slice(0, -1), Math.max(-largest(), end - step)];
  else if (event.key === "ArrowRight") values = [...values, end].slice(-POINTS);
  else if (event.key === "ArrowLeft") values = values.slice(0, -1);
  else return;
  event.preventDefault();
  update();
});
const shapes = {
  wave: (at) => 0.7 * Math.sin((2 * Math.PI * at) / 15),
  steps: (at) => (Math.floor(at / 8) % 2 ? 0.6 : -0.6),
  trend: (at) => -0.8 + at / 50,
  clear: () => null,
};
for (const [name, shape] of Object.entries(shapes)) {
  byId(name).addEventListener("click", () => {
    const points = Array.from({ length: POINTS }, (_, at) => shape(at)).filter((value) => value !== null);
    values = points.map((value) => value * largest());
    update();
  });
}
byId("ahead").addEventListener("input", update);
byId("range").addEventListener("input", update);
new ResizeObserver(draw).observe(canvas);
speak(TEXTS, update);
byId("wave").click();
document.body.dataset.ready = "yes";
