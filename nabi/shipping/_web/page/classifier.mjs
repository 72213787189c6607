import { byId, element, embedded, facts, frame, modelOf, say, softmax, speak, widened } from "./common.mjs";
import { WordFeatures } from "./features.mjs";
import { UNKNOWN, Vocabulary } from "./words.mjs";

const TEXTS = {
  en: {
    about: "Type a text: the model reads it as you type, and shows which words moved it. It runs in this page.",
    given: "Text",
    hint: "Type or paste a text",
    labels: "What the model says",
    why: "What speaks for “{0}”",
    words: "Words",
    pro: "For it",
    contra: "Against it",
    how: "A word counts as much as the answer changes without it. Unknown words are in grey.",
    most: "Most: {0}",
    said: "{0}: {1} %",
    unread: "The model reads {0} words of a text; {1} were not read.",
    footer: "Made with nabi. The model is in this file: nothing you type leaves it.",
  },
  ko: {
    about: "글을 입력해 보세요. 모델이 입력하는 대로 읽고, 어떤 단어가 판단을 움직였는지 보여 줍니다. 모두 이 페이지 안에서 실행됩니다.",
    given: "글",
    hint: "글을 입력하거나 붙여 넣으세요",
    labels: "모델의 판단",
    why: "“{0}”(이)라고 보는 까닭",
    words: "단어",
    pro: "뒷받침하는 단어",
    contra: "반대하는 단어",
    how: "그 단어가 없을 때 판단이 달라지는 만큼 진하게 표시합니다. 모르는 단어는 회색입니다.",
    most: "가장 큰 영향: {0}",
    said: "{0}: {1} %",
    unread: "모델은 한 글에서 {0}개까지 읽습니다. {1}개는 읽지 않았습니다.",
    footer: "nabi로 만들었습니다. 모델은 이 파일 안에 있고, 입력한 글은 밖으로 나가지 않습니다.",
  },
};
const [START, SHOWN, SLICE] = [1, 8, 12];

const vocabulary = new Vocabulary(facts.vocabulary);
const table = widened(embedded("embedding"));
const dense = new Float32Array(embedded("labels-weights").slice().buffer);
const features =
  facts.features === null
    ? null
    : new WordFeatures(facts.features, ...["keys", "rarity", "weights"].map((name) => embedded(`features-${name}`)));
const streams = [];
for (let number = 0; number < facts.sizes.length; number += 1) streams.push((await modelOf(number)).stream());
const size = facts.sizes[0].input;
const units = facts.sizes[0].output;
const width = units * streams.length;
let version = 0;

// The outputs of all steps of one direction, as one row: their maximum, their mean, or the last.
function pooled(stream, codes) {
  const xs = new Float32Array(codes.length * size);
  codes.forEach((code, at) => xs.set(table.subarray(code * size, (code + 1) * size), at * size));
  stream.reset();
  const ys = stream.run(xs);
  if (facts.pooling === "last") return ys.slice(-units);
  const found = ys.slice(0, units);
  for (let at = units; at < ys.length; at += 1) {
    const unit = at % units;
    found[unit] = facts.pooling === "max" ? Math.max(found[unit], ys[at]) : found[unit] + ys[at];
  }
  return facts.pooling === "max" ? found : found.map((value) => value / codes.length);
}

// The logits of all labels for a text, of the network and of the word features.
function logitsOf(text) {
  const { codes } = read(text);
  const row = new Float32Array(width);
  row.set(pooled(streams[0], codes));
  if (streams.length > 1) row.set(pooled(streams[1], codes.slice().reverse()), units);
  const outputs = facts.outputs;
  const found = new Float64Array(outputs);
  for (let label = 0; label < outputs; label += 1) {
    let sum = dense[width * outputs + label];
    for (let at = 0; at < width; at += 1) sum += row[at] * dense[at * outputs + label];
    found[label] = sum;
  }
  const all = outputs < facts.labels.length ? Float64Array.of(0, found[0]) : found;
  const words = features === null ? null : features.logits(text);
  return all.map((value, label) => {
    const own = facts.share * value + facts.added[label];
    return words === null ? own : own + facts.wordShare * words[label];
  });
}

