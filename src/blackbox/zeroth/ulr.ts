/**
 * Training by forward passes alone: J. Jiang, Z. Zhang, C. Xu, Z. Yu, Y. Peng, "One Forward is Enough for Neural Network
 * Training via Likelihood Ratio Method", ICLR 2024 (arXiv:2305.08960), section 3.
 *
 * A module computes z = W*a + bias + sigma*e with standard normal noise e, of its own for each example n and draw k. The
 * gradient of the expected loss is E[(loss - c)*(e/sigma)*a'], whatever comes behind the module. A `forward` query sends a
 * seed in its note, and wants the loss of each example with each draw; a `product` query sends the coefficients q_nk that
 * follow, and wants sum q_nk e_nk a_n' as an array like the weight, and sum q_nk e_nk like the bias; where modules have noise
 * at once, a is the input with that of the draw. The noise of a seed: module-noise.ts.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, Quantity } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Tree } from '../../core/tree.js'
import { type Flat, norm, spaceOf } from '../../optimizers/flat.js'
import { type Turn, turnsMethod } from '../../optimizers/turns.js'
import { checkOptimizer, descend, iterate, optimizer, startDescent } from './descent.js'

const config = z.strictObject({
  modules: field(
    z.array(z.strictObject({ weight: z.string(), bias: z.string().optional() })).min(1),
    'The modules that have noise, by the names of their tensors. A module has the name of its weight.',
    { source: 'section 3.1' },
  ),
  sigma: field(z.number().positive().default(0.2), 'Standard deviation of the noise.', {
    source: 'section 5 (0.1 to 0.5)',
    mutable: true,
    log: true,
  }),
  copies: field(z.int().min(1).default(64), 'Draws of noise per example, K.', { source: 'section 5' }),
  antithetic: field(
    z.boolean().default(true),
    'Each draw is run with e and with -e: losses come in pairs of columns, and their halved difference is the loss.',
    { source: 'section 3.2' },
  ),
  baseline: field(
    z.enum(['others', 'none']).default('others'),
    'c without antithetic pairs: the mean loss of the other draws on the example, or 0.',
    { source: 'section 3.2' },
  ),
  quasi: field(z.boolean().default(false), 'Scrambled Sobol points through the normal quantile, in place of normals.', {
    source: 'section 3.2',
  }),
  layerwise: field(z.boolean().default(true), 'One module has noise at a time, in a pass of its own; or all at once.', {
    source: 'section 3.3',
  }),
  rest: field(
    z.enum(['fixed', 'told']).default('fixed'),
    'Tensors of no module stay, or step along a gradient that is told on the same sample without noise.',
    { source: 'section 3.3' },
  ),
  optimizer,
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  descent: Tree
  rng: RngState
  seed: number
  phase: 'forward' | 'product' | 'gradient'
  /** The pass under way. */
  pass: number
  coefficients: Float64Array
  gradient: Float64Array
  loss: number
  spread: number
  /** Losses told in this step, and their number. */
  sum: number
  count: number
  t: number
}

type Module = Config['modules'][number]
/** Modules that have noise in one pass, for all passes of a step. */
const passes = ({ modules, layerwise }: Config): readonly (readonly Module[])[] =>
  layerwise ? modules.map((module) => [module]) : [modules]
const namesOf = (modules: readonly Module[]) =>
  modules.flatMap(({ weight, bias }) => (bias === undefined ? [weight] : [weight, bias]))

function quantities(config: Config, run: Run<Config>, state: State): Quantity[] {
  const { antithetic, copies } = config
  if (state.phase === 'forward') {
    const columns = antithetic ? 2 * copies : copies
    const description = `the loss of each example, a row, with each draw of noise${antithetic ? ': e and -e side by side' : ''}`
    return [{ name: 'losses', shape: [-1, columns], description }]
  }
  const names = new Set(namesOf(passes(config)[state.pass]))
  const biases = new Set(config.modules.map(({ bias }) => bias))
  return spaceOf(run.problem)
    .tensors.filter(({ name }) => names.has(name))
    .map(({ name, shape }) => ({
      name,
      shape,
      description: `the sum of coefficient times noise${biases.has(name) ? '' : " times the module's input"}, over examples and draws`,
    }))
}

function ask(run: Run<Config>, _: Flat, state: State): Turn {
  const { config } = run
  const { x, phase, seed, pass, t, coefficients } = state
  const about = { points: [x], purpose: phase, sampleKey: `s${t}` }
  if (phase === 'gradient') return { ...about, wants: [{ kind: 'gradient' }] }
  const note = {
    seed: `${seed}`,
    modules: passes(config)
      [pass].map(({ weight }) => weight)
      .join(' '),
    sigma: `${config.sigma}`,
    copies: `${config.copies}`,
    antithetic: `${config.antithetic}`,
    quasi: `${config.quasi}`,
    // Row by row, in digits that give the same bits back.
    ...(phase === 'product' && { coefficients: Array.from(coefficients).join(' ') }),
  }
  return { ...about, wants: [{ kind: 'quantities', quantities: quantities(config, run, state) }], note }
}

