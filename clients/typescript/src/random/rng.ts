// Copied from src/core by scripts/generate-client.mjs.
/**
 * Counter-based random numbers: Philox4x32-10.
 * Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 *
 * A stream is (key, counter): plain data that lives in a method's state. Named streams derive their key from the
 * session's seed and the name, so that adding a stream never shifts another.
 */
export type RngState = {
  key0: number
  key1: number
  /** 128-bit block counter, four little-endian words. */
  counter: [number, number, number, number]
  /** Words of the current block already handed out, 0 to 4. */
  used: number
}

const M0 = 0xd2511f53
const M1 = 0xcd9e8d57
const W0 = 0x9e3779b9
const W1 = 0xbb67ae85

/** High 32 bits of a*b. */
function mulhi(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const low = aLow * bLow
  const mid1 = aHigh * bLow + (low >>> 16)
  const mid2 = aLow * bHigh + (mid1 & 0xffff)
  return (aHigh * bHigh + Math.floor(mid1 / 65536) + Math.floor(mid2 / 65536)) >>> 0
}

/** One Philox4x32-10 block: four 32-bit words from a counter of four and a key of two. */
export function philox4x32(counter: readonly number[], key0: number, key1: number, out: Uint32Array): void {
  let [c0, c1, c2, c3] = counter
  let k0 = key0
  let k1 = key1
  for (let round = 0; round < 10; round++) {
    const hi0 = mulhi(M0, c0)
    const lo0 = Math.imul(M0, c0) >>> 0
    const hi1 = mulhi(M1, c2)
    const lo1 = Math.imul(M1, c2) >>> 0
    c0 = (hi1 ^ c1 ^ k0) >>> 0
    c1 = lo1
    c2 = (hi0 ^ c3 ^ k1) >>> 0
    c3 = lo0
    k0 = (k0 + W0) >>> 0
    k1 = (k1 + W1) >>> 0
  }
  out[0] = c0
  out[1] = c1
  out[2] = c2
  out[3] = c3
}

/** 64-bit FNV-1a of a name, as two words: the key of a named stream. */
export function hashName(name: string): [number, number] {
  let h = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(name)) h = ((h ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
  return [Number(h & 0xffffffffn), Number(h >> 32n)]
}

/** A fresh stream for `name` under a seed (an integer, 0 to 2^53 - 1). */
export function rngStream(seed: number, name: string): RngState {
  const [n0, n1] = hashName(name)
  const block = new Uint32Array(4)
  philox4x32([n0, n1, 0, 0], seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, block)
  return { key0: block[0], key1: block[1], counter: [0, 0, 0, 0], used: 4 }
}

/**
 * Draws from a stream, advancing the given state in place: the state object is the only memory, so a draw after a
 * restart equals the draw without one.
 */
export class Rng {
  private readonly block = new Uint32Array(4)
  /** Low word of the counter after `block` was loaded; another Rng on the same state may have moved on. */
  private loaded = -1

  constructor(readonly state: RngState) {}

  /** A uniform 32-bit word. */
  word(): number {
    const s = this.state
    if (s.used === 4) {
      this.load(s.counter)
      for (let i = 0; i < 4; i++) {
        s.counter[i] = (s.counter[i] + 1) >>> 0
        if (s.counter[i] !== 0) break
      }
      s.used = 0
      this.loaded = s.counter[0]
    } else if (this.loaded !== s.counter[0]) {
      this.load(previous(s.counter))
      this.loaded = s.counter[0]
    }
    return this.block[s.used++]
  }
  private load(counter: readonly number[]) {
    philox4x32(counter, this.state.key0, this.state.key1, this.block)
  }
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number {
    const high = this.word() >>> 5
    const low = this.word() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }
  /** Uniform integer in [0, n), unbiased by rejection. n from 1 to 2^32. */
  integer(n: number): number {
    const limit = Math.floor(4294967296 / n) * n
    let word = this.word()
    while (word >= limit) word = this.word()
    return word % n
  }
  /** Standard normal (Box–Muller; the second value is dropped so that the state stays a counter). */
  normal(): number {
    const u = 1 - this.uniform()
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform())
  }
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      ;[copy[i], copy[j]] = [copy[j], copy[i]]
    }
    return copy
  }
}

function previous(counter: readonly number[]): number[] {
  const c = [...counter]
  for (let i = 0; i < 4; i++) {
    c[i] = (c[i] - 1) >>> 0
    if (c[i] !== 0xffffffff) break
  }
  return c
}
