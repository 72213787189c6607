import { byId, colour, drawing, element, facts, say, speak } from "./common.mjs";
import { PianoRoll, Synthesizer } from "./sound.mjs";

const TEXTS = {
  en: {
    about: "The models behind this address. Choose one and try it; nothing is sent to anywhere else.",
    key: "API key", connect: "Connect", model: "Model", given: "Text", steps: "Steps", hint: "Type or paste here",
    aspect: "What it is asked about", horizon: "Steps to forecast", courage: "Courage:", file: "A WAV file",
    classify: "Classify", estimate: "Estimate", translate: "Translate", forecast: "Forecast", write: "Write on", stop: "Stop",
    recognise: "Listen", step: "Read", begin: "Begin anew", infer: "Compute",
    numbersHint: "One step a line, {0} numbers each, as: {1}", codesHint: "Codes from 0 to {0}, separated by blanks",
    seriesHint: "One step a line, a number for each channel, as: 0.1 0.2",
    written: "What is written", chart: "Chart", piano: "Keys of the song", roll: "Piano roll",
    songAbout: "Play at least four notes (keys 1 to 9, 0, and Q W E R); the model, a session with a state, sings on.",
    songLegend: "Outlined: your notes. Filled: what the model sings.",
    sing: "Sing on", tempo: "Beats a minute:", need: "Play {0} more notes first.", sang: "It sang {0} notes.",
    said: "{0} ({1} %)", why: "Words that moved it towards “{0}” are underlined, those against it dotted.",
    heard: "It has read {0} steps.", took: "Answered in {0} ms.", nothing: "There is nothing to read.",
    only: "This page cannot make what this model reads; {0} says how to ask for it.",
    unreadable: "line {0}: expected numbers", ended: "— end —", legend: "Line: median. Shades: 80 % and 95 %.",
    footer: "Answered by nabi serve; /openapi.json describes all addresses.",
  },
  ko: {
    about: "이 주소에서 답하는 모델들입니다. 하나를 골라 써 보세요. 입력한 것은 다른 곳으로 보내지 않습니다.",
    key: "API 키", connect: "연결", model: "모델", given: "글", steps: "단계", hint: "여기에 쓰거나 붙여 넣으세요",
    aspect: "무엇에 대해 물을까요", horizon: "예측할 구간", courage: "대담함:", file: "WAV 파일",
    classify: "분류하기", estimate: "추정하기", translate: "번역하기", forecast: "예측하기", write: "이어 쓰기", stop: "멈추기",
    recognise: "듣기", step: "읽기", begin: "새로 시작", infer: "계산하기",
    numbersHint: "한 줄에 한 단계, 숫자 {0}개씩. 보기: {1}", codesHint: "0부터 {0}까지의 코드를 빈칸으로 나누어 쓰세요",
    seriesHint: "한 줄에 한 단계, 채널마다 숫자 하나. 보기: 0.1 0.2",
    written: "이어 쓴 글", chart: "그래프", piano: "노래의 건반", roll: "피아노 롤",
    songAbout: "음을 네 개 이상 연주하면(자판 1–9, 0, Q W E R) 상태를 간직한 모델이 이어서 노래합니다.",
    songLegend: "테두리: 연주한 음. 채운 음: 모델이 부르는 음.",
    sing: "이어 부르기", tempo: "분당 박자:", need: "먼저 음을 {0}개 더 연주하세요.", sang: "음 {0}개를 불렀습니다.",
    said: "{0} ({1} %)", why: "“{0}” 쪽으로 움직인 낱말에는 밑줄, 반대쪽 낱말에는 점선을 그었습니다.",
    heard: "{0}단계를 읽었습니다.", took: "{0} ms 만에 답했습니다.", nothing: "읽을 것이 없습니다.",
    only: "이 모델이 읽는 것은 이 페이지에서 만들 수 없습니다. 묻는 방법은 {0}에 있습니다.",
    unreadable: "{0}번째 줄: 숫자가 아닙니다", ended: "— 끝 —", legend: "선: 중앙값. 음영: 80 %와 95 %.",
    footer: "nabi serve가 답합니다. 모든 주소는 /openapi.json에 적혀 있습니다.",
  },
};
const [PAUSE, SHOWN, MOST_WORDS, SUNG] = [250, 8, 60, 50];
const KEYS = "1234567890qwer";