function probabilitiesOf(logits) {
  return facts.several ? logits.map((value) => 1 / (1 + Math.exp(-value))) : softmax(logits);
}

// The logarithm of the odds of a label.
function odds(logits, label) {
  if (facts.several) return logits[label];
  const others = Array.from(logits).filter((_, at) => at !== label);
  const most = Math.max(...others);
  return logits[label] - most - Math.log(others.reduce((sum, value) => sum + Math.exp(value - most), 0));
}

// What is read of a text: its tokens and, with the start, their codes.
function read(text) {
  const tokens = vocabulary.tokens(text);
  const room = facts.maxlen - 1;
  const kept = facts.truncating === "pre" ? tokens.slice(Math.max(0, tokens.length - room)) : tokens.slice(0, room);
  return { tokens: kept, unread: tokens.length - kept.length, codes: [START, ...kept.map(({ code }) => code)] };
}

function judge(text) {
  if (text.trim() === "") return Float64Array.from(facts.shares);
  return probabilitiesOf(logitsOf(text.trim()));
}

function showLabels(probabilities) {
  const ranked = facts.labels.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
  const rows = ranked.slice(0, SHOWN).map((label) => {
    const fill = element("span", { className: "fill" });
    fill.style.width = `${100 * probabilities[label]}%`;
    const share = `${(100 * probabilities[label]).toFixed(0)} %`;
    const name = element("span", { className: "name", textContent: facts.labels[label], title: facts.labels[label] });
    const track = element("span", { className: "track" }, fill);
    const row = element("div", { className: "bar" }, name, track);
    row.append(element("span", { className: "share", textContent: share }));
    row.dataset.probability = probabilities[label];
    return row;
  });
  byId("labels").replaceChildren(...rows);
  const best = ranked[0];
  byId("said").textContent = say("said", facts.labels[best], (100 * probabilities[best]).toFixed(0));
  byId("why").textContent = say("why", facts.labels[best]);
  return best;
}

function showWords(text, tokens, moved) {
  const least = 0.2;
  const most = Math.max(least, ...moved.map(Math.abs));
  const parts = [];
  let at = 0;
  tokens.forEach(({ start, end, code }, number) => {
    parts.push(text.slice(at, start));
    const mark = element("mark", { textContent: text.slice(start, end) });
    const strength = Math.abs(moved[number]) / most;
    if (code === UNKNOWN) mark.classList.add("note");
    if (strength > 0.08) {
      mark.classList.add(moved[number] > 0 ? "pro" : "contra");
      mark.style.setProperty("--strength", `${Math.round(12 + 28 * strength)}%`);
      mark.title = moved[number].toFixed(2);
    }
    parts.push(mark);
    at = end;
  });
  parts.push(text.slice(at));
  byId("words").replaceChildren(...parts);
  const ranked = tokens.map((token, number) => ({ ...token, by: moved[number] }));
  ranked.sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const named = ranked.filter(({ by }) => Math.abs(by) >= 0.05).slice(0, 5);
  const listed = named.map(({ text: word, by }) => `${word} ${by > 0 ? "+" : "−"}${Math.abs(by).toFixed(1)}`);
  byId("most").textContent = listed.length ? say("most", listed.join(", ")) : "";
}

async function update() {
  version += 1;
  const own = version;
  const text = byId("given").value.normalize("NFC");
  const { tokens, unread } = read(text.trimEnd());
  const best = showLabels(judge(text));
  byId("unread").textContent = unread ? say("unread", facts.maxlen - 1, unread) : "";
  const moved = tokens.map(() => 0);
  if (byId("words").textContent !== text) showWords(text, tokens, moved);
  const whole = tokens.length ? odds(logitsOf(text.trim()), best) : 0;
  let until = performance.now() + SLICE;
  for (let at = 0; at < tokens.length; at += 1) {
    const without = text.slice(0, tokens[at].start) + text.slice(tokens[at].end);
    moved[at] = whole - odds(logitsOf(without.trim()), best);
    if (performance.now() > until) {
      await frame();
      if (own !== version) return;
      until = performance.now() + SLICE;
    }
  }
  showWords(text, tokens, moved);
  document.body.dataset.shown = text;
}

byId("given").addEventListener("input", update);
speak(TEXTS, update);
document.body.dataset.ready = "yes";
