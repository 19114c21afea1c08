/**
 * Gupta, Koren, Singer, "Shampoo: Preconditioned Stochastic Tensor Optimization", ICML 2018, algorithm 2; Anil, Gupta,
 * Koren, Regan, Singer, "Scalable Second Order Optimization for Deep Learning", 2020: blocks, one-sided preconditioners,
 * roots that are not computed in every step, and grafting.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { norm, spaceOf } from '../flat.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { graft, graftingField, keepsSquares } from '../grafting.js'
import { inverseRoot, largestEigenvalue } from '../inverse-root.js'
import { along, blockFields, byBlock, identities, type Layout, layoutOf, learn, matrixOf } from '../kronecker-blocks.js'
import { checkRoles, initialDraw, mupFields, mupReference, shampooRate } from '../mup.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size; that of the grafted rule where there is one.', {
    default: 0.1,
    min: 0,
    mutable: true,
    log: true,
    source: 'ours',
  }),
  beta1: real('Decay of the sum of preconditioned gradients.', { default: 0.9, min: 0, below: 1, source: 'section 5' }),
  beta2: real('Decay of the statistics; 1 sums them, as AdaGrad does.', {
    default: 1,
    min: 0,
    max: 1,
    source: 'section 5',
  }),
  nesterov: field(z.boolean().default(true), 'Steps by the momentum that the next step would see.', {
    source: 'google-research scalable_shampoo',
  }),
  grafting: graftingField,
  preconditioningSteps: field(z.int().min(1).default(20), 'Steps from one computation of the roots to the next.', {
    source: 'section 4.3',
  }),
  start: field(z.int().min(1).default(25), 'First step that is preconditioned; those before are of the grafted rule.', {
    source: 'google-research scalable_shampoo',
  }),
  staggered: field(
    z.boolean().default(false),
    'Computes a share of the roots in each step, in place of all of them in one: no step is long.',
    { source: 'section 4.3' },
  ),
  ...blockFields,
  matrixEps: real('Times the identity, the statistics at the start.', {
    default: 1e-6,
    min: 0,
    source: 'google-research scalable_shampoo',
  }),
  damping: field(
    z.enum(['largest', 'trace']).optional(),
    'What `ridge` multiplies: the largest eigenvalue of a statistic, or its trace. Without it, the trace in mup and the ' +
      'largest eigenvalue else.',
    { source: 'Ishikawa, Karakida 2024, section 3.2' },
  ),
  ridge: field(
    z.number().min(0).optional(),
    'Times the largest eigenvalue (1e-6 without it) or the trace (0.01), added to the diagonal of a statistic before its ' +
      'root.',
    { source: 'google-research scalable_shampoo' },
  ),
  ...mupFields,
  weightDecay: real('Times lr and x, subtracted from x.', { default: 0, min: 0, mutable: true, source: 'ours' }),
}
type Config = PresetConfig<typeof fields>

/** What the host part keeps of a tensor. */
type Kept = { statistics: FloatArray; roots: FloatArray; squares: FloatArray; condition: FloatArray }

/** Whether root number `index` of `count` is computed at step t. */
function due({ start, preconditioningSteps: every, staggered }: Config, t: number, index: number, count: number) {
  if (t <= start) return t === start
  return (t - start) % every === (staggered ? Math.floor((index * every) / count) : 0)
}

/** Computes the roots whose turn it is: of exponent -1/(2k) where a block has k of them. */
function refresh(config: Config, layout: Layout, t: number, { statistics, roots, condition }: Kept) {
  const factors = layout.blocks.flatMap(({ factors }) => factors.map((factor) => ({ factor, order: factors.length })))
  factors.forEach(({ factor, order }, index) => {
    if (!due(config, t, index, factors.length)) return
    const { n } = factor
    const matrix = matrixOf(statistics, factor).slice()
    const largest = largestEigenvalue(matrix, n)
    if (!(largest > 0)) return
    const added = byTrace(config) ? (config.ridge ?? 1e-2) * trace(matrix, n) : (config.ridge ?? 1e-6) * largest
    for (let i = 0; i < n; i++) matrix[i * n + i] += added
    const { root } = inverseRoot(matrix, n, 2 * order)
    matrixOf(roots, factor).set(root)
    // The root of the smallest eigenvalue is the largest of the inverse root.
    condition[index] = (largest + added) * largestEigenvalue(root, n) ** (2 * order)
  })
}

const byTrace = ({ damping, parameterization }: Config): boolean =>
  (damping ?? (parameterization === 'mup' ? 'trace' : 'largest')) === 'trace'

function trace(matrix: Float64Array, n: number): number {
  let sum = 0
  for (let i = 0; i < n; i++) sum += matrix[i * n + i]
  return sum
}

function precondition(layout: Layout, g: FloatArray, { statistics, roots }: Kept): Float64Array {
  if (layout.blocks.length === 0) return Float64Array.from(g, (gi, i) => (gi === 0 ? 0 : gi / Math.sqrt(statistics[i])))
  return byBlock(g, layout, (values, { size, factors }) =>
    factors.reduce((product, factor) => along(product, size, factor, matrixOf(roots, factor)), values),
  )
}