let models = [];
let model = null;
let what = null; // what the chosen model is asked
let session = null; // of the chosen model
let running = null; // stops what runs
let history = []; // outputs of the session
let shown = () => {}; // shows the last answer again, in another language
const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Asking ------------------------------------------------------------------------------------------------

async function ask(path, body, options = {}) {
  const headers = { ...options.headers };
  if (byId("key").value) headers.Authorization = `Bearer ${byId("key").value}`;
  if (body !== undefined && !(body instanceof Blob)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  const answer = await fetch(path, { method, headers, body, signal: options.signal });
  if (answer.ok) return answer;
  if (answer.status === 401) byId("keys").hidden = false;
  if (answer.status === 404 && path.includes("/sessions/")) session = null; // it has expired
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.error ?? `${answer.status}`);
}

const told = async (...asked) => (await ask(...asked)).json();
const place = (name, rest) => `/v2/models/${encodeURIComponent(name)}${rest}`;

// Runs something, and shows what went wrong with it.
async function tried(action) {
  byId("problem").textContent = "";
  try {
    await action();
  } catch (problem) {
    if (problem.name !== "AbortError") byId("problem").textContent = problem.message;
  }
}

async function connect() {
  const names = await told("/v2/repository/index", { ready: true });
  models = await Promise.all(names.map(({ name }) => told(place(name, ""))));
  byId("keys").hidden = true;
  byId("model").replaceChildren(...models.map(({ name }) => element("option", { value: name, textContent: name })));
  const wanted = models.findIndex(({ name }) => name === decodeURIComponent(location.hash.slice(1)));
  byId("model").selectedIndex = Math.max(0, wanted);
  await choose();
}

// What a model can be asked on this page.
function use(one) {
  const reads = one.page;
  if (reads.song) return "song";
  if (one.tasks.includes("write")) return "write";
  if (one.tasks.includes("translate")) return "translate";
  if (one.tasks.includes("forecast")) return "forecast";
  if (one.tasks.includes("recognise")) return "recognise";
  if (reads.columns) return null;
  if (one.tasks.includes("estimate")) return reads.texts ? "estimate" : "measure";
  if (one.tasks.includes("classify")) return reads.clips ? null : reads.texts ? "classify" : "series";
  if (one.sessions) return "step";
  return one.inputs.length === 1 && one.inputs[0].shape.length > 1 ? "infer" : null;
}

async function choose() {
  stop();
  await leave();
  model = models[byId("model").selectedIndex];
  location.hash = encodeURIComponent(model.name);
  what = use(model);
  history = [];
  for (const id of ["words", "written", "chart", "again"]) byId(id).hidden = true;
  for (const id of ["labels", "words", "written"]) byId(id).replaceChildren();
  for (const id of ["why", "said"]) byId(id).textContent = "";
  byId("reading").hidden = what === "song" || what === null;
  byId("song").hidden = what !== "song";
  byId("aspects").hidden = !model.page.aspects;
  byId("numbers").hidden = what !== "forecast";
  byId("courage").hidden = what !== "write";
  byId("files").hidden = what !== "recognise";
  byId("given").hidden = ["recognise", "forecast"].includes(what);
  document.querySelector('label[for="given"]').hidden = byId("given").hidden;
  byId("again").hidden = what !== "step";
  byId("given").value = "";
  shown = () => {};
  label();
  if (what === "song") silence();
}

// Writes what depends on the model and the language.
function label() {
  if (model === null) return;
  byId("kind").textContent = model.platform.replace("nabi_", "");
  if (what === null) byId("said").textContent = say("only", "/openapi.json");
  const words = { series: "classify", measure: "estimate" };
  if (what !== null && what !== "song") byId("ask").textContent = say(running ? "stop" : (words[what] ?? what));
  byId("again").textContent = say("begin");
  let hint = say("hint");
  const { input, codes } = model.page;
  if (what === "step" && codes) hint = say("codesHint", codes - 1);
  else if (what === "step" || what === "infer") {
    const width = input ?? model.inputs[0].shape.at(-1);
    hint = say("numbersHint", width, Array.from({ length: width }, (_, at) => (at + 1) / 10).slice(0, 6).join(" "));
  } else if (what === "series" || what === "measure") hint = say("seriesHint");
  byId("given").placeholder = hint;
  const numbers = ["step", "infer", "series", "measure"].includes(what);
  document.querySelector('label[for="given"]').textContent = say(numbers ? "steps" : "given");
  shown();
}

