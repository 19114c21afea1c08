/** Spaces between protocol and domain. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { type Value, ValueSchema } from '@bufbuild/protobuf/wkt'
import type { SpaceConstraint } from '../../core/constraints.js'
import type {
  ParameterConstraint as ProtoConstraint,
  Parameter as ProtoParameter,
  Space as ProtoSpace,
  SpaceSchema,
} from '../../core/gen/asktell/v1/space_pb.js'
import { Dtype } from '../../core/gen/asktell/v1/tensor_pb.js'
import type { Parameter, Scalar, SearchSpace, Space } from '../../core/space.js'
import { fail, int64, integer, paramValue } from './basics.js'
import { dtypes, tensorsFromProto } from './tensors.js'

const bad = (path: string, message: string): never => fail(path, message, 'SPACE_INVALID')

export function spaceFromProto(space: ProtoSpace | undefined, path: string): Space {
  const kind = space?.kind
  switch (kind?.case) {
    case 'tensors': {
      const at = `${path}.tensors`
      const tensors = kind.value.tensors.map((t, i) => ({
        name: t.name,
        shape: t.shape.map((d, axis) => integer(d, `${at}.tensors[${i}].shape[${axis}]`)),
        dtype:
          dtypes.read(t.dtype, `${at}.tensors[${i}].dtype`) ??
          bad(`${at}.tensors[${i}].dtype`, `expected one of F32, F64, BF16, F16`),
        ...(t.group && { group: t.group }),
      }))
      const { initial, low, high } = kind.value
      return {
        kind: 'tensors',
        tensors,
        low,
        high,
        ...(initial && {
          initial: tensorsFromProto(initial.tensors, tensors, `${at}.initial`, 'SPACE_INVALID', { partial: true }),
        }),
      }
    }
    case 'search':
      return {
        kind: 'search',
        parameters: kind.value.parameters.map((p, i) => parameterFromProto(p, `${path}.search.parameters[${i}]`)),
        ...(kind.value.constraints.length > 0 && {
          constraints: kind.value.constraints.map((c, i) => constraintFromProto(c, `${path}.search.constraints[${i}]`)),
        }),
      }
    case 'text':
      return {
        kind: 'text',
        components: kind.value.components.map(({ name, initial, maxLength }) => ({
          name,
          initial,
          ...(maxLength > 0 && { maxLength }),
        })),
      }
    case 'items':
      return {
        kind: 'items',
        items: kind.value.items.map(({ id, label, features }) => ({
          id,
          ...(label && { label }),
          ...(features.length > 0 && { features }),
        })),
      }
    default:
      return bad(path, 'expected one of tensors, search, text, items')
  }
}

function parameterFromProto(p: ProtoParameter, path: string): Parameter {
  const head = {
    name: p.name,
    ...(p.condition && {
      condition: {
        parent: p.condition.parent,
        values: p.condition.values.map((v, j) => paramValue(v, `${path}.condition.values[${j}]`)),
      },
    }),
  }
  switch (p.type.case) {
    case 'float': {
      const { low, high, log, step } = p.type.value
      return { ...head, type: 'float', low, high, log, step }
    }
    case 'int': {
      const { low, high, log, step } = p.type.value
      return {
        ...head,
        type: 'int',
        low: integer(low, `${path}.int.low`),
        high: integer(high, `${path}.int.high`),
        log,
        step: step === undefined ? undefined : integer(step, `${path}.int.step`),
      }
    }
    case 'categorical':
    case 'ordinal':
      return {
        ...head,
        type: p.type.case,
        choices: p.type.value.choices.map((v, j) => paramValue(v, `${path}.${p.type.case}.choices[${j}]`)),
      }
    case 'permutation':
      return {
        ...head,
        type: 'permutation',
        items: p.type.value.choices.map((v, j) => paramValue(v, `${path}.permutation.choices[${j}]`)),
      }
    default:
      return bad(path, 'expected one of float, int, categorical, ordinal, permutation')
  }
}

function constraintFromProto({ kind }: ProtoConstraint, path: string): SpaceConstraint {
  switch (kind.case) {
    case 'linear':
      return { type: 'linear', coefficients: kind.value.coefficients, bound: kind.value.bound }
    case 'expression':
      return { type: 'expression', expression: kind.value }
    case 'forbidden': {
      const when: Record<string, Scalar[]> = {}
      kind.value.values.forEach(({ parent, values }, i) => {
        const at = `${path}.forbidden.values[${i}]`
        if (Object.hasOwn(when, parent)) bad(`${at}.parent`, `${JSON.stringify(parent)} is named twice`)
        when[parent] = values.map((v, j) => paramValue(v, `${at}.values[${j}]`))
      })
      return { type: 'forbidden', when }
    }
    default:
      return bad(path, 'expected one of linear, expression, forbidden')
  }
}

const value = (v: Scalar): Value =>
  create(ValueSchema, {
    kind:
      typeof v === 'string'
        ? { case: 'stringValue', value: v }
        : typeof v === 'number'
          ? { case: 'numberValue', value: v }
          : { case: 'boolValue', value: v },
  })

/** Start values are not echoed: they may be as large as the session. */
export function spaceToProto(space: Space): MessageInitShape<typeof SpaceSchema> {
  switch (space.kind) {
    case 'tensors':
      return {
        kind: {
          case: 'tensors',
          value: {
            tensors: space.tensors.map(({ name, shape, dtype, group }) => ({
              name,
              shape: shape.map(int64),
              dtype: dtypes.write(dtype) ?? Dtype.UNSPECIFIED,
              group,
            })),
            low: space.low,
            high: space.high,
          },
        },
      }
    case 'search':
      return {
        kind: {
          case: 'search',
          value: {
            parameters: space.parameters.map((p) => ({
              name: p.name,
              condition: p.condition && { parent: p.condition.parent, values: p.condition.values.map(value) },
              type: rangeToProto(p),
            })),
            constraints: space.constraints?.map((c) => ({ kind: constraintToProto(c) })),
          },
        },
      }
    case 'text':
      return { kind: { case: 'text', value: { components: space.components.map((c) => ({ ...c })) } } }
    case 'items':
      return {
        kind: {
          case: 'items',
          value: {
            items: space.items.map(({ id, label, features }) => ({ id, label, features: [...(features ?? [])] })),
          },
        },
      }
  }
}

