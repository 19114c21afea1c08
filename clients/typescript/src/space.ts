import { create, fromJson, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf'
import { ValueSchema } from '@bufbuild/protobuf/wkt'
import {
  type ParameterConstraintSchema,
  type ParameterSchema,
  type Space as SpaceMessage,
  SpaceSchema,
} from './gen/asktell/v1/space_pb.js'
import { Dtype } from './gen/asktell/v1/tensor_pb.js'
import { type FloatArray, packTensors } from './tensors.js'

export type Scalar = number | string | boolean
/** A list is the value of a permutation. */
export type ParamValue = Scalar | readonly Scalar[]
export type Params = { readonly [name: string]: ParamValue }

type When = { when?: readonly [parent: string, ...values: Scalar[]] }
type Range = When & { log?: boolean; step?: number }
export type Parameter = When &
  (
    | { type: 'float' | 'int'; low: number; high: number; log?: boolean; step?: number }
    | { type: 'categorical' | 'ordinal'; choices: readonly Scalar[] }
    | { type: 'permutation'; items: readonly Scalar[] }
  )
/**
 * What must hold between parameters: an expression such as "width * depth <= 4096", a sum of coefficient times value that is
 * at most `bound`, or values that must not come together.
 */
export type Constraint =
  | string
  | { linear: { readonly [parameter: string]: number }; bound: number }
  | { forbidden: { readonly [parameter: string]: Scalar | readonly Scalar[] } }
/** Parameters by name, in order: `when` may refer to those before. */
export type SearchSpace = { readonly [name: string]: Parameter }

/** A real number from low to high. `when: ['optimizer', 'sgd']`: it exists only then. */
export const float = (low: number, high: number, options: Range = {}): Parameter => ({
  type: 'float',
  low,
  high,
  ...options,
})
/** An integer from low to high, both included. */
export const int = (low: number, high: number, options: Range = {}): Parameter => ({
  type: 'int',
  low,
  high,
  ...options,
})
/** One of several choices without an order. */
export const categorical = (choices: readonly Scalar[], options: When = {}): Parameter => ({
  type: 'categorical',
  choices,
  ...options,
})
/** One of several choices, listed in their order. */
export const ordinal = (choices: readonly Scalar[], options: When = {}): Parameter => ({
  type: 'ordinal',
  choices,
  ...options,
})

/** All of the items, in any order. */
export const permutation = (items: readonly Scalar[], options: When = {}): Parameter => ({
  type: 'permutation',
  items,
  ...options,
})

const value = (v: Scalar) => fromJson(ValueSchema, v as JsonValue)

function parameter(name: string, p: Parameter): MessageInitShape<typeof ParameterSchema> {
  const condition = p.when && { parent: p.when[0], values: p.when.slice(1).map(value) }
  switch (p.type) {
    case 'float':
      return { name, condition, type: { case: 'float', value: { low: p.low, high: p.high, log: p.log, step: p.step } } }
    case 'int': {
      const range = {
        low: BigInt(p.low),
        high: BigInt(p.high),
        log: p.log,
        step: p.step === undefined ? undefined : BigInt(p.step),
      }
      return { name, condition, type: { case: 'int', value: range } }
    }
    case 'permutation':
      return { name, condition, type: { case: 'permutation', value: { choices: p.items.map(value) } } }
    case 'categorical':
    case 'ordinal':
      return { name, condition, type: { case: p.type, value: { choices: p.choices.map(value) } } }
    default: {
      const tensor = ArrayBuffer.isView(p) ? ', and arrays in tensors({ ... })' : ''
      throw new TypeError(`space.${name}: expected float(), int(), categorical(), ordinal() or permutation()${tensor}`)
    }
  }
}

function constraint(c: Constraint): MessageInitShape<typeof ParameterConstraintSchema> {
  if (typeof c === 'string') return { kind: { case: 'expression', value: c } }
  if ('linear' in c) return { kind: { case: 'linear', value: { coefficients: { ...c.linear }, bound: c.bound } } }
  const values = Object.entries(c.forbidden).map(([parent, given]) => ({
    parent,
    values: (Array.isArray(given) ? given : [given]).map(value),
  }))
  return { kind: { case: 'forbidden', value: { values } } }
}

/** A search space of typed parameters, and what must hold between them. */
export const search = (parameters: SearchSpace, constraints: readonly Constraint[] = []): SpaceMessage =>
  create(SpaceSchema, {
    kind: {
      case: 'search',
      value: {
        parameters: Object.entries(parameters).map(([name, p]) => parameter(name, p)),
        constraints: constraints.map(constraint),
      },
    },
  })

/** Named tensors with their start values. A shape defaults to one axis; bounds hold for every element. */
export const tensors = (
  initial: { readonly [name: string]: FloatArray | { values: FloatArray; shape: readonly number[] } },
  bounds: { low?: number; high?: number } = {},
): SpaceMessage => {
  const entries = Object.entries(initial).map(([name, given]) =>
    ArrayBuffer.isView(given)
      ? { name, values: given as FloatArray, shape: [(given as FloatArray).length] }
      : { name, ...(given as { values: FloatArray; shape: number[] }) },
  )
  return create(SpaceSchema, {
    kind: {
      case: 'tensors',
      value: {
        tensors: entries.map(({ name, values, shape }) => ({
          name,
          shape: shape.map(BigInt),
          dtype: values instanceof Float64Array ? Dtype.F64 : Dtype.F32,
        })),
        initial: packTensors(Object.fromEntries(entries.map(({ name, values }) => [name, values]))),
        ...bounds,
      },
    },
  })
}

/** Text components with their start values, such as { instruction: 'Answer briefly.' }. */
export const text = (components: { readonly [name: string]: string }): SpaceMessage =>
  create(SpaceSchema, {
    kind: {
      case: 'text',
      value: { components: Object.entries(components).map(([name, initial]) => ({ name, initial })) },
    },
  })

/** A fixed set of things to choose from. */
export const items = (list: readonly { id: string; label?: string; features?: readonly number[] }[]): SpaceMessage =>
  create(SpaceSchema, {
    kind: { case: 'items', value: { items: list.map((item) => ({ ...item, features: [...(item.features ?? [])] })) } },
  })
