/**
 * Sampling from a diffusion model toward a goal without derivatives of its denoiser: N. G. Nair, V. M. Patel, "Dreamguider:
 * Improved Training free Diffusion-based Conditional Generation", 2024 (arXiv:2406.02549).
 *
 * Noise begins at the start values of the space, or where they are zero at random. The tensor `time` of the space, of one element, carries t to the client; the others are the sample. Queries with the
 * purpose `denoise` are for the noise that the denoiser finds in x_t, those with `goal` for value and gradient of the goal's
 * loss at the predicted clean sample. A goal is asked `augmentations` times, each with a sample key of its own, by which the
 * client may flip, shift or cut sample and target alike.
 */
import { z } from 'zod'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { elements } from '../../core/tensor.js'
import { type Flat, flatOf, norm, plus, spaceOf } from '../flat.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { noiseOr } from './noise.js'

const config = z.strictObject({
  time: field(
    z.string().default('t'),
    'Name of the tensor that carries the time, from `steps` to 1; 0 at a clean sample.',
    {
      source: 'ours',
    },
  ),
  steps: field(z.int().min(1).max(10_000).default(100), 'Steps T of the sampler.', { source: 'ours' }),
  betaStart: field(z.number().gt(0).lt(1).default(0.001), 'Variance of the noise of the first diffusion step.', {
    source: 'ours',
    log: true,
  }),
  betaEnd: field(z.number().gt(0).lt(1).default(0.2), 'That of the last; linear between.', {
    source: 'ours',
    log: true,
  }),
  eta: field(
    z.number().min(0).max(1).default(1),
    'Share of fresh noise: 1 is ancestral sampling, 0 is deterministic.',
    {
      source: 'Song, Meng, Ermon 2021, section 4.1',
    },
  ),
  c: field(z.number().min(0).default(0.2), 'Strength of guidance, of the norm of the noise; 0 is unguided.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  augmentations: field(z.int().min(1).max(1000).default(1), 'Goal gradients per step, R, whose mean guides.', {
    source: 'ours',
  }),
  scale: field(
    z.enum(['noise', 'dog']).default('noise'),
    'Length of guidance: c times the norm of the noise over that of the gradient; or, by distance over gradients, the ' +
      'farthest that the sample has come over the root of the summed squares of the gradients.',
    { source: 'paper, section 3' },
  ),
})
type Config = z.infer<typeof config>

/** Vectors are of the sample alone. */
type State = {
  /** T down to 1; 0 when the sample is complete. */
  t: number
  x: Float64Array
  start: Float64Array
  /** The noise found in x, once told, the clean sample that it predicts, and the mean of goal gradients there. */
  noise: Float64Array | null
  clean: Float64Array
  gradient: Float64Array
  told: number
  /** dog: the farthest distance from the start, the sum of squared gradient norms. */
  farthest: number
  squares: number
  loss: number | null
  goals: number
  rng: RngState
}

/** Kept share of the clean sample's variance behind t diffusion steps: the product of 1 - beta. */
export function keptShare({ steps, betaStart, betaEnd }: Config, t: number): number {
  let product = 1
  for (let i = 1; i <= t; i++)
    product *= 1 - (betaStart + (betaEnd - betaStart) * (steps > 1 ? (i - 1) / (steps - 1) : 0))
  return product
}

const timeRange = ({ time }: Config, flat: Flat) => flat.range(time)!

/** A sample with its time, as a point. */
function pointOf(config: Config, flat: Flat, sample: Float64Array, t: number): Float64Array {
  const [at] = timeRange(config, flat)
  const point = new Float64Array(flat.dimension)
  point.set(sample.subarray(0, at))
  point[at] = t
  point.set(sample.subarray(at), at + 1)
  return point
}
function sampleOf(config: Config, flat: Flat, point: Float64Array): Float64Array {
  const [at] = timeRange(config, flat)
  return Float64Array.from(point.filter((_, i) => i !== at))
}

/** x_{t-1}: a sampling step (DDIM, Song, Meng, Ermon 2021, equation 12), and guidance. */
function advance(config: Config, state: State) {
  const { x, clean, gradient: g, t } = state
  const noise = state.noise!
  const [now, next] = [keptShare(config, t), keptShare(config, t - 1)]
  const fresh = config.eta * Math.sqrt(((1 - next) / (1 - now)) * (1 - now / next))
  const rest = Math.sqrt(Math.max(0, 1 - next - fresh ** 2))
  const rng = new Rng(state.rng)
  const sampled = clean.map((value, i) => Math.sqrt(next) * value + rest * noise[i] + fresh * rng.normal())
  state.farthest = Math.max(state.farthest, norm(plus(x, -1, state.start)))
  state.squares += norm(g) ** 2
  const [factor, over] =
    config.scale === 'noise'
      ? [Math.sqrt(1 - next) * config.c * norm(noise), norm(g)]
      : [Math.sqrt(next) * state.farthest, Math.sqrt(state.squares)]
  // A goal that is met pulls nowhere. Nothing is added to the norm, so that small losses guide as large ones do.
  const length = over > 0 ? factor / over : 0
  state.x = plus(sampled, -length, g)
  state.noise = null
  state.t--
}

