// Times of a series, and what the networks read of the calendar, as in Python. A time is milliseconds since 1970
// without a zone, or the number of a step.

const MONTHS = { year: 12, quarter: 3, month: 1 };
const SECONDS = { week: 604_800, day: 86_400, hour: 3600, minute: 60, second: 1 };
const WAVES = { year: 2, week: 3, day: 2, hour: 1, minute: 1 };
const SEEN = {
  year: [],
  quarter: ["year"],
  month: ["year"],
  week: ["year"],
  day: ["year", "week"],
  workday: ["year", "week"],
  hour: ["year", "week", "day"],
  minute: ["year", "week", "day", "hour"],
  second: ["year", "week", "day", "hour", "minute"],
  step: [],
};
const DAY = 86_400_000;
const inside = (value, length) => ((value % length) + length) % length;

// The first millisecond of a month; months may be below 0 or above 11.
function monthBegin(year, month) {
  const date = new Date(0);
  date.setUTCFullYear(year, month, 1);
  return date.getTime();
}

export class Frequency {
  constructor({ unit, count, monthEnd }) {
    Object.assign(this, { unit, count, monthEnd });
  }

  // The time so many steps after another one.
  time(start, steps) {
    const { unit, count } = this;
    if (unit === "step") return start + steps * count;
    const begin = new Date(start);
    if (unit in MONTHS) {
      const [year, month] = [begin.getUTCFullYear(), begin.getUTCMonth() + steps * count * MONTHS[unit]];
      const last = Math.round((monthBegin(year, month + 1) - monthBegin(year, month)) / DAY);
      const day = this.monthEnd ? last : Math.min(begin.getUTCDate(), last);
      return monthBegin(year, month) + (day - 1) * DAY + inside(start, DAY);
    }
    if (unit === "workday") {
      const weekday = inside(begin.getUTCDay() - 1, 7);
      const days = weekday + steps * count;
      return start + (7 * Math.floor(days / 5) + inside(days, 5) - weekday) * DAY;
    }
    return start + steps * count * SECONDS[unit] * 1000;
  }

  // Sines and cosines of where a time is in the year, week, day, hour and minute.
  calendar(time) {
    const found = [];
    for (const cycle of SEEN[this.unit]) {
      const angle = 2 * Math.PI * this.phase(cycle, time);
      for (let wave = 1; wave <= WAVES[cycle]; wave += 1) found.push(Math.sin(wave * angle), Math.cos(wave * angle));
    }
    return found;
  }

  phase(cycle, time) {
    if (cycle === "year") {
      const date = new Date(time);
      if (this.unit in MONTHS) return date.getUTCMonth() / 12;
      const begin = monthBegin(date.getUTCFullYear(), 0);
      return (time - begin) / (monthBegin(date.getUTCFullYear() + 1, 0) - begin);
    }
    const length = SECONDS[cycle] * 1000;
    // 1970 began on a Thursday.
    return inside(time + (cycle === "week" ? 3 * DAY : 0), length) / length;
  }

  // A time for people, as exact as a step is.
  shown(time) {
    if (this.unit === "step") return String(time);
    const text = new Date(time).toISOString().replace(/\.\d+Z$/, "").replace("T", " ");
    if (this.unit === "year") return text.slice(0, 4);
    if (this.unit === "month" || this.unit === "quarter") return text.slice(0, 7);
    if (text.endsWith(" 00:00:00") && SECONDS[this.unit] !== 1 && !["hour", "minute"].includes(this.unit)) {
      return text.slice(0, 10);
    }
    return this.unit === "second" ? text : text.slice(0, 16);
  }

  // A time that a text begins with, in the way of `shown`; null if it begins with none.
  read(text) {
    if (this.unit === "step") return null;
    const found = /^(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?Z?(?=[\s,;]|$)/.exec(text);
    if (found === null) return null;
    const [year, month, day = 1, hour = 0, minute = 0, second = 0] = found.slice(1).map((part) => part && Number(part));
    if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return null;
    const time = monthBegin(year, month - 1) + (day - 1) * DAY + ((hour * 60 + minute) * 60 + second) * 1000;
    return { time, length: found[0].length };
  }
}
