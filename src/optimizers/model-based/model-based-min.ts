/**
 * D. Davis, D. Drusvyatskiy, "Stochastic model-based minimization of weakly convex functions", SIAM Journal on Optimization
 * 2019 (arXiv:1803.06523), algorithm 4.1. For f(x) = E h(c(x; s)) + r(x), with h convex and c smooth, a step minimizes a model of
 * the loss of a sample s, + r(y) + |y - x|^2/(2*alpha).
 *
 * The models are, exact in turn: <z, y - x> with a subgradient z (prox-subgradient), h(c(x) + J*(y - x)) (prox-linear), and
 * h(c(y)) itself (prox-point), which is solved by prox-linear steps on the same sample, or for phase retrieval,
 * |(a'y)^2 - b|, in closed form (J. C. Duchi, F. Ruan, "Stochastic Methods for Composite and Weakly Convex Optimization Problems", 2018).
 *
 * E|grad of the Moreau envelope f_lambda| falls as T^(-1/4), at a random iterate drawn with probability proportional to alpha.
 */
import type { Method, Run } from '../../core/method.js'
import type { Observation, Quantity, Want } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { type Flat, norm, plus, spaceOf } from '../flat.js'
import { type Turn, turnsMethod } from '../turns.js'
import { type Config, config } from './config.js'
import { descend, type Inner, innerFrom, phaseRetrieval } from './prox-point.js'
import { proxOf } from './regularizer.js'
import { solve } from './subproblem.js'

type State = {
  x: Float64Array
  phase: 'step' | 'inner' | 'envelope'
  inner: Inner | null
  /** The drawn iterate, its index, and the sum of all alpha. */
  drawn: Float64Array
  index: number
  total: number
  rng: RngState
  alpha: number
  /** |grad f_lambda| where it was measured last; -1 before. */
  envelope: number
  t: number
}

const alphaAt = ({ learningRate, schedule }: Config, t: number): number =>
  schedule === 'constant' ? learningRate : learningRate / Math.sqrt(t + 1)

/** What comes next: a measurement where one is due, or a step. */
function begin({ config }: Run<Config>, own: State, measure: boolean) {
  const { variant, inner, envelope } = config
  const iterated = variant === 'prox-point' && inner === 'prox-linear'
  own.phase = measure ? 'envelope' : iterated ? 'inner' : 'step'
  own.inner = measure ? innerFrom(own.x, envelope!) : iterated ? innerFrom(own.x, alphaAt(config, own.t)) : null
}

const due = ({ envelope, envelopeEvery }: Config, t: number) => envelope !== undefined && t % envelopeEvery === 0

/** The end of a step: x moves, and its last place is drawn with probability alpha over the sum of all. */
function settle(run: Run<Config>, own: State, x: Float64Array) {
  own.alpha = alphaAt(run.config, own.t)
  own.total += own.alpha
  if (new Rng(own.rng).uniform() * own.total < own.alpha) {
    own.drawn = own.x
    own.index = own.t
  }
  own.x = x
  own.t++
  begin(run, own, due(run.config, own.t))
}

function learn(run: Run<Config>, flat: Flat, own: State, { gradients, quantities }: Observation) {
  const { config, problem } = run
  const { x, t, inner } = own
  const alpha = alphaAt(config, t)
  if (gradients) {
    const stepped = plus(x, -alpha, flat.vector(gradients[0]))
    return settle(run, own, proxOf(config, problem).map(stepped, alpha))
  }
  const told = quantities![0]
  if (own.phase === 'step' && config.variant === 'prox-point')
    return settle(run, own, phaseRetrieval(x, Float64Array.from(told.a), told.b[0], alpha))
  const [c, J] = [Float64Array.from(told.c), Float64Array.from(told.jacobian)]
  if (!inner) return settle(run, own, solve(config, proxOf(config, problem), { c, J, at: x }, x, alpha))
  if (!descend(config, proxOf(config, problem), inner, c, J)) return
  const found = inner.best!.at
  if (own.phase === 'inner') return settle(run, own, found)
  own.envelope = norm(plus(x, -1, found)) / inner.step
  begin(run, own, false)
}

const GRADIENT: readonly Want[] = [{ kind: 'gradient' }]

