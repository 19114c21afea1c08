/**
 * Acceleration without convexity: Q. Fu, D. Xu, A. C. Wilson, "Accelerated Stochastic Optimization Methods under
 * Quasar-convexity", ICML 2023 (arXiv:2305.04736), algorithms 1 to 3. A function is gamma-quasar-convex when
 * f(x*) >= f(x) + <grad f(x), x* - x>/gamma for all x: unimodal on all lines through a minimizer x*.
 *
 * A step takes x = tau*y + (1 - tau)*z, where tau is found on one batch by a search (O. Hinder, A. Sidford, N. Sohoni,
 * "Near-Optimal Methods for Minimizing Star-Convex Functions and Beyond", COLT 2020, algorithm 3), and moves y and z by the
 * gradient at x: of the whole sum (qagd), of a batch (qasgd), or of a batch less its noise at a snapshot (qasvrg).
 *
 * Queries with the purpose `snapshot` are for the whole sum, the others for the batch of their sample key, of which the
 * session reports `batchSize`.
 */
import type { Run } from '../../core/method.js'
import type { Observation, Want } from '../../core/query.js'
import { dot, type Flat, plus } from '../flat.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { batchOf, type Config, config, coupling, move, stageLength } from './quasar.js'

export type State = {
  y: Float64Array
  z: Float64Array
  /** qasvrg: the snapshot, its value and its full gradient. */
  w: Float64Array
  full: Float64Array | null
  fw: number
  /** What was told at x, while the gradient of the batch at the snapshot is awaited. */
  told: Float64Array | null
  phase: 'snapshot' | 'value' | 'search' | 'correction'
  /** The search: the value at y, the weight that is tried, how many were, and where the halving is. */
  fy: number
  tau: number
  tries: number
  low: number
  high: number
  /** Steps of the stage so far, and when it ends; steps and stages in all. */
  k: number
  end: number
  stages: number
  t: number
}

/** Halvings after which the bracket is a point. */
const MOST_TRIES = 60

const same = (a: Float64Array, b: Float64Array) => a.every((value, i) => value === b[i])
const between = ({ y, z, tau }: State) => y.map((value, i) => tau * value + (1 - tau) * z[i])

/** Begins step k: where y and z are one, nothing is to be searched. */
function beginStep(config: Config, own: State) {
  const together = same(own.y, own.z)
  own.phase = together ? 'search' : 'value'
  own.tau = together ? 1 : coupling(config, own.k).guess
  own.tries = 0
  own.low = 0
  own.high = 1
}

function beginStage(config: Config, own: State) {
  own.w = own.y
  own.z = own.y
  own.k = 0
  own.stages++
  own.end = stageLength(config, dot(own.w, own.w), own.fw)
}

function finishStep(config: Config, own: State, gradient: Float64Array) {
  Object.assign(own, move(config, own.k, between(own), own.z, gradient))
  own.told = null
  own.k++
  own.t++
  if (config.variant === 'qasvrg' && own.k >= own.end) own.phase = 'snapshot'
  else beginStep(config, own)
}

/** Whether the weight that was tried is taken; if not, the next is set. */
function settled(config: Config, own: State, f: number, slope: number, square: number): boolean {
  const { c, b } = coupling(config, own.k)
  const { tolerance } = config
  const { tau, fy } = own
  const p = b * square
  const holds = c * f + tau * (slope - tau * p) <= c * fy + tolerance
  switch (own.tries++) {
    case 0:
      if (holds) return true
      own.tau = 1
      return false
    case 1:
      if (slope <= tolerance + p) return true
      own.tau = 0
      return false
    case 2:
      if (f <= fy + tolerance / c) return true
      break
    default:
      if (holds || own.tries > MOST_TRIES) return true
      if (f <= fy) own.high = tau
      else own.low = tau
  }
  own.tau = (own.low + own.high) / 2
  return false
}

function learn({ config, problem }: Run<Config>, flat: Flat, own: State, { gradients, values }: Observation) {
  const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
  const value = sign * (values?.[0][0] ?? Number.NaN)
  const gradient = gradients && flat.vector(gradients[0]).map((g) => sign * g)
  switch (own.phase) {
    case 'snapshot':
      own.fw = value
      own.full = gradient!
      beginStage(config, own)
      own.tau = 1
      // The first step is from the snapshot itself, where no batch is needed.
      return finishStep(config, own, own.full)
    case 'value':
      own.fy = value
      own.phase = 'search'
      return
    case 'search': {
      const g = gradient!
      const apart = plus(own.y, -1, own.z)
      const square = dot(apart, apart)
      if (square > 0 && !settled(config, own, value, dot(g, apart), square)) return
      if (config.variant !== 'qasvrg') return finishStep(config, own, g)
      own.told = g
      own.phase = 'correction'
      return
    }
    case 'correction': {
      const { told, full } = own
      const correction = gradient!
      return finishStep(
        config,
        own,
        full!.map((G, i) => told![i] - correction[i] + G),
      )
    }
  }
}

