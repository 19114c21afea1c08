/** The limited-memory BFGS direction: J. Nocedal, S. Wright, "Numerical Optimization", algorithm 7.4. */
import { accumulate, dot } from './flat.js'

/** A step s and the change y of the gradient along it. */
export type Pair = { s: Float64Array; y: Float64Array }

/** Share of |y|^2 that <s, y> must exceed for a pair to be kept: the curvature along it is positive. */
const CURVATURE = 1e-10

/** The pairs with one more, of which the last `memory` are kept. */
export const remember = (pairs: readonly Pair[], { s, y }: Pair, memory: number): Pair[] =>
  dot(s, y) > CURVATURE * dot(y, y) ? [...pairs, { s, y }].slice(-memory) : [...pairs]

/** The inverse of the approximated Hessian times g; g itself without pairs. */
export function inverseTimes(pairs: readonly Pair[], g: Float64Array): Float64Array {
  const q = g.slice()
  const alphas = pairs.map(() => 0)
  for (let k = pairs.length - 1; k >= 0; k--) {
    const { s, y } = pairs[k]
    alphas[k] = dot(s, q) / dot(s, y)
    accumulate(q, -alphas[k], y)
  }
  const last = pairs.at(-1)
  const scale = last ? dot(last.s, last.y) / dot(last.y, last.y) : 1
  for (let i = 0; i < q.length; i++) q[i] *= scale
  pairs.forEach(({ s, y }, k) => {
    accumulate(q, alphas[k] - dot(y, q) / dot(s, y), s)
  })
  return q
}
