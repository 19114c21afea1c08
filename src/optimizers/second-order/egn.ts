/**
 * Exact Gauss-Newton: M. Korbit, A. D. Adeoye, A. Bemporad, M. Zanon, "Exact Gauss-Newton Optimization for Training Deep
 * Neural Networks", 2024 (arXiv:2405.14402). The regularized Gauss-Newton direction of a minibatch from a system with one
 * equation per output and example, instead of one per parameter (gauss-newton.ts).
 *
 * d = momentum*d + p; x = x + alpha*d, with alpha the learning rate, or of an Armijo search on the same batch.
 * Adaptive lambda (Levenberg, Marquardt): rho = decrease of the loss over that of the quadratic model; divided by the
 * factor where rho > 3/4, multiplied where rho < 1/4.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, Want, WantKind } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, type Flat, norm, plus } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Turn, turnsMethod } from '../turns.js'
import { advanceSolve, beginSolve, type ConjugateGradients } from './conjugate-gradients.js'
import { batchOf, curvatureAlong, gradientOf, quantitiesOf, solveByOutputs, solveByParameters } from './gauss-newton.js'

const config = z.strictObject({
  loss: field(
    z.enum(['squared', 'cross-entropy', 'told']).default('squared'),
    'squared: |f - y|^2/2 of outputs f and targets y. cross-entropy: of targets and the softmax of the outputs. told: the client tells derivatives by the outputs, and their Hessian per example.',
    { source: 'Korbit et al. 2024, section 3' },
  ),
  outputs: field(z.int().min(1).default(1), 'Outputs of the model per example, c.', { source: 'ours' }),
  jacobian: field(
    z.enum(['rows', 'products']).default('rows'),
    'rows: the derivatives of all outputs. products: the gradient, and products with the Gauss-Newton matrix for conjugate gradients.',
    { source: 'ours' },
  ),
  lambda: real('Regularization; the first, where adaptive.', {
    default: 1,
    above: 0,
    source: 'Korbit et al. 2024, section 5',
    log: true,
  }),
  adaptive: field(
    z.boolean().default(false),
    'Whether lambda follows how well the model predicts the loss; asks values.',
    {
      source: 'Korbit et al. 2024, section 4.3',
    },
  ),
  factor: real('What an adaptive lambda is multiplied or divided by; it stays from 1e-8 to 100.', {
    default: 2,
    above: 1,
    source: 'Korbit et al. 2024, section 4.3',
  }),
  learningRate: real('Step length, without a line search.', {
    default: 0.2,
    above: 0,
    source: 'Korbit et al. 2024, section 5',
    mutable: true,
    log: true,
  }),
  lineSearch: field(
    z.boolean().default(false),
    'Whether the step length is searched for on the same batch; asks values.',
    {
      source: 'Korbit et al. 2024, section 4.2',
    },
  ),
  momentum: real('Share of the last direction in the next.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'Korbit et al. 2024, section 4.1',
  }),
  dtype: field(z.enum(['f64', 'f32']).default('f64'), 'Precision in which the Jacobian and the system are held.', {
    source: 'ours',
  }),
  solverTolerance: real('products: residual, relative to the gradient, at which the solution is good.', {
    default: 1e-10,
    above: 0,
    source: 'ours',
    log: true,
  }),
  solverIterations: field(z.int().min(1).default(100), 'products: most products per step.', { source: 'ours' }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  phase: 'step' | 'products' | 'search'
  value: number
  gradient: Float64Array | null
  solve: ConjugateGradients | null
  /** The last direction, and the slope and curvature of the loss along it. */
  direction: Float64Array
  slope: number
  curvature: number
  /** Step length under trial, how often it was halved, and where a search begins. */
  alpha: number
  halvings: number
  begin: number
  lambda: number
  rho: number
  t: number
  stopped: string | null
}

/** Armijo's share of the slope, and most halvings. */
const ARMIJO = 1e-4
const HALVINGS = 10
const [LEAST, MOST] = [1e-8, 1e2]

const asksValue = ({ lineSearch, adaptive }: Config) => lineSearch || adaptive

