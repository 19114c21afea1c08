/**
 * C.-Y. Lee, S. Xie, P. Gallagher, Z. Zhang, Z. Tu, "Deeply-Supervised Nets", AISTATS 2015 (arXiv:1409.5185), section 2.2:
 * hidden levels of a network have companion losses of their own, whose weights fall and which stop where they are good
 * enough, so that they shape the features and the output loss decides.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  levels: field(z.int().min(1).max(1000).default(3), 'Companion losses, one per hidden level from the input on.', {
    source: 'ours',
  }),
  weight: real('Weight of each companion loss at first.', { default: 0.3, min: 0, source: 'paper, section 4' }),
  gate: real('gamma: a companion loss of at most this much has no gradient.', {
    default: 0,
    min: 0,
    source: 'paper, equation 3',
  }),
  steps: field(z.int().min(1).default(1000), 'N: steps after which there is only the output loss.', { source: 'ours' }),
  decay: field(
    z.enum(['linear', 'epoch']).default('linear'),
    'linear: the weight falls as 1 - t/N, t the steps taken. epoch: after each epoch it is multiplied by 0.1*(1 - t/N).',
    { source: 'paper, section 4' },
  ),
  epoch: field(z.int().min(1).default(100), 'Steps of an epoch, for the decay of that name.', { source: 'ours' }),
}
type Config = PartConfig<typeof fields>

const COMPANION = [{ kind: 'value' }, { kind: 'gradient' }] as const
const SAMPLE = '.0'

/** Of a companion loss above the gate, after t steps. */
function weightAt({ weight, steps, decay, epoch }: Config, t: number): number {
  const left = (at: number) => Math.max(1 - at / steps, 0)
  if (decay === 'linear') return weight * left(t)
  let product = weight
  for (let at = epoch; at <= t && product > 0; at += epoch) product *= 0.1 * left(at)
  return product
}

/** The first ask of a step; companion losses without weight are not asked for. */
function begin(config: Config, { state }: Drive): Ask {
  return weightAt(config, state.shard) === 0 ? output(state) : companion(state, 1)
}

function companion(state: Drive['state'], level: number): Ask {
  state.phase = `companion.${level}`
  return { point: 'x', purpose: state.phase, sample: SAMPLE, wants: COMPANION, aside: true }
}

function output(state: Drive['state']): Ask {
  state.phase = 'step'
  return { point: 'x', purpose: 'step', sample: SAMPLE }
}

export const deepSupervision = defineDriver({
  id: 'deep-supervision',
  summary:
    'Companion losses of hidden levels beside the output loss. Queries with the purpose `companion.m`, m from 1, are for the ' +
    'loss of level m and its gradient by all parameters, the last of a step for the gradient of the output loss. Reports ' +
    '`loss.m` and `weight.m`, 0 where the gate is closed.',
  fields,
  wants: () => ['gradient', 'value'],
  equations: ({ decay }: Config) => [
    decay === 'linear'
      ? String.raw`a_t = a_0 \max\left(1 - \tfrac tN, 0\right)`
      : String.raw`a \leftarrow 0.1\, a \max\left(1 - \tfrac tN, 0\right) \text{ after each epoch}`,
    String.raw`g \leftarrow g_{out} + \sum_{m:\ l_m > \gamma} a_t\, g_m`,
  ],
  points: () => ['sum'],
  begin(config, drive) {
    drive.state.reports = {}
    return begin(config, drive)
  },
  advance(config, drive, gradient, { values: [value] }) {
    const { state } = drive
    const most = weightAt(config, state.shard)
    if (state.phase === 'step') {
      if (most > 0) drive.run({ text: 'x = g + x' }, 'sum', { g: gradient })
      else for (let m = 1; m <= config.levels; m++) state.reports![`weight.${m}`] = 0
      drive.update(most > 0 ? state.points.sum : gradient)
      state.shard++
      return begin(config, drive)
    }
    const level = Number(state.phase.slice('companion.'.length))
    const weight = value > config.gate ? most : 0
    if (level === 1) for (const array of Object.values(state.points.sum)) array.fill(0)
    state.reports![`loss.${level}`] = value
    state.reports![`weight.${level}`] = weight
    if (weight > 0) drive.run({ text: 'x = x + weight*g', scalars: () => ({ weight }) }, 'sum', { g: gradient })
    return level < config.levels ? companion(state, level + 1) : output(state)
  },
  check: (_, problem) =>
    problem.objectives[0].direction === 'maximize'
      ? [{ field: 'id', message: 'adds losses of hidden levels; the objective is maximized' }]
      : [],
})
