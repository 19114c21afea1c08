/**
 * The simplex method of J. A. Nelder, R. Mead, "A Simplex Method for Function Minimization", 1965, with the coefficients of
 * F. Gao, L. Han, "Implementing the Nelder-Mead simplex algorithm with adaptive parameters", 2012, for many coordinates.
 *
 * A generation is what the simplex needs next: all of its corners at first, one trial point, or the corners of a shrunken one.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Box } from './box.js'
import { ranking } from './diagonal.js'
import { generationsMethod, pointsPerQuery, type Told } from './generations.js'

const config = z.strictObject({
  step: field(
    z.number().positive().default(0.2),
    'Length of the first edges: a part of the range, of unbounded tensors absolute.',
    { source: 'ours', log: true },
  ),
  adaptive: field(z.boolean().default(true), 'Coefficients that depend on the number of coordinates.', {
    source: 'Gao, Han 2012',
  }),
  tolerance: field(
    z.number().min(0).default(1e-10),
    'The simplex has converged when no corner is farther from the best, in any coordinate.',
    { source: 'ours', log: true },
  ),
  restarts: field(z.int().min(0).default(3), 'How often a new simplex begins at the best point after convergence.', {
    source: 'ours',
  }),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type Phase = 'begin' | 'reflect' | 'expand' | 'outside' | 'inside' | 'shrink'
type State = {
  /** Corners, best first, and their values. */
  corners: Float64Array
  values: Float64Array
  phase: Phase
  /** The reflected point while another trial is out. */
  reflected: Float64Array | null
  reflectedValue: number
  restart: number
  converged: boolean
}

/** Reflection, expansion, contraction, shrinkage. */
const coefficients = ({ adaptive }: Config, n: number) =>
  adaptive && n > 1
    ? { alpha: 1, beta: 1 + 2 / n, gamma: 0.75 - 1 / (2 * n), delta: 1 - 1 / n }
    : { alpha: 1, beta: 2, gamma: 0.5, delta: 0.5 }

const corner = (rows: Float64Array, i: number, n: number) => rows.subarray(i * n, (i + 1) * n)

/** Corners at a point and a step from it along each axis, up or down by chance where both are within bounds. */
function simplexAt(x: Float64Array, step: number, { low, high }: Box, rng: Rng): Float64Array {
  const n = x.length
  const rows = new Float64Array((n + 1) * n)
  for (let k = 0; k <= n; k++) {
    rows.set(x, k * n)
    if (k === 0) continue
    const chance = rng.uniform() < 0.5
    const [above, below] = [x[k - 1] + step, x[k - 1] - step]
    rows[k * n + k - 1] = below < low || (chance && above <= high) ? above : below
  }
  return rows
}

/** The mean of all corners but the worst, moved by a multiple of its way from the worst. */
function along({ corners }: State, n: number, factor: number): Float64Array {
  const worst = corner(corners, n, n)
  const x = new Float64Array(n)
  for (let j = 0; j < n; j++) {
    let center = 0
    for (let k = 0; k < n; k++) center += corners[k * n + j] / n
    x[j] = center + factor * (center - worst[j])
  }
  return x
}

function sort(own: State, n: number): void {
  const order = ranking(own.values)
  const { corners, values } = own
  own.corners = corners.map((_, at) => corners[order[Math.floor(at / n)] * n + (at % n)])
  own.values = values.map((_, k) => values[order[k]])
}

/** The trial takes the place of the worst corner, and the next reflection follows. */
function accept(own: State, x: Float64Array, value: number, n: number): void {
  own.corners.set(x, n * n)
  own.values[n] = value
  own.phase = 'reflect'
  sort(own, n)
}

