// What the networks of a forecaster read at every step of a series, as in Python.

import { Filters } from "./forecast-filters.mjs";

const [LEAST, SMALLEST, LARGEST, FLAGS] = [1e-8, 1e-4, 8, 8];

export class Inputs {
  constructor(plan) {
    this.plan = plan;
    const { season, past, known } = plan;
    const rows = 1 + Math.max(0, ...plan.changes);
    this.filters = new Filters(season, plan.multiplicative, Math.max(plan.window, 2 * season + 1), rows, past);
    const cut = (values) => ({
      past: values.slice(0, past),
      known: values.slice(past, past + known),
      static: values.slice(past + known),
    });
    this.centres = cut(plan.centres);
    this.spreads = cut(plan.spreads);
  }

  // What is known now: what the networks read and, behind it, products for the linear map; the forecasts of the
  // simple methods in units of `scale` from the `centre`, a row each; and these two for each step ahead.
  features(state, past, known, fixed, calendar) {
    const { plan, filters } = this;
    const { horizon, multiplicative } = plan;
    const { level, error, deviation } = filters.scale(state);
    const size = Math.abs(level);
    const unit = (plan.scaling === "level" ? size : Math.max(deviation, SMALLEST * size)) + LEAST;
    const seasonal = plan.season > 1;
    const season = Float64Array.from({ length: horizon }, (_, at) =>
      seasonal ? filters.seasonAt(state, state.count + at) : 0,
    );
    const factor = season.map((one) => (multiplicative ? Math.exp(one) : 1));
    const offset = season.map((one) => (multiplicative ? 0 : one));
    const ahead = filters
      .forecast(state, horizon)
      .map((row) => row.map((value, at) => ((value - offset[at]) / factor[at] - level) / unit));
    const flags = state.recent.subarray(filters.keep - Math.min(plan.window, FLAGS));
    const fromMean = (level - state.moments[1]) / Math.max(deviation, LEAST);
    const x = [];
    const add = (values) => values.forEach((value) => x.push(value));
    add(filters.window(state, plan.window).map((value) => (value - level) / unit));
    flags.forEach((value) => x.push(Number.isNaN(value) ? 0 : 1));
    for (const row of ahead) add(plan.lookedAt.map((at) => row[at]));
    x.push(
      Math.log(Math.max(error, LEAST) / unit) / 2,
      Math.log(Math.max(size, LEAST) / Math.max(deviation, LEAST)) / 2,
      Math.log1p(state.count) / 3,
      filters.strength(state) / (multiplicative ? 1 : unit),
      fromMean,
    );
    if (seasonal) {
      const shown = season.subarray(0, Math.min(plan.season, horizon));
      add(multiplicative ? shown : shown.map((one) => one / unit));
      add(ahead[0]);
    }
    add(calendar);
    add(this.scaled("past", past));
    past.forEach((value) => x.push(Number.isNaN(value) ? 0 : 1));
    add(this.scaled("known", known));
    add(this.scaled("static", fixed));
    if (plan.crossed) add(this.crossed(state, fromMean, calendar));
    const within = (value) => (Number.isNaN(value) ? 0 : Math.min(LARGEST, Math.max(-LARGEST, value)));
    return {
      x: Float32Array.from(x, within),
      methods: ahead.map((row) => Float32Array.from(row)),
      centre: factor.map((one, at) => level * one + offset[at]),
      scale: factor.map((one) => unit * one),
    };
  }

  scaled(kind, values) {
    const [centres, spreads] = [this.centres[kind], this.spreads[kind]];
    return Array.from(values, (value, at) => {
      const column = at % centres.length;
      return (value - centres[column]) / spreads[column];
    });
  }

  // Changes of past columns, and what the linear map alone has: products of two features.
  crossed(state, level, calendar) {
    const { past, changes: spans } = this.plan;
    const { rows } = this.filters;
    const spreads = this.spreads.past;
    const row = (back) => state.columns.subarray((rows - 1 - back) * past, (rows - back) * past);
    const last = row(0);
    const now = this.scaled("past", last);
    const changes = spans.flatMap((steps) =>
      Array.from(row(steps), (value, at) => (value - last[at]) / spreads[at]),
    );
    const found = [...changes];
    for (const one of [now, changes, calendar]) found.push(...one.map((value) => level * value));
    for (let first = 0; first < past; first += 1) {
      for (let second = first; second < past; second += 1) found.push(now[first] * now[second]);
    }
    return found;
  }
}
