import { byId, element, embedded, facts, modelOf, say, speak } from "./common.mjs";
import { drawChord, drawIndependent } from "./keys.mjs";
import { PianoRoll, Synthesizer } from "./sound.mjs";

const TEXTS = {
  en: {
    about: "This model composes: it has learnt from pieces which keys sound next, and plays on as long as you like.",
    roll: "Piano roll of what is played",
    play: "Compose",
    stop: "Stop",
    anew: "A new piece",
    label: "Like",
    begin: "Begin with",
    silence: "nothing",
    voices: "Voices:",
    courage: "Courage:",
    tempo: "Beats a minute:",
    ended: "The piece has ended.",
    heard: "{0} beats, {1} notes",
    footer: "Made with nabi. The model is in this file and needs no network.",
  },
  ko: {
    about: "이 모델은 작곡을 합니다. 다음에 어떤 건반이 울리는지를 악보에서 배웠고, 원하는 만큼 연주를 이어 갑니다.",
    roll: "연주되는 음의 피아노 롤",
    play: "작곡하기",
    stop: "멈추기",
    anew: "새 곡",
    label: "닮을 곡",
    begin: "시작",
    silence: "없음",
    voices: "성부:",
    courage: "대담함:",
    tempo: "분당 박자:",
    ended: "곡이 끝났습니다.",
    heard: "{0}박자, 음 {1}개",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고 네트워크가 필요 없습니다.",
  },
};
// Seconds that are composed before they are heard: a page in the background is woken once a second.
const AHEAD = 1.2;
const { keys: KEYS, lowest: LOWEST } = facts;

const stream = (await modelOf(0)).stream();
const coupling = facts.chords ? new Float32Array(embedded("coupling").slice().buffer) : null;
const roll = new PianoRoll(byId("roll"), 24);
let synthesizer = null;
let logits = null;
let frames = 0;
let playing = false;
let hasEnded = false;
let sounding = new Map(); // the note of each key that sounds
let pending = [];
let clock = []; // when each frame begins

const value = (id) => Number(byId(id).value);

function read(sounds) {
  const x = new Float32Array(facts.sizes[0].input);
  for (const key of sounds) x[key] = 1;
  if (facts.labels.length) x[KEYS + byId("label").selectedIndex] = 1;
  logits = Float64Array.from(stream.step(x));
}

function begin() {
  stream.reset();
  read([]);
  frames = 0;
  hasEnded = false;
  roll.notes = [];
  sounding = new Map();
  clock = [];
  const chord = byId("begin").value;
  pending = chord === "" ? [] : Array(facts.stepsPerBeat * 2).fill(chord.split(" ").map((pitch) => pitch - LOWEST));
  byId("said").textContent = "";
  roll.draw(0);
}

// The keys of the next frame; null where the piece ends.
function compose() {
  const temperature = value("temperature");
  if (pending.length) return pending.shift();
  if (facts.ends && frames > 0 && Math.random() < 1 / (1 + Math.exp(-logits[KEYS] / temperature))) return null;
  const values = logits.slice(0, KEYS);
  if (coupling !== null) return drawChord(values, coupling, value("voices"), temperature);
  return drawIndependent(values.map((one) => one / temperature), value("voices"));
}

function sound(sounds, at) {
  const now = frames / facts.stepsPerBeat;
  const end = (frames + 1) / facts.stepsPerBeat;
  for (const key of [...sounding.keys()]) {
    if (sounds.includes(key)) continue;
    synthesizer.stop(key + LOWEST, at);
    sounding.delete(key);
  }
  for (const key of sounds) {
    if (sounding.has(key)) {
      sounding.get(key).end = end;
      continue;
    }
    synthesizer.start(key + LOWEST, at);
    const note = { pitch: key + LOWEST, start: now, end, kind: "--accent" };
    sounding.set(key, note);
    roll.notes.push(note);
  }
}

function tick() {
  if (!playing) return;
  const step = 60 / value("tempo") / facts.stepsPerBeat;
  while ((clock.at(-1) ?? 0) < synthesizer.now + AHEAD) {
    const at = clock.length ? clock.at(-1) + step : synthesizer.now + 0.1;
    const sounds = compose();
    if (sounds === null) {
      for (const key of sounding.keys()) synthesizer.stop(key + LOWEST, at);
      hasEnded = true; // once it is heard
      return;
    }
    clock.push(at);
    sound(sounds, at);
    read(sounds);
    frames += 1;
  }
  setTimeout(tick, 100);
}

function show() {
  if (!playing) return;
  if (hasEnded && clock.at(-1) + 0.5 < synthesizer.now) {
    logits = null;
    byId("said").textContent = say("ended");
    pause();
    return;
  }
  const started = clock.findIndex((at) => at > synthesizer.now);
  const place = started < 0 ? clock.length : started;
  const shown = frames - (clock.length - place);
  roll.draw(Math.max(0, shown) / facts.stepsPerBeat);
  byId("said").textContent = say("heard", Math.floor(shown / facts.stepsPerBeat), roll.notes.length);
  requestAnimationFrame(show);
}

async function play() {
  synthesizer ??= new Synthesizer();
  await synthesizer.context.resume();
  if (logits === null) begin();
  clock = [];
  playing = true;
  byId("play").textContent = say("stop");
  tick();
  show();
}

function pause() {
  playing = false;
  byId("play").textContent = say("play");
}

byId("play").addEventListener("click", () => {
  if (!playing) {
    play();
    return;
  }
  pause();
  synthesizer.silence();
  sounding = new Map();
});
const restart = () => {
  if (playing) synthesizer.silence();
  pause();
  begin();
};
byId("anew").addEventListener("click", restart);
byId("begin").addEventListener("change", restart);
byId("label").addEventListener("change", restart);
for (const id of ["voices", "temperature", "tempo"]) {
  const show = () => (byId(`${id}-shown`).value = byId(id).value);
  byId(id).addEventListener("input", show);
  show();
}
byId("choice").hidden = facts.labels.length === 0;
byId("label").append(...facts.labels.map((label) => element("option", { textContent: label })));
speak(TEXTS, () => {
  if (playing) byId("play").textContent = say("stop");
});
begin();
document.body.dataset.ready = "yes";
