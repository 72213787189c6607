// Types of @NAME@.mjs; written by nabi.

/** Sizes in numbers of 32 bits, but for those in bytes. */
export declare const sizes: {
  /** Numbers that a step reads; a code is one number. */
  readonly input: number;
  /** How many codes there are, where a step reads one; 0 where it reads features. */
  readonly codes: number;
  /** Numbers that a step gives. */
  readonly output: number;
  /** Numbers of the state of a stream. */
  readonly state: number;
  readonly stateBytes: number;
  readonly scratchBytes: number;
  /** Steps that the module runs by one call. */
  readonly block: number;
};

/** Numbers of one step; a number where a step reads one. */
export type Step = ArrayLike<number> | number;
/** An address, the bytes of the module, or the module. */
export type Source = URL | string | ArrayBuffer | ArrayBufferView | WebAssembly.Module;

/** The weights with a memory of their own, and in it any number of streams. */
export declare class Model {
  constructor(module: WebAssembly.Module);
  /** A sequence with a state of its own. Memory grows only here. */
  stream(): Stream;
  /** Whether this engine computes what the model gave when it was exported. */
  selfTest(): boolean;
}

export declare class Stream {
  /** Reads one step. What it returns is overwritten by the next step. */
  step(x: Step): Float32Array;
  /** Reads any number of steps, one after the other; returns all outputs. */
  run(xs: ArrayLike<number>): Float32Array;
  /** Begins anew. */
  reset(): void;
  /** A copy of the state; set it to go on from there. */
  state: Float32Array;
}

/** Compiles the module; by default the file beside this one. */
export declare function compile(source?: Source): Promise<WebAssembly.Module>;
/** Compiles and instantiates the module. */
export declare function load(source?: Source): Promise<Model>;
/** A node of the Web Audio API that reads sound sample by sample. */
export declare function audioNode(context: BaseAudioContext, source?: Source): Promise<AudioWorkletNode>;
