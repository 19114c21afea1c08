/**
 * The method of conjugate directions of M. J. D. Powell, "An efficient method for finding the minimum of a function of several
 * variables without calculating derivatives", Computer Journal 7, 1964.
 *
 * A sweep searches along one direction after the other. When the way of the whole sweep promises more than it has given, it
 * takes the place of the direction that has given most, so that the directions become conjugate; Powell's test, in the form
 * of W. H. Press et al., "Numerical Recipes", 3rd edition, 10.7, keeps them independent. Lines end at the bounds. The first
 * directions are the coordinates, in a random order.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Box } from '../evolution/box.js'
import { generationsMethod, pointsPerQuery } from '../evolution/generations.js'
import { type Line, nextPlace, startLine, tellPlace } from './line.js'

const config = z.strictObject({
  step: field(
    z.number().positive().default(0.2),
    'How far the first searches look: a part of the range, of unbounded tensors absolute.',
    { source: 'ours', log: true },
  ),
  lineTolerance: field(z.number().positive().max(0.5).default(0.1), 'Relative accuracy along a line.', {
    source: 'ours',
    log: true,
  }),
  lineEvaluations: field(z.int().min(3).default(20), 'Evaluations along a line at most.', { source: 'ours' }),
  tolerance: field(
    z.number().min(0).default(1e-10),
    'It has converged when a sweep moves no coordinate farther than this.',
    { source: 'ours', log: true },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  phase: 'start' | 'line' | 'beyond' | 'last' | 'converged'
  x: Float64Array
  f: number
  /** One a row, of length 1, and how far a search along it looks. */
  directions: Float64Array
  reaches: Float64Array
  /** Where the sweep began. */
  from: Float64Array
  fFrom: number
  /** The direction that is searched, and the one that has given most in this sweep. */
  index: number
  best: number
  gain: number
  /** What the present direction has given so far. */
  here: number
  line: Line
  sweeps: number
}

const row = ({ directions }: State, i: number, n: number) => directions.subarray(i * n, (i + 1) * n)
const moved = (x: Float64Array, t: number, d: Float64Array) => x.map((v, j) => v + t * d[j])
const clipped = (x: Float64Array, { low, high }: Box) => x.map((v) => Math.min(Math.max(v, low), high))

/** How far along a direction the bounds are: the most negative and the most positive multiple of it. */
function room(x: Float64Array, d: Float64Array, { low, high }: Box): [number, number] {
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  d.forEach((slope, j) => {
    if (slope === 0) return
    const [a, b] = [(low - x[j]) / slope, (high - x[j]) / slope]
    least = Math.max(least, Math.min(a, b))
    most = Math.min(most, Math.max(a, b))
  })
  return [Math.min(least, 0), Math.max(most, 0)]
}

function begin(own: State, box: Box, phase: 'line' | 'last'): void {
  const d = row(own, own.index, own.x.length)
  const [least, most] = room(own.x, d, box)
  const reach = own.reaches[own.index]
  own.line = startLine(Math.max(-reach, least), Math.min(reach, most), own.f)
  own.phase = phase
}

function beginSweep(own: State, box: Box): void {
  own.from = own.x.slice()
  own.fFrom = own.f
  own.index = own.best = own.gain = 0
  begin(own, box, 'line')
}

/** Goes to the best place of the line. Whether it lies so far out that the minimum may be farther. */
function settle(own: State, config: Config, box: Box): boolean {
  const { line, index } = own
  own.here += own.f - line.fx
  own.x = clipped(moved(own.x, line.x, row(own, index, own.x.length)), box)
  own.f = line.fx
  const reach = own.reaches[index]
  const way = Math.abs(line.x)
  const far = way > 0.8 * reach
  own.reaches[index] = far ? 2 * reach : Math.max(4 * way, reach / 4, 4 * config.tolerance)
  if (far) return true
  if (own.phase === 'line' && own.here > own.gain) [own.gain, own.best] = [own.here, index]
  own.here = 0
  return false
}

