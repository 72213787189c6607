import { byId, draw, element, facts, frame, modelOf, say, softmax, speak } from "./common.mjs";
import { Joiner, UNKNOWN, Vocabulary } from "./words.mjs";

const TEXTS = {
  en: {
    about: "This model reads a text and writes on. It has learnt from texts what comes next, and runs in this page.",
    start: "Beginning",
    hint: "Type a beginning, or leave it empty",
    courage: "Courage:",
    write: "Write on",
    stop: "Stop",
    clear: "Begin anew",
    text: "Text",
    shades: "The darker the background, the less the model expected it.",
    next: "What it expects next; choose one to go on with it",
    unknown: "The model does not know: {0}",
    ended: "— end —",
    footer: "Made with nabi. The model is in this file: nothing you type leaves it.",
  },
  ko: {
    about: "이 모델은 글을 읽고 이어서 씁니다. 다음에 무엇이 올지를 글에서 배웠고, 이 페이지 안에서 실행됩니다.",
    start: "시작하는 글",
    hint: "시작하는 글을 쓰거나 비워 두세요",
    courage: "대담함:",
    write: "이어 쓰기",
    stop: "멈추기",
    clear: "새로 시작",
    text: "글",
    shades: "배경이 진할수록 모델이 예상하지 못한 글자입니다.",
    next: "모델이 다음으로 예상하는 것 (고르면 그것으로 이어 씁니다)",
    unknown: "모델이 모르는 것: {0}",
    ended: "— 끝 —",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고, 입력한 글은 밖으로 나가지 않습니다.",
  },
};
const [START, SHOWN, LONGEST, PAUSE] = [1, 8, 4000, 150];

const vocabulary = new Vocabulary(facts.vocabulary);
const stream = (await modelOf(0)).stream();
let expected = null; // probabilities of the next code, as the model gives them
let logits = null;
let joiner = null;
let unknown = [];
let writing = false;
let written = 0;
let hasBegun = false;
let typing = null; // the timer of what was typed and is not read yet

function read(code) {
  logits = Float64Array.from(stream.step(code));
  for (const banned of facts.banned) logits[banned] = -Infinity;
  expected = softmax(logits);
}

function begin() {
  clearTimeout(typing);
  typing = null;
  const start = byId("start").value;
  const tokens = vocabulary.tokens(start);
  unknown = [...new Set(tokens.filter(({ code }) => code === UNKNOWN).map(({ text }) => text))];
  showUnknown();
  stream.reset();
  read(START);
  byId("text").replaceChildren();
  const known = start.normalize("NFC");
  let at = 0;
  for (const { code, start: from, end } of tokens) {
    show(known.slice(at, end), code === UNKNOWN ? 0 : expected[code], from - at);
    read(code);
    at = end;
  }
  byId("text").append(known.slice(at));
  joiner = new Joiner(vocabulary, start);
  written = 0;
  hasBegun = true;
  showNext();
}

function showUnknown() {
  byId("unknown").textContent = unknown.length ? say("unknown", unknown.slice(0, 8).join(" ")) : "";
}

// Shows a piece of text; the less it was expected, the darker it stands out.
function show(text, probability, blank = 0) {
  const surprise = Math.min(1, -Math.log2(Math.max(probability, 1e-6)) / 12);
  const mark = element("mark", { textContent: text.slice(blank) });
  mark.style.background = `color-mix(in srgb, var(--accent) ${Math.round(30 * surprise)}%, transparent)`;
  mark.title = `${(100 * probability).toFixed(1)} %`;
  byId("text").append(text.slice(0, blank), mark);
}

function showNext() {
  const best = [...expected.keys()].sort((a, b) => expected[b] - expected[a]).slice(0, SHOWN);
  const rows = best
    .filter((code) => expected[code] > 0)
    .map((code) => {
      const word = code === START ? say("ended") : vocabulary.words[code].replace("\n", "⏎").replace(/^ $/, "␣");
      const share = element("span", { className: "fill" });
      share.style.width = `${100 * expected[code]}%`;
      const name = element("button", { className: "name quiet", type: "button", textContent: word });
      name.addEventListener("click", () => choose(code));
      const percent = element("span", { className: "share", textContent: `${(100 * expected[code]).toFixed(0)} %` });
      return element("div", { className: "bar" }, name, element("span", { className: "track" }, share), percent);
    });
  byId("next").replaceChildren(...rows);
}

// Goes on with a code; false where the text ends.
function goOn(code) {
  if (code === START) {
    byId("text").append(element("span", { className: "note", textContent: ` ${say("ended")}` }));
    return false;
  }
  show(joiner.text(code), expected[code]);
  read(code);
  written += 1;
  return true;
}

function choose(code) {
  if (writing || typing !== null) return;
  if (!goOn(code)) begin();
  showNext();
  byId("next").querySelector("button")?.focus();
}

async function write() {
  writing = true;
  byId("write").textContent = say("stop");
  if (!hasBegun || typing !== null) begin();
  const end = written + LONGEST;
  while (writing && written < end) {
    const temperature = Number(byId("temperature").value);
    let code = 0;
    if (temperature === 0) expected.forEach((value, at) => (code = value > expected[code] ? at : code));
    else code = draw(softmax(logits, temperature));
    if (!goOn(code)) {
      hasBegun = false;
      break;
    }
    byId("text").scrollTop = byId("text").scrollHeight;
    if (written % 4 === 0) showNext();
    await frame();
  }
  writing = false;
  byId("write").textContent = say("write");
  showNext();
}

byId("write").addEventListener("click", () => (writing ? (writing = false) : write()));
byId("clear").addEventListener("click", () => {
  writing = false;
  begin();
  byId("start").focus();
});
byId("start").addEventListener("input", () => {
  writing = false;
  clearTimeout(typing);
  typing = setTimeout(begin, PAUSE);
});
byId("temperature").addEventListener("input", ({ target }) => (byId("shown").value = target.value));
byId("shown").value = byId("temperature").value;
speak(TEXTS, () => {
  if (writing) byId("write").textContent = say("stop");
  if (expected !== null) showNext();
  showUnknown();
});
begin();
document.body.dataset.ready = "yes";