const VALUE: readonly Want[] = [{ kind: 'value' }]
const GRADIENT: readonly Want[] = [{ kind: 'gradient' }]
const BOTH: readonly Want[] = [...GRADIENT, ...VALUE]

function turn(config: Config, own: State): Turn {
  const { phase, y, w, t, stages } = own
  const at = (x: Float64Array, wants: readonly Want[]): Turn => ({
    points: [x],
    wants,
    purpose: phase,
    sampleKey: config.variant === 'qagd' ? 'full' : phase === 'snapshot' ? `snapshot${stages}` : `s${t}`,
  })
  if (phase === 'snapshot') return at(y, BOTH)
  if (phase === 'value') return at(y, VALUE)
  return phase === 'search' ? at(between(own), BOTH) : at(w, GRADIENT)
}

const SEARCH = String.raw`x = \tau y + (1-\tau) z,\quad c f(x) + \tau \left(\langle g(x), y - z \rangle - \tau b \|y - z\|^2\right) \le c f(y) + \epsilon`
const MOVES = {
  qagd: [String.raw`y \leftarrow x - \frac{g}{L},\quad z \leftarrow z - \frac{\gamma (2k+3)}{4L} g`],
  qasgd: [String.raw`y \leftarrow x,\quad z \leftarrow z - \frac{\eta (2k+3)}{\gamma} g_B`],
  sgc: [String.raw`y \leftarrow x - \frac{g_B}{\rho L},\quad z \leftarrow z - \frac{\gamma (2k+3)}{4L\rho^2} g_B`],
  qasvrg: [
    String.raw`G = g_B(x) - g_B(w) + \nabla f(w)`,
    String.raw`y \leftarrow x - \frac{G}{L},\quad z \leftarrow z - \frac{\gamma (2k+3)}{8L} G`,
  ],
  strong: [
    String.raw`y \leftarrow x - \frac{G}{L},\quad z \leftarrow \frac{\beta z + \alpha x - G}{\alpha + \beta},\quad \alpha = \frac{\gamma\mu}{2},\; \beta = \sqrt{2L\mu}`,
  ],
}

export const method = turnsMethod<Config, State>({
  id: 'qasvrg',
  family: 'gradient',
  title: 'Acceleration under quasar-convexity',
  summary:
    'Accelerated descent of functions that are unimodal towards a solution but need not be convex: by full gradients, by ' +
    'batches, or by batches with their noise taken off.',
  references: [
    {
      authors: 'Q. Fu, D. Xu, A. C. Wilson',
      title: 'Accelerated Stochastic Optimization Methods under Quasar-convexity',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.04736',
    },
    {
      authors: 'O. Hinder, A. Sidford, N. S. Sohoni',
      title: 'Near-Optimal Methods for Minimizing Star-Convex Functions and Beyond',
      year: 2020,
      url: 'https://arxiv.org/abs/1906.11985',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: { gamma: 1, smoothness: 10, examples: 7 }, maxEvaluations: 800, target: 1e-3 },
    { problem: 'quadratic', config: { variant: 'qagd', gamma: 1, smoothness: 10 }, maxEvaluations: 600, target: 1e-3 },
    {
      problem: 'quadratic',
      config: { form: 'strong', gamma: 1, smoothness: 10, mu: 1 },
      maxEvaluations: 600,
      target: 1e-4,
    },
  ],
  equations: ({ variant, form }) => [SEARCH, ...MOVES[form === 'general' ? variant : form]],
  invariances: [],
  needs: () => ['gradient', 'value'],
  check: ({ variant, form }, problem) => [
    ...(form === 'sgc' && variant !== 'qasgd' ? [{ path: 'config.form', message: 'sgc is a form of qasgd' }] : []),
    ...checkUnbounded('qasvrg', problem),
  ],
  init({ config }, flat) {
    const y = flat.start()
    const phase = config.variant === 'qasvrg' ? 'snapshot' : 'search'
    const stage = { w: y, full: null, fw: 0, told: null, k: 0, end: 0, stages: 0, t: 0 }
    return { y, z: y, ...stage, phase, fy: 0, tau: 1, tries: 0, low: 0, high: 1 }
  },
  ask: ({ config }, _, own) => turn(config, own),
  learn,
  estimate({ config }, { y, tau, stages, k, t }) {
    const batchSize = batchOf(config, k)
    return {
      x: y,
      kind: 'iterate',
      step: t,
      metrics: { tau, ...(config.variant === 'qasvrg' ? { stages } : {}), ...(batchSize ? { batchSize } : {}) },
    }
  },
})
