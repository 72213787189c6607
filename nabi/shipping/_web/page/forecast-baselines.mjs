// Forecasts of a series from itself, as in Python: what a forecaster is mixed with. NaN is a missing value.

import { smallest } from "./forecast-filters.mjs";

const MOST = 1000;
const CONFIDENCE = 1.645;
const isThere = (value) => !Number.isNaN(value);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const range = (count) => Array.from({ length: count }, (_, at) => at);
const clip = (value, least, most) => Math.min(most, Math.max(least, value));
const placesOf = (target) => range(target.length).filter((at) => isThere(target[at]));
const repeated = (values, count) => range(count).map((at) => values[at % values.length]);

// Seasons -------------------------------------------------------------------------------------------------

function autocorrelations(target, lags) {
  const there = target.filter(isThere);
  const middle = mean(there);
  const centred = target.map((value) => (isThere(value) ? value - middle : 0));
  const found = range(lags + 1).map((lag) => {
    let [sum, pairs] = [0, 0];
    for (let at = lag; at < target.length; at += 1) {
      sum += centred[at] * centred[at - lag];
      if (isThere(target[at]) && isThere(target[at - lag])) pairs += 1;
    }
    return (sum * Math.max(target.length - lag, 1)) / Math.max(pairs, 1);
  });
  const largest = there.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (found[0] <= 1e-12 * Math.max(largest ** 2, 1e-300) * target.length) return [1, ...Array(lags).fill(0)];
  return found.map((one) => one / found[0]);
}

function isSeasonal(target, season) {
  if (season < 2 || target.length < 3 * season) return false;
  const found = autocorrelations(target, season);
  const squares = found.slice(1, season).reduce((sum, one) => sum + one * one, 0);
  return found[season] > CONFIDENCE * Math.sqrt((1 + 2 * squares) / target.length);
}

// The indices of classical decomposition.
function seasonalIndices(target, season, multiplicative) {
  const width = season + 1 - (season % 2);
  const half = Math.floor(width / 2);
  const parts = target.map((value, at) => {
    if (at < half || at >= target.length - half) return NaN;
    let [sum, count] = [0, 0];
    for (let place = 0; place < width; place += 1) {
      const weight = season % 2 === 0 && (place === 0 || place === width - 1) ? 0.5 : 1;
      const other = target[at - half + place];
      if (isThere(other)) [sum, count] = [sum + weight * other, count + weight];
    }
    if (count < 0.7 * season) return NaN;
    const level = sum / count;
    return multiplicative ? value / level : value - level;
  });
  const means = range(season).map((place) => {
    const own = parts.filter((value, at) => at % season === place && Number.isFinite(value));
    return own.length ? mean(own) : multiplicative ? 1 : 0;
  });
  const middle = mean(means);
  return means.map((one) => (multiplicative ? Math.max(one / middle, 0.01) : one - middle));
}

// Smoothing -----------------------------------------------------------------------------------------------

// The slope of the line through the values that are there, and its value at 0.
function lineThrough(values) {
  const places = placesOf(values);
  if (places.length < 2) return [0, values[places[0]]];
  const [x, y] = [mean(places), mean(places.map((at) => values[at]))];
  let [products, squares] = [0, 0];
  for (const at of places) {
    products += (at - x) * (values[at] - y);
    squares += (at - x) ** 2;
  }
  return [products / squares, y - (products / squares) * x];
}

function startValues(target, index, multiplicative, trend) {
  const first = target.slice(0, Math.max(10, 2 * index.length));
  const plain = first.map((value, at) =>
    multiplicative ? value / index[at % index.length] : value - index[at % index.length],
  );
  const there = placesOf(plain);
  if (trend && there.length > 2) {
    const [slope, atZero] = lineThrough(plain);
    return { level: atZero - slope, trend: slope, season: index };
  }
  return { level: mean(there.slice(0, index.length).map((at) => plain[at])), trend: 0, season: index };
}

// Runs level, trend and season over a series; the mean squared error one step ahead, and what is known at the end.
function smooth(target, start, weights, multiplicative) {
  const period = start.season.length;
  const season = Float64Array.from(start.season);
  let { level, trend } = start;
  let [errors, count] = [0, 0];
  target.forEach((value, step) => {
    const falling = trend * weights.damping;
    const base = level + falling;
    const place = step % period;
    const seasonal = season[place];
    const expected = period === 1 ? base : multiplicative ? base * seasonal : base + seasonal;
    const error = isThere(value) ? value - expected : 0;
    if (isThere(value)) count += 1;
    errors += error * error;
    let moved = error;
    if (period > 1 && multiplicative) {
      moved = error / seasonal;
      const safe = Math.abs(base) > 1e-8 ? base : 1e-8;
      season[place] = clip(seasonal + (weights.season * error) / safe, 0.01, 100);
    } else if (period > 1) {
      season[place] += weights.season * error;
    }
    level = base + weights.level * moved;
    trend = falling + weights.trend * moved;
  });
  return { error: errors / Math.max(count, 1), level, trend, season };
}

const recentOf = (target, season) => {
  const recent = target.slice(-Math.max(MOST, 6 * season));
  return recent.slice(recent.findIndex(isThere));
};

function smoothedLevel(target) {
  const start = startValues(target, [0], false, false);
  let tried = [0.01, 0.03, ...range(19).map((at) => 0.05 + 0.05 * at), 0.99];
  const fitted = (level) => smooth(target, start, { level, trend: 0, season: 0, damping: 1 }, false);
  let best = 0;
  for (const finer of [0.025, 0.005, 0]) {
    best = tried[smallest(tried.map((level) => fitted(level).error))];
    tried = range(6).map((at) => clip(best + finer * (at - 2.5), 0.001, 0.999));
  }
  return fitted(best).level;
}

