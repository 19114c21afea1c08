/**
 * Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson, Kakade, "SOAP: Improving and Stabilizing Shampoo using Adam",
 * ICLR 2025: algorithm 3 is Adam in the eigenbasis of the statistics of Shampoo, algorithm 4 the refresh of the basis.
 */
import { z } from 'zod'
import { symmetricEigen } from '../../core/eigen.js'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec } from '../../core/tensor.js'
import { dot, norm } from '../flat.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { along, blockFields, byBlock, identities, type Layout, layoutOf, learn, matrixOf } from '../kronecker-blocks.js'
import { multiply } from '../matrices.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size.', { default: 0.003, min: 0, mutable: true, log: true, source: 'nikhilvyas/SOAP' }),
  beta1: real('Decay of the mean of gradients.', { default: 0.95, min: 0, below: 1, source: 'section 5' }),
  beta2: real('Decay of the mean of squares in the eigenbasis.', {
    default: 0.95,
    min: 0,
    below: 1,
    source: 'section 5',
  }),
  shampooBeta: real('Decay of the statistics whose eigenvectors are the basis.', {
    default: 0.95,
    min: 0,
    below: 1,
    source: 'section 5: that of the squares',
  }),
  eps: real('Added to the root of the second moment.', { default: 1e-8, above: 0, source: 'nikhilvyas/SOAP' }),
  refreshEvery: field(z.int().min(1).default(10), 'Steps from one refresh of the basis to the next.', {
    source: 'section 5',
  }),
  correction: field(z.boolean().default(true), 'Corrects both means for their start.', { source: 'nikhilvyas/SOAP' }),
  ...blockFields,
  weightDecay: real('Times lr and x, subtracted from x.', {
    default: 0.01,
    min: 0,
    mutable: true,
    source: 'nikhilvyas/SOAP',
  }),
}
type Config = PresetConfig<typeof fields>

/** What the host part keeps of a tensor: both means, of which that of squares is in the basis; statistics, and bases. */
type Kept = { m: FloatArray; v: FloatArray; statistics: FloatArray; bases: FloatArray }

/** A tensor in the basis of each block, and back. */
const rotated = (x: ArrayLike<number>, layout: Layout, bases: FloatArray, back = false): Float64Array =>
  layout.blocks.length === 0
    ? Float64Array.from(x)
    : byBlock(x, layout, (values, { size, factors }) =>
        factors.reduce((turned, factor) => along(turned, size, factor, matrixOf(bases, factor), !back), values),
      )

/** The orthonormal factor of a = Q*R, whose R has no negative diagonal elements, by Householder reflections. */
function orthonormal(a: Float64Array, n: number): Float64Array {
  const r = a.slice()
  const q = new Float64Array(n * n)
  for (let i = 0; i < n; i++) q[i * n + i] = 1
  for (let k = 0; k < n; k++) {
    const v = Float64Array.from({ length: n }, (_, i) => (i < k ? 0 : r[i * n + k]))
    const length = norm(v)
    v[k] += v[k] > 0 ? length : -length
    const square = dot(v, v)
    if (!(square > 0)) continue
    // R becomes H*R and Q becomes Q*H, where H = I - 2*v*v'/(v'v).
    const along = multiply(v, r, n)
    const beside = multiply(q, v, n)
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        r[i * n + j] -= (2 * v[i] * along[j]) / square
        q[i * n + j] -= (2 * beside[i] * v[j]) / square
      }
  }
  return q.map((value, at) => (r[(at % n) * (n + 1)] < 0 ? -value : value))
}

/** The columns of a in this order. */
const inOrder = (a: Float64Array, order: readonly number[]): Float64Array =>
  a.map((_, at) => a[at - (at % order.length) + order[at % order.length]])

/**
 * Renews the basis of a factor, largest eigenvalues first, and gives the matrix that takes what is in it along: the first
 * one by a decomposition, later ones by a step of orthogonal iteration.
 */
function renew(basis: Float64Array, statistic: Float64Array, n: number, first: boolean): Float64Array {
  const moved = first ? statistic.slice() : multiply(statistic, basis, n)
  const values = first ? symmetricEigen(moved, n) : new Float64Array(n)
  if (!first) for (let at = 0; at < n * n; at++) values[at % n] += basis[at] * moved[at]
  const order = Array.from(values.keys()).sort((i, j) => values[j] - values[i])
  basis.set(first ? inOrder(moved, order) : orthonormal(inOrder(moved, order), n))
  const permutation = new Float64Array(n * n)
  for (const [i, from] of order.entries()) permutation[i * n + from] = 1
  return permutation
}

