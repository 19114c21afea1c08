/**
 * S. I. Birbil, O. Martin, G. Onay, F. Oztoprak, "Bolstering Stochastic Gradient Descent with Model Building", TOP 2024
 * (arXiv:2111.07058), algorithm 1. Where a step of SGD does not decrease the loss of its batch enough, the step of a quadratic
 * model is taken in its place, whose length and direction come from the two gradients, tensor by tensor:
 * F. Oztoprak, S. I. Birbil, "An alternative globalization strategy for unconstrained optimization", Optimization 2018.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation, Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import { dot, type Flat, norm, plus, spaceOf } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'

const config = z.strictObject({
  learningRate: real('Step size of the first steps; the schedule changes it.', {
    default: 0.5,
    above: 0,
    log: true,
    source: 'section 4',
  }),
  c: real('Share of the decrease to first order that a step has to give.', {
    default: 0.1,
    above: 0,
    below: 1,
    source: 'sibirbil/SMB',
  }),
  eta: real('Shrinkage of the step of the model relative to that of SGD.', {
    default: 0.99,
    above: 0,
    below: 1,
    source: 'sibirbil/SMB',
  }),
  smallest: real(
    'Norm of the gradient below which any trial point is kept; the loss then falls no further than this.',
    {
      default: 0,
      min: 0,
      log: true,
      source: 'ours; sibirbil/SMB has 1e-8',
    },
  ),
  independentBatch: field(
    z.boolean().default(false),
    'The model is made of the next batch, so that it does not depend on the one whose step failed (SMBi).',
    { source: 'section 3' },
  ),
  autoschedule: field(z.boolean().default(false), 'Changes the learning rate after each epoch.', {
    source: 'section 4.2',
  }),
  batchesPerEpoch: field(z.int().min(1).default(100), 'Batches of an epoch, for the schedule.', { source: 'ours' }),
  gamma: real('Share of model steps above which the learning rate falls; half of it with independent batches.', {
    default: 0.05,
    min: 0,
    source: 'sibirbil/SMB',
  }),
  beta: real('Factor by which the learning rate falls, or rises.', {
    default: 0.9,
    above: 0,
    below: 1,
    source: 'sibirbil/SMB',
  }),
  maxLearningRate: real('The learning rate does not rise above this.', {
    default: 20,
    above: 0,
    source: 'sibirbil/SMB',
  }),
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  /** The step that is tried, and the gradient of its batch at x. */
  s: Float64Array
  g: Float64Array
  /** The gradient of the batch whose step failed; that of the model where batches are not independent. */
  failed: Float64Array
  value: number
  phase: 'step' | 'trial' | 'independent' | 'model'
  learningRate: number
  /** Model steps of this epoch and in all; batches so far. */
  models: number
  modelSteps: number
  t: number
}

/** Coefficients of g, s and y in the model's step, for the parts of one tensor; `fresh` is the gradient that made s. */
function coefficients(eta: number, g: Float64Array, fresh: Float64Array, s: Float64Array, y: Float64Array) {
  const [v1, v2, v3, v4, v5, v6] = [dot(y, s), dot(s, s), dot(y, y), dot(y, g), dot(fresh, fresh), dot(s, g)]
  const sigma = 0.5 * (Math.sqrt(v2) * (Math.sqrt(v3) + Math.sqrt(v5) / eta) - v1)
  const along = v1 + 2 * sigma
  const theta = along ** 2 - v2 * v3
  // Where the gradient of the batch is zero, or as good as that, the tensor stays.
  if (!(theta > 0)) return [0, 0, 0]
  const cg = -v2 / (2 * sigma)
  return [cg, (cg / theta) * (-along * v4 + v3 * v6), (cg / theta) * (-along * v6 + v2 * v4)]
}

/** The end of a batch. */
function settle({ config }: Run<Config>, own: State, x: Float64Array) {
  own.x = x
  own.phase = 'step'
  nextBatch(config, own)
}
function nextBatch(
  { autoschedule, batchesPerEpoch, independentBatch, gamma, beta, maxLearningRate }: Config,
  own: State,
) {
  if (++own.t % batchesPerEpoch !== 0) return
  if (autoschedule) {
    const many = own.models / batchesPerEpoch > (independentBatch ? gamma / 2 : gamma)
    const raised = own.learningRate / beta
    if (many) own.learningRate *= beta
    else if (raised <= maxLearningRate) own.learningRate = raised
  }
  own.models = 0
}

