/** What is optimized: named tensors, a search space of typed parameters, text components, or a set of items. */
import { checkConstraints, type SpaceConstraint, violated } from './constraints.js'
import type { Issue } from './errors.js'
import { DTYPES, type Dtype, elements, type FloatArray, type TensorSpec } from './tensor.js'

export type Scalar = number | string | boolean
/** A list is the value of a permutation: its items, in an order. */
export type ParamValue = Scalar | readonly Scalar[]
/** Active parameters of a point in a search space, by name. Inactive conditional parameters are absent. */
export type Params = { readonly [name: string]: ParamValue }

/** A parameter exists only when its parent has one of these values. */
export type Condition = { parent: string; values: readonly Scalar[] }

export type Parameter = { name: string; condition?: Condition } & (
  | { type: 'float'; low: number; high: number; log?: boolean; step?: number }
  | { type: 'int'; low: number; high: number; log?: boolean; step?: number }
  | { type: 'categorical'; choices: readonly Scalar[] }
  | { type: 'ordinal'; choices: readonly Scalar[] }
  | { type: 'permutation'; items: readonly Scalar[] }
)

export type TensorsSpace = {
  kind: 'tensors'
  tensors: readonly TensorSpec[]
  /** Start values by name; zeros where absent. */
  initial?: { readonly [name: string]: FloatArray }
  /** Box on every element, optional. */
  low?: number
  high?: number
}
export type SearchSpace = {
  kind: 'search'
  parameters: readonly Parameter[]
  /** All of them hold at every point that is asked or told. */
  constraints?: readonly SpaceConstraint[]
}
export type TextSpace = { kind: 'text'; components: readonly { name: string; initial: string; maxLength?: number }[] }
export type ItemsSpace = {
  kind: 'items'
  items: readonly { id: string; features?: readonly number[]; label?: string }[]
}

export type Space = TensorsSpace | SearchSpace | TextSpace | ItemsSpace
export type SpaceKind = Space['kind']

export type Direction = 'minimize' | 'maximize'
export type Objective = { name: string; direction: Direction }

/** All that a method may know of what it optimizes. */
export type Problem = {
  space: Space
  /** One for single-objective problems; several make the session multi-objective. */
  objectives: readonly Objective[]
  /** Names of outcome constraints; a told value <= 0 is feasible. */
  constraints?: readonly string[]
  /** Task text and other plain facts that text methods put into their prompts. */
  task?: TaskDescription
}
export type TaskDescription = {
  description: string
  /** Examples that scores and critiques refer to by index. */
  examples?: readonly { input: string; expected: string }[]
}

type Bad = (path: string, message: string) => void

const finite = (x: unknown): x is number => typeof x === 'number' && Number.isFinite(x)

