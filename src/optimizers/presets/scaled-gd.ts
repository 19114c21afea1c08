/**
 * Xu, Shen, Chi, Ma, "The Power of Preconditioning in Overparameterized Low-Rank Matrix Sensing", ICML 2023, equation 5
 * (ScaledGD(lambda)); Tong, Ma, Chi, "Accelerating Ill-Conditioned Low-Rank Matrix Estimation via Scaled Gradient Descent",
 * JMLR 2021 (lambda 0; pairs of factors).
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'
import type { Problem, TensorsSpace } from '../../core/space.js'
import type { FloatArray } from '../../core/tensor.js'
import { choleskyFactor, solveRows } from '../cholesky.js'
import { gradientMethod, type Host, type PresetConfig } from '../gradient.js'
import { real } from '../parts.js'

const fields = {
  learningRate: real('Step size, eta.', { default: 0.3, min: 0, mutable: true, log: true, source: 'section 5' }),
  lambda: field(
    z.number().min(0).optional(),
    'Damping of the preconditioner; where absent, 1/20 of `smallestEigenvalue` or else 0.01*|X|^2/k of each factor.',
    { mutable: true, source: 'theorem 2: of the order of the smallest eigenvalue' },
  ),
  smallestEigenvalue: field(z.number().positive().optional(), 'Least nonzero eigenvalue of the matrix sought.', {
    source: 'theorem 2',
  }),
  pairs: field(
    z.array(z.strictObject({ left: z.string(), right: z.string() })).default([]),
    'Factors L (n by k) and R (m by k) of L*R’: each is preconditioned by the other. Other matrices X are factors of X*X’.',
    { source: 'Tong, Ma, Chi 2021, section 2' },
  ),
}
type Config = PresetConfig<typeof fields>

/** X'X + lambda*I, row-major, for X of k columns. */
function gram(x: FloatArray, k: number, { lambda, smallestEigenvalue }: Config): Float64Array {
  const out = new Float64Array(k * k)
  for (let row = 0; row < x.length; row += k)
    for (let i = 0; i < k; i++) for (let j = 0; j < k; j++) out[i * k + j] += x[row + i] * x[row + j]
  let trace = 0
  for (let i = 0; i < k; i++) trace += out[i * k + i]
  const damping = lambda ?? (smallestEigenvalue === undefined ? (0.01 * trace) / k : smallestEigenvalue / 20)
  for (let i = 0; i < k; i++) out[i * k + i] += damping
  return out
}

const host: Host<Config> = {
  provides: () => ['g'],
  inputs(config, space, { gradient, point }) {
    const partner = new Map(
      config.pairs.flatMap(
        ({ left, right }) =>
          [
            [left, right],
            [right, left],
          ] as const,
      ),
    )
    const scaled = space.tensors.map(({ name, shape }) => {
      const k = shape[1]
      return [name, solveRows(choleskyFactor(gram(point[partner.get(name) ?? name], k, config), k), k, gradient[name])]
    })
    return { g: Object.fromEntries(scaled) }
  },
}

function check({ pairs }: Config, problem: Problem): Issue[] {
  const { tensors } = problem.space as TensorsSpace
  const issues: Issue[] = []
  tensors.forEach(({ name, shape }, i) => {
    if (shape.length !== 2)
      issues.push({ path: `space.tensors[${i}].shape`, message: `"${name}" is no factor; expected a matrix` })
  })
  const columns = (name: string) => tensors.find((tensor) => tensor.name === name)?.shape[1]
  const seen = new Set<string>()
  pairs.forEach(({ left, right }, i) => {
    for (const [side, name] of Object.entries({ left, right })) {
      if (columns(name) === undefined)
        issues.push({ path: `config.pairs[${i}].${side}`, message: `the space has no matrix "${name}"` })
      if (seen.has(name)) issues.push({ path: `config.pairs[${i}].${side}`, message: `"${name}" is paired twice` })
      seen.add(name)
    }
    if (columns(left) !== columns(right))
      issues.push({ path: `config.pairs[${i}]`, message: `"${left}" and "${right}" have not as many columns` })
  })
  return issues
}

export const method = gradientMethod<typeof fields>({
  id: 'scaled-gd',
  title: 'Scaled gradient descent',
  summary:
    'For factors of low-rank matrices: the gradient of X times the inverse of X’X + lambda*I. As fast on ill-conditioned ' +
    'and overparameterized problems as on others.',
  references: [
    {
      authors: 'X. Xu, Y. Shen, Y. Chi, C. Ma',
      title: 'The Power of Preconditioning in Overparameterized Low-Rank Matrix Sensing',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.01186',
    },
    {
      authors: 'T. Tong, C. Ma, Y. Chi',
      title: 'Accelerating Ill-Conditioned Low-Rank Matrix Estimation via Scaled Gradient Descent',
      year: 2021,
      url: 'https://arxiv.org/abs/2005.08898',
    },
  ],
  fields,
  host,
  rule: () => ({ text: 'x = x - lr*g' }),
  check,
  recipes: [{ problem: 'low-rank', config: { smallestEigenvalue: 0.1 }, maxEvaluations: 100, target: 1e-6 }],
})