// Texts -------------------------------------------------------------------------------------------------

const odds = (probability) => Math.log(Math.max(probability, 1e-9) / Math.max(1 - probability, 1e-9));

function bars(probabilities) {
  const ranked = Object.entries(probabilities).sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  return ranked.map(([name, probability]) => {
    const fill = element("span", { className: "fill" });
    fill.style.width = `${100 * probability}%`;
    const track = element("span", { className: "track" }, fill);
    const share = element("span", { className: "share", textContent: `${(100 * probability).toFixed(0)} %` });
    return element("div", { className: "bar" }, element("span", { className: "name", textContent: name, title: name }), track, share);
  });
}

function showLabel(result) {
  if (result.tokens) { // of a tagger
    const told = result.tokens.map((token, at) => (result.tags[at] === "O" ? token : `${token}/${result.tags[at]}`));
    byId("said").textContent = told.join(" ");
    return;
  }
  const list = Array.isArray(result.probabilities);
  byId("labels").replaceChildren(...(list ? [] : bars(result.probabilities)));
  const name = Array.isArray(result.label) ? result.label.join(" ") : result.label;
  byId("said").textContent = say("said", name, (100 * result.probability).toFixed(0));
}

// The label of a text, and how it changes without each of its words.
async function classify() {
  const text = byId("given").value;
  if (text.trim() === "") return;
  const words = [...text.matchAll(/\S+/g)].map((found) => ({ start: found.index, end: found.index + found[0].length }));
  const without = model.page.moves && words.length <= MOST_WORDS ? words : [];
  const texts = [text, ...without.map(({ start, end }) => text.slice(0, start) + text.slice(end))];
  const body = { model: model.name, texts };
  if (model.page.aspects) body.aspects = texts.map(() => byId("aspect").value);
  const { results } = await told("/classify", body);
  if (byId("given").value !== text) return;
  const [whole, ...others] = results;
  const [best] = Object.entries(whole.probabilities).reduce((a, b) => (b[1] > a[1] ? b : a));
  const moved = others.map(({ probabilities }) => odds(whole.probabilities[best]) - odds(probabilities[best]));
  showWords(text, without, moved);
  shown = () => {
    showLabel(whole);
    byId("why").textContent = without.length ? say("why", best) : "";
  };
  shown();
  document.body.dataset.shown = text;
}

// The number of a text.
async function estimate() {
  const text = byId("given").value;
  if (text.trim() === "") return;
  const body = { model: model.name, texts: [text] };
  if (model.page.aspects) body.aspects = [byId("aspect").value];
  const { results } = await told("/estimate", body);
  if (byId("given").value !== text) return;
  byId("said").textContent = results[0].number.toPrecision(4);
  document.body.dataset.shown = text;
}

function showWords(text, words, moved) {
  const most = Math.max(0.2, ...moved.map(Math.abs));
  const parts = [];
  let at = 0;
  words.forEach(({ start, end }, number) => {
    const mark = element("mark", { textContent: text.slice(start, end), title: moved[number].toFixed(2) });
    const strength = Math.abs(moved[number]) / most;
    if (strength > 0.1) mark.classList.add(moved[number] > 0 ? "pro" : "contra");
    mark.style.setProperty("--strength", `${Math.round(12 + 28 * strength)}%`);
    parts.push(text.slice(at, start), mark);
    at = end;
  });
  byId("words").replaceChildren(...parts, text.slice(at));
  byId("words").hidden = !words.length;
}

async function translate() {
  const { results } = await told("/translate", { model: model.name, texts: [byId("given").value] });
  byId("written").hidden = false;
  byId("written").textContent = results[0].text;
}

