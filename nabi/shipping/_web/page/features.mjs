// Logistic regression on runs of words or characters, as in Python: what it adds to the logits of a text.

import { Vocabulary } from "./words.mjs";

const [KNOWN, BITS, LONGEST] = [4, 16n, 100_000];
const numbers = (bytes, Kind) => new Kind(bytes.slice().buffer);

export class WordFeatures {
  constructor({ vocabulary, runs, bias }, keys, rarity, weights) {
    this.vocabulary = new Vocabulary(vocabulary);
    this.runs = runs;
    this.bias = bias;
    this.columns = new Map();
    numbers(keys, BigInt64Array).forEach((key, column) => this.columns.set(key, column));
    this.rarity = numbers(rarity, Float32Array);
    this.weights = numbers(weights, Float32Array);
  }

  // How often each run occurs whose units are all known.
  counts(text) {
    const codes = this.vocabulary.tokens(text.slice(0, LONGEST)).map(({ code }) => code);
    const found = new Map();
    for (const length of this.runs) {
      for (let at = 0; at + length <= codes.length; at += 1) {
        const run = codes.slice(at, at + length);
        if (run.some((code) => code < KNOWN)) continue;
        const key = run.reduce((packed, code) => (packed << BITS) | BigInt(code), 0n);
        const column = this.columns.get(BigInt.asIntN(64, key));
        if (column !== undefined) found.set(column, (found.get(column) ?? 0) + 1);
      }
    }
    return found;
  }

  logits(text) {
    const values = [...this.counts(text)].map(([column, count]) => [
      column,
      (1 + Math.log(count)) * this.rarity[column],
    ]);
    const norm = Math.sqrt(values.reduce((sum, [, value]) => sum + value * value, 0));
    const found = Float64Array.from(this.bias);
    for (const [column, value] of values) {
      for (let label = 0; label < found.length; label += 1) {
        found[label] += (value / norm) * this.weights[column * found.length + label];
      }
    }
    return found;
  }
}
