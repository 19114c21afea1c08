/**
 * Smoothed labels first, then true ones: Y. Xu, Y. Xu, Q. Qian, H. Li, R. Jin, "Towards Understanding Label Smoothing", 2020
 * (arXiv:2006.11653), algorithm 2. Cross entropy is linear in the label: with u the uniform label, the gradient for
 * (1 - theta)*y + theta*u is (1 - theta)*g(y) + theta*g(u).
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Asked, type Drive, defineDriver } from './driver.js'

const fields = {
  theta: real('Weight of the uniform label in the first stage; in that of the second it is 0.', {
    default: 0.4,
    min: 0,
    max: 1,
    source: 'section 5',
  }),
  labels: field(
    z.enum(['smoothed', 'combined']).default('smoothed'),
    'smoothed: a gradient by labels of the strength that the purpose of the ask names: `smoothing.0.4`. combined: two ' +
      'gradients on a sample, by true labels (`labels`) and by uniform ones (`uniform`: 1/K for K classes, 1/2 for a sigmoid).',
    { source: 'section 3' },
  ),
  switch: field(
    z.enum(['plateau', 'step', 'fraction']).default('plateau'),
    'When the second stage begins: when the told loss falls no more; after smoothingSteps; after a fraction of totalSteps.',
    { source: 'section 5' },
  ),
  smoothingSteps: field(z.int().min(0).default(1000), 'step: length of the first stage, T1.', { source: 'ours' }),
  fraction: real('fraction: share of the first stage.', { default: 0.5, min: 0, max: 1, source: 'section 5' }),
  totalSteps: field(z.int().min(1).optional(), 'fraction: length of both stages.', { source: 'ours' }),
  window: field(z.int().min(1).default(100), 'plateau: steps whose losses are averaged.', { source: 'ours' }),
  windows: field(z.int().min(1).default(3), 'plateau: averages from one to that with which it is compared.', {
    source: 'ours',
  }),
  improvement: real('plateau: least relative fall from one to the other.', { default: 0.01, min: 0, source: 'ours' }),
  secondRate: real('Factor on the learning rate in the second stage.', { default: 1, min: 0, source: 'section 5' }),
  diagnoseEvery: field(
    z.int().min(0).default(0),
    'Steps from one diagnosis to the next; 0: none. It asks the gradient of the objective itself (`objective`) and those by ' +
      'true and by uniform labels on a few samples, and reports delta = E|g(u) - grad f|^2/E|g(y) - grad f|^2 and the ' +
      'strength 1/(1 + delta) that is best in theory. Smoothing helps when delta is below 1.',
    { source: 'section 4' },
  ),
  diagnoseSamples: field(z.int().min(1).default(8), 'Samples of a diagnosis.', { source: 'ours' }),
}
type Config = PartConfig<typeof fields>

const VALUE_TOO: readonly Asked[] = [{ kind: 'gradient' }, { kind: 'value' }]

const stageOf = ({ state }: Drive) => state.reports!.stage
const strength = ({ theta }: Config, drive: Drive) => (stageOf(drive) === 1 ? theta : 0)

/** Length of the first stage, where it is known ahead. */
function planned({ switch: kind, smoothingSteps, fraction, totalSteps = 0 }: Config): number {
  if (kind === 'plateau') return Infinity
  return kind === 'step' ? smoothingSteps : Math.round(fraction * totalSteps)
}

/** The first ask of a step: that of a diagnosis, or its own. */
function begin(config: Config, drive: Drive): Ask {
  const { state } = drive
  const { diagnoseEvery } = config
  if (state.shard >= planned(config)) state.reports!.stage = 2
  state.reports!.labelSmoothing = strength(config, drive)
  if (diagnoseEvery === 0 || state.shard % diagnoseEvery !== 0) return own(config, drive)
  state.phase = 'objective'
  state.arrays = { ...state.arrays, spread: new Float64Array(2), sample: new Float64Array(1) }
  return { point: 'x', purpose: 'objective', sample: '.objective', aside: true }
}
function own(config: Config, drive: Drive): Ask {
  const wants = config.switch === 'plateau' && stageOf(drive) === 1 ? { wants: VALUE_TOO } : {}
  drive.state.phase = 'step'
  const purpose = config.labels === 'combined' ? 'labels' : `smoothing.${strength(config, drive)}`
  return { point: 'x', purpose, ...wants }
}

