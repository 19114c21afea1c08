/**
 * M. J. D. Powell, "The BOBYQA algorithm for bound constrained optimization without derivatives", DAMTP 2009/NA06.
 *
 * A quadratic model goes through a fixed number of points; of all such it is the one whose Hessian has changed least. Its
 * minimum in a ball about the best point and in the bounds is evaluated, and takes the place of the point that the model can
 * best do without. Where the model fails, the point farthest from the best is moved to where it tells most. The ball follows
 * how good the predictions are, and is at least of the radius `rho`, which falls when the model has no more to give on that
 * scale, to the end of the search. The constants in the rules are Powell's.
 *
 * As in Py-BOBYQA (C. Cartis, J. Fiala, B. Marteau, L. Roberts, "Improving the Flexibility and Robustness of Model-Based
 * Derivative-Free Optimization Solvers", ACM TOMS 45, 2019) the model is solved for anew in each round, where Powell updates an
 * inverse, and the point of most use is the maximum of a Lagrange polynomial. A set of points that rounding has made useless
 * is laid out anew about the best. A value of infinity counts in the model as the worst of its other points.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { type Box, boxOf } from '../evolution/box.js'
import { generationsMethod, pointsPerQuery, type Told } from '../evolution/generations.js'
import { dot } from '../linalg/dense.js'
import { boxedStep, type Step } from './boxed-step.js'
import { layout, mostTelling } from './geometry.js'
import { change, denominators, type Interpolation, interpolation, type Model, modelThrough } from './interpolation.js'

/** The work of a round grows with the third power of the coordinates. */
const MAX_DIMENSION = 100
/** Of the ball where there are no bounds: its fourth power is a number. */
const MAX_RADIUS = 1e60

const config = z.strictObject({
  step: field(
    z.number().positive().default(0.2),
    'The first radius: a part of the range, of unbounded tensors absolute. At most a quarter of the range.',
    { source: 'ours', log: true },
  ),
  tolerance: field(
    z.number().positive().default(1e-8),
    'It has converged when the radius is down to this, or to where coordinates are rounded.',
    { source: 'Py-BOBYQA', log: true },
  ),
  interpolationPoints: field(
    z.int().min(3).optional(),
    'Points of the model, n + 2 to (n + 1)(n + 2) / 2 for n coordinates; 2 n + 1 when absent.',
    { source: 'Powell 2009', advanced: true },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  phase: 'design' | 'step' | 'geometry' | 'last' | 'converged'
  /** Of the model, one a row, and what was told of them, divided by a power of two so that the first are about 1. */
  points: Float64Array
  values: Float64Array
  unit: number
  best: number
  hessian: Float64Array
  /** Of the ball, and the least that it may have now. */
  radius: number
  rho: number
  /**
   * Of the open point: its distance from the best, how the model has the value change, and how much better the points would
   * determine the model with it in the place of each.
   */
  length: number
  predicted: number
  sigma: Float64Array
  /** Which point it replaces, where it was asked for the sake of the model. */
  target: number
  /** Errors of the last three predictions. */
  errors: number[]
  /** Answers since rho or a longer step; rounds in a row in which a fresh model would have been much flatter. */
  recent: number
  flatter: number
}

const rowOf = ({ points }: State, i: number, n: number) => points.subarray(i * n, (i + 1) * n)
const countFor = ({ interpolationPoints }: Config, n: number) => interpolationPoints ?? 2 * n + 1
const distance = (a: Float64Array, b: Float64Array) => Math.hypot(...a.map((v, j) => v - b[j]))

/** The values as the model takes them: an infinite one as the worst of the others. */
function finite(values: Float64Array): Float64Array {
  const worst = values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, v) : most), Number.NEGATIVE_INFINITY)
  return values.map((v) => (Number.isFinite(v) ? v : Number.isFinite(worst) ? worst : 0))
}

const leastOf = (values: Float64Array) => values.reduce((best, v, i) => (v < values[best] ? i : best), 0)

/** Radius at which the search ends: below it steps are lost in rounding, or change no integer. */
function endOf(own: State, { tolerance }: Config, box: Box): number {
  const x = rowOf(own, own.best, box.dimension)
  const rounding = x.reduce((most, v) => Math.max(most, 16 * Number.EPSILON * Math.abs(v)), tolerance)
  const shares = Array.from(x, (v, j) => box.share(j, v)).map((share) => (share ? share[1] - share[0] : 0))
  return Math.max(rounding, Math.min(...shares) / 2)
}

/** The point takes the place of number t. */
function replace(own: State, t: number, x: Float64Array, value: number): void {
  own.points.set(x, t * x.length)
  own.values[t] = value
  if (value < own.values[own.best]) own.best = t
}