function wantsOf({ config }: Run<Config>, { dimension }: Flat, phase: State['phase']): readonly Want[] {
  const quantities: Quantity[] = [
    { name: 'c', shape: [-1], description: 'inner function of each example of the sample' },
    { name: 'jacobian', shape: [-1, dimension], description: 'gradients of c, one row each' },
  ]
  if (phase !== 'step' || config.variant === 'prox-linear') return [{ kind: 'quantities', quantities }]
  if (config.variant === 'prox-subgradient') return GRADIENT
  const measured: Quantity[] = [
    { name: 'a', shape: [dimension], description: "vector of the loss |(a'x)^2 - b| of the sample" },
    { name: 'b', shape: [], description: 'measurement of that loss' },
  ]
  return [{ kind: 'quantities', quantities: measured }]
}

function turn(run: Run<Config>, flat: Flat, { x, phase, inner, t }: State): Turn {
  const sampleKey = phase === 'envelope' ? 'all' : `s${t}`
  return { points: [inner ? inner.trial : x], wants: wantsOf(run, flat, phase), purpose: phase, sampleKey }
}

function check({ regularizer, variant, inner }: Config, problem: Problem) {
  const { low, high } = spaceOf(problem)
  const bounded = low !== undefined || high !== undefined
  const issues = []
  if (bounded !== (regularizer === 'box'))
    issues.push({ path: 'config.regularizer', message: 'expected box where the space has bounds, and only there' })
  if (variant === 'prox-point' && inner === 'phase-retrieval' && regularizer !== 'none')
    issues.push({ path: 'config.inner', message: 'phase-retrieval has no closed form with a regularizer' })
  if (problem.objectives[0].direction === 'maximize')
    issues.push({ path: 'objectives[0].direction', message: 'model-based-min minimizes: h is convex' })
  return issues
}

const needs: Method<Config, Tree>['needs'] = ({ variant, envelope }) => {
  if (variant !== 'prox-subgradient') return ['quantities']
  return envelope === undefined ? ['gradient'] : ['gradient', 'quantities']
}

const MODELS = {
  'prox-subgradient': String.raw`\langle z, y - x_t \rangle,\quad z \in \partial f(x_t; s)`,
  'prox-linear': String.raw`h\left(c(x_t; s) + J(x_t; s)(y - x_t)\right)`,
  'prox-point': 'h(c(y; s))',
}

export const method = turnsMethod<Config, State>({
  id: 'model-based-min',
  family: 'gradient',
  title: 'Model-based minimization of weakly convex functions',
  summary:
    'Proximal steps on models of a convex function of smooth ones: by subgradients, by linear inner functions (Gauss-Newton), ' +
    'or on the function itself.',
  references: [
    {
      authors: 'D. Davis, D. Drusvyatskiy',
      title: 'Stochastic model-based minimization of weakly convex functions',
      year: 2018,
      url: 'https://arxiv.org/abs/1803.06523',
    },
    {
      authors: 'J. C. Duchi, F. Ruan',
      title: 'Stochastic Methods for Composite and Weakly Convex Optimization Problems',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.08570',
    },
  ],
  config,
  recipes: [
    { problem: 'phase-retrieval', config: {}, maxEvaluations: 60, target: 1e-8 },
    {
      problem: 'phase-retrieval',
      config: { variant: 'prox-point', inner: 'phase-retrieval' },
      maxEvaluations: 300,
      target: 1e-6,
    },
    { problem: 'phase-retrieval', config: { variant: 'prox-point', envelope: 0.05 }, maxEvaluations: 60, target: 1e-8 },
    {
      problem: 'quadratic',
      config: { variant: 'prox-subgradient', learningRate: 0.2 },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
  equations: ({ variant }) => [
    String.raw`x_{t+1} = \arg\min_y\; m_t(y) + r(y) + \frac{1}{2\alpha_t} \|y - x_t\|^2`,
    `m_t(y) = ${MODELS[variant]}`,
  ],
  needs,
  check,
  init(run, flat, seed) {
    const x = flat.start()
    const own: State = {
      x,
      phase: 'step',
      inner: null,
      drawn: x,
      index: 0,
      total: 0,
      rng: rngStream(seed, 'output'),
      alpha: 0,
      envelope: -1,
      t: 0,
    }
    begin(run, own, due(run.config, 0))
    return own
  },
  ask: turn,
  learn,
  estimate: ({ config }, { x, drawn, index, alpha, envelope, t }) => ({
    x: config.output === 'random' ? drawn : x,
    kind: 'iterate',
    step: t,
    metrics: {
      learningRate: alpha,
      outputIndex: config.output === 'random' ? index : t,
      ...(envelope >= 0 ? { envelopeGradient: envelope } : {}),
    },
  }),
})
