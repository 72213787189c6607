// Exponential smoothing of one series, one observation after the other, as in Python: what the networks of a
// forecaster start from. A missing observation is NaN.

export const METHODS = 6; // seasonal naive, naive, drift, simple smoothing, damped trend, Theta

const ALPHAS = [0.03, 0.07, 0.13, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
const HOLT = [0.15, 0.35, 0.6, 0.9].flatMap((alpha) =>
  [0.03, 0.12, 0.35].flatMap((beta) => [0.85, 0.96].map((phi) => [alpha, beta, phi])),
);
const MEMORY = 0.995;

const numbers = (count, value = 0) => new Float64Array(count).fill(value);
const total = (values) => values.reduce((sum, value) => sum + value, 0);

// The place of the smallest number, the first of those that are equal.
export function smallest(values) {
  let best = 0;
  for (let at = 1; at < values.length; at += 1) if (values[at] < values[best]) best = at;
  return best;
}

export class Filters {
  // A season of `season` steps, as a factor if `multiplicative`; `rows` steps of past columns are remembered.
  constructor(season, multiplicative, keep, rows, columns) {
    Object.assign(this, { season, multiplicative, rows, columns });
    this.keep = Math.max(keep, season + 1, 2);
    this.half = Math.floor(season / 2);
    this.average = numbers(season % 2 ? season : season + 1, 1 / season);
    if (season % 2 === 0) this.average[0] = this.average[season] = 0.5 / season;
  }

  start() {
    const { season } = this;
    return {
      count: 0,
      seen: 0,
      recent: numbers(this.keep, NaN),
      number: numbers(season),
      total: numbers(season),
      squares: numbers(season),
      index: numbers(season),
      level: numbers(ALPHAS.length),
      errors: numbers(ALPHAS.length),
      thetaErrors: numbers(ALPHAS.length),
      first: numbers(2),
      line: numbers(5),
      holtLevel: numbers(HOLT.length),
      holtSlope: numbers(HOLT.length),
      holtErrors: numbers(HOLT.length),
      spread: numbers(2),
      moments: numbers(3),
      columns: numbers(this.rows * this.columns, NaN),
    };
  }

  step(state, value, columns) {
    if (this.columns) {
      state.columns.copyWithin(0, this.columns);
      state.columns.set(columns, (this.rows - 1) * this.columns);
    }
    const there = !Number.isNaN(value);
    const place = state.count % this.season;
    state.recent.copyWithin(0, 1);
    state.recent[this.keep - 1] = value;
    state.count += 1;
    if (this.season > 1) this.readSeason(state);
    this.readLevel(state, this.without(there ? value : 1, state.index[place]), there);
    if (there) {
      const { moments } = state;
      const away = value - moments[1];
      moments[0] += 1;
      moments[1] += away / moments[0];
      moments[2] += away * (value - moments[1]);
      state.seen += 1;
    }
  }

  without(value, index) {
    return this.multiplicative ? value / Math.exp(index) : value - index;
  }

  readSeason(state) {
    const { season, half, average } = this;
    const middle = state.recent[this.keep - 1 - half];
    const begin = this.keep - average.length;
    let mean = 0;
    for (let at = 0; at < average.length; at += 1) mean += state.recent[begin + at] * average[at];
    const ratio = this.multiplicative ? Math.log(middle) - Math.log(mean) : middle - mean;
    if (!Number.isFinite(ratio)) return;
    const place = (((state.count - 1 - half) % season) + season) % season;
    state.number[place] += 1;
    state.total[place] += ratio;
    state.squares[place] += ratio * ratio;
    const whole = state.number.every((count) => count >= 1);
    if (!whole) {
      state.index.fill(0);
      return;
    }
    const counted = total(state.number);
    const means = state.total.map((sum, at) => sum / state.number[at]);
    const centre = total(means) / season;
    const centred = means.map((one) => one - centre);
    const apart = total(state.squares.map((sum, at) => sum - state.total[at] * means[at]));
    const within = apart / Math.max(counted - season, 1);
    const byChance = within * (total(state.number.map((count) => 1 / count)) / season);
    const between = total(centred.map((one) => one * one)) / Math.max(season - 1, 1);
    const kept = counted > season ? Math.max(0, 1 - byChance / Math.max(between, 1e-300)) : 0.5;
    state.index = centred.map((one) => one * kept);
  }

  readLevel(state, y, there) {
    const begun = there && state.seen === 0;
    const later = there && state.seen > 0;
    const drift = this.slope(state);
    const best = smallest(state.thetaErrors);
    let missed = 0;
    for (let at = 0; at < ALPHAS.length; at += 1) {
      const error = later ? y - state.level[at] : 0;
      const shifted = later ? error - 0.5 * drift * this.lag(state, at) : 0;
      if (at === best) missed = Math.abs(shifted);
      state.errors[at] = state.errors[at] * MEMORY + error * error;
      state.thetaErrors[at] = state.thetaErrors[at] * MEMORY + shifted * shifted;
      state.level[at] = begun ? y : state.level[at] + ALPHAS[at] * error;
    }
    if (later) {
      state.spread[0] = state.spread[0] * 0.97 + 1;
      state.spread[1] = state.spread[1] * 0.97 + missed;
    }
    for (let at = 0; at < HOLT.length; at += 1) {
      const [alpha, beta, phi] = HOLT[at];
      const slope = state.holtSlope[at];
      const expected = state.holtLevel[at] + phi * slope;
      const error = later ? y - expected : 0;
      state.holtErrors[at] = state.holtErrors[at] * MEMORY + error * error;
      state.holtLevel[at] = begun ? y : expected + alpha * error;
      state.holtSlope[at] = later && state.seen === 1 ? 0.5 * error : phi * slope + alpha * beta * error;
    }
    const t = state.count;
    if (begun) state.first.set([y, t]);
    if (there) [1, t, t * t, y, t * y].forEach((value, at) => (state.line[at] += value));
  }

  slope({ line: [n, t, tt, y, ty] }) {
    const below = n * tt - t * t;
    return n > 2 ? (n * ty - t * y) / (below > 0 ? below : 1) : 0;
  }

  // How far simple exponential smoothing lags behind a line.
  lag(state, at) {
    return (1 - (1 - ALPHAS[at]) ** state.seen) / ALPHAS[at];
  }

  // The level, the mean error one step ahead and the deviation now.
  scale(state) {
    const [count, , squares] = state.moments;
    return {
      level: state.level[smallest(state.errors)],
      error: state.spread[1] / Math.max(state.spread[0], 1),
      deviation: Math.sqrt(squares / Math.max(count, 1)),
    };
  }

  // What each method forecasts: rows of `horizon` numbers.
  forecast(state, horizon) {
    const simple = state.level[smallest(state.errors)];
    const naive = state.level.at(-1);
    const chosen = smallest(state.thetaErrors);
    const drift = 0.5 * this.slope(state);
    const lag = this.lag(state, chosen);
    const holt = smallest(state.holtErrors);
    const phi = HOLT[holt][2];
    const [value, when] = state.first;
    const rise = (naive - value) / Math.max(state.count - when, 1);
    const found = Array.from({ length: METHODS }, () => numbers(horizon));
    for (let at = 0; at < horizon; at += 1) {
      const step = at + 1;
      const index = this.season > 1 ? this.seasonAt(state, state.count + at) : 0;
      const seasonal = (plain) => (this.multiplicative ? plain * Math.exp(index) : plain + index);
      found[1][at] = seasonal(naive);
      found[2][at] = seasonal(naive + rise * step);
      found[3][at] = seasonal(simple);
      found[4][at] = seasonal(
        state.holtLevel[holt] + (state.holtSlope[holt] * phi * (1 - phi ** step)) / (1 - phi),
      );
      found[5][at] = seasonal(state.level[chosen] + drift * (step - 1 + lag));
      const before = this.season > 1 ? state.recent[this.keep - this.season + (at % this.season)] : found[1][at];
      found[0][at] = Number.isNaN(before) ? found[3][at] : before;
    }
    return found;
  }

  seasonAt(state, step) {
    return state.index[((step % this.season) + this.season) % this.season];
  }

  // The mean size of the season.
  strength(state) {
    return total(state.index.map(Math.abs)) / this.season;
  }

  // The last steps without the season.
  window(state, steps) {
    return Float64Array.from({ length: steps }, (_, at) => {
      const back = steps - at;
      return this.without(state.recent[this.keep - back], this.seasonAt(state, state.count - back));
    });
  }
}
