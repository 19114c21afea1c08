/**
 * Which features of an input a function makes its value of: Erion, Janizek, Sturmfels, Lundberg, Lee, "Improving performance
 * of deep learning models with axiomatic attribution priors and expected gradients", Nature Machine Intelligence 2021,
 * section 2.1. With one reference and even alphas these are integrated gradients (Sundararajan, Taly, Yan 2017).
 *
 * The space is that of the input, which its initial values are. Queries with the purpose `attribution` are for gradients at
 * points between references and the input, those with `completeness` for the values at the input and the references.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { totalElements } from '../../core/tensor.js'
import { spaceOf } from '../flat.js'
import { turnsMethod } from '../turns.js'

const config = z.strictObject({
  references: field(
    z.array(z.array(z.number())).default([]),
    'Inputs to compare with, each with all tensors one after another; zeros where none is given.',
    { source: 'paper, section 2.1: examples of the training set' },
  ),
  samples: field(z.int().min(1).default(200), 'Gradients in all.', { source: 'paper, section 4: 200 for reports' }),
  batch: field(z.int().min(1).max(1000).default(20), 'Gradients of one query.', { source: 'ours' }),
  alpha: field(
    z.enum(['random', 'even']).default('random'),
    'How far on the way to the input: a uniform number, or for each reference the middles of equal parts of the way.',
    { source: 'paper, section 2.1; even: integrated gradients' },
  ),
  times: field(
    z.enum(['difference', 'one']).default('difference'),
    'What gradients are multiplied by: the difference of input and reference, or nothing (the mean gradient).',
    { source: 'paper, section 2.1' },
  ),
  completeness: field(
    z.boolean().default(true),
    'First asks for the values at the input and the references, and reports what the attributions miss of their difference.',
    { source: 'paper, section 2.1' },
  ),
})
type Config = z.infer<typeof config>

/** The point asked for a sample: the number of its reference, and alpha. */
type Sample = { reference: number; alpha: number }

type State = {
  x: Float64Array
  /** Sum over the samples so far. */
  sum: Float64Array
  samples: number
  /** f(x) less the mean over the references. */
  rise: number | null
  open: Sample[]
  /** References of the present round, which has each once. */
  order: number[]
  rng: RngState
}

const counted = ({ references }: Config): number => Math.max(1, references.length)
const referenceOf = ({ references }: Config, { x }: State, i: number): ArrayLike<number> =>
  references[i] ?? new Float64Array(x.length)

/** The samples of the next query. Each reference comes as often as the others, in an order of its own each round. */
function draw(config: Config, state: State): Sample[] {
  const rng = new Rng(state.rng)
  const count = counted(config)
  const each = Math.ceil(config.samples / count)
  const size = Math.min(config.batch, config.samples - state.samples)
  return Array.from({ length: size }, (_, k) => {
    if (state.order.length === 0) state.order = rng.shuffle(Array.from({ length: count }, (_, i) => i))
    const round = Math.floor((state.samples + k) / count)
    const alpha = config.alpha === 'even' ? (round + 0.5) / each : rng.uniform()
    return { reference: state.order.shift()!, alpha }
  })
}

const wantsValues = (config: Config, { rise }: State) => config.completeness && rise === null

export const method = turnsMethod<Config, State>({
  id: 'expected-gradients',
  family: 'sampling',
  title: 'Expected gradients',
  summary:
    'Attributes the value of a function to the features of an input, by gradients on the way from references to it.',
  references: [
    {
      authors: 'G. Erion, J. D. Janizek, P. Sturmfels, S. M. Lundberg, S.-I. Lee',
      title: 'Improving performance of deep learning models with axiomatic attribution priors and expected gradients',
      year: 2019,
      url: 'https://arxiv.org/abs/1906.10670',
    },
  ],
  config,
  recipes: [{ problem: 'attribution', config: { samples: 50 }, maxEvaluations: 10, target: 1e-9 }],
  equations: () => [
    String.raw`\phi_i = \mathbb{E}_{x' \sim D,\ \alpha \sim U(0, 1)} \left[(x_i - x'_i)\, \partial_i f(x' + \alpha (x - x'))\right]`,
    String.raw`\sum_i \phi_i = f(x) - \mathbb{E}_{x' \sim D} f(x')`,
  ],
  needs: ({ completeness }) => (completeness ? ['gradient', 'value'] : ['gradient']),
  check({ references }, problem): Issue[] {
    const features = totalElements(spaceOf(problem).tensors)
    return references.flatMap(({ length }, i) =>
      length === features
        ? []
        : [{ path: `config.references[${i}]`, message: `expected ${features} numbers, got ${length}` }],
    )
  },
  init: ({ config }, flat, seed) => {
    const x = flat.start()
    const sum = new Float64Array(x.length)
    const state: State = { x, sum, samples: 0, rise: null, open: [], order: [], rng: rngStream(seed, 'samples') }
    state.open = draw(config, state)
    return state
  },
  ask({ config }, _, state) {
    const { x, open } = state
    if (wantsValues(config, state)) {
      const references = Array.from({ length: counted(config) }, (_, i) =>
        Float64Array.from(referenceOf(config, state, i)),
      )
      return { points: [x, ...references], wants: [{ kind: 'value' }], purpose: 'completeness' }
    }
    const points = open.map(({ reference, alpha }) => {
      const from = referenceOf(config, state, reference)
      return x.map((value, i) => from[i] + alpha * (value - from[i]))
    })
    return { points, wants: [{ kind: 'gradient' }], purpose: 'attribution' }
  },
  learn({ config }, flat, state, { values, gradients }) {
    if (wantsValues(config, state)) {
      const [[value], ...others] = values!
      state.rise = value - others.reduce((sum, [other]) => sum + other / others.length, 0)
      return
    }
    const { x, sum, open } = state
    for (const [k, { reference }] of open.entries()) {
      const g = flat.vector(gradients![k])
      const from = referenceOf(config, state, reference)
      for (let i = 0; i < x.length; i++) sum[i] += (config.times === 'one' ? 1 : x[i] - from[i]) * g[i]
    }
    state.samples += open.length
    state.open = draw(config, state)
  },
  finished: ({ config }, { samples }) => (samples >= config.samples ? 'all samples are told' : undefined),
  estimate({ config }, { sum, samples, rise }) {
    const phi = sum.map((value) => (samples > 0 ? value / samples : 0))
    const judged = rise !== null && samples > 0 && config.times === 'difference'
    const completenessError = phi.reduce((total, value) => total + value, 0) - (rise ?? 0)
    return { x: phi, kind: 'average', step: samples, metrics: { ...(judged && { completenessError }) } }
  },
})
