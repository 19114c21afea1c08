/**
 * Maximum likelihood of a model p0(x; theta) that is not normalized: W. Jiang, J. Qin, L. Wu, C. Chen, T. Yang, L. Zhang,
 * "Learning Unnormalized Statistical Models via Compositional Optimization", ICML 2023 (arXiv:2306.07485), algorithm 1.
 *
 * With noise y of a known density q, the loss is -E log p0(x) + log E[p0(y)/q(y)]: a logarithm of a mean, whose batch
 * gradient is biased. A tracked estimate u of that mean, the partition function, takes the place of the batch's own.
 *
 * Queries with the purpose `data` are for the gradient of -mean_i log p0(x_i; theta) on a batch of data, those with `noise`
 * for the value V = log mean_j p0(y_j; theta)/q(y_j) on a batch of noise and its gradient, so that ratios stay logarithms.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  gamma: real('Weight of a batch in the tracked partition function. 1 tracks nothing: biased for small batches.', {
    default: 0.1,
    above: 0,
    max: 1,
    source: 'paper, section 6',
  }),
  beta: real('Weight of a gradient in the momentum that the rule gets.', {
    default: 0.1,
    above: 0,
    max: 1,
    source: 'paper, section 6',
  }),
  objective: field(
    z.enum(['likelihood', 'nce']).default('likelihood'),
    'nce, for comparison: asks for the gradient of the logistic loss of data against noise, -mean_i log s(G(x_i)) - ' +
      'mean_j log s(-G(y_j)), s the logistic function and G = log p0 - log q, with the purpose `nce`.',
    { source: 'Gutmann, Hyvarinen 2010' },
  ),
}
type Config = PartConfig<typeof fields>

const VALUE_TOO = [{ kind: 'gradient' }, { kind: 'value' }] as const

function ask({ objective }: Config, { state }: Drive, phase: 'data' | 'noise'): Ask {
  state.phase = phase
  if (objective === 'nce') return { point: 'x', purpose: 'nce' }
  return { point: 'x', purpose: phase, sample: `.${phase}`, ...(phase === 'noise' && { wants: VALUE_TOO }) }
}

/** log(exp(a) + exp(b)). */
const logSum = (a: number, b: number): number => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)))

/** The tracked log u, after a batch whose own is `told`. */
function track(gamma: number, before: number | undefined, told: number): number {
  if (before === undefined || gamma === 1) return told
  return logSum(Math.log1p(-gamma) + before, Math.log(gamma) + told)
}

export const meco = defineDriver({
  id: 'meco',
  summary:
    'The likelihood of a model p0 that is not normalized. Queries with the purpose `data` are for the gradient of the mean of ' +
    '-log p0 on a batch of data, those with `noise` for the logarithm of the mean of p0/q on a batch of noise of density q, ' +
    'and its gradient. The logarithm of the partition function is tracked and reported.',
  fields,
  wants: ({ objective }) => (objective === 'nce' ? ['gradient'] : ['gradient', 'value']),
  points: () => ['data', 'momentum'],
  begin: (config, drive) => ask(config, drive, 'data'),
  advance(config, drive, told, { values: [value] }) {
    const { state } = drive
    if (config.objective === 'likelihood' && state.phase === 'data') {
      drive.copy(told, 'data')
      return ask(config, drive, 'noise')
    }
    let ratio = 1
    if (config.objective === 'likelihood') {
      const logPartition = track(config.gamma, state.reports?.logPartition, value)
      ratio = Math.exp(value - logPartition)
      state.reports = { logPartition }
    }
    // The first gradient begins the momentum.
    const beta = state.shard++ === 0 ? 1 : config.beta
    drive.run(
      { text: 'e = data + ratio*g\nx = x + beta*(e - x)', inputs: ['data'], scalars: () => ({ ratio, beta }) },
      'momentum',
      { data: state.points.data, g: told },
    )
    drive.update(state.points.momentum)
    return ask(config, drive, 'data')
  },
  check: (_, problem) =>
    problem.objectives[0].direction === 'maximize'
      ? [{ field: 'id', message: 'minimizes the negative log-likelihood; the objective is maximized' }]
      : [],
})