/** Takes the answers; `phase` says what is asked next. */
function learn(own: State, { points, values }: Told, n: number): void {
  const [value] = values
  const best = own.values[0]
  switch (own.phase) {
    case 'begin':
      own.corners = points.slice()
      own.values = values.slice()
      own.phase = 'reflect'
      return sort(own, n)
    case 'shrink':
      own.corners.set(points, n)
      own.values.set(values, 1)
      own.phase = 'reflect'
      return sort(own, n)
    case 'reflect':
      own.reflected = points.slice()
      own.reflectedValue = value
      if (value < best) own.phase = 'expand'
      else if (value < own.values[n - 1]) accept(own, points, value, n)
      else own.phase = value < own.values[n] ? 'outside' : 'inside'
      return
    case 'expand': {
      const better = value < own.reflectedValue
      return accept(own, better ? points : own.reflected!, better ? value : own.reflectedValue, n)
    }
    case 'outside':
      if (value <= own.reflectedValue) return accept(own, points, value, n)
      break
    case 'inside':
      if (value < own.values[n]) return accept(own, points, value, n)
  }
  own.phase = 'shrink'
}

/** Where the bounds are; corners beyond them are moved there. */
function clip(x: Float64Array, { low, high }: Box): Float64Array {
  return x.map((v) => Math.min(Math.max(v, low), high))
}

export const method = generationsMethod<Config, State>({
  id: 'nelder-mead',
  title: 'Nelder-Mead',
  summary: 'A simplex that reflects, expands, contracts and shrinks: local search by values, best in few coordinates.',
  references: [
    {
      authors: 'J. A. Nelder, R. Mead',
      title: 'A Simplex Method for Function Minimization',
      year: 1965,
      url: 'https://doi.org/10.1093/comjnl/7.4.308',
    },
    {
      authors: 'F. Gao, L. Han',
      title: 'Implementing the Nelder-Mead simplex algorithm with adaptive parameters',
      year: 2012,
      url: 'https://doi.org/10.1007/s10589-010-9329-3',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', maxEvaluations: 200, target: 0.398 },
    { problem: 'rosenbrock', maxEvaluations: 400, target: 1e-10 },
    { problem: 'sphere-5d', maxEvaluations: 600, target: 1e-8 },
  ],
  invariances: ['monotone-values'],
  equations: () => [
    String.raw`x_r = \bar x + \alpha (\bar x - x_{n+1}), \quad x_e = \bar x + \beta (x_r - \bar x)`,
    String.raw`x_c = \bar x \pm \gamma (x_r - \bar x), \quad x_i \leftarrow x_1 + \delta (x_i - x_1)`,
    String.raw`\alpha = 1, \; \beta = 1 + \tfrac{2}{n}, \; \gamma = \tfrac34 - \tfrac{1}{2n}, \; \delta = 1 - \tfrac1n`,
  ],
  init: () => ({
    corners: new Float64Array(0),
    values: new Float64Array(0),
    phase: 'begin',
    reflected: null,
    reflectedValue: Number.POSITIVE_INFINITY,
    restart: 0,
    converged: false,
  }),
  breed({ config }, box, own, told, rng) {
    const n = box.dimension
    if (!told) return simplexAt(box.start, config.step, box, rng)
    learn(own, told, n)
    const { alpha, beta, gamma, delta } = coefficients(config, n)
    if (own.phase === 'reflect') {
      const best = corner(own.corners, 0, n)
      if (own.corners.every((x, at) => Math.abs(x - best[at % n]) <= config.tolerance)) {
        own.converged = own.restart >= config.restarts
        if (own.converged) return new Float64Array(0)
        own.restart++
        own.phase = 'begin'
        return clip(simplexAt(best.slice(), config.step, box, rng), box)
      }
    }
    const { corners } = own
    switch (own.phase) {
      case 'expand':
        return clip(along(own, n, alpha * beta), box)
      case 'outside':
        return clip(along(own, n, alpha * gamma), box)
      case 'inside':
        return clip(along(own, n, -gamma), box)
      case 'shrink':
        return corners.slice(n).map((x, at) => corners[at % n] + delta * (x - corners[at % n]))
      default:
        return clip(along(own, n, alpha), box)
    }
  },
  finished: (_, { converged }) => (converged ? 'the simplex has converged, and no restart is left' : undefined),
  estimate: (_, { restart }) => ({ metrics: { restart } }),
})