// Text as it is written, by server-sent events.
async function write() {
  const controller = new AbortController();
  running = () => controller.abort();
  label();
  const body = { model: model.name, start: byId("given").value, temperature: Number(byId("temperature").value) };
  body.seed = Math.floor(Math.random() * 2 ** 31);
  body.length = 1000;
  byId("written").hidden = false;
  byId("written").textContent = byId("given").value;
  try {
    const answer = await ask("/write", body, { signal: controller.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (rest + part.value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = JSON.parse(event.slice(event.indexOf("data: ") + 6));
        if (event.startsWith("event: error")) throw new Error(data.error);
        if (event.startsWith("event: end")) byId("written").append(element("span", { className: "note", textContent: ` ${say("ended")}` }));
        else byId("written").append(data.text);
      }
      byId("written").scrollTop = byId("written").scrollHeight;
    }
  } finally {
    stop();
  }
}

async function recognise() {
  const file = byId("file").files[0];
  if (file === undefined) throw new Error(say("nothing"));
  const query = `?model=${encodeURIComponent(model.name)}`;
  const body = new Blob([await file.arrayBuffer()]);
  const { results } = await told(`/recognise${query}`, body, { headers: { "Content-Type": "audio/wav" } });
  if (results[0].label === undefined) byId("said").textContent = results[0].text;
  else showLabel(results[0]);
}

// Numbers -----------------------------------------------------------------------------------------------

// The lines of the text as rows of numbers.
function rows() {
  const lines = byId("given").value.split("\n").filter((line) => line.trim() !== "");
  if (!lines.length) throw new Error(say("nothing"));
  return lines.map((line, at) => {
    const numbers = line.trim().split(/[\s,;]+/).map(Number);
    if (!numbers.every(Number.isFinite)) throw new Error(say("unreadable", at + 1));
    return numbers;
  });
}

async function series() {
  const { results } = await told("/classify", { model: model.name, sequences: [rows()] });
  shown = () => showLabel(results[0]);
  shown();
}

async function measure() {
  const { results } = await told("/estimate", { model: model.name, sequences: [rows()] });
  byId("said").textContent = results[0].number.toPrecision(4);
}

async function infer() {
  const [input] = model.inputs;
  const given = rows();
  const steps = input.shape.length > 2;
  const shape = steps ? [1, given.length, given[0].length] : [given.length, given[0].length];
  const tensor = { name: input.name, shape, datatype: input.datatype, data: given };
  const { outputs } = await told(place(model.name, "/infer"), { inputs: [tensor] });
  byId("written").hidden = false;
  byId("written").textContent = outputs.map(({ name, data }) => `${name}: ${data.map((one) => one.toPrecision(5)).join(" ")}`).join("\n");
}

async function opened() {
  session ??= (await told(place(model.name, "/sessions"), {})).session;
  return place(model.name, `/sessions/${session}`);
}

async function leave() {
  if (session === null) return;
  const path = place(model.name, `/sessions/${session}`);
  session = null;
  await ask(path, undefined, { method: "DELETE" }).catch(() => {});
}

async function step() {
  const given = rows();
  const codes = model.page.codes > 0;
  const found = await told(`${await opened()}/steps`, { steps: codes ? given.flat() : given });
  history.push(...found.outputs);
  byId("written").hidden = false;
  byId("written").textContent = found.outputs.map((row) => row.map((one) => one.toPrecision(5)).join(" ")).join("\n");
  shown = () => (byId("said").textContent = say("heard", found.steps));
  shown();
  curves(history[0].map((_, at) => ({ values: history.map((row) => row[at]), colour: at % 2 ? "--for" : "--accent" })));
}

async function forecast() {
  const { results } = await told("/forecast", { model: model.name, horizon: Number(byId("horizon").value) });
  const [first] = results;
  curves([{ values: first.median, colour: "--accent" }], [[first.low95, first.high95], [first.low80, first.high80]]);
  shown = () => (byId("said").textContent = `${first.series}: ${say("legend")}`);
  shown();
}

function curves(lines, bands = []) {
  byId("chart").hidden = false;
  const { context, width, height } = drawing(byId("chart"));
  const all = [...lines.map(({ values }) => values), ...bands.flat()].flat();
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const span = most - least || 1;
  const count = lines[0].values.length;
  const x = (at) => 44 + ((width - 56) * at) / Math.max(1, count - 1);
  const y = (value) => height - 14 - ((height - 28) * (value - least)) / span;
  const line = (values) => values.forEach((value, at) => context.lineTo(x(at), y(value)));
  context.fillStyle = colour("--soft");
  context.font = "12px system-ui";
  context.fillText(most.toPrecision(3), 4, 18);
  context.fillText(least.toPrecision(3), 4, height - 8);
  for (const [low, high] of bands) {
    context.beginPath();
    line(low);
    [...high.keys()].reverse().forEach((at) => context.lineTo(x(at), y(high[at])));
    context.globalAlpha = 0.2;
    context.fillStyle = colour("--accent");
    context.fill();
    context.globalAlpha = 1;
  }
  for (const { values, colour: name } of lines) {
    context.beginPath();
    line(values);
    context.strokeStyle = context.fillStyle = colour(name);
    context.lineWidth = 2;
    context.stroke();
    if (count === 1) context.fillRect(x(0) - 3, y(values[0]) - 3, 6, 6);
  }
}

// The song: a session that hears notes and sings on -------------------------------------------------------

const roll = new PianoRoll(byId("roll"), 28);
let synthesizer = null;
let codes = []; // of all notes, played and sung
let beat = 0;

function note(code, kind) {
  const { pitch, beats } = facts.sounds[code];
  roll.notes.push({ pitch, start: beat, end: beat + beats, kind });
  codes.push(code);
  beat += beats;
  roll.draw(beat - beats);
  document.body.dataset.sung = codes.join(" ");
  return beats;
}

function sound(code) {
  synthesizer ??= new Synthesizer();
  synthesizer.context.resume();
  const { pitch, beats } = facts.sounds[code];
  const seconds = (60 * beats) / Number(byId("tempo").value);
  synthesizer.start(pitch, synthesizer.now + 0.01);
  setTimeout(() => synthesizer.stop(pitch, synthesizer.now), 900 * seconds);
  return seconds;
}

function silence() {
  codes = [];
  beat = 0;
  roll.notes = [];
  roll.draw(0);
  byId("said").textContent = "";
}

// The note after the last four; the session keeps what it has read before.
async function following() {
  const steps = codes.slice(-facts.window).map((code) => [code / facts.scale]);
  const { outputs } = await told(`${await opened()}/steps`, { steps });
  const last = outputs.at(-1);
  return last.indexOf(Math.max(...last));
}

// The song is sung on for as long as the original is, unless it is stopped.
async function sing() {
  if (codes.length < facts.window) {
    byId("said").textContent = say("need", facts.window - codes.length);
    return;
  }
  let going = true;
  running = () => (going = false);
  byId("sing").textContent = say("stop");
  let count = 0;
  try {
    while (going && count < SUNG) {
      const code = await following();
      if (!going) break;
      note(code, "--accent");
      count += 1;
      await sleep(1000 * sound(code));
    }
  } finally {
    stop();
    shown = () => (byId("said").textContent = say("sang", count));
    shown();
  }
}

function play(code) {
  if (running) return;
  sound(code);
  note(code, "--soft");
}

facts.notes.forEach((name, code) => {
  const key = element("button", { type: "button", className: "quiet", textContent: name });
  key.append(element("kbd", { textContent: KEYS[code].toUpperCase() }));
  key.addEventListener("click", () => play(code));
  byId("piano").append(key);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=range]), textarea, select");
  const code = KEYS.indexOf(event.key.toLowerCase());
  if (what !== "song" || typing || code < 0 || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  play(code);
});

