/**
 * Fixed points of an operator T by averaged iteration in a Bregman geometry: J. Fein-Ashley, "Iterate to Accelerate: A Unified
 * Framework for Iterative Reasoning and Feedback Convergence", 2025 (arXiv:2502.03787).
 *
 * Averaged: grad phi(s_{t+1}) = (1 - alpha_t) grad phi(s_t) + alpha_t grad phi(T(s_t, y_t)) + eta_t. T is told (`map`; a
 * Bellman backup, `bellman`), or the mirror step of a function whose gradient is told. Accelerated, for the latter, is
 * P. Tseng, "On accelerated proximal gradient methods for convex-concave optimization", 2008, algorithm 1, with
 * f(y_T) - f* at most 4*L*D(x*, z_0)/(T + 1)^2.
 */
import type { Run } from '../../core/method.js'
import type { Quantity } from '../../core/query.js'
import { type Flat, flatOf, plus, spaceOf } from '../flat.js'
import { checkNames, checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { averagingOf, type Config, config, type State, weight } from './averages.js'
import { checkMap, type Geometry, geometryOf } from './geometry.js'

/** A residual that falls to this share of itself in a step falls fast enough for no averaging. */
const FALLS = 0.95

function geometry({ config, problem, memo }: Run<Config>): Geometry {
  if (!memo.has('geometry'))
    memo.set('geometry', geometryOf(config.geometry, config.mirrorMap, spaceOf(problem).tensors))
  return memo.get('geometry') as Geometry
}

/** Where the gradient is asked when accelerated. */
const between = (config: Config, state: State): Float64Array => {
  const alpha = weight(config, state)
  return state.s.map((y, i) => (1 - alpha) * y + alpha * state.z[i])
}

/** The mirror step from z of a rate: argmin <g, u> + D(u, z)/rate. */
const mirrorStep = ({ dual, primal }: Geometry, z: Float64Array, rate: number, g: Float64Array): Float64Array =>
  primal(plus(dual(z), -rate, g))

function accelerate(run: Run<Config>, state: State, g: Float64Array) {
  const { config } = run
  const map = geometry(run)
  const alpha = weight(config, state)
  const z = mirrorStep(map, state.z, 1 / (config.lipschitz * alpha), g)
  state.residual = map.divergence(z, state.z)
  state.z = z
  move(state, between(config, state), alpha)
}

/** The average of s and its image, in the dual. */
function average(run: Run<Config>, flat: Flat, state: State, image: Float64Array, perturbation?: ArrayLike<number>) {
  const { config } = run
  const map = geometry(run)
  const residual = map.divergence(image, state.s)
  const falls = state.residual === null || residual <= FALLS * state.residual
  state.since = falls ? 0 : state.since + 1
  state.residual = residual
  const alpha = weight(config, state)
  state.distance = image.reduce((most, v, i) => Math.max(most, Math.abs(v - state.s[i])), 0)
  const [from, to] = [map.dual(state.s), map.dual(image)]
  const s = map.primal(from.map((u, i) => (1 - alpha) * u + alpha * to[i] + (perturbation?.[i] ?? 0)))
  for (const name of config.feedback) {
    const [first, end] = flat.range(name)!
    s.set(image.subarray(first, end), first)
  }
  move(state, s, alpha)
}

function move(state: State, s: Float64Array, alpha: number) {
  state.left = !s.every(Number.isFinite)
  if (state.left) return
  state.s = s
  state.alpha = alpha
  state.t++
}

const PERTURBATION = 'added to the dual of the next state, in the order of the tensors'

export const method = turnsMethod<Config, State>({
  id: 'iterate-accelerate',
  family: 'gradient',
  title: 'Averaged and accelerated fixed-point iteration',
  summary:
    'Fixed points of a told operator by averages in Bregman geometry, and convex minima at the accelerated rate. What the ' +
    'operator makes of the point is told as the quantity `image`; texts are refined by `iterate-refine`.',
  references: [
    {
      authors: 'J. Fein-Ashley',
      title: 'Iterate to Accelerate: A Unified Framework for Iterative Reasoning and Feedback Convergence',
      year: 2025,
      url: 'https://arxiv.org/abs/2502.03787',
    },
    {
      authors: 'P. Tseng',
      title: 'On accelerated proximal gradient methods for convex-concave optimization',
      year: 2008,
    },
  ],
  config,
  recipes: [
    { problem: 'fixed-point', maxEvaluations: 400, target: 1e-2 },
    { problem: 'fixed-point', config: { operator: 'bellman', contraction: 0.5 }, maxEvaluations: 60, target: 1e-6 },
    { problem: 'fixed-point', config: { averaging: 'adaptive' }, maxEvaluations: 100, target: 1e-6 },
    { problem: 'quadratic', config: { operator: 'mirror', lipschitz: 10 }, maxEvaluations: 300, target: 1e-3 },
  ],
  equations: (config) =>
    averagingOf(config) === 'accelerated'
      ? [
          String.raw`x = (1 - \alpha_t) y_t + \alpha_t z_t, \quad \alpha_t = \frac{2}{t + 1}`,
          String.raw`z_{t+1} = \arg\min_u \langle \nabla f(x), u \rangle + L \alpha_t D(u, z_t)`,
          String.raw`y_{t+1} = (1 - \alpha_t) y_t + \alpha_t z_{t+1}`,
        ]
      : [String.raw`\nabla\phi(s_{t+1}) = (1 - \alpha_t) \nabla\phi(s_t) + \alpha_t \nabla\phi(T(s_t, y_t)) + \eta_t`],
  needs: ({ operator, perturbation }) => {
    if (operator !== 'mirror') return ['quantities']
    return perturbation ? ['gradient', 'quantities'] : ['gradient']
  },
  check(config, problem) {
    const { operator, geometry, mirrorMap, feedback, perturbation } = config
    const issues = [
      ...checkNames(feedback, problem, 'config.feedback'),
      ...checkUnbounded('iterate-accelerate', problem),
    ]
    const bad = (field: string, message: string) => issues.push({ path: `config.${field}`, message })
    const accelerated = averagingOf(config) === 'accelerated'
    if (accelerated && operator !== 'mirror') bad('averaging', 'only the mirror step of a function is accelerated')
    if (accelerated && perturbation) bad('perturbation', 'is added to averages; accelerated takes none')
    if (operator === 'mirror' && feedback.length > 0) bad('feedback', 'a mirror step sets no feedback state')
    if ((geometry === 'custom') !== (mirrorMap !== undefined))
      bad('mirrorMap', mirrorMap ? 'belongs to the geometry custom' : 'is missing')
    if (config.contraction !== undefined && (geometry !== 'euclidean' || accelerated))
      bad('contraction', 'bounds the error of Euclidean averages alone')
    if (mirrorMap) issues.push(...checkMap(mirrorMap, flatOf(problem).start(), 'config.mirrorMap'))
    const { initial } = spaceOf(problem)
    if (geometry === 'entropy')
      for (const [name, values] of Object.entries(initial ?? {}))
        if (!feedback.includes(name) && values.some((p) => p !== 0) && values.some((p) => p <= 0))
          issues.push({ path: `space.initial.${name}`, message: 'expected positive numbers: distributions' })
    return issues
  },
  init(run, flat) {
    const start = flat.start()
    // Of entropy, distributions: zeros stand for the uniform one.
    const s = run.config.geometry === 'entropy' ? geometry(run).primal(geometry(run).dual(start)) : start
    for (const name of run.config.feedback) s.set(start.subarray(...flat.range(name)!), flat.range(name)![0])
    return { s, z: s, t: 0, since: 0, residual: null, alpha: 1, distance: 0, left: false }
  },
  ask({ config }, flat, state) {
    const { operator } = config
    const shape = [flat.dimension]
    const quantities: Quantity[] = []
    if (operator !== 'mirror')
      quantities.push({ name: 'image', shape, description: 'T at the point, in the order of the tensors' })
    if (config.perturbation) quantities.push({ name: 'perturbation', shape, description: PERTURBATION })
    return {
      points: [averagingOf(config) === 'accelerated' ? between(config, state) : state.s],
      wants: [
        ...(operator === 'mirror' ? [{ kind: 'gradient' as const }] : []),
        ...(quantities.length > 0 ? [{ kind: 'quantities' as const, quantities }] : []),
      ],
      purpose: operator,
    }
  },
  learn(run, flat, state, { gradients, quantities }) {
    const { config, problem } = run
    const perturbation = quantities?.[0].perturbation
    if (!gradients) return average(run, flat, state, Float64Array.from(quantities![0].image), perturbation)
    const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
    const g = flat.vector(gradients[0]).map((value) => sign * value)
    if (averagingOf(config) === 'accelerated') return accelerate(run, state, g)
    average(run, flat, state, mirrorStep(geometry(run), state.s, 1 / config.lipschitz, g), perturbation)
  },
  finished({ config: { tolerance } }, { residual, left }) {
    if (left) return 'a step would leave the domain of the mirror map'
    return tolerance > 0 && residual !== null && residual <= tolerance
      ? `the residual is at most ${tolerance}`
      : undefined
  },
  estimate({ config }, { s, t, residual, alpha, distance }) {
    const { contraction: q } = config
    const metrics = {
      stepWeight: alpha,
      ...(residual !== null && { residual }),
      // The state before is within distance/(1 - q) of the fixed point, its image within q times that.
      ...(q !== undefined && t > 0 && { errorBound: ((1 - alpha + alpha * q) / (1 - q)) * distance }),
    }
    return { x: s, kind: averagingOf(config) === 'constant' ? 'iterate' : 'average', step: t, metrics }
  },
})
