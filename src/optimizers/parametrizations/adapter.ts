/**
 * Adapters: a large matrix is tuned through a few small ones. Hu et al., "LoRA", ICLR 2022; Hyeon-Woo, Ye-Bin, Oh, "FedPara",
 * ICLR 2022 (Hadamard); Edalati et al., "KronA", 2022 (Kronecker); all of them in Lu, "Low-Rank Approximation, Adaptation, and
 * Other Tales", 2024, which adds the Khatri-Rao product.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { elements, type FloatArray, type TensorSpec, type Tensors } from '../../core/tensor.js'
import { gaussian } from '../flat.js'
import type { PartConfig } from '../parts.js'
import { ADAPTERS, type Factors, type Size } from './adapters.js'
import { type Arrays, arrayOf, defineParametrization, type Place } from './parametrization.js'

const fields = {
  kind: field(
    z.enum(['lora', 'loha', 'lokr', 'lokh']).default('lora'),
    'What the change of a matrix is made of: s*B*A; s*(B1*A1) o (B2*A2), of rank up to r^2; s*C kron (B*A); or, column by ' +
      'column, s*c_j kron f_j.',
    { source: 'Hugging Face PEFT, LyCORIS; lokh: ours' },
  ),
  rank: field(
    z.int().min(1).optional(),
    'Rank r of the small matrices; 8, and with lokh none, where it is not given.',
    {
      source: 'Hugging Face PEFT',
    },
  ),
  alpha: field(z.number().positive().optional(), 'The scale s is alpha over the rank; 1 where it is not given.', {
    source: 'Hu et al. 2022, section 4.1',
  }),
  factor: field(
    z.int().min(1).optional(),
    'Rows of the left factor of lokr and lokh, and columns of that of lokr; where it does not divide, the largest number ' +
      'below it that does. Without it, the root.',
    { source: 'LyCORIS' },
  ),
  tensors: field(z.array(z.string()).min(1).optional(), 'Matrices to be adapted; without it, all.', { source: 'ours' }),
  others: field(
    z.enum(['fixed', 'trained']).default('fixed'),
    'Whether all other tensors stay as they are at the start, or are moved as without adapters.',
    { source: 'Hu et al. 2022, section 4.2' },
  ),
  answer: field(
    z.enum(['sum', 'change']).default('sum'),
    'What is handed out: the start plus the change, or the change alone, so that the session keeps none of the start.',
    { source: 'ours' },
  ),
}
type Config = PartConfig<typeof fields>

const isAdapted = ({ tensors }: Config, { name, shape }: TensorSpec): boolean =>
  tensors ? tensors.includes(name) : shape.length === 2

/** The largest divisor of n up to `most`. */
function divisor(n: number, most = Math.floor(Math.sqrt(n))): number {
  let d = Math.min(n, most)
  while (n % d !== 0) d--
  return d
}

const RANK = 8

function sizeOf({ kind, rank, factor, alpha }: Config, { shape: [rows, columns] }: TensorSpec): Size {
  const r = rank ?? (kind === 'lokh' ? undefined : RANK)
  const scale = alpha === undefined ? 1 : alpha / (r ?? 1)
  return { rows, columns, rank: r, scale, outer: [divisor(rows, factor), divisor(columns, factor)] }
}

const nameOf = (tensor: string, factor: string): string => `${tensor}.${factor}`
const factorSpecs = (config: Config, spec: TensorSpec): TensorSpec[] =>
  Object.entries(ADAPTERS[config.kind].shapes(sizeOf(config, spec))).map(([factor, shape]) => ({
    name: nameOf(spec.name, factor),
    shape,
    dtype: spec.dtype,
    group: spec.group,
  }))

/** The factors of a tensor, by their short names. */
const factorsOf = (config: Config, spec: TensorSpec, x: Tensors): Factors =>
  Object.fromEntries(
    Object.keys(ADAPTERS[config.kind].shapes(sizeOf(config, spec))).map((factor) => [
      factor,
      x[nameOf(spec.name, factor)],
    ]),
  )