function modelStep(run: Run<Config>, flat: Flat, own: State, told: Float64Array) {
  const { x, s, g, failed } = own
  const y = told.map((value, i) => value - g[i])
  const next = x.slice()
  for (const { name } of spaceOf(run.problem).tensors) {
    const [from, to] = flat.range(name)!
    const [pg, pf, ps, py] = [failed, g, s, y].map((vector) => vector.subarray(from, to))
    const [cg, cs, cy] = coefficients(run.config.eta, pg, pf, ps, py)
    for (let i = from; i < to; i++) next[i] += cg * failed[i] + cs * s[i] + cy * y[i]
  }
  own.models++
  own.modelSteps++
  settle(run, own, next)
}

function learn(run: Run<Config>, flat: Flat, own: State, { gradients, values }: Observation) {
  const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
  const told = gradients && flat.vector(gradients[0]).map((value) => sign * value)
  const { config } = run
  switch (own.phase) {
    case 'step':
    case 'independent':
      own.g = told!
      own.s = own.g.map((value) => -own.learningRate * value)
      if (own.phase === 'independent') {
        own.phase = 'model'
        return
      }
      own.failed = own.g
      own.value = sign * values![0][0]
      own.phase = 'trial'
      return
    case 'trial': {
      const square = dot(own.g, own.g)
      const enough = sign * values![0][0] <= own.value - config.c * own.learningRate * square
      if (enough || norm(own.g) < config.smallest) return settle(run, own, plus(own.x, 1, own.s))
      own.phase = config.independentBatch ? 'independent' : 'model'
      if (config.independentBatch) nextBatch(config, own)
      return
    }
    case 'model':
      return modelStep(run, flat, own, told!)
  }
}

const WANTS: { [phase in State['phase']]: readonly Want[] } = {
  step: [{ kind: 'gradient' }, { kind: 'value' }],
  trial: [{ kind: 'value' }],
  independent: [{ kind: 'gradient' }],
  model: [{ kind: 'gradient' }],
}

export const method = turnsMethod<Config, State>({
  id: 'smb',
  family: 'gradient',
  title: 'SGD with model building',
  summary:
    'SGD that checks its steps on their batch: one that does not decrease the loss enough is replaced by the step of a ' +
    'quadratic model of each tensor.',
  references: [
    {
      authors: 'S. I. Birbil, O. Martin, G. Onay, F. Oztoprak',
      title: 'Bolstering Stochastic Gradient Descent with Model Building',
      year: 2021,
      url: 'https://arxiv.org/abs/2111.07058',
    },
  ],
  config,
  recipes: [
    { problem: 'quadratic', config: {}, maxEvaluations: 300, target: 1e-6 },
    { problem: 'quadratic', config: { independentBatch: true, autoschedule: true }, maxEvaluations: 600, target: 1e-3 },
  ],
  equations: () => [
    String.raw`x^t = x - \alpha g,\quad f(x^t) \le f(x) - c\,\alpha \|g\|^2 \;\Rightarrow\; x \leftarrow x^t`,
    String.raw`\sigma = \tfrac{1}{2}\left(\|s\|\,(\|y\| + \|g\|/\eta) - y^\top s\right),\quad s = x^t - x,\; y = g^t - g`,
    String.raw`x \leftarrow x + c_g g + c_s s + c_y y,\quad c_g = -\frac{\|s\|^2}{2\sigma}`,
  ],
  invariances: ['translation'],
  needs: () => ['gradient', 'value'],
  check: (_, problem) => checkUnbounded('smb', problem),
  init({ config }, flat) {
    const x = flat.start()
    const zero = new Float64Array(flat.dimension)
    return {
      x,
      s: zero,
      g: zero,
      failed: zero,
      value: 0,
      phase: 'step',
      learningRate: config.learningRate,
      models: 0,
      modelSteps: 0,
      t: 0,
    }
  },
  ask: (_, __, { x, s, phase, t }) => ({
    points: [phase === 'trial' || phase === 'model' ? plus(x, 1, s) : x],
    wants: WANTS[phase],
    purpose: phase,
    sampleKey: `s${t}`,
  }),
  learn,
  // Where the loss is not defined at the trial point, one nearer takes its place.
  refused(own) {
    if (own.phase === 'trial' || own.phase === 'model') own.s = own.s.map((value) => value / 2)
  },
  estimate: (_, { x, learningRate, modelSteps, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { learningRate, modelSteps },
  }),
})
