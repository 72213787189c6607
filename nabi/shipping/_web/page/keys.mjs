// The keys of a frame, drawn together from what a model of notes says of each.

const TRIES = 100;
const add = (a, b) => (a === -Infinity ? b : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))));

// Keys that know nothing of each other: a frame comes as often as it would if frames of more than so many voices
// were drawn anew (Chen and Liu 1997).
export function drawIndependent(logits, voices, random = Math.random) {
  const keys = logits.length;
  // sums[key][count]: the logarithm of the sum, over all choices of so many keys from this one on, of their odds.
  const sums = Array.from({ length: keys + 1 }, () => new Float64Array(voices + 1).fill(-Infinity));
  sums[keys][0] = 0;
  for (let key = keys - 1; key >= 0; key -= 1) {
    sums[key][0] = 0;
    for (let count = 1; count <= voices; count += 1) {
      sums[key][count] = add(sums[key + 1][count], logits[key] + sums[key + 1][count - 1]);
    }
  }
  const most = Math.max(...sums[0]);
  const weights = sums[0].map((sum) => Math.exp(sum - most));
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  let left = 0;
  while (left < voices && rest >= weights[left]) {
    rest -= weights[left];
    left += 1;
  }
  const found = [];
  for (let key = 0; key < keys && left > 0; key += 1) {
    if (random() < Math.exp(logits[key] + sums[key + 1][left - 1] - sums[key][left])) {
      found.push(key);
      left -= 1;
    }
  }
  return found;
}

// Keys of which each knows those below it; `coupling` is a matrix, row by row.
export function drawChord(logits, coupling, voices, temperature, random = Math.random) {
  const keys = logits.length;
  let found = [];
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const now = Float64Array.from(logits);
    found = [];
    for (let key = 0; key < keys; key += 1) {
      if (random() < 1 / (1 + Math.exp(-now[key] / temperature))) {
        found.push(key);
        for (let above = key + 1; above < keys; above += 1) now[above] += coupling[key * keys + above];
      }
    }
    if (found.length <= voices) return found;
  }
  return found.slice(0, voices);
}
