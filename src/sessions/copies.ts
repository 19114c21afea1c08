/**
 * The copies of the parameters that clients hold, known by adding up what they were sent. They are no part of the session's
 * state: after a restart a client is sent its parameters whole. A version is never used twice, also not by the session
 * before a restart, so that equal versions mean equal copies.
 */
import { randomInt } from 'node:crypto'
import type { FloatArray } from '../core/tensor.js'

export type Copy = { version: number; tensors: { readonly [name: string]: FloatArray } }

/** Copies of a session, and bytes of more than one; those that were not asked for the longest time give way to a new one. */
const MOST = 8
const MOST_BYTES = 2 ** 30

export class Copies {
  private readonly byName = new Map<string, Copy>()

  constructor(private readonly mostBytes = MOST_BYTES) {}

  /** The copy, when it has this version. */
  find(name: string, version: number): Copy | undefined {
    const copy = this.byName.get(name)
    if (!copy || copy.version !== version) return undefined
    this.byName.delete(name)
    this.byName.set(name, copy)
    return copy
  }

  /** A copy begins, or begins anew, with tensors that are its own from now on. */
  begin(name: string, tensors: Copy['tensors']): Copy {
    const copy = { version: randomInt(1, 2 ** 48 - 1), tensors }
    this.byName.delete(name)
    this.byName.set(name, copy)
    for (const oldest of [...this.byName.keys()].slice(0, -1))
      if (this.byName.size > MOST || this.bytes > this.mostBytes) this.byName.delete(oldest)
    return copy
  }

  get bytes(): number {
    let sum = 0
    for (const { tensors } of this.byName.values())
      for (const { byteLength } of Object.values(tensors)) sum += byteLength
    return sum
  }
}
