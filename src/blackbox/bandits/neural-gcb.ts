/**
 * NeuralGCB: a contextual bandit with networks, staged elimination, and greedy play inside of a stage.
 * S. Salgia, S. Vakili, Q. Zhao, "Provably and Practically Efficient Neural Contextual Bandits", ICML 2023, arXiv 2206.00099.
 *
 * Every stage has a network, the rounds that were assigned to it, and confidence widths by the gradients g(x) at the
 * initial weights: sig(x) = sqrt(g' Z^-1 g), Z = lambda I + sum g g'. A stage explores actions that are wide (or plays
 * what the stage before thinks best); where none is, those whose bound is below another's lower bound are dropped, and the
 * next stage decides at half the width.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { MAX_DIMENSION } from '../sampling/sobol.js'
import { banditMethod, bestField, type Choice, featuresField, type Round } from './anatomy.js'
import { armsOf, largest } from './arms.js'
import { drawWeights, evaluate, gradientOf, type Shape, train } from './network.js'
import { observe, startInverse, width } from './ridge.js'

const config = z.strictObject({
  algorithm: field(
    z.enum(['neural-gcb', 'sup-nn-ucb', 'neural-ucb']).default('neural-gcb'),
    'neural-gcb: stages with greedy play. sup-nn-ucb: stages that always explore. neural-ucb: one stage, the largest bound.',
    { source: 'paper; D. Zhou et al., ICML 2020' },
  ),
  horizon: field(z.int().min(1).default(1000), 'Rounds T that thresholds and stages are laid out for.', {
    source: 'ours',
  }),
  hidden: field(z.int().min(1).max(1024).default(20), 'Hidden units m.', { source: 'paper' }),
  power: field(z.int().min(2).max(6).default(2), 'Smoothness s of the activation relu^s.', {
    source: 'paper',
  }),
  lambda: field(z.number().positive().default(0.05), 'Ridge regularization of the widths.', {
    source: 'paper',
  }),
  lambda0: field(z.number().positive().default(2), 'Width that the first stage explores to, times 2.', {
    source: 'ours',
  }),
  normBound: field(z.number().positive().default(1), 'Bound B on the norm of the reward function.', {
    source: 'paper',
  }),
  noise: field(z.number().min(0).default(0.1), 'Scale nu of the noise of rewards.', { source: 'paper' }),
  delta: field(z.number().positive().max(1).default(0.1), 'Probability that a bound fails.', { source: 'paper' }),
  retrain: field(
    z.enum(['fixed', 'adaptive']).default('fixed'),
    'fixed: after every batch of its rounds. adaptive: when the determinant of Z has grown by a factor.',
    { source: 'paper' },
  ),
  batch: field(z.int().min(1).default(10), 'Rounds of a stage between trainings: fixed.', {
    source: 'paper',
  }),
  growth: field(z.number().gt(1).default(3), 'Growth of the determinant between trainings: adaptive.', {
    source: 'paper',
  }),
  epochs: field(z.int().min(1).default(100), 'Gradient steps of a training.', { source: 'paper' }),
  learningRate: field(z.number().positive().default(0.1), 'Step size of a training.', { source: 'paper' }),
  features: featuresField,
  bestReward: bestField,
})
type Config = z.infer<typeof config>

type Stage = {
  weights: Float64Array
  inverse: Float64Array
  xs: Float64Array[]
  ys: number[]
  /** Rounds since the last training, and the growth of the determinant since. */
  since: number
  growth: number
  exploited: number
}
type State = { seed: number; inputs: number; initial: Float64Array; stages: Stage[] }

/** Explorations of a stage r before it plays greedily in proportion to ln(T) 4^(r+1). */
const EXPLOIT = 20
/** 32 MiB of widths in a stage. */
const MAX_WEIGHTS = 2048

const shapeOf = ({ hidden, power }: Config, inputs: number): Shape => ({ inputs, hidden, power })
/** Stages 0 to S - 1, and one for the rounds that the last of them decides. */
const stagesOf = ({ horizon }: Config) => Math.ceil(Math.log(horizon)) + 2

export const betaOf = ({ normBound, noise, lambda, delta }: Config): number =>
  2 * normBound + noise * Math.sqrt((2 / lambda) * Math.log(1 / delta))

/** The widths take a square matrix of the weights in every stage: refused where it would not fit. */
function check({ features, hidden }: Config, problem: Problem): Issue[] {
  if (features === 'told' || (problem.space.kind === 'search' && problem.space.parameters.length > MAX_DIMENSION))
    return []
  const weights = hidden * ((armsOf(problem).x[0]?.length ?? 0) + 1)
  if (weights <= MAX_WEIGHTS) return []
  const message = `expected at most ${MAX_WEIGHTS} weights, hidden (features + 1), got ${weights}`
  return [{ path: 'config.hidden', message }]
}

/** Weights need the number of features: they are drawn when the first are seen, from the seed. */
function prepare(config: Config, own: State, inputs: number): void {
  if (own.inputs === inputs) return
  own.inputs = inputs
  own.initial = drawWeights(shapeOf(config, inputs), new Rng(rngStream(own.seed, 'weights')))
  own.stages = []
}