/** q_nk: with sum q_nk e_nk a_n' the estimate, the mean over N examples and K draws. */
export function coefficientsOf(
  { sigma, copies, antithetic, baseline }: Pick<Config, 'sigma' | 'copies' | 'antithetic' | 'baseline'>,
  losses: ArrayLike<number>,
): Float64Array {
  const columns = antithetic ? 2 * copies : copies
  const examples = losses.length / columns
  const scale = 1 / (sigma * copies * examples)
  return Float64Array.from({ length: examples * copies }, (_, at) => {
    const [n, k] = [Math.floor(at / copies), at % copies]
    if (antithetic) return ((losses[n * columns + 2 * k] - losses[n * columns + 2 * k + 1]) / 2) * scale
    if (baseline === 'none' || copies === 1) return losses[at] * scale
    let others = 0
    for (let j = 0; j < copies; j++) if (j !== k) others += losses[n * copies + j]
    return (losses[at] - others / (copies - 1)) * scale
  })
}

function step(run: Run<Config>, flat: Flat, state: State) {
  state.descent = descend(run, state.descent, flat, state.gradient)
  state.x = iterate(run, state.descent, flat)
  state.loss = state.sum / state.count
  state.spread = norm(state.gradient)
  begin(flat, state)
  state.t++
}
function begin(flat: Flat, state: State) {
  state.seed = new Rng(state.rng).word()
  state.gradient = new Float64Array(flat.dimension)
  state.phase = 'forward'
  state.pass = 0
  state.sum = 0
  state.count = 0
}

function learn(run: Run<Config>, flat: Flat, state: State, { quantities: told, gradients }: Observation) {
  const { config } = run
  const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
  if (state.phase === 'forward') {
    const losses = Float64Array.from(told![0].losses, (loss) => sign * loss)
    state.coefficients = coefficientsOf(config, losses)
    for (const loss of losses) state.sum += sign * loss
    state.count += losses.length
    state.phase = 'product'
    return
  }
  if (state.phase === 'product') {
    for (const [name, array] of Object.entries(told![0])) state.gradient.set(array, flat.range(name)![0])
    state.pass++
    const more = state.pass < passes(config).length
    state.phase = more ? 'forward' : 'gradient'
    if (more || config.rest === 'told') return
  } else {
    const ours = new Set(namesOf(config.modules))
    for (const [name, array] of Object.entries(gradients![0]))
      if (!ours.has(name))
        state.gradient.set(
          array.map((g) => sign * g),
          flat.range(name)![0],
        )
  }
  step(run, flat, state)
}

export const method = turnsMethod<Config, State>({
  id: 'ulr',
  family: 'zeroth',
  title: 'Unified likelihood ratio',
  summary:
    'Trains without backpropagation: noise of sent seeds on the pre-activations of modules, losses told, and the gradient of ' +
    'each weight from one product of noise and input.',
  references: [
    {
      authors: 'J. Jiang, Z. Zhang, C. Xu, Z. Yu, Y. Peng',
      title: 'One Forward is Enough for Neural Network Training via Likelihood Ratio Method',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.08960',
    },
  ],
  config,
  recipes: [
    {
      problem: 'noisy-modules',
      config: {
        modules: [{ weight: 'W0', bias: 'b0' }, { weight: 'W1' }],
        copies: 16,
        optimizer: { id: 'adam', config: { learningRate: 0.03 } },
      },
      maxEvaluations: 1200,
      target: 0.02,
    },
    {
      problem: 'noisy-modules',
      config: {
        modules: [{ weight: 'W1' }],
        copies: 32,
        antithetic: false,
        quasi: true,
        layerwise: false,
        rest: 'told',
        optimizer: { id: 'adam', config: { learningRate: 0.03 } },
      },
      maxEvaluations: 1200,
      target: 0.02,
    },
  ],
  equations: ({ antithetic }) => [
    String.raw`z = W a + b + \sigma e,\quad e \sim \mathcal{N}(0, I)`,
    antithetic
      ? String.raw`g_W = \frac{1}{N K} \sum_{n,k} \frac{L_{nk}^+ - L_{nk}^-}{2 \sigma} e_{nk} a_n^\top`
      : String.raw`g_W = \frac{1}{N K} \sum_{n,k} \frac{L_{nk} - c_{nk}}{\sigma} e_{nk} a_n^\top`,
    String.raw`x \leftarrow \mathrm{rule}(x, g)`,
  ],
  needs: ({ rest }) => ['quantities', ...(rest === 'told' ? (['gradient'] as const) : [])],
  check(config, problem) {
    const issues = checkOptimizer(config, problem)
    const known = new Set(spaceOf(problem).tensors.map(({ name }) => name))
    const seen = new Set<string>()
    config.modules.forEach((module, i) => {
      for (const part of ['weight', 'bias'] as const) {
        const name = module[part]
        const path = `config.modules[${i}].${part}`
        if (name === undefined) continue
        if (!known.has(name)) issues.push({ path, message: `"${name}" is not a tensor of the space` })
        else if (seen.has(name)) issues.push({ path, message: `"${name}" is in a module already` })
        seen.add(name)
      }
    })
    if (config.rest === 'told' && seen.size === known.size)
      issues.push({ path: 'config.rest', message: 'every tensor is in a module; expected "fixed"' })
    return issues
  },
  init(run, flat, seed) {
    const state: State = {
      x: flat.start(),
      descent: startDescent(run, seed),
      rng: rngStream(seed, 'noise'),
      seed: 0,
      phase: 'forward',
      pass: 0,
      coefficients: new Float64Array(0),
      gradient: new Float64Array(0),
      loss: Number.NaN,
      spread: 0,
      sum: 0,
      count: 0,
      t: 0,
    }
    begin(flat, state)
    return state
  },
  ask,
  learn,
  estimate: (_, { x, loss, spread, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { gradientNorm: spread, ...(t > 0 && { loss }) },
  }),
})
