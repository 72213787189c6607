// Notes that are heard and seen: a small synthesizer and a piano roll.

import { colour, drawing } from "./common.mjs";

const LOUDEST = 0.22;

export class Synthesizer {
  constructor() {
    this.context = new AudioContext();
    this.out = this.context.createDynamicsCompressor();
    this.out.connect(this.context.destination);
    this.sounding = new Map();
  }

  get now() {
    return this.context.currentTime;
  }

  start(pitch, at) {
    this.stop(pitch, at);
    const gain = this.context.createGain();
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(LOUDEST, at + 0.015);
    gain.gain.exponentialRampToValueAtTime(LOUDEST / 4, at + 1.2);
    gain.connect(this.out);
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const oscillators = [1, 2].map((harmonic) => {
      const oscillator = this.context.createOscillator();
      oscillator.type = harmonic === 1 ? "triangle" : "sine";
      oscillator.frequency.value = frequency * harmonic;
      const share = this.context.createGain();
      share.gain.value = harmonic === 1 ? 1 : 0.25;
      oscillator.connect(share).connect(gain);
      oscillator.start(at);
      return oscillator;
    });
    this.sounding.set(pitch, { gain, oscillators });
  }

  stop(pitch, at) {
    const one = this.sounding.get(pitch);
    if (one === undefined) return;
    this.sounding.delete(pitch);
    one.gain.gain.setTargetAtTime(0, at, 0.04);
    for (const oscillator of one.oscillators) oscillator.stop(at + 0.4);
  }

  silence() {
    for (const pitch of [...this.sounding.keys()]) this.stop(pitch, this.now);
    this.out.disconnect();
    this.out = this.context.createDynamicsCompressor();
    this.out.connect(this.context.destination);
  }
}

// Notes as bars over time: { pitch, start, end, kind }, where times are in beats and the kind names a colour.
export class PianoRoll {
  constructor(canvas, beats) {
    this.canvas = canvas;
    this.beats = beats;
    this.notes = [];
    new ResizeObserver(() => this.draw(this.place ?? 0)).observe(canvas);
  }

  // Draws the notes around a place in time, which a line marks.
  draw(place) {
    this.place = place;
    const { context, width, height } = drawing(this.canvas);
    const pitches = this.notes.map(({ pitch }) => pitch);
    const lowest = Math.min(55, ...pitches) - 2;
    const highest = Math.max(79, ...pitches) + 2;
    const row = height / (highest - lowest + 1);
    const first = Math.max(0, place - this.beats * 0.8);
    const x = (beat) => ((beat - first) / this.beats) * width;
    const y = (pitch) => (highest - pitch) * row;
    context.fillStyle = colour("--tint");
    for (let pitch = lowest; pitch <= highest; pitch += 1) {
      if ([1, 3, 6, 8, 10].includes(pitch % 12)) context.fillRect(0, y(pitch), width, row);
    }
    context.fillStyle = colour("--line");
    for (let beat = Math.ceil(first); beat < first + this.beats; beat += 1) {
      context.fillRect(x(beat), 0, beat % 4 ? 0.5 : 1.5, height);
    }
    for (const { pitch, start, end, kind } of this.notes) {
      if (end < first || start > first + this.beats) continue;
      const sounds = start <= place && place < end;
      const box = [x(start) + 1, y(pitch) + 0.5, Math.max(3, x(end) - x(start) - 2), Math.max(3, row - 1)];
      context.beginPath();
      context.roundRect(...box, Math.min(4, row / 3));
      context.fillStyle = context.strokeStyle = colour(kind);
      context.lineWidth = sounds ? 3 : 1.5;
      if (kind === "--soft") context.stroke();
      else context.fill();
      if (sounds) context.stroke();
    }
    context.fillStyle = colour("--against");
    context.fillRect(x(place), 0, 2, height);
  }
}
