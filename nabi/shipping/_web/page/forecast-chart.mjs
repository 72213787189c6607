// A series and its forecast on a canvas.

import { colour, drawing } from "./common.mjs";

const [LEFT, RIGHT, TOP, BOTTOM] = [58, 10, 12, 26];
const BANDS = [
  [0, 6],
  [1, 5],
  [2, 4],
];

// Numbers that are easy to read, between two others.
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(at * step || 0);
  return found;
}

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.range = [0, 1];
    this.total = 1;
  }

  // Takes the range of everything that is shown.
  fit(values, outlook) {
    const all = [...values, ...outlook.flatMap(({ quantiles }) => quantiles)].filter(Number.isFinite);
    const [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    const room = 0.06 * (high - low) || 0.1 * Math.abs(high) || 1;
    this.range = [low - room, high + room];
  }

  // Draws observed values, those that were recorded, the forecast and the chosen point.
  draw({ values, recorded, outlook, chosen, timeOf, shown }) {
    const { context, width, height } = drawing(this.canvas);
    const { range } = this;
    this.total = values.length + outlook.length;
    const [wide, high] = [width - LEFT - RIGHT, height - TOP - BOTTOM];
    const x = (at) => LEFT + ((at + 0.5) / this.total) * wide;
    const y = (value) => TOP + (1 - (value - range[0]) / (range[1] - range[0])) * high;
    this.valueAt = (down) => range[0] + (1 - (down - TOP) / high) * (range[1] - range[0]);
    this.placeAt = (right) => Math.floor(((right - LEFT) / wide) * this.total);
    context.font = "13px system-ui, sans-serif";
    axes();
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, wide + RIGHT, TOP + high + 1);
    context.clip();
    if (outlook.length) {
      context.fillStyle = colour("--tint");
      context.globalAlpha = 0.5;
      context.fillRect(x(values.length - 0.5), TOP, width, high);
      bands();
    }
    const changed = values.map((value, at) => (Object.is(value, recorded[at]) ? NaN : (recorded[at] ?? NaN)));
    if (changed.some(Number.isFinite)) line(recorded.slice(0, values.length), 0, "--soft", 1, [3, 4]);
    line(values, 0, "--ink", 2, []);
    const last = values.length - 1;
    const middle = outlook.map(({ quantiles }) => quantiles[3]);
    if (Number.isNaN(values[last])) line(middle, values.length, "--accent", 2.5, []);
    else line([values[last], ...middle], last, "--accent", 2.5, []);
    const dots = wide / this.total > 5;
    values.forEach((value, at) => {
      const moved = Number.isFinite(changed[at]) || at >= recorded.length;
      if (dots || moved || at === chosen) dot(at, value, moved ? "--against" : "--ink", at === chosen ? 5 : 2.5);
    });
    if (dots) middle.forEach((value, at) => dot(values.length + at, value, "--accent", 2.5));
    if (chosen !== null && chosen < values.length) ring();
    context.restore();

    function axes() {
      context.lineWidth = 1;
      context.strokeStyle = colour("--line");
      context.fillStyle = colour("--soft");
      context.textBaseline = "middle";
      context.textAlign = "right";
      for (const value of ticks(...range, Math.max(2, Math.round(high / 55)))) {
        context.beginPath();
        context.moveTo(LEFT, y(value));
        context.lineTo(width - RIGHT, y(value));
        context.stroke();
        context.fillText(shown(value), LEFT - 6, y(value), LEFT - 8);
      }
      const all = values.length + outlook.length;
      const label = context.measureText(timeOf(0)).width;
      const every = Math.max(1, Math.ceil(((label + 24) * all) / wide));
      context.textAlign = "center";
      context.textBaseline = "alphabetic";
      for (let at = all - 1 - ((all - 1 - values.length + every) % every); at >= 0; at -= every) {
        if (x(at) - label / 2 < LEFT - 40 || x(at) + label / 2 > width) continue;
        context.fillText(timeOf(at), x(at), height - 8);
      }
    }

    // Intervals of 95, 80 and 50 %, the inner ones darker.
    function bands() {
      const origin = values.at(-1);
      const begin = Number.isFinite(origin) ? [[x(values.length - 1), y(origin)]] : [];
      context.fillStyle = colour("--accent");
      context.globalAlpha = 0.2;
      for (const [low, top] of BANDS) {
        const edge = (which) => outlook.map(({ quantiles }, at) => [x(values.length + at), y(quantiles[which])]);
        context.beginPath();
        for (const point of [...begin, ...edge(top), ...edge(low).reverse()]) context.lineTo(...point);
        context.fill();
      }
      context.globalAlpha = 1;
    }

    // A line through numbers, with a gap where there is none.
    function line(numbers, first, name, thick, dashes) {
      context.beginPath();
      let joined = false;
      numbers.forEach((value, at) => {
        const there = Number.isFinite(value);
        if (there && joined) context.lineTo(x(first + at), y(value));
        else if (there) context.moveTo(x(first + at), y(value));
        joined = there;
      });
      context.strokeStyle = colour(name);
      context.lineWidth = thick;
      context.lineJoin = "round";
      context.setLineDash(dashes);
      context.stroke();
      context.setLineDash([]);
    }

    function dot(at, value, name, radius) {
      if (!Number.isFinite(value)) return;
      context.beginPath();
      context.arc(x(at), y(value), radius, 0, 2 * Math.PI);
      context.fillStyle = colour(name);
      context.fill();
    }

    function ring() {
      const value = values[chosen];
      context.strokeStyle = colour("--accent");
      context.lineWidth = 2;
      context.beginPath();
      if (Number.isFinite(value)) context.arc(x(chosen), y(value), 9, 0, 2 * Math.PI);
      else context.rect(x(chosen) - 4, TOP + 2, 8, high - 4);
      context.stroke();
    }
  }
}
