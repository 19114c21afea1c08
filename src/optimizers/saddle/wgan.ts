/**
 * Wasserstein GAN: several steps of a critic with bounded weights for each step of the generator.
 * M. Arjovsky, S. Chintala, L. Bottou, "Wasserstein Generative Adversarial Networks", ICML 2017 (arXiv:1701.07875),
 * algorithm 1; the warm-up is that of the published code.
 *
 * Queries with the purpose `critic` are for the gradient of the critic's loss, mean f(g(z)) - mean f(x), by its tensors, and
 * for its value, whose negative estimates the Wasserstein distance; those with `generator` for the gradient of
 * -mean f(g(z)) by all others. What is told of the other player's tensors is not used.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { checkNames, stepsMethod } from './steps.js'

const config = z.strictObject({
  critic: field(z.array(z.string()).min(1).default(['y']), 'Names of the tensors of the critic.', { source: 'ours' }),
  variant: field(
    z.enum(['wgan', 'gan']).default('wgan'),
    'gan, for comparison: the weights are free, and each player takes one step at a time.',
    { source: 'paper, section 4' },
  ),
  clip: field(z.number().positive().default(0.01), 'Bound c of the absolute value of every weight of the critic.', {
    source: 'paper, algorithm 1',
    log: true,
  }),
  criticSteps: field(z.int().min(1).default(5), 'Steps of the critic for one of the generator.', {
    source: 'paper, algorithm 1',
  }),
  warmUp: field(
    z.boolean().default(false),
    'Trains the critic for 100 steps ahead of each of the first 25 generator steps, and of every 500th.',
    { source: 'published code' },
  ),
  learningRate: field(z.number().positive().default(5e-5), 'Step size of both players.', {
    source: 'paper, algorithm 1',
    mutable: true,
    log: true,
  }),
  decay: field(z.number().min(0).lt(1).default(0.99), 'Decay of the mean square in RMSProp.', {
    source: 'torch.optim.RMSprop',
  }),
  eps: field(z.number().min(0).default(1e-8), 'Added to the root of the mean square.', {
    source: 'torch.optim.RMSprop',
    log: true,
  }),
  curve: field(z.boolean().default(true), 'Asks for the value of the critic too, for the Wasserstein curve.', {
    source: 'paper, section 4.2',
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** Mean squares of all gradients. */
  square: Float64Array
  /** Steps of the critic since the last of the generator. */
  critic: number
  /** Steps of the generator. */
  t: number
  wasserstein: number | null
}

const WARM_STEPS = 100
const WARM_FIRST = 25
const WARM_EVERY = 500

/** Critic steps ahead of the next step of the generator. */
function criticSteps({ variant, criticSteps, warmUp }: Config, t: number): number {
  if (variant === 'gan') return 1
  return warmUp && (t < WARM_FIRST || t % WARM_EVERY === 0) ? WARM_STEPS : criticSteps
}

const criticTurn = (config: Config, { critic, t }: State): boolean => critic < criticSteps(config, t)

export const method = stepsMethod<Config, State>({
  id: 'wgan',
  title: 'Wasserstein GAN',
  summary:
    'Adversarial training that shows its progress: a critic with bounded weights, trained ahead of the generator.',
  references: [
    {
      authors: 'M. Arjovsky, S. Chintala, L. Bottou',
      title: 'Wasserstein Generative Adversarial Networks',
      year: 2017,
      url: 'https://arxiv.org/abs/1701.07875',
    },
  ],
  config,
  recipes: [
    {
      problem: 'bilinear-game',
      config: { clip: 0.1, learningRate: 0.02, curve: false },
      maxEvaluations: 1200,
      target: 0.15,
    },
  ],
  equations: () => [
    String.raw`w \leftarrow \mathrm{clip}(w + \eta\, \mathrm{RMSProp}(\nabla_w [\overline{f_w(x)} - \overline{f_w(g_\theta(z))}]), -c, c)`,
    String.raw`\theta \leftarrow \theta - \eta\, \mathrm{RMSProp}(-\nabla_\theta \overline{f_w(g_\theta(z))})`,
  ],
  needs: ({ curve }) => (curve ? ['gradient', 'value'] : ['gradient']),
  check: ({ critic }, problem) => checkNames(critic, problem, 'config.critic'),
  init: (_, flat) => ({
    x: flat.start(),
    square: new Float64Array(flat.dimension),
    critic: 0,
    t: 0,
    wasserstein: null,
  }),
  ask({ config }, _, state) {
    const critic = criticTurn(config, state)
    return { at: state.x, purpose: critic ? 'critic' : 'generator', value: critic && config.curve }
  },
  learn({ config }, flat, state, g, value) {
    const { learningRate, decay, eps, clip, variant } = config
    const critic = criticTurn(config, state)
    const moves = new Uint8Array(flat.dimension).fill(critic ? 0 : 1)
    for (const name of config.critic) moves.fill(critic ? 1 : 0, ...flat.range(name)!)
    const x = state.x.slice()
    for (let i = 0; i < x.length; i++) {
      if (!moves[i]) continue
      state.square[i] = decay * state.square[i] + (1 - decay) * g[i] ** 2
      if (g[i] !== 0) x[i] -= (learningRate * g[i]) / (Math.sqrt(state.square[i]) + eps)
      if (critic && variant === 'wgan') x[i] = Math.min(Math.max(x[i], -clip), clip)
    }
    state.x = flat.clamp(x)
    if (critic) {
      state.critic++
      if (value !== undefined) state.wasserstein = -value
    } else {
      state.critic = 0
      state.t++
    }
  },
  estimate: (_, { x, t, wasserstein }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { ...(wasserstein !== null && { wasserstein }) },
  }),
})
