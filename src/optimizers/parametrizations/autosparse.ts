/** Kundu, Mellempudi, Vooturi, Kaul, Dubey, "AUTOSPARSE: Towards Automated Sparse Training of Deep Neural Networks", 2023. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { TensorsSpace } from '../../core/space.js'
import { elements, type TensorSpec, type Tensors } from '../../core/tensor.js'
import { type PartConfig, real } from '../parts.js'
import { type Arrays, arrayOf, defineParametrization, type Place } from './parametrization.js'

const fields = {
  alpha0: real('Share of the gradient that dropped weights get at the start.', {
    default: 0.75,
    min: 0,
    max: 1,
    source: 'section 4.1',
  }),
  decay: field(
    z.enum(['sigmoid-cosine', 'cosine', 'none']).default('sigmoid-cosine'),
    'How that share falls over the steps; constant with "none" (0: learned thresholds; 1: straight-through).',
    { source: 'section 3.3' },
  ),
  steps: field(z.int().min(1).default(1000), 'Steps over which it falls.', { source: 'ours' }),
  thresholdInit: real('Start of every threshold, ahead of the sigmoid.', { default: -5, source: 'section 4.1' }),
  granularity: field(
    z.enum(['layer', 'channel']).default('layer'),
    'One threshold for a tensor, or for each slice of it along its first axis.',
    { source: 'section 3.2' },
  ),
  backwardSparsity: real('Share of the elements of a tensor, those least above the threshold, that get no gradient.', {
    default: 0,
    min: 0,
    below: 1,
    source: 'section 3.4: 0.5',
  }),
  weightDecay: real('Times weights and thresholds, added to their gradients. It alone raises thresholds.', {
    default: 0,
    min: 0,
    source: 'section 3.2',
  }),
  freezeAfter: field(z.int().min(1).optional(), 'Steps after which thresholds stay, and weights that are 0 stay 0.', {
    source: 'ours',
  }),
  tensors: field(
    z.array(z.string()).min(1).optional(),
    'Tensors to be made sparse; without it, all of two or more axes.',
    { source: 'ours' },
  ),
}
type Config = PartConfig<typeof fields>

const sigmoid = (s: number): number => 1 / (1 + Math.exp(-s))
/** Where q(t) begins and ends, as arguments of the sigmoid. */
const [FIRST, LAST] = [-6, 6]

/** The share of the gradient that dropped weights get after t steps. */
export function alphaAt({ alpha0, decay, steps }: Pick<Config, 'alpha0' | 'decay' | 'steps'>, t: number): number {
  if (decay === 'none') return alpha0
  const share = Math.min(t / steps, 1)
  const cosine = (1 + Math.cos(Math.PI * share)) / 2
  if (decay === 'cosine') return alpha0 * cosine
  return alpha0 * Math.max(cosine, 1 - sigmoid(FIRST + (LAST - FIRST) * share))
}

const isSparse = ({ tensors }: Config, { name, shape }: TensorSpec): boolean =>
  tensors ? tensors.includes(name) : shape.length > 1
const thresholdOf = (name: string): string => `${name}.threshold`
const channels = ({ granularity }: Config, { shape }: TensorSpec): readonly number[] =>
  granularity === 'channel' && shape.length > 0 ? [shape[0]] : []

/** A sparse tensor at x: its weights, the threshold of each, and where it is held at 0. */
function layer({ kept }: Place, { name }: TensorSpec, x: Tensors) {
  const w = x[name]
  const s = kept.thresholds?.[name] ?? x[thresholdOf(name)]
  const size = w.length / s.length
  const levels = Float64Array.from(s, sigmoid)
  return { w, s, size, level: (i: number) => levels[Math.floor(i / size)], mask: kept.masks?.[name] }
}

function sparse(place: Place, spec: TensorSpec, x: Tensors) {
  const { w, level, mask } = layer(place, spec, x)
  const u = w.slice()
  for (let i = 0; i < u.length; i++) {
    const above = Math.max(Math.abs(w[i]) - level(i), 0)
    u[i] = mask?.[i] === 0 ? 0 : Math.sign(w[i]) * above
  }
  return u
}

/** The gradients of weights and thresholds. */
function gradients(config: Config, place: Place, spec: TensorSpec, x: Tensors, told: ArrayLike<number>) {
  const { w, s, size, level, mask } = layer(place, spec, x)
  const alpha = alphaAt(config, place.t)
  const above = Float64Array.from(w, (value, i) => Math.abs(value) - level(i))
  const dropped = Math.floor(config.backwardSparsity * w.length)
  const least = dropped > 0 ? above.slice().sort()[dropped] : Number.NEGATIVE_INFINITY
  const dw = new Float64Array(w.length)
  const ds = new Float64Array(s.length)
  for (let i = 0; i < w.length; i++) {
    const passes = above[i] < least || mask?.[i] === 0 ? 0 : above[i] > 0 ? 1 : alpha
    const g = told[i] * passes
    dw[i] = g + config.weightDecay * w[i]
    ds[Math.floor(i / size)] -= g * Math.sign(w[i])
  }
  for (let c = 0; c < ds.length; c++) {
    const level = sigmoid(s[c])
    ds[c] = mask ? 0 : ds[c] * level * (1 - level) + config.weightDecay * s[c]
  }
  return { dw, ds }
}