/** The preconditioned gradient of a tensor, as long as the step of the grafted rule. */
function direction(config: Config, tensor: TensorSpec, g: FloatArray, t: number, kept: Kept): Float64Array {
  const { beta2, grafting } = config
  const layout = layoutOf(tensor.shape, config)
  const weight = beta2 === 1 ? 1 : 1 - beta2
  learn(kept.statistics, layout, g, beta2, weight)
  // A vector has a number per element.
  if (layout.blocks.length === 0)
    for (let i = 0; i < g.length; i++) kept.statistics[i] = beta2 * kept.statistics[i] + weight * g[i] ** 2
  const grafted = graft(grafting, beta2, g, kept.squares)
  if (t < config.start) return grafted
  refresh(config, layout, t, kept)
  const step = precondition(layout, g, kept)
  if (grafting === 'none') return step
  const scale = norm(grafted) / (norm(step) + 1e-16)
  return step.map((value) => scale * value)
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['S'],
  begin(config, { tensors }) {
    const each = (make: (layout: Layout, size: number) => Float64Array) =>
      Object.fromEntries(tensors.map(({ name, shape }) => [name, make(layoutOf(shape, config), elements(shape))]))
    // The trace damps by itself, in any scale.
    const initial = byTrace(config) ? 0 : config.matrixEps
    return {
      statistics: each((layout, size) =>
        layout.blocks.length === 0 ? new Float64Array(size).fill(initial) : identities(layout, initial),
      ),
      roots: each((layout) => identities(layout, 1)),
      squares: each((_, size) => new Float64Array(keepsSquares(config.grafting) ? size : 0)),
      condition: each(({ blocks }) => new Float64Array(blocks.reduce((sum, { factors }) => sum + factors.length, 0))),
    }
  },
  inputs(config, { tensors }, { gradient, kept: { statistics, roots, squares, condition }, t }) {
    const S = tensors.map((tensor) => {
      const { name } = tensor
      const kept = {
        statistics: statistics[name],
        roots: roots[name],
        squares: squares[name],
        condition: condition[name],
      }
      const step = direction(config, tensor, gradient[name], t, kept)
      const rate = shampooRate(config, tensor)
      return [name, rate === 1 ? step : step.map((value) => rate * value)]
    })
    return { S: Object.fromEntries(S) }
  },
  reports: (_, { condition }) => ({
    conditionNumber: Object.values(condition).reduce((most, numbers) => Math.max(most, ...numbers), 0),
  }),
}

export const method = gradientMethod<typeof fields>({
  id: 'shampoo',
  title: 'Shampoo',
  summary:
    'Multiplies the gradient of each matrix by inverse roots of its row and column statistics, of longer tensors along each ' +
    'axis. Reports the largest condition number of the statistics.',
  references: [
    {
      authors: 'R. Anil, V. Gupta, T. Koren, K. Regan, Y. Singer',
      title: 'Scalable Second Order Optimization for Deep Learning',
      year: 2020,
      url: 'https://arxiv.org/abs/2002.09018',
    },
    {
      authors: 'V. Gupta, T. Koren, Y. Singer',
      title: 'Shampoo: Preconditioned Stochastic Tensor Optimization',
      year: 2018,
      url: 'https://arxiv.org/abs/1802.09568',
    },
    mupReference,
  ],
  fields,
  rule: ({ beta1, nesterov, weightDecay }: Config): Piece => ({
    text: [
      ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : []),
      ...(beta1 > 0 ? ['M = beta1*M + S', `x = x - lr*${nesterov ? '(beta1*M + S)' : 'M'}`] : ['x = x - lr*S']),
    ].join('\n'),
    slots: beta1 > 0 ? { M: { kind: 'tensor' } } : {},
    inputs: ['S'],
    scalars: () => ({ beta1, weightDecay }),
  }),
  host,
  heavy: true,
  equations: (config) => [
    config.beta2 === 1
      ? String.raw`L = L + g g^\top,\quad R = R + g^\top g`
      : String.raw`L = \beta_2 L + (1 - \beta_2)\, g g^\top,\quad R = \beta_2 R + (1 - \beta_2)\, g^\top g`,
    byTrace(config)
      ? String.raw`S = (L + \rho\, \mathrm{tr}(L) I)^{-1/4}\, g\, (R + \rho\, \mathrm{tr}(R) I)^{-1/4}`
      : String.raw`S = (L + \rho\, \lambda_{\max} I)^{-1/4}\, g\, (R + \rho\, \lambda_{\max} I)^{-1/4}`,
    ...(config.grafting === 'none' ? [] : [String.raw`S \leftarrow S\, \|A\| / \|S\|`]),
    ...(config.parameterization === 'mup'
      ? [
          String.raw`S \leftarrow S\, (M / M_0)^{c},\quad c_{\mathrm{input}} = \tfrac12,\ c_{\mathrm{output}} = -\tfrac12`,
        ]
      : []),
  ],
  initial: initialDraw,
  check: (config, problem) => checkRoles(config, spaceOf(problem).tensors),
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { start: 1, preconditioningSteps: 1, learningRate: 0.3 },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
})
