/**
 * Z. Shi, A. Sadiev, N. Loizou, P. Richtarik, M. Takac, "AI-SARAH: Adaptive and Implicit Stochastic Recursive Gradient
 * Methods", TMLR 2023 (arXiv:2102.09700), algorithm 2. SARAH: L. M. Nguyen, J. Liu, K. Scheinberg, M. Takac, ICML 2017.
 *
 * For finite sums. From a full gradient v on, v changes by the difference of the gradients of a batch S between two iterates.
 * The step is that at which xi(a) = |grad f_S(w - a*v) - grad f_S(w) + v|^2, the square of the next v, is least: one Newton
 * step from 0, -xi'(0)/|xi''(0)|, with xi'(0) = -2*v'Hv and xi''(0) = 2*|Hv|^2 + 2*v'D3f_S[v, v].
 *
 * Queries with the purpose `full` are for the gradient of the whole sum, all others for that of the batch of their sample key.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, Want, WantKind } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, type Flat, norm, plus, spaceOf } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'

const config = z.strictObject({
  variant: field(
    z.enum(['ai-sarah', 'sarah']).default('ai-sarah'),
    'ai-sarah finds its steps; sarah takes steps of the learning rate.',
    { source: 'algorithms 1 and 2' },
  ),
  learningRate: real('sarah: step size; the largest smoothness of an example is the usual measure of its inverse.', {
    default: 0.01,
    min: 0,
    log: true,
    mutable: true,
    source: 'ours',
  }),
  gamma: real('A new full gradient is asked where |v|^2 has fallen to this share of that of the last.', {
    default: 1 / 32,
    above: 0,
    below: 1,
    source: 'section 4',
  }),
  beta: real('Weight of the past in the mean of inverse steps, which bounds the next.', {
    default: 0.999,
    min: 0,
    below: 1,
    source: 'section 4',
  }),
  curvature: field(z.enum(['full', 'gauss-newton']).default('full'), 'gauss-newton drops the third derivative of xi.', {
    source: 'section 4',
  }),
  oracle: field(
    z.enum(['gradient', 'product']).default('gradient'),
    'Curvature along v by differences of gradients, or by a product with the Hessian and, with full curvature, the third ' +
      'derivative, which is told as the quantity `cubic`.',
    { source: 'ours' },
  ),
  difference: field(
    z.number().positive().optional(),
    'Length of the differences; without it 1e-4, or 1e-2 where a tensor of the space is of less than 64 bits.',
    { source: 'ours' },
  ),
  batch: field(z.int().min(1).default(64), 'Examples of a batch; only counted with.', { source: 'section 5' }),
  examples: field(
    z.int().min(1).optional(),
    'Examples of the sum; with it the session reports `passes`: gradients and products, in passes over all examples.',
  ),
})
type Config = z.infer<typeof config>

type State = {
  w: Float64Array
  v: Float64Array
  /** The gradient of the batch at w, and the Hessian of the batch times v. */
  g: Float64Array | null
  Hv: Float64Array | null
  phase: 'full' | 'step' | 'product' | 'cubic' | 'next'
  /** |v|^2 at the last full gradient; the mean of inverse steps, 0 before the first; the step under way. */
  start: number
  delta: number
  step: number
  passes: number
  outer: number
  t: number
}

const lengthOf = ({ config, problem }: Run<Config>): number =>
  config.difference ?? (spaceOf(problem).tensors.every(({ dtype }) => dtype === 'f64') ? 1e-4 : 1e-2)

/** The step, once v'D3f[v, v] is known; on a flat or concave line the bound is all there is. */
function implicit({ beta }: Config, own: State, cubic: number) {
  const Hv = own.Hv!
  const newton = dot(own.v, Hv) / Math.abs(dot(Hv, Hv) + cubic)
  const found = newton > 0 && Number.isFinite(newton)
  if (found) own.delta = own.delta > 0 ? beta * own.delta + (1 - beta) / newton : 1 / newton
  const bound = own.delta > 0 ? 1 / own.delta : 0
  own.step = found ? Math.min(newton, bound) : bound
  own.phase = 'next'
}

/** Gradients of the batch at w, ahead of it along v, and behind it where the third derivative is wanted. */
function differences(run: Run<Config>, own: State, [here, ahead, behind]: readonly Float64Array[]) {
  const e = lengthOf(run) / norm(own.v)
  own.g = here
  own.Hv = behind ? ahead.map((a, i) => (a - behind[i]) / (2 * e)) : ahead.map((a, i) => (a - here[i]) / e)
  const bend = behind ? ahead.map((a, i) => (a - 2 * here[i] + behind[i]) / e ** 2) : undefined
  implicit(run.config, own, bend ? dot(own.v, bend) : 0)
}