const each = <T>(
  { tensors }: TensorsSpace,
  config: Config,
  whole: (s: TensorSpec) => T[],
  part: (s: TensorSpec) => T[],
) => tensors.flatMap((spec) => (isSparse(config, spec) ? part(spec) : whole(spec)))

export const autosparse = defineParametrization({
  id: 'autosparse',
  summary:
    'Weights are handed out without all that is below a threshold, which is learned with them, one per tensor. Dropped ' +
    'weights get a share of their gradient that falls over the steps.',
  fields,
  mapping: {
    tensors: (config, space) =>
      each(
        space,
        config,
        (spec) => [spec],
        (spec) => [spec, { name: thresholdOf(spec.name), shape: channels(config, spec), dtype: spec.dtype }],
      ),
    begin(config, { tensors, initial = {} }) {
      const start: Arrays = {}
      for (const spec of tensors) {
        start[spec.name] = arrayOf(spec, initial[spec.name] ?? elements(spec.shape))
        if (isSparse(config, spec))
          start[thresholdOf(spec.name)] = arrayOf(spec, elements(channels(config, spec))).fill(config.thresholdInit)
      }
      return { initial: start, kept: {} }
    },
    outward: (config, place, x) =>
      Object.fromEntries(
        place.space.tensors.map((spec) => [spec.name, isSparse(config, spec) ? sparse(place, spec, x) : x[spec.name]]),
      ),
    inward: (config, place, x, gradient) =>
      Object.fromEntries(
        each(
          place.space,
          config,
          ({ name }): [string, Tensors[string]][] => [[name, gradient[name]]],
          (spec) => {
            const { dw, ds } = gradients(config, place, spec, x, gradient[spec.name])
            return [
              [spec.name, arrayOf(spec, dw)],
              [thresholdOf(spec.name), arrayOf(spec, ds)],
            ]
          },
        ),
      ),
    after(config, place, x) {
      const { kept, space, t } = place
      if (t !== config.freezeAfter) return
      const frozen = space.tensors.filter((spec) => isSparse(config, spec))
      const masks = frozen.map((spec) => [spec.name, sparse(place, spec, x).map((u) => Number(u !== 0))])
      const thresholds = frozen.map(({ name }) => [name, x[thresholdOf(name)].slice()])
      kept.masks = Object.fromEntries(masks)
      kept.thresholds = Object.fromEntries(thresholds)
    },
    metrics(config, place, x) {
      const metrics: { [name: string]: number } = { alpha: alphaAt(config, place.t) }
      let [zeros, all] = [0, 0]
      for (const spec of place.space.tensors) {
        if (!isSparse(config, spec)) continue
        const { s } = layer(place, spec, x)
        const dropped = Array.from(sparse(place, spec, x)).filter((u) => u === 0).length
        zeros += dropped
        all += elements(spec.shape)
        metrics[`sparsity.${spec.name}`] = dropped / elements(spec.shape)
        metrics[`threshold.${spec.name}`] = Array.from(s, sigmoid).reduce((sum, level) => sum + level, 0) / s.length
      }
      return { ...metrics, sparsity: all > 0 ? zeros / all : 0 }
    },
    equations: () => [
      String.raw`u = \mathrm{sign}(w) \max(|w| - \sigma(s), 0)`,
      String.raw`\nabla_w = M \nabla_u,\quad \nabla_s = -\sigma'(s) \sum M \nabla_u\, \mathrm{sign}(w),\quad M = 1\ (|w| > \sigma(s)),\ \alpha_t\ \text{else}`,
    ],
    check(config, { tensors }) {
      const known = new Map(tensors.map((spec) => [spec.name, spec]))
      const unknown = (config.tensors ?? []).flatMap((name, i) =>
        known.has(name) ? [] : [{ field: `tensors[${i}]`, message: `the space has no tensor "${name}"` }],
      )
      const taken = tensors.filter((spec) => isSparse(config, spec) && known.has(thresholdOf(spec.name)))
      return [
        ...unknown,
        ...taken.map(({ name }) => ({ field: 'tensors', message: `the name "${thresholdOf(name)}" is taken` })),
        ...(tensors.some((spec) => isSparse(config, spec))
          ? []
          : [
              {
                field: 'tensors',
                message: 'the space has no tensor of two or more axes; name those to be made sparse',
              },
            ]),
      ]
    },
  },
})