export const method = turnsMethod<Config, State>({
  id: 'dreamguider',
  family: 'gradient',
  title: 'Guided diffusion sampling',
  summary:
    'Samples from a pretrained denoiser toward a differentiable goal, without derivatives of the denoiser. A tensor of the ' +
    'space carries the time. Queries with the purpose `denoise` are for the noise in the sample at that time, those with ' +
    '`goal` for value and gradient of the loss of a clean sample, which the client may flip, shift or cut by the sample key, ' +
    'with its target alike. Zero start values stand for random noise.',
  references: [
    {
      authors: 'N. G. Nair, V. M. Patel',
      title: 'Dreamguider: Improved Training free Diffusion-based Conditional Generation',
      year: 2024,
      url: 'https://arxiv.org/abs/2406.02549',
    },
  ],
  config,
  recipes: [
    { problem: 'denoiser', config: { steps: 30 }, maxEvaluations: 60, target: 0.05 },
    { problem: 'denoiser', config: { steps: 30, scale: 'dog', augmentations: 2 }, maxEvaluations: 90, target: 0.05 },
  ],
  equations: ({ scale }) => [
    String.raw`\hat{x}_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon}{\sqrt{\bar\alpha_t}}, \quad g = \nabla_{\hat{x}_0} \ell(\hat{x}_0)`,
    String.raw`x' = \sqrt{\bar\alpha_{t-1}}\, \hat{x}_0 + \sqrt{1 - \bar\alpha_{t-1} - \sigma_t^2}\, \epsilon + \sigma_t z, \quad z \sim N(0, I)`,
    scale === 'noise'
      ? String.raw`x_{t-1} = x' - \sqrt{1 - \bar\alpha_{t-1}}\, \frac{c \|\epsilon\|}{\|g\|}\, g`
      : String.raw`x_{t-1} = x' - \sqrt{\bar\alpha_{t-1}}\, \frac{\max_i \|x_i - x_T\|}{\sqrt{\sum_i \|g_i\|^2}}\, g`,
  ],
  needs: () => ['quantities', 'gradient', 'value'],
  check({ time }, problem) {
    const { tensors } = spaceOf(problem)
    const tensor = tensors.find(({ name }) => name === time)
    const issues = checkUnbounded('dreamguider', problem)
    if (!tensor || elements(tensor.shape) !== 1)
      issues.push({ path: 'config.time', message: `"${time}" is not a tensor of one element` })
    else if (tensors.length === 1) issues.push({ path: 'space.tensors', message: `nothing but "${time}" to sample` })
    return issues
  },
  init({ config }, flat, seed) {
    const rng = rngStream(seed, 'noise')
    const x = noiseOr(sampleOf(config, flat, flat.start()), new Rng(rng))
    const zero = new Float64Array(x.length)
    return {
      t: config.steps,
      x,
      start: x,
      noise: null,
      clean: x,
      gradient: zero,
      told: 0,
      farthest: 0,
      squares: 0,
      loss: null,
      goals: 0,
      rng,
    }
  },
  ask({ config }, flat, { t, x, noise, clean, told }) {
    if (!noise) {
      const quantity = {
        name: 'noise',
        shape: [x.length],
        description: 'the noise that the denoiser finds in the sample',
      }
      return {
        points: [pointOf(config, flat, x, t)],
        wants: [{ kind: 'quantities', quantities: [quantity] }],
        purpose: 'denoise',
      }
    }
    return {
      points: [pointOf(config, flat, clean, 0)],
      wants: [{ kind: 'gradient' }, { kind: 'value' }],
      purpose: 'goal',
      sampleKey: `goal${t}.${told}`,
    }
  },
  learn({ config, problem }, flat, state, { quantities, gradients, values }) {
    if (quantities) {
      const share = keptShare(config, state.t)
      const noise = Float64Array.from(quantities[0].noise)
      state.noise = noise
      state.clean = state.x.map((x, i) => (x - Math.sqrt(1 - share) * noise[i]) / Math.sqrt(share))
      state.gradient = new Float64Array(noise.length)
      state.told = 0
      state.loss = 0
      return
    }
    const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
    const g = sampleOf(config, flat, flat.vector(gradients![0]))
    state.gradient = plus(state.gradient, sign / config.augmentations, g)
    state.loss = state.loss! + values![0][0] / config.augmentations
    state.goals++
    if (++state.told === config.augmentations) advance(config, state)
  },
  finished: (_, { t }) => (t === 0 ? 'the sample is complete' : undefined),
  estimate({ config, problem }, { clean, t, loss, goals }) {
    const flat = flatOf(problem)
    const metrics = { goalGradients: goals, ...(loss !== null && { goalLoss: loss }) }
    return { x: pointOf(config, flat, clean, 0), kind: 'iterate', step: config.steps - t, metrics }
  },
})
