// Runs "@NAME@" on sound, in the thread of the Web Audio API; written by nabi.
//
// A step reads as many samples as the model has inputs. A model with as many outputs is an effect: they are what
// is heard (later by one step, if a step reads several samples). Of any other model, outputs are posted as messages.
// Post "reset" to begin anew.

import { Model, sizes } from "./@NAME@.mjs";

const isEffect = sizes.input === sizes.output;

class Processor extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.stream = new Model(processorOptions.module).stream();
    this.given = new Float32Array(sizes.input);
    this.heard = new Float32Array(sizes.output);
    this.filled = 0;
    this.port.onmessage = ({ data }) => {
      if (data === "reset") this.stream.reset();
    };
  }

  process([input], [output]) {
    const samples = input[0];
    if (samples === undefined) return true;
    for (let at = 0; at < samples.length; at += 1) {
      const place = this.filled;
      this.given[place] = samples[at];
      this.filled += 1;
      if (isEffect && sizes.input > 1) output[0][at] = this.heard[place];
      if (this.filled === sizes.input) {
        this.filled = 0;
        const y = this.stream.step(this.given);
        if (!isEffect) this.port.postMessage(y.slice());
        else if (sizes.input > 1) this.heard.set(y);
        else output[0][at] = y[0];
      }
    }
    for (let channel = 1; channel < output.length; channel += 1) output[channel].set(output[0]);
    return true;
  }
}

registerProcessor("@NAME@", Processor);
