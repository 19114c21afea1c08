/** Turns whose tensors are one vector. */
import type { Query } from '../../../src/core/query.js'
import { flatOf } from '../../../src/optimizers/flat.js'
import { type Answered, Turns } from '../turns.js'

/** Answers a query at its points. */
export type Oracle = (query: Query, points: Float64Array[]) => Answered

export class Inquiry extends Turns {
  private get flat() {
    return flatOf(this.run.problem)
  }
  reply(told: Answered): this {
    return this.tell(() => told)
  }
  /** Answers until so many more steps are taken, or it is done. */
  by(count: number, oracle: Oracle): this {
    return this.steps(count, (points, query) => oracle(query, points.map(this.flat.vector)))
  }
  get x(): Float64Array {
    return this.flat.vector(this.answer)
  }
}