/** Takes the answers. What part of the promise of the model a step has kept; 1 where there was none. */
function learn(own: State, { points, values }: Told, n: number): number {
  if (own.phase === 'design') {
    const known = own.values.length - values.length
    if (known === 0) {
      const most = values.reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0)
      own.unit = most > 0 ? 2 ** Math.floor(Math.log2(most)) : 1
    }
    own.values.set(
      values.map((v) => v / own.unit),
      known,
    )
    own.best = leastOf(own.values)
    return 1
  }
  const value = values[0] / own.unit
  const before = finite(own.values)[own.best]
  const gain = before - value
  own.errors = [Math.abs(gain + own.predicted), ...own.errors.slice(0, 2)]
  own.recent++
  if (own.phase === 'geometry') {
    replace(own, own.target, points, value)
    return 1
  }
  if (own.length > own.rho) own.recent = 0
  const ratio = gain / -own.predicted
  if (!(ratio > 0.1)) own.radius = Math.min(own.radius / 2, own.length)
  else if (ratio <= 0.7) own.radius = Math.max(own.radius / 2, own.length)
  else own.radius = Math.max(own.radius / 2, 2 * own.length)
  own.radius = own.radius <= 1.5 * own.rho ? own.rho : Math.min(own.radius, MAX_RADIUS)
  const better = value < own.values[own.best]
  const center = better ? points : rowOf(own, own.best, n)
  const worth = own.sigma.map((sigma, t) => {
    if (t === own.best && !better) return -1
    return sigma * Math.max(1, distance(rowOf(own, t, n), center) / own.radius) ** 4
  })
  const t = worth.indexOf(Math.max(...worth))
  if (t >= 0) replace(own, t, points, value)
  return ratio
}

/** The best point, and how far the bounds are from it. */
function surroundings(own: State, { dimension, low, high }: Box) {
  const x = rowOf(own, own.best, dimension)
  return { x, low: x.map((v) => low - v), high: x.map((v) => high - v) }
}

/** Asks for the best point plus d. */
function ask(own: State, set: Interpolation, model: Model, phase: State['phase'], d: Float64Array, box: Box) {
  const { x } = surroundings(own, box)
  const point = x.map((v, j) => Math.min(Math.max(v + d[j], box.low), box.high))
  own.phase = phase
  own.length = Math.min(Math.hypot(...d), own.radius)
  own.predicted = change(model, d)
  own.sigma = denominators(set, d)
  return point
}

/** The point farthest from the best, if it is farther than `least`. */
function farthest(own: State, least: number, n: number): { t: number; far: number } | undefined {
  const far = own.values.map((_, t) => distance(rowOf(own, t, n), rowOf(own, own.best, n)))
  const t = far.indexOf(Math.max(...far))
  return far[t] > least ? { t, far: far[t] } : undefined
}

/** Moves point t to where it tells most. */
function mend(own: State, set: Interpolation, model: Model, { t, far }: { t: number; far: number }, box: Box) {
  const { low, high } = surroundings(own, box)
  const radius = Math.max(Math.min(0.1 * far, own.radius), own.rho)
  own.target = t
  return ask(own, set, model, 'geometry', mostTelling(set, t, low, high, radius), box)
}

/** The model of the present points, the last one changed as little as can be, or one afresh where that is much flatter. */
function modelOf(own: State, set: Interpolation, box: Box): Model {
  const { low, high } = surroundings(own, box)
  const values = finite(own.values)
  const model = modelThrough(set, values, own.hessian)
  const slope = ({ gradient }: Model) =>
    gradient.reduce((sum, g, j) => ((g > 0 ? low[j] < 0 : high[j] > 0) ? sum + g * g : sum), 0)
  if (own.phase === 'step') {
    const fresh = modelThrough(set, values, new Float64Array(own.hessian.length))
    own.flatter = slope(model) < 10 * slope(fresh) ? 0 : own.flatter + 1
    if (own.flatter >= 3) {
      own.flatter = 0
      own.hessian = fresh.hessian
      return fresh
    }
  }
  own.hessian = model.hessian
  return model
}

/** Whether recent predictions were good enough for the model to be trusted that nothing is left on the scale of rho. */
function trusted({ errors, rho }: State, model: Model, { d, curvature }: Step, low: Float64Array, high: Float64Array) {
  const n = d.length
  const error = Math.max(...errors)
  if (curvature > 0 && curvature < Number.POSITIVE_INFINITY && error > 0.125 * rho * rho * curvature) return false
  return d.every((v, j) => {
    if (v !== low[j] && v !== high[j]) return true
    const slope = model.gradient[j] + dot(d, model.hessian.subarray(j * n, (j + 1) * n))
    const rise = (v === low[j] ? slope : -slope) + 0.5 * rho * Math.max(model.hessian[j * n + j], 0)
    return rise >= error / rho
  })
}

/** The next scale; false at the end. */
function refine(own: State, end: number): boolean {
  const { rho } = own
  if (rho <= end) return false
  own.rho = rho <= 16 * end ? end : rho <= 250 * end ? Math.sqrt(rho * end) : 0.1 * rho
  own.radius = Math.max(rho / 2, own.rho)
  own.recent = 0
  return true
}

const converge = (own: State) => {
  own.phase = 'converged'
  return new Float64Array(0)
}