function rangeToProto(
  p: Parameter,
): MessageInitShape<typeof import('../../core/gen/asktell/v1/space_pb.js').ParameterSchema>['type'] {
  switch (p.type) {
    case 'float':
      return { case: 'float', value: { low: p.low, high: p.high, log: p.log, step: p.step } }
    case 'int':
      return {
        case: 'int',
        value: {
          low: int64(p.low),
          high: int64(p.high),
          log: p.log,
          step: p.step === undefined ? undefined : int64(p.step),
        },
      }
    case 'permutation':
      return { case: 'permutation', value: { choices: p.items.map(value) } }
    default:
      return { case: p.type, value: { choices: p.choices.map(value) } }
  }
}

function constraintToProto(
  c: SpaceConstraint,
): MessageInitShape<typeof import('../../core/gen/asktell/v1/space_pb.js').ParameterConstraintSchema>['kind'] {
  switch (c.type) {
    case 'linear':
      return { case: 'linear', value: { coefficients: { ...c.coefficients }, bound: c.bound } }
    case 'expression':
      return { case: 'expression', value: c.expression }
    case 'forbidden': {
      const values = Object.entries(c.when).map(([parent, values]) => ({ parent, values: values.map(value) }))
      return { case: 'forbidden', value: { values } }
    }
  }
}

const RESOURCE =
  /^(space|objectives|constraints|method|config|task|pruner|budget|durability|resolver|seed|lease|labels|offers|encodings|warmStartFrom|state|displayName)\b/

/**
 * The path of a field in the request, from its path in the domain: "space.parameters[0].low" of a float parameter is
 * "session.space.search.parameters[0].float.low" to the one who wrote it.
 */
export function sessionPath(path: string, space: Space | undefined): string {
  if (path === 'id') return 'session_id'
  if (!RESOURCE.test(path)) return path
  if (!space) return `session.${path}`
  if (space.kind === 'search') return `session.${searchPath(path, space)}`
  return `session.${path.replace(/^space\./, `space.${space.kind}.`)}`
}

/** The path of a field of a search space in its message. */
export function searchPath(path: string, space: SearchSpace): string {
  const [, index, field, rest] = /^space\.parameters\[(\d+)\]\.(low|high|log|step|choices|items)(.*)/.exec(path) ?? []
  if (field)
    return `space.search.parameters[${index}].${space.parameters[Number(index)].type}.${field === 'items' ? 'choices' : field}${rest}`
  const [, at, part, name, value = ''] =
    /^space\.constraints\[(\d+)\]\.(coefficients|bound|when)(?:\.([^[]*)(\[.*)?)?/.exec(path) ?? []
  const constraint = space.constraints?.[Number(at)]
  if (constraint?.type === 'linear') return `space.search.constraints[${at}].linear.${part}${name ? `["${name}"]` : ''}`
  if (constraint?.type === 'forbidden') {
    const i = Object.keys(constraint.when).indexOf(name)
    return `space.search.constraints[${at}].forbidden.values${i < 0 ? '' : `[${i}]`}${value}`
  }
  return path.replace(/^space\./, 'space.search.')
}