function learnBatch(config: Config, own: State, told: Observation): void {
  const batch = batchOf(config, own.x.length, told.quantities![0])
  if (!batch) {
    own.stopped = `step ${own.t + 1}: the arrays told are not of equally many examples with ${config.outputs} outputs each`
    return
  }
  const round = config.dtype === 'f32' ? (m: Float64Array) => Float64Array.from(Float32Array.from(m)) : undefined
  const fewer = batch.residual.length <= own.x.length
  const p = (fewer ? solveByOutputs : solveByParameters)(batch, own.lambda, round)
  own.gradient = gradientOf(batch)
  aim(config, own, p, (d) => curvatureAlong(batch, d))
}

/** The solution p is known: with momentum it gives the direction. `curvatureOf`: d'Bd of the Gauss-Newton matrix B. */
function aim(config: Config, own: State, p: Float64Array, curvatureOf: (d: Float64Array) => number): void {
  if (!p.every(Number.isFinite)) {
    own.stopped = `the Gauss-Newton system of step ${own.t + 1} is singular`
    return
  }
  const g = own.gradient!
  const mixed = plus(p, config.momentum, own.direction)
  // A search needs a direction of descent.
  own.direction = asksValue(config) && dot(mixed, g) > 0 ? p : mixed
  own.slope = dot(own.direction, g)
  if (!asksValue(config)) return move(own, config.learningRate)
  own.curvature = curvatureOf(own.direction)
  own.alpha = config.lineSearch ? own.begin : config.learningRate
  own.halvings = 0
  own.phase = 'search'
}

/** The loss of the batch at x + alpha*d is told. */
function search(config: Config, own: State, value: number): void {
  const enough = value <= own.value + ARMIJO * own.alpha * own.slope
  if (config.lineSearch && !enough && own.halvings < HALVINGS) {
    own.alpha /= 2
    own.halvings++
    return
  }
  if (config.adaptive) {
    own.rho = (own.value - value) / -(own.alpha * own.slope + 0.5 * own.alpha ** 2 * own.curvature)
    if (own.rho > 3 / 4) own.lambda = Math.max(own.lambda / config.factor, LEAST)
    else if (own.rho < 1 / 4) own.lambda = Math.min(own.lambda * config.factor, MOST)
  }
  own.begin = Math.min(1, 2 * own.alpha)
  move(own, own.alpha)
}

function move(own: State, alpha: number): void {
  const x = plus(own.x, alpha, own.direction)
  if (!x.every(Number.isFinite)) {
    own.stopped = `step ${own.t + 1} leads beyond all numbers`
    return
  }
  own.x = x
  own.alpha = alpha
  own.solve = null
  own.phase = 'step'
  own.t++
}

function learn({ config }: Run<Config>, flat: Flat, own: State, told: Observation): void {
  if (own.phase === 'search') return search(config, own, told.values![0][0])
  if (own.phase === 'products') {
    const cg = own.solve!
    const product = plus(flat.vector(told.products![0]), own.lambda, cg.direction)
    const { solverTolerance: tolerance, solverIterations: limit } = config
    const outcome = advanceSolve(cg, product, { tolerance, limit })
    if (outcome === 'more') return
    if (outcome === 'indefinite') {
      own.stopped = `the products told at step ${own.t + 1} are not of a positive semidefinite matrix`
      return
    }
    // B*x is what the residual lacks of the right side, without lambda*x.
    const Bx = own.gradient!.map((g, i) => -g - cg.residual[i] - own.lambda * cg.x[i])
    return aim(config, own, cg.x, () => dot(cg.x, Bx))
  }
  if (told.values) own.value = told.values[0][0]
  if (config.jacobian === 'rows') return learnBatch(config, own, told)
  own.gradient = flat.vector(told.gradients![0])
  own.solve = beginSolve(own.gradient.map((g) => -g))
  own.phase = 'products'
  // Nothing to solve: x is stationary for this batch.
  if (norm(own.gradient) === 0) aim(config, own, own.solve.x, () => 0)
}