/** A stage, made when it is first reached. */
function stageAt({ lambda }: Config, own: State, r: number): Stage {
  while (own.stages.length <= r)
    own.stages.push({
      weights: own.initial,
      inverse: startInverse(own.initial.length, lambda),
      xs: [],
      ys: [],
      since: 0,
      growth: 1,
      exploited: 0,
    })
  return own.stages[r]
}

const gradient = (config: Config, { initial, inputs }: State, x: Float64Array): Float64Array =>
  gradientOf(shapeOf(config, inputs), initial, x)

/** Trains the network of a stage, from where it is, on all its rounds. */
function retrain(config: Config, { inputs }: State, stage: Stage): void {
  const { epochs, learningRate } = config
  stage.weights = train(shapeOf(config, inputs), stage.weights, stage.xs, stage.ys, epochs, learningRate)
  stage.since = 0
  stage.growth = 1
}

function choose(config: Config, own: State, { arms, x, rng }: Round): Choice {
  prepare(config, own, x[arms[0]].length)
  const { algorithm, horizon, lambda0 } = config
  const shape = shapeOf(config, own.inputs)
  const beta = betaOf(config)
  const stages = stagesOf(config)
  const gradients = x.map((features) => gradient(config, own, features))
  let active = arms
  let before: number | undefined
  for (let r = 0; ; r++) {
    const stage = stageAt(config, own, r)
    const sigmas = gradients.map((g) => width(stage.inverse, g))
    const wide = active.filter((arm) => sigmas[arm] > lambda0 * 2 ** -(r + 1))
    // A stage that is left has learned all that it was told.
    if (wide.length === 0 && stage.since > 0 && algorithm !== 'neural-ucb') retrain(config, own, stage)
    const means = x.map((features) => evaluate(shape, stage.weights, features))
    const bounds = means.map((mean, a) => mean + beta * sigmas[a])
    const told = (arm: number, stage: number, purpose: string): Choice => ({
      arm,
      purpose,
      note: { stage },
      means,
      bounds,
      metrics: { stage: r, active: active.length, width: sigmas[arm] },
    })
    const optimist = largest(active, (arm) => bounds[arm], rng)
    if (algorithm === 'neural-ucb') return told(optimist, 0, 'optimism')
    if (wide.length === 0) {
      const last = r + 1 >= stages - 1
      if (sigmas[optimist] <= lambda0 / Math.sqrt(2 * horizon) || last)
        return told(optimist, Math.min(r + 1, stages - 1), 'optimism')
      const floor = active.reduce(
        (most, arm) => Math.max(most, means[arm] - beta * sigmas[arm]),
        Number.NEGATIVE_INFINITY,
      )
      active = active.filter((arm) => bounds[arm] >= floor)
      before = largest(active, (arm) => means[arm], rng)
      continue
    }
    const explores =
      before === undefined || algorithm === 'sup-nn-ucb' || stage.exploited > EXPLOIT * Math.log(horizon) * 4 ** (r + 1)
    if (explores) return told(wide[rng.integer(wide.length)], r, 'explore')
    stage.exploited++
    return told(before as number, r, 'greedy')
  }
}

export const method = banditMethod<Config, State>({
  id: 'neural-gcb',
  title: 'NeuralGCB',
  summary: 'Contextual bandit with networks of smooth activation: stages of elimination, greedy inside of a stage.',
  references: [
    {
      authors: 'S. Salgia, S. Vakili, Q. Zhao',
      title: 'Provably and Practically Efficient Neural Contextual Bandits',
      year: 2022,
      url: 'https://arxiv.org/abs/2206.00099',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', config: { horizon: 200 }, maxEvaluations: 200, target: -0.99 }],
  equations: () => [
    String.raw`f(x) = c\, a^\top \max(0, W x)^s, \quad c^2 = 2 / \textstyle\prod_{k < s} (2k + 1)`,
    String.raw`\sigma(x) = \sqrt{g(x)^\top Z^{-1} g(x)}, \quad Z = \lambda I + \sum g g^\top, \quad g = \nabla_w f_{w_0}`,
    String.raw`\mathrm{UCB}(x) = f(x) + \beta \sigma(x), \quad \beta = 2B + \nu \sqrt{(2/\lambda) \ln(1/\delta)}`,
  ],
  heavy: true,
  features: ({ features }) => features,
  best: ({ bestReward }) => bestReward,
  check,
  init: (_run, _arms, seed) => ({ seed, inputs: 0, initial: new Float64Array(0), stages: [] }),
  choose: ({ config }, own, round) => choose(config, own, round),
  learn({ config }, own, { x, reward, note }) {
    prepare(config, own, x.length)
    const stage = stageAt(config, own, note.stage ?? 0)
    stage.xs.push(x)
    stage.ys.push(reward)
    stage.since++
    stage.growth *= observe(stage.inverse, gradient(config, own, x))
    if (config.retrain === 'fixed' ? stage.since >= config.batch : stage.growth >= config.growth)
      retrain(config, own, stage)
  },
})