/** Everything wrong with a space, each issue located by its path below `space`. */
export function checkSpace(space: Space): Issue[] {
  const issues: Issue[] = []
  const bad: Bad = (path, message) => issues.push({ path: `space.${path}`, message })
  const unique = (list: readonly { name: string }[], at: string) => {
    const seen = new Map<string, number>()
    list.forEach(({ name }, i) => {
      if (!name) bad(`${at}[${i}].name`, 'expected a name, got an empty string')
      // Names become keys of plain records, in methods and in many a client.
      else if (name in Object.prototype) bad(`${at}[${i}].name`, `"${name}" is reserved`)
      else if (seen.has(name)) bad(`${at}[${i}].name`, `"${name}" is already the name of ${at}[${seen.get(name)}]`)
      seen.set(name, i)
    })
    if (list.length === 0) bad(at, 'expected at least one entry')
  }
  switch (space.kind) {
    case 'tensors':
      unique(space.tensors, 'tensors')
      space.tensors.forEach((t, i) => {
        if (!(t.dtype in DTYPES)) bad(`tensors[${i}].dtype`, `expected one of ${Object.keys(DTYPES)}, got ${t.dtype}`)
        t.shape.forEach((d, axis) => {
          if (!Number.isSafeInteger(d) || d < 1)
            bad(`tensors[${i}].shape[${axis}]`, `expected a positive integer, got ${d}`)
        })
      })
      checkBox(space, bad)
      checkInitial(space, bad)
      break
    case 'search': {
      unique(space.parameters, 'parameters')
      const before = new Map<string, Parameter>()
      space.parameters.forEach((p, i) => {
        checkParameter(p, `parameters[${i}]`, bad)
        if (p.condition) {
          const parent = before.get(p.condition.parent)
          const at = `parameters[${i}].condition`
          if (!parent) bad(`${at}.parent`, `expected the name of an earlier parameter, got "${p.condition.parent}"`)
          else if (parent.type === 'permutation') bad(`${at}.parent`, `"${parent.name}" is a permutation`)
          else if (p.condition.values.length === 0) bad(`${at}.values`, 'expected at least one value')
          else
            p.condition.values.forEach((v, j) => {
              if (!contains(parent, v))
                bad(`${at}.values[${j}]`, `${JSON.stringify(v)} is not a value of "${parent.name}"`)
            })
        }
        before.set(p.name, p)
      })
      if (issues.length === 0) checkConstraints(space, bad)
      break
    }
    case 'text':
      unique(space.components, 'components')
      space.components.forEach(({ initial, maxLength = Infinity }, i) => {
        if (initial.length > maxLength)
          bad(`components[${i}].initial`, `expected at most ${maxLength} characters, got ${initial.length}`)
      })
      break
    case 'items': {
      unique(
        space.items.map(({ id }) => ({ name: id })),
        'items',
      )
      const width = space.items[0]?.features?.length
      space.items.forEach((item, i) => {
        if (item.features?.length !== width)
          bad(
            `items[${i}].features`,
            `expected ${width ?? 0} numbers as in items[0], got ${item.features?.length ?? 0}`,
          )
      })
      break
    }
  }
  return issues
}

function checkBox({ tensors, initial = {}, low, high }: TensorsSpace, bad: Bad) {
  if (low !== undefined && !finite(low)) return bad('low', `expected a finite number, got ${low}`)
  if (high !== undefined && !finite(high)) return bad('high', `expected a finite number, got ${high}`)
  if (low !== undefined && high !== undefined && low > high)
    return bad('low', `expected low <= high, got ${low} > ${high}`)
  const zero = tensors.find(({ name }) => !Object.hasOwn(initial, name))
  if (!zero) return
  const start = `"${zero.name}" has no start values and begins at 0`
  if (low !== undefined && low > 0) bad('low', `expected 0 or less, got ${low}: ${start}`)
  if (high !== undefined && high < 0) bad('high', `expected 0 or more, got ${high}: ${start}`)
}

/** By how much of itself a number changes at most when it is rounded to a type; arrays of half floats hold f32. */
const ROUNDING: { [dtype in Dtype]: number } = { f64: 0, f32: 2 ** -24, f16: 2 ** -11, bf16: 2 ** -8 }

/** Start values must be finite and in the box, whose bounds may be rounded as the values were. */
function checkInitial({ tensors, initial = {}, low, high }: TensorsSpace, bad: Bad) {
  const specs = new Map(tensors.map((spec) => [spec.name, spec]))
  for (const [name, array] of Object.entries(initial)) {
    const spec = specs.get(name)
    if (!spec) bad(`initial.${name}`, 'is not a tensor of the space')
    else if (array.length !== elements(spec.shape))
      bad(`initial.${name}`, `expected ${elements(spec.shape)} elements, got ${array.length}`)
    else {
      const slack = ROUNDING[spec.dtype] ?? 0
      const least = low === undefined ? -Infinity : low - Math.abs(low) * slack
      const most = high === undefined ? Infinity : high + Math.abs(high) * slack
      const index = array.findIndex((x) => !(Number.isFinite(x) && x >= least && x <= most))
      if (index < 0) continue
      const box = low === undefined && high === undefined ? '' : ` from ${low ?? -Infinity} to ${high ?? Infinity}`
      bad(`initial.${name}[${index}]`, `expected a finite number${box}, got ${array[index]}`)
    }
  }
}

