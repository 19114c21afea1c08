/** Sessions that send seeds in place of vectors: the client keeps the iterate, and makes all points itself. */
import type { Point, Query } from './query.js'
import { addMove } from './random/directions.js'
import type { Tensors } from './tensors.js'

export class SeededIterate {
  /**
   * @param tensors The start values, by name, as Float32Array or Float64Array; updated in place by `follow`.
   * @param step The step that they are of: that of an estimate, when a run goes on.
   */
  constructor(
    readonly tensors: Tensors,
    private step = 0,
  ) {}

  /**
   * Moves on to where the query is asked. Once for a query or more often is the same.
   *
   * @throws RangeError when steps lie between, whose moves are not known here: begin again from the session's estimate.
   */
  follow({ iterate }: Pick<Query, 'iterate'>): void {
    if (!iterate) throw new TypeError('the query is of a session that keeps the iterate itself')
    if (iterate.step === this.step) return
    if (iterate.step !== this.step + 1)
      throw new RangeError(`the query is at step ${iterate.step}, the iterate at ${this.step}: begin from the estimate`)
    for (const move of iterate.last) addMove(this.tensors, move)
    this.step = iterate.step
  }

  /** A point of the query as new arrays. */
  at({ seeded }: Point): Tensors {
    if (!seeded) throw new TypeError('the point is not made of seeds')
    const made = Object.fromEntries(
      Object.entries(this.tensors).map(([name, x]) => [name, seeded.alone ? x.slice().fill(0) : x.slice()]),
    )
    addMove(made, seeded.move)
    return made
  }
}