function ask(config: Config, own: State): Turn {
  const sampleKey = `s${own.t}`
  const value: Want[] = asksValue(config) ? [{ kind: 'value' }] : []
  switch (own.phase) {
    case 'step': {
      const want: Want =
        config.jacobian === 'rows'
          ? { kind: 'quantities', quantities: quantitiesOf(config, own.x.length) }
          : { kind: 'gradient' }
      return { points: [own.x], wants: [...value, want], purpose: 'step', sampleKey }
    }
    case 'products':
      return {
        points: [own.x, own.solve!.direction],
        wants: [{ kind: 'hvp', curvature: 'gauss-newton' }],
        purpose: 'curvature',
        sampleKey,
      }
    case 'search':
      return { points: [plus(own.x, own.alpha, own.direction)], wants: value, purpose: 'line-search', sampleKey }
  }
}

export const method = turnsMethod<Config, State>({
  id: 'egn',
  family: 'gradient',
  title: 'Exact Gauss-Newton',
  summary: 'Gauss-Newton directions of minibatches, exact, from a system as small as the outputs of the batch.',
  references: [
    {
      authors: 'M. Korbit, A. D. Adeoye, A. Bemporad, M. Zanon',
      title: 'Exact Gauss-Newton Optimization for Training Deep Neural Networks',
      year: 2024,
      url: 'https://arxiv.org/abs/2405.14402',
    },
  ],
  config,
  recipes: [
    {
      problem: 'rosenbrock',
      config: { outputs: 2, lambda: 1e-3, lineSearch: true, adaptive: true },
      maxEvaluations: 300,
      target: 1e-10,
    },
    {
      problem: 'rosenbrock',
      config: { outputs: 2, loss: 'told', lambda: 1e-3, learningRate: 0.5, momentum: 0.1 },
      maxEvaluations: 300,
      target: 1e-8,
    },
    { problem: 'quadratic', config: { jacobian: 'products', lambda: 1e-3 }, maxEvaluations: 800, target: 1e-4 },
  ],
  equations: ({ momentum, adaptive }) => [
    String.raw`p = -J^\top \left(Q J J^\top + b \lambda I\right)^{-1} r`,
    momentum > 0
      ? String.raw`d \leftarrow \beta d + p,\quad x \leftarrow x + \alpha d`
      : String.raw`x \leftarrow x + \alpha p`,
    ...(adaptive
      ? [
          String.raw`\rho = \frac{L(x) - L(x + \alpha p)}{-\alpha g^\top p - \frac{\alpha^2}{2b} p^\top J^\top Q J p}`,
          String.raw`\lambda \leftarrow \lambda/k \text{ if } \rho > \tfrac34,\quad \lambda k \text{ if } \rho < \tfrac14`,
        ]
      : []),
  ],
  needs: (config): WantKind[] => [
    ...(asksValue(config) ? (['value'] as const) : []),
    ...(config.jacobian === 'rows' ? (['quantities'] as const) : (['gradient', 'hvp'] as const)),
  ],
  check({ jacobian, momentum, adaptive }, problem) {
    const issues = checkUnbounded('egn', problem)
    if (problem.objectives[0].direction === 'maximize')
      issues.push({ path: 'objectives[0].direction', message: 'egn minimizes the loss of a model' })
    if (jacobian === 'products' && adaptive && momentum > 0)
      issues.push({ path: 'config.adaptive', message: 'goes with jacobian "products" only without momentum' })
    return issues
  },
  init: ({ config }, flat) => ({
    x: flat.start(),
    phase: 'step',
    value: 0,
    gradient: null,
    solve: null,
    direction: new Float64Array(flat.dimension),
    slope: 0,
    curvature: 0,
    alpha: 0,
    halvings: 0,
    begin: 1,
    lambda: config.lambda,
    rho: 0,
    t: 0,
    stopped: null,
  }),
  ask: ({ config }, _, own) => ask(config, own),
  learn,
  finished: (_, { stopped }) => stopped ?? undefined,
  estimate: (_, { x, lambda, alpha, rho, t }) => ({ x, kind: 'iterate', step: t, metrics: { lambda, alpha, rho } }),
})