const squaredDistance = (a: Tensors, b: Tensors): number => {
  let sum = 0
  for (const [name, values] of Object.entries(a))
    for (let i = 0; i < values.length; i++) sum += (values[i] - b[name][i]) ** 2
  return sum
}

/** By uniform and by true labels in turn, sample by sample. */
function diagnose(config: Config, drive: Drive, told: Tensors): Ask {
  const { state } = drive
  const { spread, sample } = state.arrays!
  if (state.phase === 'objective') drive.copy(told, 'objective')
  else spread[state.phase === 'uniform labels' ? 0 : 1] += squaredDistance(told, state.points.objective)
  if (state.phase === 'true labels') sample[0]++
  if (sample[0] === config.diagnoseSamples) {
    const delta = spread[0] / spread[1]
    Object.assign(state.reports!, { delta, bestTheta: 1 / (1 + delta) })
    return own(config, drive)
  }
  state.phase = state.phase === 'uniform labels' ? 'true labels' : 'uniform labels'
  const purpose = state.phase === 'uniform labels' ? 'uniform' : 'labels'
  return { point: 'x', purpose, sample: `.diagnosis${sample[0]}`, aside: true }
}

/** Whether the loss falls no more: its mean over this window against that of a few windows before. */
function settled({ window, windows, improvement }: Config, { state }: Drive, loss: number): boolean {
  const { sum = new Float64Array(2), means = new Float64Array(0) } = state.arrays ?? {}
  sum[0] += loss
  sum[1]++
  const full = sum[1] === window
  const kept = full ? Float64Array.of(...means, sum[0] / window).slice(-windows - 1) : means
  state.arrays = { ...state.arrays, sum: full ? new Float64Array(2) : sum, means: kept }
  const [first] = kept
  return full && kept.length > windows && first - kept[windows] < improvement * Math.abs(first)
}

function finish(config: Config, drive: Drive, gradient: Tensors): Ask {
  drive.update(gradient, { rate: stageOf(drive) === 2 ? config.secondRate : 1 })
  drive.state.shard++
  // What was found with this step holds from the next one on.
  if (drive.state.phase === 'last') drive.state.reports!.stage = 2
  return begin(config, drive)
}

export const tsla = defineDriver({
  id: 'tsla',
  summary:
    'Label smoothing in a first stage and true labels in a second: each ask says which labels it is for. Reports the stage ' +
    'and the strength of the next ask.',
  fields,
  wants: ({ switch: kind }) => (kind === 'plateau' ? ['gradient', 'value'] : ['gradient']),
  points: ({ labels, diagnoseEvery }) => [
    ...(labels === 'combined' ? ['labels', 'mixed'] : []),
    ...(diagnoseEvery > 0 ? ['objective'] : []),
  ],
  equations: () => [String.raw`g = (1 - \theta)\, g(y) + \theta\, g(u),\quad u = (\tfrac{1}{K}, \ldots, \tfrac{1}{K})`],
  begin(config: Config, drive) {
    drive.state.reports = { stage: 1, labelSmoothing: config.theta }
    return begin(config, drive)
  },
  advance(config: Config, drive, told, { values }) {
    const { state } = drive
    const { phase, points } = state
    if (phase === 'objective' || phase === 'uniform labels' || phase === 'true labels')
      return diagnose(config, drive, told)
    const theta = strength(config, drive)
    if (phase === 'step') {
      const last = values.length > 0 && stageOf(drive) === 1 && settled(config, drive, values[0])
      state.phase = last ? 'last' : 'first'
      if (config.labels === 'smoothed' || theta === 0) return finish(config, drive, told)
      drive.copy(told, 'labels')
      return { point: 'x', purpose: 'uniform', aside: true }
    }
    const scalars = () => ({ theta })
    const mix = { text: 'x = (1 - theta)*labels + theta*g', inputs: ['labels'], scalars }
    drive.run(mix, 'mixed', { g: told, labels: points.labels })
    return finish(config, drive, points.mixed)
  },
  check: ({ switch: kind, totalSteps }: Config) =>
    kind === 'fraction' && totalSteps === undefined
      ? [{ field: 'totalSteps', message: 'expected the steps of which the fraction is taken' }]
      : [],
})
