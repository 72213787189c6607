// Values that people paste: a line each, with or without a date before it, or all in one line.

const GAPS = new Set(["", "na", "n/a", "nan", "null", "none", "-", "–", "?"]);

// What was given in a line of text; undefined if it is no value.
function valueOf(text) {
  const plain = text.trim().replace(/^["']|["']$/g, "").trim();
  if (GAPS.has(plain.toLowerCase())) return NaN;
  const number = Number(/^[-+]?\d*,\d+$/.test(plain) ? plain.replace(",", ".") : plain);
  return Number.isFinite(number) ? number : undefined;
}

// The values of a text, NaN for gaps, and the time of the first if it has one; or the number of a line that has
// neither a value nor a gap, with what is in it.
export function readValues(text, frequency) {
  let lines = text.split(/\r?\n/);
  while (lines.length && lines.at(-1).trim() === "") lines.pop();
  if (lines.length === 1 && frequency.read(lines[0].trim()) === null) lines = lines[0].trim().split(/[\s;]+|,\s*/);
  const values = [];
  let start = null;
  for (const [at, line] of lines.entries()) {
    let rest = line.trim();
    const time = frequency.read(rest);
    if (time !== null) {
      if (values.length === 0) start = time.time;
      rest = rest.slice(time.length).replace(/^[\s,;]+/, "");
    }
    const value = valueOf(rest);
    if (value === undefined) return { line: at + 1, found: line.trim().slice(0, 40) };
    values.push(value);
  }
  return { values, start };
}

// The same as text, which `readValues` reads back.
export function writtenValues(values, timeOf) {
  return values.map((value, at) => `${timeOf(at)}\t${Number.isNaN(value) ? "" : value}`).join("\n");
}