/** Other points for the model, about the best. */
function anew(own: State, box: Box, rng: Rng): Float64Array {
  const value = own.values[own.best]
  own.radius = Math.min(own.radius, (box.high - box.low) / 4)
  own.points = layout(rowOf(own, own.best, box.dimension), own.values.length, own.radius, box, rng)
  own.values[0] = value
  own.best = 0
  own.hessian.fill(0)
  own.phase = 'design'
  return own.points.slice(box.dimension)
}

/** The next points to evaluate. */
function advance(own: State, ratio: number, config: Config, box: Box, rng: Rng): Float64Array {
  const n = box.dimension
  const end = endOf(own, config, box)
  const set = interpolation(own.points, n, own.best, own.radius)
  if (!set) return own.phase === 'design' || own.radius <= end ? converge(own) : anew(own, box, rng)
  const model = modelOf(own, set, box)
  if (!(ratio >= 0.1)) {
    const far = farthest(own, Math.max(2 * own.radius, 10 * own.rho), n)
    if (far) return mend(own, set, model, far, box)
    if (!(ratio > 0) && Math.max(own.radius, own.length) <= own.rho && !refine(own, end)) return converge(own)
  }
  const { low, high } = surroundings(own, box)
  for (;;) {
    const step = boxedStep(model, low, high, own.radius)
    const promising = change(model, step.d) < 0
    const length = Math.hypot(...step.d)
    if (promising && length >= 0.5 * own.rho) return ask(own, set, model, 'step', step.d, box)
    if (own.recent <= 2 || !trusted(own, model, step, low, high)) {
      const far = farthest(own, 10 * own.rho, n)
      if (far) {
        own.radius = Math.min(0.1 * own.radius, 0.5 * far.far)
        if (own.radius <= 1.5 * own.rho) own.radius = own.rho
        return mend(own, set, model, far, box)
      }
    }
    if (refine(own, end)) continue
    return promising && length > 0 ? ask(own, set, model, 'last', step.d, box) : converge(own)
  }
}

export const method = generationsMethod<Config, State>({
  id: 'bobyqa',
  title: 'BOBYQA',
  summary:
    'Quadratic models in a trust region within bounds: local search by values, best where the objective is smooth.',
  references: [
    {
      authors: 'M. J. D. Powell',
      title: 'The BOBYQA algorithm for bound constrained optimization without derivatives',
      year: 2009,
      url: 'https://www.damtp.cam.ac.uk/user/na/NA_papers/NA2009_06.pdf',
    },
    {
      authors: 'C. Cartis, J. Fiala, B. Marteau, L. Roberts',
      title: 'Improving the Flexibility and Robustness of Model-Based Derivative-Free Optimization Solvers',
      year: 2019,
      url: 'https://doi.org/10.1145/3338517',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', maxEvaluations: 100, target: 0.398 },
    { problem: 'rosenbrock', maxEvaluations: 200, target: 1e-10 },
    { problem: 'sphere-5d', maxEvaluations: 40, target: 1e-8 },
  ],
  equations: () => [
    String.raw`Q_k = \arg\min_Q \|\nabla^2 Q - \nabla^2 Q_{k-1}\|_F \;\text{ with }\; Q(y_j) = f(y_j), \; j = 1, \dots, m`,
    String.raw`x_{k+1} = \arg\min_x Q_k(x) \;\text{ with }\; \|x - x_k\| \le \Delta_k, \; l \le x \le u`,
  ],
  check({ interpolationPoints: m }, { space }) {
    if (space.kind !== 'search' && space.kind !== 'tensors') return []
    const { dimension: n } = boxOf(space)
    if (n > MAX_DIMENSION) {
      const path = space.kind === 'search' ? 'space.parameters' : 'space.tensors'
      return [{ path, message: `bobyqa takes up to ${MAX_DIMENSION} coordinates, got ${n}` }]
    }
    const [least, most] = [n + 2, ((n + 1) * (n + 2)) / 2]
    if (m === undefined || (m >= least && m <= most)) return []
    return [{ path: 'config.interpolationPoints', message: `expected ${least} to ${most}, got ${m}` }]
  },
  init({ config }, box, rng) {
    const n = box.dimension
    const radius = Math.min(config.step, (box.high - box.low) / 4)
    const count = countFor(config, n)
    return {
      phase: 'design',
      points: layout(box.start, count, radius, box, rng),
      values: new Float64Array(count),
      ...{ unit: 1, best: 0, hessian: new Float64Array(n * n), radius, rho: radius, length: 0, predicted: 0 },
      ...{ sigma: new Float64Array(count), target: 0, errors: [0, 0, 0], recent: 0, flatter: 0 },
    }
  },
  breed({ config }, box, own, told, rng) {
    if (!told) return own.points.slice()
    if (own.phase === 'last') return converge(own)
    const ratio = learn(own, told, box.dimension)
    return advance(own, ratio, config, box, rng)
  },
  finished: (_, { phase }) => (phase === 'converged' ? 'the trust region is as small as the tolerance' : undefined),
  estimate: (_, { radius, rho }) => ({ metrics: { radius, rho } }),
})
