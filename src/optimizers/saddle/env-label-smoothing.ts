/**
 * Domain-adversarial training, an encoder against a discriminator of environments, with smoothed environment labels:
 * Y. Zhang, X. Wang, J. Liang, Z. Zhang, L. Wang, R. Jin, T. Tan, "Free Lunch for Domain Adversarial Training: Environment
 * Label Smoothing", ICLR 2023 (arXiv:2302.00194), equation 2 and section 3.
 *
 * Queries with the purpose `domain` are for the gradient of L_d = -mean sum_l e_l log softmax(D(h(x)))_l by all tensors,
 * those with `task` for that of the task loss, on the same sample. The targets e are `labelSmoothing` at a sample's own
 * environment and (1 - labelSmoothing)/(environments - 1) at the others; every estimate tells them as metrics.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { checkNames, stepsMethod } from './steps.js'

const config = z.strictObject({
  discriminator: field(z.array(z.string()).min(1).default(['y']), 'Names of the tensors of the discriminator.', {
    source: 'ours',
  }),
  labelSmoothing: field(
    z.number().gt(0.5).max(1).default(0.9),
    "Target of a sample's own environment; 1 is plain domain-adversarial training.",
    { source: 'paper, section 4 (0.7 to 0.99)' },
  ),
  environments: field(z.int().min(2).default(2), 'Number of environments.', { source: 'ours' }),
  discriminatorSteps: field(z.int().min(1).default(1), 'Steps of the discriminator in a round.', {
    source: 'paper, section 3.4',
  }),
  encoderSteps: field(z.int().min(1).default(1), 'Steps of the encoder in a round.', { source: 'paper, section 3.4' }),
  reversal: field(
    z.boolean().default(false),
    'Both players step by one gradient of L_d, as through a layer that reverses it, and not in turn.',
    { source: 'Ganin et al. 2016' },
  ),
  task: field(z.boolean().default(true), 'Whether there is a task loss beside that of the environments.', {
    source: 'ours',
  }),
  learningRate: field(z.number().positive().default(1e-3), 'Step size of the encoder and all else.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  discriminatorRate: field(
    z.number().positive().optional(),
    'Step size of the discriminator; learningRate by default.',
    {
      source: 'ours',
      mutable: true,
      log: true,
    },
  ),
  lambda: field(z.number().min(0).default(1), 'Weight of -L_d in the loss of the encoder.', { source: 'ours' }),
  ramp: field(z.int().min(1).optional(), 'Encoder steps T over which lambda rises by 2/(1 + exp(-10 t/T)) - 1.', {
    source: 'Ganin et al. 2016, section 5.2',
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** Steps of the present round, first those of the discriminator. */
  turn: number
  /** The gradient of the task loss, while that of L_d on the same sample is awaited. */
  task: Float64Array | null
  /** Encoder steps. */
  t: number
}

/** Targets of a sample's own environment and of each other one. */
export function softTargets(labelSmoothing: number, environments: number): { own: number; other: number } {
  return { own: labelSmoothing, other: (1 - labelSmoothing) / (environments - 1) }
}

export function weightOf({ lambda, ramp }: Config, t: number): number {
  return ramp === undefined ? lambda : lambda * (2 / (1 + Math.exp((-10 * Math.min(t, ramp)) / ramp)) - 1)
}

const discriminates = ({ reversal, discriminatorSteps }: Config, { turn }: State): boolean =>
  !reversal && turn < discriminatorSteps
const wantsTask = (config: Config, state: State): boolean =>
  config.task && state.task === null && !discriminates(config, state)

/**
 * The largest rate at which alternating steps near an equilibrium stay bounded: 2/(sqrt(n_d n_e) |B|) for the coupling B
 * of the players there, whose norm comes from products with the Jacobian [[0, B], [-B', 0]] of the game's field.
 *
 * @param product the Jacobian times a vector, told for each that is asked
 */
export function largestStableRate(
  product: (v: Float64Array) => Float64Array,
  start: Float64Array,
  { discriminatorSteps = 1, encoderSteps = 1, iterations = 100 } = {},
): number {
  let v = start
  let size = 0
  for (let k = 0; k < iterations; k++) {
    const length = Math.hypot(...v)
    v = product(product(v.map((value) => value / length))).map((value) => -value)
    size = Math.hypot(...v)
    if (size === 0) return Infinity
  }
  return 2 / (Math.sqrt(size) * Math.sqrt(discriminatorSteps * encoderSteps))
}

export const method = stepsMethod<Config, State>({
  id: 'env-label-smoothing',
  title: 'Environment label smoothing',
  summary: 'Domain-adversarial training of an encoder, made stable by soft environment labels.',
  references: [
    {
      authors: 'Y. Zhang, X. Wang, J. Liang, Z. Zhang, L. Wang, R. Jin, T. Tan',
      title: 'Free Lunch for Domain Adversarial Training: Environment Label Smoothing',
      year: 2023,
      url: 'https://arxiv.org/abs/2302.00194',
    },
  ],
  config,
  recipes: [
    {
      problem: 'quadratic',
      config: { discriminator: ['b'], learningRate: 0.05, discriminatorRate: 0.05, lambda: 0 },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
  equations: () => [
    String.raw`L_d = -\overline{\sum_l e_l \log \mathrm{softmax}(D(h(x)))_l},\quad e_j = \gamma,\ e_l = \frac{1 - \gamma}{M - 1}`,
    String.raw`d \leftarrow d - \eta_d \nabla_d L_d`,
    String.raw`\theta \leftarrow \theta - \eta\, \nabla_\theta (L_{task} - \lambda L_d)`,
  ],
  check: ({ discriminator }, problem) => checkNames(discriminator, problem, 'config.discriminator'),
  init: (_, flat) => ({ x: flat.start(), turn: 0, task: null, t: 0 }),
  ask({ config }, _, state) {
    const sampleKey = `s${state.t}.${state.turn}`
    return { at: state.x, purpose: wantsTask(config, state) ? 'task' : 'domain', sampleKey }
  },
  learn({ config }, flat, state, g) {
    if (wantsTask(config, state)) {
      state.task = g
      return
    }
    const { learningRate, discriminatorRate = learningRate, discriminatorSteps, encoderSteps, reversal } = config
    const adversary = discriminates(config, state)
    const weight = weightOf(config, state.t)
    const own = new Uint8Array(flat.dimension)
    for (const name of config.discriminator) own.fill(1, ...flat.range(name)!)
    state.x = flat.clamp(
      state.x.map((value, i) => {
        if (own[i]) return adversary || reversal ? value - discriminatorRate * g[i] : value
        return adversary ? value : value - learningRate * ((state.task?.[i] ?? 0) - weight * g[i])
      }),
    )
    state.task = null
    state.turn = (state.turn + 1) % (reversal ? encoderSteps : discriminatorSteps + encoderSteps)
    if (!adversary) state.t++
  },
  estimate({ config }, { x, t }) {
    const { own, other } = softTargets(config.labelSmoothing, config.environments)
    return { x, kind: 'iterate', step: t, metrics: { targetOwn: own, targetOther: other, lambda: weightOf(config, t) } }
  },
})