function checkParameter(p: Parameter, at: string, bad: Bad) {
  if (p.type === 'float' || p.type === 'int') {
    for (const end of ['low', 'high'] as const) {
      if (!finite(p[end])) bad(`${at}.${end}`, `expected a finite number, got ${p[end]}`)
      else if (p.type === 'int' && !Number.isSafeInteger(p[end]))
        bad(`${at}.${end}`, `expected an integer, got ${p[end]}`)
    }
    if (p.low > p.high) bad(`${at}.low`, `expected low <= high, got ${p.low} > ${p.high}`)
    if (p.log && !(p.low > 0)) bad(`${at}.low`, `expected a positive number on a log scale, got ${p.low}`)
    if (p.step !== undefined && !(finite(p.step) && p.step > 0))
      bad(`${at}.step`, `expected a positive number, got ${p.step}`)
    if (p.type === 'int' && p.step !== undefined && !Number.isSafeInteger(p.step))
      bad(`${at}.step`, `expected an integer, got ${p.step}`)
    if (p.log && p.step !== undefined) bad(`${at}.step`, 'a log scale takes no step')
    return
  }
  const [field, list] = p.type === 'permutation' ? ['items', p.items] : ['choices', p.choices]
  if (list.length === 0) bad(`${at}.${field}`, `expected at least one ${field.slice(0, -1)}`)
  const first = new Map<Scalar, number>()
  list.forEach((value, j) => {
    if (first.has(value)) bad(`${at}.${field}[${j}]`, `${JSON.stringify(value)} is listed twice`)
    else first.set(value, j)
  })
}

/** Whether a value is one that the parameter can take (its condition aside). */
export function contains(p: Parameter, value: ParamValue): boolean {
  if (p.type === 'permutation')
    return Array.isArray(value) && value.length === p.items.length && p.items.every((item) => value.includes(item))
  if (typeof value === 'object') return false
  if (p.type === 'categorical' || p.type === 'ordinal') return p.choices.includes(value)
  if (!finite(value) || value < p.low || value > p.high) return false
  if (p.type === 'int' && !Number.isInteger(value)) return false
  if (p.step === undefined) return true
  const steps = (value - p.low) / p.step
  const rounding = (4 * Number.EPSILON * Math.max(Math.abs(p.low), Math.abs(value))) / p.step
  return Math.abs(steps - Math.round(steps)) < 1e-9 * Math.max(1, Math.abs(steps)) + rounding
}

/** Whether a parameter exists, given the values of the parameters before it. */
export const isActive = (p: Parameter, params: Params): boolean =>
  !p.condition || (p.condition.parent in params && p.condition.values.includes(params[p.condition.parent] as Scalar))

/** What is wrong with a point of a search space: a missing, inactive, unknown or out-of-range parameter, a constraint. */
export function checkParams(space: SearchSpace, params: Params, at: string): Issue[] {
  const issues: Issue[] = []
  const known = new Set(space.parameters.map((p) => p.name))
  for (const name of Object.keys(params))
    if (!known.has(name)) issues.push({ path: `${at}.${name}`, message: 'is not a parameter of the space' })
  for (const p of space.parameters) {
    const active = isActive(p, params)
    const value = params[p.name]
    if (active && value === undefined) issues.push({ path: `${at}.${p.name}`, message: 'is missing' })
    else if (!active && value !== undefined)
      issues.push({ path: `${at}.${p.name}`, message: `is not active: "${p.condition?.parent}" has another value` })
    else if (value !== undefined && !contains(p, value))
      issues.push({ path: `${at}.${p.name}`, message: `${JSON.stringify(value)} is not a value of this parameter` })
  }
  if (issues.length > 0) return issues
  return violated(space, params).map((message) => ({ path: at, message: `violates ${message}` }))
}
