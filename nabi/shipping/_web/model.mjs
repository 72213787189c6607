// "@NAME@": a recurrent network that reads one step after the other, as WebAssembly; written by nabi.
//
//     import { load } from "./@NAME@.mjs";
//     const stream = (await load()).stream();
//     const y = stream.step(x);

export const sizes = @SIZES@;

const LINE = 64;
const aligned = (bytes) => Math.ceil(bytes / LINE) * LINE;

// The weights with a memory of their own, and in it any number of streams.
export class Model {
  constructor(module, ofModel = sizes) {
    this.sizes = ofModel;
    this.functions = new WebAssembly.Instance(module, {}).exports;
    this.memory = this.functions.memory;
    this.end = this.functions.heap_base.value;
    this.scratch = this.take(this.sizes.scratchBytes);
    this.x = this.take(4 * this.sizes.block * this.sizes.input);
    this.y = this.take(4 * this.sizes.block * this.sizes.output);
    this.values = this.take(4 * this.sizes.state);
  }

  // A sequence with a state of its own. Memory grows only here.
  stream() {
    return new Stream(this, this.take(this.sizes.stateBytes));
  }

  // Whether this engine computes what the model gave when it was exported.
  selfTest() {
    const start = this.end;
    const found = this.functions.self_test(this.take(this.sizes.stateBytes), this.scratch);
    this.end = start;
    return found === 0;
  }

  take(bytes) {
    const place = aligned(this.end);
    this.end = place + bytes;
    const missing = this.end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
    return place;
  }

  // All memory as numbers; a memory that has grown has a new buffer.
  get numbers() {
    if (this.view === undefined || this.view.buffer !== this.memory.buffer) {
      this.view = new Float32Array(this.memory.buffer);
      this.output = new Float32Array(this.memory.buffer, this.y, this.sizes.output);
    }
    return this.view;
  }
}

export class Stream {
  constructor(model, place) {
    this.model = model;
    this.place = place;
    model.functions.init(place, model.sizes.stateBytes);
  }

  // Reads one step: numbers, or one number where a step has one. What it returns is overwritten by the next step.
  step(x) {
    const { model, place } = this;
    const { numbers, sizes } = model;
    if (typeof x === "number") {
      checkCount(1, sizes.input);
      numbers[model.x >> 2] = x;
    } else {
      checkCount(x.length, sizes.input);
      numbers.set(x, model.x >> 2);
    }
    model.functions.step(place, model.scratch, model.x, model.y);
    return model.output;
  }

  // Reads any number of steps, one after the other in `xs`; returns all outputs.
  run(xs) {
    const { model, place } = this;
    const { numbers, sizes } = model;
    const steps = xs.length / sizes.input;
    if (!Number.isInteger(steps)) checkCount(xs.length, `a multiple of ${sizes.input}`);
    const given = Float32Array.from(xs);
    const found = new Float32Array(steps * sizes.output);
    for (let at = 0; at < steps; at += sizes.block) {
      const count = Math.min(sizes.block, steps - at);
      numbers.set(given.subarray(at * sizes.input, (at + count) * sizes.input), model.x >> 2);
      model.functions.run(place, model.scratch, model.x, model.y, count);
      const first = model.y >> 2;
      found.set(numbers.subarray(first, first + count * sizes.output), at * sizes.output);
    }
    return found;
  }

  // Begins anew.
  reset() {
    this.model.functions.reset(this.place);
  }

  // A copy of the state, to go on from later.
  get state() {
    const { model } = this;
    model.functions.get_state(this.place, model.values);
    return model.numbers.slice(model.values >> 2, (model.values >> 2) + model.sizes.state);
  }

  set state(values) {
    const { model } = this;
    checkCount(values.length, model.sizes.state);
    model.numbers.set(values, model.values >> 2);
    model.functions.set_state(this.place, model.values);
  }
}

function checkCount(found, wanted) {
  if (found !== wanted) throw new RangeError(`expected ${wanted} numbers, got ${found}`);
}

@LOADING@
// A node of the Web Audio API that reads sound sample by sample; see @NAME@-worklet.js.
export async function audioNode(context, source) {
  const module = await compile(source);
  await context.audioWorklet.addModule(new URL("./@NAME@-worklet.js", import.meta.url));
  return new AudioWorkletNode(context, "@NAME@", { processorOptions: { module } });
}
