import { byId, element, facts, modelOf, say, speak } from "./common.mjs";
import { PianoRoll, Synthesizer } from "./sound.mjs";

const TEXTS = {
  en: {
    about: "Give four notes of the song 나비야 (The Butterfly): the model sings on, each note from the four before it.",
    first: "The first four notes",
    roll: "Piano roll of the song",
    legend: "Outlined: the song. Filled: what the model sings; red where it differs.",
    play: "Sing",
    stop: "Stop",
    tempo: "Beats a minute:",
    right: "{0} of {1} notes are those of the song.",
    note: "Note {0}",
    footer: "Made with nabi. The model is in this file and needs no network.",
  },
  ko: {
    about: "나비야의 음 네 개를 주면, 모델이 앞의 네 음에서 다음 음을 하나씩 이어 부릅니다.",
    first: "처음 네 음",
    roll: "노래의 피아노 롤",
    legend: "테두리: 원래 노래. 채운 음: 모델이 부르는 음 (다른 곳은 빨간색).",
    play: "노래하기",
    stop: "멈추기",
    tempo: "분당 박자:",
    right: "{1}개 가운데 {0}개가 원래 노래와 같습니다.",
    note: "음 {0}",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고 네트워크가 필요 없습니다.",
  },
};

const stream = (await modelOf(0)).stream();
const roll = new PianoRoll(byId("roll"), 28);
let synthesizer = null;
let playing = false;
let sung = [];

// Sings the song from its first notes on; the codes of all notes.
function sing(first, count) {
  stream.reset();
  const codes = [...first];
  while (codes.length < count) {
    let y = null;
    for (const code of codes.slice(-facts.window)) y = stream.step(code / facts.scale);
    codes.push(y.indexOf(Math.max(...y)));
  }
  return codes;
}

const selects = facts.song.slice(0, facts.window).map((code) => {
  const select = element("select");
  select.append(...facts.notes.map((name) => element("option", { textContent: name })));
  select.selectedIndex = code;
  select.addEventListener("change", compose);
  byId("first").append(select);
  return select;
});

// Notes one after the other, with their places.
function placed(codes, kind) {
  let at = 0;
  return codes.map((code, number) => {
    const { pitch, beats } = facts.sounds[code];
    const note = { pitch, start: at, end: at + beats, kind: kind(code, number) };
    at += beats;
    return note;
  });
}

function compose() {
  const codes = sing(selects.map(({ selectedIndex }) => selectedIndex), facts.song.length);
  sung = placed(codes, (code, number) => (code === facts.song[number] ? "--accent" : "--against"));
  roll.notes = [...sung, ...placed(facts.song, () => "--soft")];
  roll.draw(0);
  showRight();
  document.body.dataset.sung = codes.join(" ");
}

function showRight() {
  const right = sung.filter(({ kind }) => kind === "--accent").length;
  byId("said").textContent = say("right", right, sung.length);
}

async function play() {
  synthesizer ??= new Synthesizer();
  await synthesizer.context.resume();
  playing = true;
  byId("play").textContent = say("stop");
  let beat = 0;
  let next = 0;
  let before = synthesizer.now;
  const show = () => {
    if (!playing) return;
    const now = synthesizer.now;
    beat += ((now - before) * Number(byId("tempo").value)) / 60;
    before = now;
    while (next < sung.length && sung[next].start <= beat) {
      if (next > 0) synthesizer.stop(sung[next - 1].pitch, now);
      synthesizer.start(sung[next].pitch, now + 0.01);
      next += 1;
    }
    roll.draw(beat);
    if (beat > sung.at(-1).end) stop();
    else requestAnimationFrame(show);
  };
  show();
}

function stop() {
  playing = false;
  synthesizer.silence();
  byId("play").textContent = say("play");
}

byId("play").addEventListener("click", () => (playing ? stop() : play()));
const showTempo = () => (byId("tempo-shown").value = byId("tempo").value);
byId("tempo").addEventListener("input", showTempo);
showTempo();
speak(TEXTS, () => {
  selects.forEach((select, at) => select.setAttribute("aria-label", say("note", at + 1)));
  if (sung.length) showRight();
});
compose();
document.body.dataset.ready = "yes";
