// Texts as codes, as the vocabulary of the model makes them in Python.

export const UNKNOWN = 2;
const RESERVED = 4;
const LETTER = "[\\p{L}\\p{M}]";
const ENDING = `(?:[sSdDmM]|[rR][eE]|[vV][eE]|[lL][lL])(?!${LETTER})`;
// What is a word. Any other visible character, with its modifiers, is a word of its own.
const WORD = new RegExp(
  [
    "https?://[\\p{L}\\p{M}\\p{N}_\\-]+(?:\\.[\\p{L}\\p{M}\\p{N}_\\-]+)*",
    "www(?:\\.[\\p{L}\\p{M}\\p{N}_\\-]+)+",
    "</?[A-Za-z][A-Za-z0-9]*\\s?/?>",
    "(?<![\\p{L}\\p{M}\\p{N}_])[#@][\\p{L}\\p{M}\\p{N}_]+",
    `(?<=${LETTER})'${ENDING}`,
    `${LETTER}+(?:'(?!${ENDING})${LETTER}+)*`,
    "\\p{N}+(?:[.,]\\p{N}+)*",
    "[\\u{1F1E6}-\\u{1F1FF}]{1,2}\\p{M}*",
  ].join("|"),
  "uy",
);
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// The words of a text that is in the form NFC, with their places.
export function cut(text) {
  const plain = text.replaceAll("’", "'");
  const found = [];
  let at = 0;
  while (at < plain.length) {
    WORD.lastIndex = at;
    const match = WORD.exec(plain);
    if (match !== null) {
      found.push({ text: match[0], start: at, end: at + match[0].length });
      at += match[0].length;
    } else if (/\s/u.test(plain[at])) {
      at += 1;
    } else {
      const [{ segment }] = graphemes.segment(plain.slice(at, at + 64));
      found.push({ text: segment, start: at, end: at + segment.length });
      at += segment.length;
    }
  }
  return found;
}

export class Vocabulary {
  constructor({ unit, lowercase, words, merges }) {
    this.unit = unit;
    this.lowercase = lowercase;
    this.words = ["", "", "", "", ...words];
    this.codes = new Map(this.words.map((word, code) => [word, code]).slice(RESERVED));
    this.ranks = new Map(merges.map(([left, right], rank) => [`${left} ${right}`, rank]));
    this.known = new Map();
  }

  // The tokens of a text: code, text and place in the text in the form NFC.
  tokens(text) {
    const composed = text.normalize("NFC");
    if (this.unit === "characters") {
      let at = 0;
      return Array.from(composed, (character) => {
        const start = at;
        at += character.length;
        const code = this.codes.get(this.lower(character)) ?? UNKNOWN;
        return { code, text: character, start, end: at };
      });
    }
    return cut(composed).flatMap(({ text: word, start, end }) => {
      const small = this.lower(word);
      if (this.unit === "words") {
        return [{ code: this.codes.get(small) ?? UNKNOWN, text: word, start, end }];
      }
      let at = start;
      return this.pieces(small).map(({ code, length }) => {
        const token = { code, text: composed.slice(at, at + length), start: at, end: at + length };
        at += length;
        return token;
      });
    });
  }

  lower(text) {
    return this.lowercase ? text.toLowerCase() : text;
  }

  // Byte-pair encoding: of all neighbours, those that were merged first are merged first.
  pieces(word) {
    if (this.known.has(word)) return this.known.get(word);
    const parts = Array.from(word, (letter, at) => (at === 0 ? letter : `##${letter}`));
    const lengths = Array.from(word, (letter) => letter.length);
    for (;;) {
      let best = Infinity;
      let place = -1;
      for (let at = 0; at + 1 < parts.length; at += 1) {
        const rank = this.ranks.get(`${parts[at]} ${parts[at + 1]}`);
        if (rank !== undefined && rank < best) [best, place] = [rank, at];
      }
      if (place < 0) break;
      parts.splice(place, 2, parts[place] + parts[place + 1].slice(2));
      lengths.splice(place, 2, lengths[place] + lengths[place + 1]);
    }
    const found = parts.map((part, at) => ({ code: this.codes.get(part) ?? UNKNOWN, length: lengths[at] }));
    this.known.set(word, found);
    return found;
  }
}

// Puts codes together to text as they come: words with spaces where a reader expects them.
export class Joiner {
  constructor(vocabulary, start) {
    this.vocabulary = vocabulary;
    this.close = start === "" || /\s$/u.test(start);
  }

  text(code) {
    const { unit, words } = this.vocabulary;
    const word = words[code];
    if (unit === "characters") return word;
    if (unit === "pieces" && word.startsWith("##") && word.length > 2) return word.slice(2);
    const close = this.close || ".,;:!?)]}’”…%".includes(word[0]) || (word[0] === "'" && word.length > 1);
    this.close = ["(", "[", "{", "“", "‘", "$", "£", "€", "#", "@"].includes(word);
    return close ? word : ` ${word}`;
  }
}
