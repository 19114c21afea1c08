/** The options of bayes-attack, the perturbations that they allow, and what an answer to one is worth. */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Run } from '../../core/method.js'
import type { Observation, Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { flatOf, spaceOf } from '../../optimizers/flat.js'
import { signOf } from '../space/progress.js'
import { BASES, layoutOf, patternOf } from './patterns.js'

export const config = z.strictObject({
  tensor: field(
    z.string().optional(),
    'The tensor that is perturbed, of one to three lengths; the first when absent.',
    {
      source: 'ours',
    },
  ),
  channelsLast: field(z.boolean().default(false), 'Of three lengths, the last counts channels, and not the first.', {
    source: 'ours',
  }),
  answer: field(
    z.enum(['hard', 'soft', 'value']).default('hard'),
    'hard: the label at an input. soft: log probabilities of all labels. value: an objective of any kind.',
    { source: 'paper' },
  ),
  target: field(z.int().min(0).optional(), 'The label to be reached; any but the first when absent.', {
    source: 'paper',
  }),
  norm: field(z.enum(['linf', 'l2']).default('linf'), 'Norm that bounds the perturbation.', { source: 'paper' }),
  eps: field(z.number().positive().default(0.3), 'Bound of the perturbation; 0.05 is usual for colour images.', {
    source: 'paper',
  }),
  discrete: field(z.boolean().default(true), 'Of linf: eps or -eps in every element, by the sign of the pattern.', {
    source: 'paper',
  }),
  basis: field(z.enum(BASES).default('cosine'), 'Functions that patterns are made of.', {
    source: 'paper',
  }),
  latent: field(
    z.tuple([z.int().min(1).max(64), z.int().min(1).max(64)]).default([4, 4]),
    'Functions along rows and columns; latent numbers per channel are their product.',
    { source: 'paper' },
  ),
  nInitial: field(z.int().min(1).default(5), 'Random patterns before the model.', { source: 'paper' }),
  maxQueries: field(z.int().min(2).default(1000), 'Queries before giving up.', { source: 'paper' }),
  acquisition: field(
    z.enum(['ei', 'mean', 'ucb']).default('ei'),
    'ei: expected improvement. mean: the posterior mean. ucb: mean and two deviations.',
    { source: 'paper' },
  ),
  nCandidates: field(z.int().min(16).max(65536).default(500), 'Points of the screening, half of them signs.', {
    source: 'paper',
    advanced: true,
  }),
})
export type Config = z.infer<typeof config>

export const tensorOf = ({ tensor }: Config, problem: Problem) =>
  spaceOf(problem).tensors.find(({ name }) => name === tensor) ?? spaceOf(problem).tensors[0]

/** The perturbation of latent numbers, within its bound. */
export function perturbation(c: Config, shape: readonly number[], z: ArrayLike<number>): Float64Array {
  const { norm, eps, discrete, basis, latent } = c
  const u = patternOf(basis, layoutOf(shape, c.channelsLast), latent, z)
  if (norm === 'linf') return u.map((v) => (discrete ? eps * Math.sign(v) : Math.min(eps, Math.max(-eps, v))))
  const length = Math.hypot(...u)
  return u.map((v) => v * Math.min(1, eps / Math.max(length, Number.MIN_VALUE)))
}

export function perturbed({ config: c, problem }: Run<Config>, z: ArrayLike<number>): Float64Array {
  const flat = flatOf(problem)
  const { name, shape } = tensorOf(c, problem)
  const x = flat.start()
  const [from] = flat.range(name)!
  perturbation(c, shape, z).forEach((v, i) => {
    x[from + i] += v
  })
  return flat.clamp(x)
}

export function wantsOf({ answer }: Config): Want[] {
  if (answer === 'value') return [{ kind: 'value' }]
  const quantity =
    answer === 'hard'
      ? { name: 'label', shape: [], description: 'Number of the label that the model gives, from 0.' }
      : { name: 'logProbabilities', shape: [-1], description: 'Logarithm of the probability of every label.' }
  return [{ kind: 'quantities', quantities: [quantity] }]
}

/** Index of the largest, the first of equals. */
export const argmax = (values: ArrayLike<number>) =>
  Array.from(values).reduce((top, v, i, all) => (v > all[top] ? i : top), 0)

/** What an answer is worth (0 is success, for labels) and whether the decision has changed; undefined where nothing was told. */
export function judge({ config: c, problem }: Run<Config>, clean: number, observation: Observation) {
  const record = observation.quantities?.[0]
  if (c.answer === 'value') {
    const value = observation.values?.[0]?.[0]
    return value === undefined || !Number.isFinite(value)
      ? undefined
      : { value: -signOf(problem) * value, changed: false }
  }
  if (c.answer === 'hard') {
    if (!record) return undefined
    const changed = c.target === undefined ? record.label[0] !== clean : record.label[0] === c.target
    return { value: changed ? 0 : -1, changed }
  }
  if (!record) return undefined
  const logs = record.logProbabilities
  const own = c.target ?? clean
  let other = Number.NEGATIVE_INFINITY
  for (let i = 0; i < logs.length; i++) if (i !== own) other = Math.max(other, logs[i])
  // Ties are not changes: a model of constant output has nothing but ties.
  const lead = c.target === undefined ? other - logs[own] : logs[own] - other
  return Number.isNaN(lead) ? undefined : { value: Math.min(0, lead), changed: lead > 0 }
}

export function check(c: Config, problem: Problem): Issue[] {
  if (problem.space.kind !== 'tensors') return []
  const issues: Issue[] = []
  const { tensors } = problem.space
  if (c.tensor !== undefined && !tensors.some(({ name }) => name === c.tensor))
    return [{ path: 'config.tensor', message: `"${c.tensor}" is not a tensor of the space` }]
  const { shape } = tensorOf(c, problem)
  if (shape.length > 3 || shape.length === 0)
    return [{ path: 'config.tensor', message: `expected one to three lengths, got ${shape.length}` }]
  const { rows, columns } = layoutOf(shape, c.channelsLast)
  ;[rows, columns].forEach((n, i) => {
    if (c.latent[i] > n)
      issues.push({ path: `config.latent[${i}]`, message: `expected at most ${n}, got ${c.latent[i]}` })
  })
  if (c.target !== undefined && c.answer === 'value')
    issues.push({ path: 'config.target', message: 'a value has no label to be reached' })
  return issues
}
