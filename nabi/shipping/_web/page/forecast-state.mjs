// One series as far as a forecaster has read it, and the forecast from there, as in Python.

import { baseline } from "./forecast-baselines.mjs";
import { METHODS } from "./forecast-filters.mjs";
import { Inputs } from "./forecast-inputs.mjs";
import { Frequency } from "./forecast-times.mjs";

const QUANTILES = 7;
const MIDDLE = 3;

const softplus = (value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));

// A row times a matrix `[rows, columns]`, and the bias.
function dense(row, kernel, bias) {
  const found = Float64Array.from(bias);
  row.forEach((value, at) => {
    const begin = at * found.length;
    if (value !== 0) for (let one = 0; one < found.length; one += 1) found[one] += value * kernel[begin + one];
  });
  return found;
}

// What follows the recurrent layers of one network.
class Head {
  constructor(weights, { read, width, horizon }, units, front) {
    let at = 0;
    const next = (count) => weights.subarray(at, (at += count));
    const figures = horizon * (METHODS + QUANTILES + 1);
    Object.assign(this, { read, horizon });
    this.front = [next(read * front), next(front)];
    this.readout = [next((units + front) * figures), next(figures)];
    this.linear = [next(width * horizon), next(horizon)];
  }

  // Quantiles and mean of each step ahead, in units of the scale.
  outlook(said, x, methods) {
    const front = dense(x.subarray(0, this.read), ...this.front).map(Math.tanh);
    const figures = dense([...said, ...front], ...this.readout);
    const linear = dense(x, ...this.linear);
    return Array.from(linear, (added, step) => {
      const row = figures.subarray(step * (METHODS + QUANTILES + 1), (step + 1) * (METHODS + QUANTILES + 1));
      const most = Math.max(...row.subarray(0, METHODS));
      let [total, mixed] = [0, 0];
      for (let method = 0; method < METHODS; method += 1) {
        const share = Math.exp(row[method] - most);
        total += share;
        mixed += share * methods[method][step];
      }
      const quantiles = Array(QUANTILES).fill(mixed / total + row[METHODS] + added);
      const apart = Array.from(row.subarray(METHODS + 1, METHODS + QUANTILES), softplus);
      let [below, above] = [0, 0];
      for (let at = 0; at < MIDDLE; at += 1) {
        below += apart[at];
        above += apart[MIDDLE + at];
        quantiles[MIDDLE - 1 - at] -= below;
        quantiles[MIDDLE + 1 + at] += above;
      }
      return { quantiles, mean: quantiles[MIDDLE] + row[METHODS + QUANTILES] };
    });
  }
}

// What forecasts, prepared once for all series: the facts of the page, a stream of each network's recurrent layers,
// and the numbers of what follows them.
export class Engine {
  constructor({ plan, frequency, calibration, front }, streams, heads) {
    Object.assign(this, { plan, calibration, streams });
    this.frequency = new Frequency(frequency);
    this.inputs = new Inputs(plan);
    const units = streams[0].model.sizes.output;
    const size = heads.length / streams.length;
    this.heads = streams.map((_, at) => new Head(heads.subarray(at * size, (at + 1) * size), plan, units, front));
  }

  mix(outlook, simple) {
    const { share, shareOfMean } = this.calibration;
    return outlook.map(({ quantiles, mean }, at) => {
      if (simple === null) return { quantiles, mean };
      if (share === 0) return { quantiles: quantiles.map(() => simple[at]), mean: simple[at] };
      const moved = (1 - share) * (simple[at] - quantiles[MIDDLE]);
      return { quantiles: quantiles.map((one) => one + moved), mean: mean + (1 - shareOfMean) * (simple[at] - mean) };
    });
  }

  // Makes intervals as wide as the errors in training asked for.
  widen(outlook, scale) {
    return outlook.map(({ quantiles, mean }, at) => {
      const found = [...quantiles];
      this.calibration.offsets.forEach((offsets, number) => {
        found[MIDDLE - 1 - number] -= offsets[at] * scale[at];
        found[MIDDLE + 1 + number] += offsets[at] * scale[at];
      });
      // An interval that was made narrower must not cross the one within.
      for (let number = 1; number <= MIDDLE; number += 1) {
        found[MIDDLE - number] = Math.min(found[MIDDLE - number], found[MIDDLE - number + 1]);
        found[MIDDLE + number] = Math.max(found[MIDDLE + number], found[MIDDLE + number - 1]);
      }
      return { quantiles: found, mean };
    });
  }
}