/** What a fixed tensor is, or what a change is added to. */
const baseOf = ({ kept }: Place, spec: TensorSpec): FloatArray | undefined => kept.base?.[spec.name]

export const adapter = defineParametrization({
  id: 'adapter',
  summary:
    'Tunes matrices through small ones: what the rule moves and keeps state of are the factors of a change that is 0 at the ' +
    'start. Gradients are told by the whole matrices.',
  fields,
  mapping: {
    tensors: (config, { tensors }) =>
      tensors.flatMap((spec) =>
        isAdapted(config, spec) ? factorSpecs(config, spec) : config.others === 'trained' ? [spec] : [],
      ),
    begin(config, { tensors, initial = {} }, rng) {
      const start: Arrays = {}
      const base: Arrays = {}
      for (const spec of tensors) {
        const own = initial[spec.name] ?? elements(spec.shape)
        const adapted = isAdapted(config, spec)
        if (!adapted && config.others === 'trained') start[spec.name] = arrayOf(spec, own)
        else if (config.answer === 'sum') base[spec.name] = arrayOf(spec, own)
        if (!adapted) continue
        const { shapes, zero } = ADAPTERS[config.kind]
        const size = sizeOf(config, spec)
        const deviation = 1 / Math.sqrt(size.rank ?? 1)
        for (const [factor, shape] of Object.entries(shapes(size))) {
          const n = elements(shape)
          const values = factor === zero(size) ? n : gaussian(rng, n).map((value) => deviation * value)
          start[nameOf(spec.name, factor)] = arrayOf(spec, values)
        }
      }
      return { initial: start, kept: { base } }
    },
    outward: (config, place, x) =>
      Object.fromEntries(
        place.space.tensors.map((spec) => {
          const { name, shape } = spec
          const base = baseOf(place, spec)
          if (!isAdapted(config, spec)) return [name, x[name] ?? base ?? arrayOf(spec, elements(shape))]
          const change = ADAPTERS[config.kind].change(factorsOf(config, spec, x), sizeOf(config, spec))
          return [name, arrayOf(spec, base ? change.map((value, i) => base[i] + value) : change)]
        }),
      ),
    inward: (config, { space }, x, gradient) =>
      Object.fromEntries(
        space.tensors.flatMap((spec): [string, FloatArray][] => {
          const { name } = spec
          if (!isAdapted(config, spec)) return config.others === 'trained' ? [[name, gradient[name]]] : []
          const g = ADAPTERS[config.kind].gradients(gradient[name], factorsOf(config, spec, x), sizeOf(config, spec))
          return Object.entries(g).map(([factor, values]) => [nameOf(name, factor), arrayOf(spec, values)])
        }),
      ),
    metrics: (_, __, x) => ({
      trained: Object.values(x).reduce((sum, { length }) => sum + length, 0),
    }),
    equations: ({ kind }) => ADAPTERS[kind].equations,
    check(config, space) {
      const known = new Map(space.tensors.map((spec) => [spec.name, spec]))
      const issues = (config.tensors ?? []).flatMap((name, i) => {
        const at = `tensors[${i}]`
        const spec = known.get(name)
        if (!spec) return [{ field: at, message: `the space has no tensor "${name}"` }]
        return spec.shape.length === 2 ? [] : [{ field: at, message: `"${name}" is no matrix` }]
      })
      if (issues.length > 0) return issues
      const adapted = space.tensors.filter((spec) => isAdapted(config, spec))
      if (adapted.length === 0) return [{ field: 'tensors', message: 'the space has no matrix' }]
      return adapted
        .flatMap((spec) => factorSpecs(config, spec))
        .filter(({ name }) => known.has(name))
        .map(({ name }) => ({ field: 'tensors', message: `the name "${name}" is taken` }))
    },
  },
})