// The page ----------------------------------------------------------------------------------------------

function stop() {
  running?.();
  running = null;
  byId("sing").textContent = say("sing");
  label();
}

const actions = { classify, estimate, measure, translate, write, forecast, recognise, series, infer, step };
let typing = null;
byId("ask").addEventListener("click", () => (running ? stop() : tried(actions[what])));
byId("again").addEventListener("click", () =>
  tried(async () => {
    await leave();
    await choose();
  }),
);
byId("sing").addEventListener("click", () => (running ? stop() : tried(sing)));
byId("begin").addEventListener("click", () =>
  tried(async () => {
    stop();
    await leave();
    silence();
  }),
);
byId("given").addEventListener("input", () => {
  clearTimeout(typing);
  if (what === "classify" || what === "estimate") typing = setTimeout(() => tried(actions[what]), PAUSE);
});
byId("model").addEventListener("change", () => tried(choose));
byId("keys").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(connect);
});
for (const [slider, output] of [["temperature", "shown"], ["tempo", "tempo-shown"]]) {
  const show = () => (byId(output).value = byId(slider).value);
  byId(slider).addEventListener("input", show);
  show();
}
window.addEventListener("pagehide", leave);
speak(TEXTS, label);
await tried(connect);
document.body.dataset.ready = "yes";
