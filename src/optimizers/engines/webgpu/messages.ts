/** What passes between the thread of the rules and the thread of the device. */
export type Setup = {
  /** f32 in the memory of the kernel, and of them the state, which comes first. */
  elements: number
  state: number
  facts: Uint32Array
  numbers: number
  partials: number
  /** WGSL, and the place among the tables of its workgroups' entries. */
  shaders: readonly { code: string; table: number }[]
  /** Four words per workgroup. */
  tables: readonly Uint32Array[]
}

/** State and inputs, of which the device has the elements before `first`. */
export type Cargo = { buffer: ArrayBuffer; first: number }

export type Run = {
  numbers: Float32Array
  /** The two words of the seed of random fields. */
  keys: Uint32Array
  shaders: readonly number[]
  /** Partial sums to read back. */
  partials: { first: number; count: number }
  /** Written first. Its buffer is kept for the answer to a run that asks for the state. */
  upload?: Cargo
  download: boolean
}

/** All but `close` is waited for. */
export type Request = { kernel: number } & ({ open: Setup } | { run: Run } | { close: true })
export type Answer = { partials?: Float32Array; state?: ArrayBuffer }
/** `memory`: the device has none left. */
export type Reply = { answer: Answer } | { failure: string; memory: boolean }

/** What the device thread says first. */
export type Opened = { mostBytes: number } | { failure: string }
