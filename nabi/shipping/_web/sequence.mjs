// "@NAME@": a recurrent network that reads sequences from both ends, as WebAssembly; written by nabi.
//
//     import { load } from "./@NAME@.mjs";
//     const model = await load();
//     const y = model.run(xs);

export const sizes = @SIZES@;

const LINE = 64;
const aligned = (bytes) => Math.ceil(bytes / LINE) * LINE;

// The weights with a memory of their own, which grows with the longest sequence.
export class Model {
  constructor(module, ofModel = sizes) {
    this.sizes = ofModel;
    this.functions = new WebAssembly.Instance(module, {}).exports;
    this.memory = this.functions.memory;
    this.scratch = aligned(this.functions.heap_base.value);
  }

  // Reads a whole sequence, its steps one after the other in `xs`; returns the output of each step, one after
  // the other, or that of the sequence if the model gives only one.
  run(xs) {
    const { sizes, scratch } = this;
    const steps = xs.length / sizes.input;
    if (!Number.isInteger(steps) || steps === 0) {
      throw new RangeError(`expected a multiple of ${sizes.input} numbers, and one step at least, got ${xs.length}`);
    }
    const count = sizes.output * (sizes.perStep ? steps : 1);
    const x = aligned(scratch + sizes.fixedBytes + steps * sizes.stepBytes);
    const y = aligned(x + 4 * xs.length);
    this.reserve(y + 4 * count);
    new Float32Array(this.memory.buffer, x, xs.length).set(xs);
    this.functions.run(scratch, x, y, steps);
    return new Float32Array(this.memory.buffer, y, count).slice();
  }

  // Whether this engine computes what the model gave when it was exported.
  selfTest() {
    const { fixedBytes, stepBytes, testSteps } = this.sizes;
    this.reserve(this.scratch + fixedBytes + testSteps * stepBytes);
    return this.functions.self_test(this.scratch) === 0;
  }

  reserve(end) {
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / 65536));
  }
}

@LOADING@