function learn(run: Run<Config>, flat: Flat, own: State, told: Observation) {
  const { config } = run
  const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
  const vectors = (tensors: Observation['gradients']) =>
    (tensors ?? []).map((tensor) => flat.vector(tensor).map((value) => sign * value))
  const gradients = vectors(told.gradients)
  const cost = config.batch / (config.examples ?? Number.POSITIVE_INFINITY)
  switch (own.phase) {
    case 'full':
      own.v = gradients[0]
      own.start = dot(own.v, own.v)
      own.passes++
      own.outer++
      own.phase = own.start > 0 ? 'step' : 'full'
      return
    case 'step':
      own.passes += gradients.length * cost
      if (config.variant === 'sarah') {
        own.g = gradients[0]
        own.step = config.learningRate
        own.phase = 'next'
      } else if (config.oracle === 'gradient') differences(run, own, gradients)
      else {
        own.g = gradients[0]
        own.phase = 'product'
      }
      return
    case 'product':
      own.passes += cost
      own.Hv = vectors(told.products)[0]
      if (config.curvature === 'full') own.phase = 'cubic'
      else implicit(config, own, 0)
      return
    case 'cubic':
      return implicit(config, own, sign * told.quantities![0].cubic[0])
    case 'next':
      own.passes += cost
      own.w = plus(own.w, -own.step, own.v)
      own.v = own.v.map((value, i) => value + gradients[0][i] - own.g![i])
      own.g = null
      own.Hv = null
      own.t++
      own.phase = dot(own.v, own.v) >= config.gamma * own.start ? 'step' : 'full'
  }
}

const GRADIENT: readonly Want[] = [{ kind: 'gradient' }]
const HVP: readonly Want[] = [{ kind: 'hvp', curvature: 'hessian' }]
const CUBIC: readonly Want[] = [
  {
    kind: 'quantities',
    quantities: [
      {
        name: 'cubic',
        shape: [],
        description: "v'D3f[v, v] at the first point, where v is the second: third derivative",
      },
    ],
  },
]

function turn(run: Run<Config>, own: State): Turn {
  const { config } = run
  const { w, v, phase, step, t, outer } = own
  const at = (points: readonly Float64Array[], wants: readonly Want[]): Turn => ({
    points,
    wants,
    purpose: phase,
    sampleKey: phase === 'full' ? `full${outer}` : `s${t}`,
  })
  if (phase === 'next') return at([plus(w, -step, v)], GRADIENT)
  if (phase === 'product') return at([w, v], HVP)
  if (phase === 'cubic') return at([w, v], CUBIC)
  if (phase === 'full' || config.variant === 'sarah' || config.oracle === 'product') return at([w], GRADIENT)
  const e = lengthOf(run) / norm(v)
  const ahead = [w, plus(w, e, v)]
  return at(config.curvature === 'full' ? [...ahead, plus(w, -e, v)] : ahead, GRADIENT)
}

export const method = turnsMethod<Config, State>({
  id: 'ai-sarah',
  family: 'gradient',
  title: 'AI-SARAH',
  summary: 'Variance reduction for finite sums by recursive gradients, whose steps come from the curvature along them.',
  references: [
    {
      authors: 'Z. Shi, A. Sadiev, N. Loizou, P. Richtarik, M. Takac',
      title: 'AI-SARAH: Adaptive and Implicit Stochastic Recursive Gradient Methods',
      year: 2021,
      url: 'https://arxiv.org/abs/2102.09700',
    },
    {
      authors: 'L. M. Nguyen, J. Liu, K. Scheinberg, M. Takac',
      title: 'SARAH: A Novel Method for Machine Learning Problems Using Stochastic Recursive Gradient',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.00102',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: {}, maxEvaluations: 400, target: 1e-4 },
    {
      problem: 'quadratic',
      config: { oracle: 'product', curvature: 'gauss-newton' },
      maxEvaluations: 600,
      target: 1e-4,
    },
    { problem: 'quadratic', config: { variant: 'sarah', learningRate: 0.1 }, maxEvaluations: 400, target: 1e-4 },
  ],
  equations: ({ variant, curvature }) => [
    ...(variant === 'sarah'
      ? []
      : [
          curvature === 'full'
            ? String.raw`\tilde\alpha = \frac{v^\top H v}{\left|\|Hv\|^2 + v^\top D^3 f_S[v, v]\right|}`
            : String.raw`\tilde\alpha = \frac{v^\top H v}{\|Hv\|^2}`,
          String.raw`\delta \leftarrow \beta\delta + (1-\beta)/\tilde\alpha,\quad \alpha = \min(\tilde\alpha, 1/\delta)`,
        ]),
    String.raw`w_+ = w - \alpha v`,
    String.raw`v \leftarrow \nabla f_S(w_+) - \nabla f_S(w) + v`,
  ],
  needs({ variant, oracle, curvature }): readonly WantKind[] {
    if (variant === 'sarah' || oracle === 'gradient') return ['gradient']
    return curvature === 'full' ? ['gradient', 'hvp', 'quantities'] : ['gradient', 'hvp']
  },
  check: (_, problem) => checkUnbounded('ai-sarah', problem),
  init(_, flat) {
    const w = flat.start()
    const v = new Float64Array(flat.dimension)
    return { w, v, g: null, Hv: null, phase: 'full', start: 0, delta: 0, step: 0, passes: 0, outer: 0, t: 0 }
  },
  ask: (run, _, own) => turn(run, own),
  learn,
  // Where the loss is not defined at the next iterate, one nearer takes its place.
  refused(own) {
    if (own.phase === 'next') own.step /= 2
  },
  estimate: ({ config }, { w, step, delta, passes, outer, t }) => ({
    x: w,
    kind: 'iterate',
    step: t,
    metrics: {
      learningRate: step,
      batchSize: config.batch,
      fullGradients: outer,
      ...(delta > 0 ? { bound: 1 / delta } : {}),
      ...(config.examples ? { passes } : {}),
    },
  }),
})