/** The way of the sweep becomes the last direction, and the one that has given most goes. */
function replace(own: State, n: number): void {
  const way = own.x.map((v, j) => v - own.from[j])
  const length = Math.hypot(...way)
  own.directions.copyWithin(own.best * n, (n - 1) * n, n * n)
  own.directions.set(
    way.map((v) => v / length),
    (n - 1) * n,
  )
  own.reaches[own.best] = own.reaches[n - 1]
  own.reaches[n - 1] = length
  own.index = n - 1
}

/** The next point to evaluate, after all that follows without one. */
function advance(own: State, config: Config, box: Box): Float64Array {
  const n = own.x.length
  for (;;) {
    const { line, index, phase } = own
    const t = line.count < config.lineEvaluations ? nextPlace(line, config.lineTolerance) : undefined
    if (t !== undefined) return clipped(moved(own.x, t, row(own, index, n)), box)
    if (settle(own, config, box)) {
      begin(own, box, phase as 'line' | 'last')
      continue
    }
    if (phase === 'line' && index + 1 < n) {
      own.index++
      begin(own, box, 'line')
      continue
    }
    own.sweeps++
    if (own.x.every((v, j) => Math.abs(v - own.from[j]) <= config.tolerance)) {
      own.phase = 'converged'
      return new Float64Array(0)
    }
    if (phase === 'line') {
      own.phase = 'beyond'
      return clipped(
        own.x.map((v, j) => 2 * v - own.from[j]),
        box,
      )
    }
    beginSweep(own, box)
  }
}

export const method = generationsMethod<Config, State>({
  id: 'powell',
  title: "Powell's method",
  summary: 'Searches along directions that become conjugate: local search by values, best where valleys are smooth.',
  references: [
    {
      authors: 'M. J. D. Powell',
      title:
        'An efficient method for finding the minimum of a function of several variables without calculating derivatives',
      year: 1964,
      url: 'https://doi.org/10.1093/comjnl/7.2.155',
    },
    {
      authors: 'R. P. Brent',
      title: 'Algorithms for Minimization without Derivatives',
      year: 1973,
    },
  ],
  config,
  recipes: [
    { problem: 'branin', maxEvaluations: 200, target: 0.398 },
    { problem: 'rosenbrock', maxEvaluations: 400, target: 1e-10 },
    { problem: 'sphere-5d', maxEvaluations: 150, target: 1e-8 },
  ],
  equations: () => [
    String.raw`x_{i+1} = x_i + \arg\min_t f(x_i + t d_i) \, d_i`,
    String.raw`2 (f_0 - 2 f_n + f_e)(f_0 - f_n - \Delta)^2 < \Delta (f_0 - f_e)^2 \;\Rightarrow\; d \leftarrow x_n - x_0`,
  ],
  init({ config }, { dimension: n, start }, rng) {
    const directions = new Float64Array(n * n)
    rng.shuffle([...directions.subarray(0, n).keys()]).forEach((axis, i) => {
      directions[i * n + axis] = 1
    })
    return {
      ...{ phase: 'start', x: start, f: Number.POSITIVE_INFINITY, directions, from: start },
      reaches: new Float64Array(n).fill(config.step),
      ...{ fFrom: 0, index: 0, best: 0, gain: 0, here: 0, line: startLine(0, 0, 0), sweeps: 0 },
    }
  },
  breed({ config }, box, own, told) {
    if (!told) return own.x.slice()
    const [value] = told.values
    if (own.phase === 'start') {
      own.f = value
      beginSweep(own, box)
    } else if (own.phase === 'beyond') {
      const { fFrom, f, gain } = own
      const bent = 2 * (fFrom - 2 * f + value) * (fFrom - f - gain) ** 2 < gain * (fFrom - value) ** 2
      if (value < fFrom && bent) {
        replace(own, box.dimension)
        begin(own, box, 'last')
      } else beginSweep(own, box)
    } else tellPlace(own.line, value)
    return advance(own, config, box)
  },
  finished: (_, { phase }) => (phase === 'converged' ? 'a sweep has moved no farther than the tolerance' : undefined),
  estimate: (_, { sweeps }) => ({ metrics: { sweeps } }),
})