function refresh(layout: Layout, first: boolean, { v, statistics, bases }: Kept) {
  if (layout.blocks.length === 0) return
  const moved = byBlock(v, layout, (values, { size, factors }) =>
    factors.reduce((turned, factor) => {
      const statistic = matrixOf(statistics, factor)
      // Without gradients so far, the basis stays.
      if (!(norm(statistic) > 0)) return turned
      return along(turned, size, factor, renew(matrixOf(bases, factor), statistic, factor.n, first))
    }, values),
  )
  v.set(moved)
}

/** The step of a tensor at rate 1; the first one only learns the basis. */
function direction(config: Config, tensor: TensorSpec, g: FloatArray, t: number, kept: Kept): Float64Array {
  const { beta1, beta2, shampooBeta, eps, refreshEvery, correction } = config
  const { m, v, statistics, bases } = kept
  const layout = layoutOf(tensor.shape, config)
  if (t === 1) {
    learn(statistics, layout, g, shampooBeta, 1 - shampooBeta)
    refresh(layout, true, kept)
    return new Float64Array(g.length)
  }
  for (let i = 0; i < g.length; i++) m[i] = beta1 * m[i] + (1 - beta1) * g[i]
  const turned = rotated(g, layout, bases)
  const step = rotated(m, layout, bases)
  const [c1, c2] = correction ? [1 - beta1 ** (t - 1), 1 - beta2 ** (t - 1)] : [1, 1]
  for (let i = 0; i < step.length; i++) {
    v[i] = beta2 * v[i] + (1 - beta2) * turned[i] ** 2
    step[i] = ((step[i] / (Math.sqrt(v[i]) + eps)) * Math.sqrt(c2)) / c1
  }
  const result = rotated(step, layout, bases, true)
  // The basis of this step comes from the gradients before it.
  learn(statistics, layout, g, shampooBeta, 1 - shampooBeta)
  if ((t - 1) % refreshEvery === 0) refresh(layout, false, kept)
  return result
}

const host: Host<Config> = {
  inside: true,
  provides: () => ['step'],
  begin(config, { tensors }) {
    const each = (make: (layout: Layout, size: number) => Float64Array) =>
      Object.fromEntries(tensors.map(({ name, shape }) => [name, make(layoutOf(shape, config), elements(shape))]))
    const zeros = () => each((_, size) => new Float64Array(size))
    return {
      m: zeros(),
      v: zeros(),
      statistics: each(({ total }) => new Float64Array(total)),
      bases: each((layout) => identities(layout, 1)),
    }
  },
  inputs(config, { tensors }, { gradient, kept: { m, v, statistics, bases }, t }) {
    const step = tensors.map((tensor) => {
      const { name } = tensor
      const kept = { m: m[name], v: v[name], statistics: statistics[name], bases: bases[name] }
      return [name, direction(config, tensor, gradient[name], t, kept)]
    })
    return { step: Object.fromEntries(step) }
  },
}

export const method = gradientMethod<typeof fields>({
  id: 'soap',
  title: 'SOAP',
  summary:
    'Adam in the eigenbasis of the statistics of Shampoo, which a step of orthogonal iteration refreshes now and then. The ' +
    'first step only learns the basis.',
  references: [
    {
      authors: 'N. Vyas, D. Morwani, R. Zhao, M. Kwun, I. Shapira, D. Brandfonbrener, L. Janson, S. Kakade',
      title: 'SOAP: Improving and Stabilizing Shampoo using Adam',
      year: 2025,
      url: 'https://arxiv.org/abs/2409.11321',
    },
  ],
  fields,
  rule: ({ weightDecay }: Config) => ({
    text: ['x = x - lr*step', ...(weightDecay > 0 ? ['x = x - lr*weightDecay*x'] : [])].join('\n'),
    inputs: ['step'],
    // The step that only learns the basis decays nothing, as in nikhilvyas/SOAP.
    scalars: ({ t }) => ({ weightDecay: t === 1 ? 0 : weightDecay }),
  }),
  host,
  heavy: true,
  equations: () => [
    String.raw`m = \beta_1 m + (1 - \beta_1)\, g`,
    String.raw`v = \beta_2 v + (1 - \beta_2)\, (Q_L^\top g\, Q_R)^2`,
    String.raw`\mathrm{step} = Q_L \left(\frac{Q_L^\top m\, Q_R}{\sqrt{v} + \epsilon}\right) Q_R^\top`,
    String.raw`L = \beta L + (1 - \beta)\, g g^\top,\quad Q_L = \mathrm{qr}(L Q_L);\quad R,\ Q_R \text{ likewise with } g^\top g`,
  ],
  invariances: ['translation'],
  recipes: [
    {
      problem: 'quadratic',
      config: { learningRate: 0.1, weightDecay: 0, schedule: { id: 'linear', steps: 400 } },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
})
