/**
 * Shu, Fang, He, Ng, Low, "OptEx: Expediting First-Order Optimization with Approximately Parallelized Iterations", NeurIPS
 * 2024, algorithm 1: a model of past gradients foretells the next steps of the rule, and the gradients at all of them are
 * asked at once, to be evaluated in parallel. The step with the last, or with the best of them, is taken.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Tensors } from '../../core/tensor.js'
import { flatOfSpace, inner } from '../flat.js'
import { type GradientModel, gradientModel, KERNELS, medianDistance, misfit, weightsAt } from '../gradient-model.js'
import { type PartConfig, real } from '../parts.js'
import { type Ask, type Drive, defineDriver } from './driver.js'

const fields = {
  parallel: field(z.int().min(1).default(4), 'Points of a query, N; 1 is the rule by itself.', { source: 'section 6' }),
  history: field(z.int().min(2).default(20), 'Gradients that the model keeps, T0.', { source: 'section 6' }),
  kernel: field(z.enum(KERNELS).default('matern52'), 'How gradients at two points go together.', {
    source: 'youyve/OptEx',
  }),
  lengthscale: field(
    z.union([z.enum(['median', 'tuned']), z.number().positive()]).default('median'),
    'Distance over which gradients go together: the median of those between the points of the history, the likeliest of ' +
      'its multiples by powers of 2, or a number.',
    { source: 'ours' },
  ),
  noise: real('Variance of the noise of gradients, relative to their own.', { default: 1e-6, min: 0, source: 'ours' }),
  select: field(
    z.enum(['last', 'value', 'gradient']).default('last'),
    'The point whose step is taken: the last, or that of the smallest loss (asked too) or gradient.',
    { source: 'algorithm 1; youyve/OptEx takes the smallest loss' },
  ),
  dims: field(
    z.int().min(1).optional(),
    'Elements of x, drawn once, by which distances are measured; without it, all.',
    {
      source: 'section 5.2',
    },
  ),
}
type Config = PartConfig<typeof fields>

/** Multiples of the median that are tried. */
const MULTIPLES = [1 / 4, 1 / 2, 1, 2, 4, 8, 16]

const numbered = (name: string, from: number, to: number) =>
  Array.from({ length: Math.max(to - from, 0) }, (_, i) => `${name}${from + i}`)
const ahead = ({ parallel }: Config) => numbered('ahead', 1, parallel)
/** The elements of x that distances are measured by. */
function place({ space, state }: Drive, x: Tensors): Float64Array {
  const all = flatOfSpace(space).vector(x)
  const { dims } = state.orders ?? {}
  return dims ? Float64Array.from(dims, (i) => all[i]) : all
}

function remember({ history }: Config, drive: Drive, at: Float64Array, gradient: Tensors) {
  const { state } = drive
  const slot = state.shard++ % history
  drive.copy(gradient, `gradient${slot}`)
  state.arrays = { ...state.arrays, [`place${slot}`]: at }
}

/** The gradients in the history, and the model of them. */
function model(config: Config, { state }: Drive): { gradients: Tensors[]; model: GradientModel } {
  const { lengthscale, kernel, noise } = config
  const kept = Array.from({ length: Math.min(state.shard, config.history) }, (_, i) => i)
  const gradients = kept.map((i) => state.points[`gradient${i}`])
  const places = kept.map((i) => state.arrays![`place${i}`])
  const of = (scale: number) => gradientModel(places, { kernel, noise, lengthscale: scale })
  if (typeof lengthscale === 'number') return { gradients, model: of(lengthscale) }
  const median = medianDistance(places)
  if (lengthscale === 'median') return { gradients, model: of(median) }
  const products = Float64Array.from(gradients.flatMap((a) => gradients.map((b) => inner(a, b))))
  const tried = MULTIPLES.map((multiple) => of(multiple * median))
  const misfits = tried.map((each) => misfit(each, products))
  return { gradients, model: tried[misfits.indexOf(Math.min(...misfits))] }
}

/** The gradient that the model expects at x, as the point `predicted`. */
function predictor(config: Config, drive: Drive): (x: Tensors) => Tensors {
  const { gradients, model: fitted } = model(config, drive)
  return (x) => {
    const weights = weightsAt(fitted, place(drive, x))
    const { predicted } = drive.state.points
    for (const [name, array] of Object.entries(predicted)) {
      array.fill(0)
      gradients.forEach((gradient, j) => {
        for (let i = 0; i < array.length; i++) array[i] += weights[j] * gradient[name][i]
      })
    }
    return predicted
  }
}

function ask(config: Config, drive: Drive): Ask {
  const others = drive.state.shard < 2 ? [] : ahead(config)
  if (others.length > 0) drive.forecast(others, predictor(config, drive))
  drive.state.phase = others.length > 0 ? 'round' : 'start'
  const wants = [{ kind: 'gradient' as const }, ...(config.select === 'value' ? [{ kind: 'value' as const }] : [])]
  return { point: 'x', purpose: 'step', others, wants }
}

/** The point whose step is taken. */
function chosen({ select }: Config, gradients: readonly Tensors[], values: readonly number[]): number {
  if (select === 'last') return gradients.length - 1
  const sizes = select === 'value' ? values : gradients.map((gradient) => inner(gradient, gradient))
  return sizes.indexOf(Math.min(...sizes))
}

export const optex = defineDriver({
  id: 'optex',
  summary:
    'Several gradients per query, to be evaluated in parallel, at the points where the rule is expected to come next. ' +
    'Reports `accepted`, the steps of a round that are taken.',
  fields,
  wants: ({ select }) => (select === 'value' ? ['gradient', 'value'] : ['gradient']),
  points: (config) => [...ahead(config), ...numbered('gradient', 0, config.history), 'predicted'],
  begin(config, drive) {
    const { dimension } = flatOfSpace(drive.space)
    if (config.dims !== undefined && config.dims < dimension) {
      const drawn = new Set<number>()
      while (drawn.size < config.dims) drawn.add(drive.rng.integer(dimension))
      drive.state.orders = { dims: [...drawn] }
    }
    return ask(config, drive)
  },
  advance(config, drive, first, { gradients: [, ...rest], values }) {
    const gradients = [first, ...rest]
    const asked = [drive.x, ...ahead(config).map((name) => drive.state.points[name])]
    const places = gradients.map((_, i) => place(drive, asked[i]))
    const last = chosen(config, gradients, values)
    // The steps that lead to the chosen point: by the model as it was when they were foretold.
    if (last > 0) {
      const predict = predictor(config, drive)
      for (let k = 0; k < last; k++) drive.update(predict(drive.x))
      drive.copy(asked[last], 'x')
    }
    drive.update(gradients[last])
    gradients.forEach((gradient, i) => {
      remember(config, drive, places[i], gradient)
    })
    drive.state.reports = { accepted: last + 1 }
    return ask(config, drive)
  },
})
