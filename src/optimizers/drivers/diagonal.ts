/**
 * The diagonal of a curvature matrix, estimated at random, for rules that divide by it: the mean of z*(H*z) is that of H
 * (Bekas, Kokiopoulou, Saad, "An estimator for the diagonal of a matrix", 2007), and the mean of batch*g*g is that of the
 * Gauss-Newton matrix, where g is the gradient of the loss with labels drawn from the model (Liu, Li, Hall, Liang, Ma,
 * "Sophia", 2023, algorithm 2, by Bartlett's second identity).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import type { PartConfig } from '../parts.js'
import { askProduct, productPoints, products, productWants, step, takeProduct } from './curvature.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  estimator: field(
    z.enum(['hutchinson', 'bartlett']).default('hutchinson'),
    'hutchinson: random vectors times their products with the matrix. bartlett: squares of gradients of the loss with ' +
      'labels drawn from the model, asked with the purpose "sampled-labels".',
    { source: 'Sophia, section 2.3' },
  ),
  probes: field(
    z.enum(['rademacher', 'normal']).default('rademacher'),
    'Elements of the random vectors: signs, which have the least variance, or standard normal numbers.',
    { source: 'AdaHessian, section 2.2' },
  ),
  products: products('hessian'),
  step,
  samples: field(z.int().min(1).default(1), 'Estimates that are averaged.', { source: 'AdaHessian, n_samples' }),
  warmup: field(z.int().min(1).optional(), 'Estimates that are averaged in the first step; without it, `samples`.', {
    source: 'OASIS, appendix: warm samples',
  }),
  every: field(z.int().min(1).default(1), 'Steps from one estimate to the next; the last one is used in between.', {
    source: 'AdaHessian, section 5.3',
  }),
  batch: field(z.int().min(1).default(480), 'bartlett: examples of a batch, whose mean gradient is told.', {
    source: 'Sophia, section 3.1',
  }),
  past: field(
    z.boolean().default(false),
    'Also asks the gradient of the same sample at the iterate before, the input `past`.',
    { source: 'OASIS, section 3.2' },
  ),
}
type Config = PartConfig<typeof fields>

const MEAN = 'x = select(k == 1, sample, x + (sample - x)/k)'
const SAMPLE = { hutchinson: 'sample = p*h', bartlett: 'sample = batch*h^2' }

function ask({ state }: Drive, phase: 'first' | 'step'): Ask {
  state.phase = phase
  return { point: 'x', purpose: 'step' }
}

/** Asks for a sample of the estimate that is due, or takes the step. */
function go(config: Config, drive: Drive): Ask {
  const { state } = drive
  if (state.reports!.curvatureAge > 0 || state.shard === state.reports!.curvatureSamples) {
    state.shard = 0
    if (config.past) drive.copy(drive.x, 'previous')
    drive.update(state.points.gradient)
    return ask(drive, 'step')
  }
  if (config.estimator === 'bartlett') {
    state.phase = 'curvature'
    return { point: 'x', purpose: 'sampled-labels', sample: `.labels${state.shard}`, aside: true }
  }
  drive.run({ text: `x = ${config.probes}()` }, 'probe', {}, { seed: drive.rng.word() })
  return { ...askProduct(config, drive, 'probe'), aside: true }
}

function average({ estimator, batch }: Config, drive: Drive, p: Tensors, h: Tensors) {
  const k = ++drive.state.shard
  const scalars = () => ({ k, batch })
  drive.run({ text: `${SAMPLE[estimator]}\n${MEAN}`, inputs: ['p', 'h'], scalars }, 'diagonal', { p, h })
}

export const diagonal = defineDriver({
  id: 'diagonal',
  summary: 'The gradient, and every few steps an estimate of the diagonal of the curvature, the input `diagonal`.',
  fields,
  wants: (config: Config) => (config.estimator === 'bartlett' ? ['gradient'] : productWants(config)),
  equations: ({ estimator, probes }: Config) =>
    estimator === 'bartlett'
      ? [String.raw`\mathrm{diagonal} = B\, \hat{g}^2,\quad \hat{g}\text{ with labels } \hat{y} \sim p(\cdot \mid x)`]
      : [
          probes === 'normal' ? String.raw`z \sim \mathcal{N}(0, I)` : String.raw`z_i = \pm 1`,
          String.raw`\mathrm{diagonal} = z \odot H z`,
        ],
  points: (config: Config) => [
    'diagonal',
    ...(config.estimator === 'bartlett' ? ['gradient'] : ['probe', ...productPoints(config)]),
    ...(config.past ? ['previous', 'past'] : []),
  ],
  begin({ samples, warmup = samples }: Config, drive) {
    drive.state.reports = { curvatureAge: 0, curvatureSamples: warmup }
    return ask(drive, 'first')
  },
  advance(config: Config, drive, told, answer) {
    const { state } = drive
    const { points } = state
    const reports = state.reports!
    switch (state.phase) {
      case 'first':
        drive.copy(told, 'gradient')
        return go(config, drive)
      case 'step':
        drive.copy(told, 'gradient')
        reports.curvatureAge = (reports.curvatureAge + 1) % config.every
        reports.curvatureSamples = config.samples
        if (!config.past) return go(config, drive)
        state.phase = 'past'
        return { point: 'previous', purpose: 'previous', aside: true }
      case 'past':
        drive.copy(told, 'past')
        return go(config, drive)
    }
    if (config.estimator === 'hutchinson') takeProduct(config, drive, 'probe', answer)
    average(config, drive, points.probe ?? told, points.along ?? told)
    return go(config, drive)
  },
})
