/**
 * What an observation is worth: the knowledge gradient and entropy search, for maximization on a finite set.
 * P. Frazier, W. Powell, S. Dayanik, "The Knowledge-Gradient Policy for Correlated Normal Beliefs", INFORMS J. Comput.
 * 21, 2009, algorithm 1; P. Hennig, C. J. Schuler, "Entropy Search for Information-Efficient Global Optimization", JMLR
 * 13, 2012. Both as in P. I. Frazier, arXiv 1807.02811, sections 4.2 and 4.3.
 */
import { logH } from './acquisition.js'

/**
 * E max_i (a_i + b_i Z) - max_i a_i for a standard normal Z, exactly: only lines of the upper envelope matter, and where
 * Z passes the breakpoint c_i the slope grows from b_i to b_{i+1}. 0 for no lines.
 */
export function expectedGain(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const order = Array.from({ length: a.length }, (_, i) => i).sort((i, j) => b[i] - b[j] || a[i] - a[j])
  const envelope: number[] = []
  const from: number[] = []
  for (const i of order) {
    let c = Number.NEGATIVE_INFINITY
    while (envelope.length > 0) {
      const last = envelope[envelope.length - 1]
      c = b[i] === b[last] ? Number.NEGATIVE_INFINITY : (a[last] - a[i]) / (b[i] - b[last])
      if (c > from[from.length - 1]) break
      envelope.pop()
      from.pop()
      c = Number.NEGATIVE_INFINITY
    }
    envelope.push(i)
    from.push(c)
  }
  let gain = 0
  for (let k = 1; k < envelope.length; k++)
    gain += (b[envelope[k]] - b[envelope[k - 1]]) * Math.exp(logH(-Math.abs(from[k])).value)
  return gain
}

/** Entropy in nats of the winners of samples: how often each of n points was the largest. */
function entropy(wins: Float64Array, samples: number): number {
  let h = 0
  for (const count of wins) if (count > 0) h -= (count / samples) * Math.log(count / samples)
  return h
}

/** Medians of eight equally likely slices of a standard normal. */
const SLICES = [-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534]

/**
 * How much the entropy of the maximizer falls by an observation at each point of a grid, in expectation. `samples` are
 * joint draws of the function on the grid, `covariance` its n x n posterior covariance, `noises[s][i]` standard normal.
 * Draws follow an observation by Matheron's rule: f + cov (y - f_i - noise) / (variance + noise).
 */
export function entropyReduction(
  samples: readonly Float64Array[],
  means: Float64Array,
  covariance: Float64Array,
  noise: number,
  noises: readonly Float64Array[],
): number[] {
  const n = means.length
  const winner = (f: (i: number) => number) => {
    let best = 0
    for (let i = 1, top = f(0); i < n; i++) {
      const value = f(i)
      if (value > top) [best, top] = [i, value]
    }
    return best
  }
  const now = new Float64Array(n)
  for (const f of samples) now[winner((i) => f[i])]++
  const before = entropy(now, samples.length)
  return Array.from({ length: n }, (_, at) => {
    const total = covariance[at * (n + 1)] + noise
    const deviation = Math.sqrt(total)
    let after = 0
    for (const z of SLICES) {
      const y = means[at] + z * deviation
      const wins = new Float64Array(n)
      samples.forEach((f, s) => {
        const step = (y - f[at] - Math.sqrt(noise) * noises[s][at]) / total
        wins[winner((i) => f[i] + covariance[at * n + i] * step)]++
      })
      after += entropy(wins, samples.length) / SLICES.length
    }
    return before - after
  })
}