export class ForecastState {
  // A series of which nothing is read yet: the time of its first step, rows of known columns, and static columns.
  constructor(engine, { start, known, fixed }) {
    Object.assign(this, { engine, start, known, fixed });
    this.target = [];
    this.filters = engine.inputs.filters.start();
    this.states = engine.streams.map((stream) => {
      stream.reset();
      return stream.state;
    });
    this.said = null;
    this.now = null;
  }

  copy() {
    const other = Object.assign(Object.create(ForecastState.prototype), this);
    other.target = [...this.target];
    other.filters = structuredClone(this.filters);
    other.states = [...this.states];
    return other;
  }

  // How many steps of the future the known columns reach.
  get reach() {
    const { known } = this.engine.plan;
    return known ? this.known.length / known - this.target.length : Infinity;
  }

  // Reads one observation, NaN for none, and the past columns of its step.
  read(value, past) {
    const { inputs, plan, streams, frequency } = this.engine;
    const step = this.target.length;
    this.target.push(value);
    inputs.filters.step(this.filters, value, past);
    const known = new Float64Array((plan.horizon + 1) * plan.known).fill(NaN);
    known.set(this.known.subarray(step * plan.known, (step + 1 + plan.horizon) * plan.known));
    const calendar = frequency.calendar(frequency.time(this.start, step + 1));
    this.now = inputs.features(this.filters, past, known, this.fixed, calendar);
    this.said = streams.map((stream, at) => {
      stream.state = this.states[at];
      const said = stream.step(this.now.x.subarray(0, plan.read)).slice();
      this.states[at] = stream.state;
      return said;
    });
  }

  // The forecast of the steps that follow: quantiles and mean of each.
  forecast(wanted) {
    const { plan, calibration } = this.engine;
    const { horizon } = plan;
    const far = Math.max(wanted, horizon);
    const simple =
      calibration.share === 1 ? null : baseline(calibration.baseline, this.target, far, plan.season);
    const blocks = [this.block(simple)];
    const later = wanted > horizon ? this.copy() : null;
    const nothing = Array(plan.past).fill(NaN);
    for (let begin = horizon; begin < wanted; begin += horizon) {
      for (const { quantiles } of blocks.at(-1)) later.read(quantiles[MIDDLE], nothing);
      let further = null;
      if (simple !== null) {
        further = Array.from({ length: horizon }, (_, at) => simple[Math.min(begin + at, far - 1)]);
      }
      // What was uncertain before adds to what is uncertain from there on.
      const before = blocks.at(-1).at(-1).quantiles;
      const added = later.block(further).map(({ quantiles, mean }) => ({
        quantiles: quantiles.map((one, at) => {
          const around = one - quantiles[MIDDLE];
          return quantiles[MIDDLE] + Math.sign(around) * Math.hypot(around, before[at] - before[MIDDLE]);
        }),
        mean,
      }));
      blocks.push(added);
    }
    return blocks.flat().slice(0, wanted);
  }

  // The forecast of the horizon that was trained.
  block(simple) {
    const { heads } = this.engine;
    const { x, methods, centre, scale } = this.now;
    const outlooks = heads.map((head, at) => head.outlook(this.said[at], x, methods));
    const average = outlooks[0].map((_, step) => {
      const scaled = (value) => (value / heads.length) * scale[step] + centre[step];
      const total = (pick) => outlooks.reduce((sum, one) => sum + pick(one[step]), 0);
      return {
        quantiles: Array.from({ length: QUANTILES }, (_, at) => scaled(total(({ quantiles }) => quantiles[at]))),
        mean: scaled(total(({ mean }) => mean)),
      };
    });
    return this.engine.widen(this.engine.mix(average, simple), scale);
  }
}
