// Types of @NAME@.mjs; written by nabi.

/** Sizes in numbers of 32 bits, but for those in bytes. */
export declare const sizes: {
  /** Numbers of a step; a code is one number. */
  readonly input: number;
  /** How many codes there are, where a step is one; 0 where it has features. */
  readonly codes: number;
  /** Numbers of an output. */
  readonly output: number;
  /** Whether there is an output for each step; else one for a sequence. */
  readonly perStep: boolean;
  /** Memory of a run, and of each of its steps. */
  readonly fixedBytes: number;
  readonly stepBytes: number;
  /** Steps of the self-test. */
  readonly testSteps: number;
};

/** An address, the bytes of the module, or the module. */
export type Source = URL | string | ArrayBuffer | ArrayBufferView | WebAssembly.Module;

/** The weights with a memory of their own, which grows with the longest sequence. */
export declare class Model {
  constructor(module: WebAssembly.Module);
  /** Reads a whole sequence, one step after the other; returns all outputs. */
  run(xs: ArrayLike<number>): Float32Array;
  /** Whether this engine computes what the model gave when it was exported. */
  selfTest(): boolean;
}

/** Compiles the module; by default the file beside this one. */
export declare function compile(source?: Source): Promise<WebAssembly.Module>;
/** Compiles and instantiates the module. */
export declare function load(source?: Source): Promise<Model>;