function thetaLine(target, horizon) {
  const [slope, atZero] = lineThrough(target);
  const level = smoothedLevel(target.map((value, at) => 2 * value - (atZero + slope * at)));
  return range(horizon).map((at) => 0.5 * (atZero + slope * (target.length + at) + level));
}

// Forecasts by a method without a season, the season being taken out where there is one.
function deseasonalised(whole, horizon, season, method) {
  const target = recentOf(whole, season);
  if (!isSeasonal(target, season)) return method(recentOf(target, 1), horizon);
  const multiplicative = target.every((value) => !(value <= 0));
  const index = repeated(seasonalIndices(target, season, multiplicative), target.length + horizon);
  const plain = target.map((value, at) => (multiplicative ? value / index[at] : value - index[at]));
  return method(recentOf(plain, 1), horizon).map((value, at) => {
    const ahead = index[target.length + at];
    return multiplicative ? value * ahead : value + ahead;
  });
}

const COARSE = [
  [0.05, 0.2, 0.5, 0.85],
  [0.02, 0.1, 0.3],
  [0.05, 0.2, 0.5],
];
const FINER = [1.6, 1.3, 1.12, 1];

function fitTrendAndSeason(target, season, multiplicative, dampings) {
  const index = season > 1 ? seasonalIndices(target.slice(0, 2 * season), season, multiplicative) : [0];
  const start = startValues(target, index, multiplicative && season > 1, true);
  let shares = COARSE[0].flatMap((level) =>
    COARSE[1].flatMap((trend) => COARSE[2].flatMap((one) => dampings.map((damping) => [level, trend, one, damping]))),
  );
  let found;
  for (const finer of FINER) {
    const weights = shares.map(([level, trend, one, damping]) => ({
      level,
      trend: level * trend,
      season: (1 - level) * one,
      damping,
    }));
    const place = smallest(weights.map((one) => smooth(target, start, one, multiplicative).error));
    found = weights[place];
    const [level, trend, one, damping] = shares[place];
    const steps = [1 / finer, 1, finer];
    const near = (value, step) => clip(value * step, 0.001, 0.99);
    shares = steps.flatMap((a) =>
      steps.flatMap((b) => steps.map((c) => [near(level, a), near(trend, b), near(one, c), damping])),
    );
  }
  return { weights: found, fitted: smooth(target, start, found, multiplicative) };
}

function trendAndSeason(whole, horizon, asked, dampings) {
  const season = whole.length >= 2 * asked ? asked : 1;
  const target = recentOf(whole, season);
  const positive = target.every((value) => !(value <= 0));
  const found = [];
  for (const multiplicative of season > 1 ? [true, false] : [false]) {
    if (multiplicative && !positive) continue;
    found.push({ multiplicative, ...fitTrendAndSeason(target, season, multiplicative, dampings) });
  }
  const { multiplicative, fitted, weights } = found[smallest(found.map((one) => one.fitted.error))];
  let damped = 0;
  return range(horizon).map((at) => {
    damped += weights.damping ** (at + 1);
    const line = fitted.level + fitted.trend * damped;
    if (season === 1) return line;
    const seasonal = fitted.season[(target.length + at) % season];
    return multiplicative ? line * seasonal : line + seasonal;
  });
}

// Methods -------------------------------------------------------------------------------------------------

function drift(target, horizon) {
  const there = placesOf(target);
  const [first, last] = [there[0], there.at(-1)];
  const slope = (target[last] - target[first]) / Math.max(last - first, 1);
  return range(horizon).map((at) => target[last] + slope * (target.length - last + at));
}

// The last value seen at each place of the season, for the step after the series first.
function lastSeason(target, season) {
  const last = target.filter(isThere).at(-1);
  return range(season).map((place) => {
    for (let at = target.length - season + place; at >= 0; at -= season) if (isThere(target[at])) return target[at];
    return last;
  });
}

function seasonalNaiveWithDrift(target, horizon, season) {
  if (season < 2 || target.length <= season) return drift(target, horizon);
  const changes = target.slice(season).map((value, at) => value - target[at]).filter(isThere);
  const change = changes.length ? mean(changes) : 0;
  const last = lastSeason(target, season);
  return range(horizon).map((at) => last[at % season] + change * (1 + Math.floor(at / season)));
}

const FORECASTS = {
  "last value": (target, horizon) => Array(horizon).fill(target.filter(isThere).at(-1)),
  drift,
  "seasonal naive": (target, horizon, season) => repeated(lastSeason(target, season), horizon),
  "seasonal naive with drift": seasonalNaiveWithDrift,
  "exponential smoothing": (target, horizon, season) =>
    deseasonalised(target, horizon, season, (plain, steps) => Array(steps).fill(smoothedLevel(plain))),
  Theta: (target, horizon, season) => deseasonalised(target, horizon, season, thetaLine),
  "Holt-Winters": (target, horizon, season) => trendAndSeason(target, horizon, season, [1]),
  "damped Holt-Winters": (target, horizon, season) => trendAndSeason(target, horizon, season, [0.9, 0.98]),
  "median of five": (target, horizon, season) => {
    const rows = FIVE.map((name) => FORECASTS[name](target, horizon, season));
    return range(horizon).map((at) => rows.map((row) => row[at]).sort((a, b) => a - b)[2]);
  },
};
const FIVE = ["seasonal naive with drift", "exponential smoothing", "Theta", "Holt-Winters", "damped Holt-Winters"];

// What a method by its name forecasts of a series with at least one observation.
export function baseline(name, target, horizon, season) {
  const fitting = season < target.length ? season : 1;
  return FORECASTS[name](Array.from(target), horizon, fitting);
}
