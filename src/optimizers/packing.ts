/**
 * Which slots of a config's rules are packed between steps: those like the parameters that hold no point. A point moves with
 * x: where all parameters are shifted by some number, so is it, or by half of it at least. (Moments move with x by the weight
 * decay.) Of points the distance from x matters, which is far below that of neighbouring numbers of 8 or 16 bits.
 */
import type { TensorsSpace } from '../core/space.js'
import { elements, type TensorSpec } from '../core/tensor.js'
import { FIRST } from './compose.js'
import { drivers } from './drivers/index.js'
import { ELEMENT } from './engines/arithmetic.js'
import type { Packing, Packs } from './engines/engine.js'
import { LEAST_PACKED } from './engines/packing/codec.js'
import { compileRule } from './language/check.js'
import type { Expression } from './language/program.js'
import { type Common, program, type RuleOf } from './step-program.js'

/** By how much a value moves in the first step when x moves by 1, NaN where it depends, and what it is, where known. */
type Moved = { by: number; value?: number }
const STILL: Moved = { by: 0 }
const DEPENDS: Moved = { by: Number.NaN }

/** Of a value, from what names stand for. */
function moved(e: Expression, of: (name: string) => Moved): Moved {
  switch (e.kind) {
    case 'number':
      return { by: 0, value: e.value }
    case 'name':
      return of(e.name)
    case 'shape':
    case 'random':
      return STILL
    case 'reduce': {
      const still = e.args.every((arg) => moved(arg, of).by === 0)
      return still ? STILL : DEPENDS
    }
    case 'call': {
      const args = e.args.map((arg) => moved(arg, of))
      const [a, b, c] = args
      if (args.every(({ value }) => value !== undefined)) {
        const [x, y, z] = args.map(({ value }) => value as number)
        return { by: 0, value: ELEMENT[e.fn](x, y, z) }
      }
      if (e.fn === 'select' && a.value !== undefined) return a.value !== 0 ? b : c
      if (e.fn === 'select' && a.by === 0) return b.by === c.by ? { by: b.by } : DEPENDS
      if (args.every(({ by }) => by === 0)) return STILL
      if (e.fn === '+') return { by: a.by + b.by }
      if (e.fn === '-') return { by: a.by - b.by }
      if (e.fn === 'negate') return { by: -a.by }
      if (e.fn === '*' && a.value !== undefined) return { by: a.value * b.by }
      if (e.fn === '*' && b.value !== undefined) return { by: a.by * b.value }
      if (e.fn === '/' && b.value !== undefined) return { by: a.by / b.value }
      return DEPENDS
    }
  }
}

/** What a config has packed of a new state; undefined where it keeps all slots as they are, or no tensor is large. */
export function packingOf<C extends Common>(rule: RuleOf<C>, config: C, space: TensorsSpace): Packing | undefined {
  const { stateDtype: dtype = 'full', driver } = config
  if (dtype === 'full' || space.tensors.every(({ shape }) => elements(shape) < LEAST_PACKED)) return undefined
  // Bounds stop what moves: without them, the text is the same.
  const free = { ...space, low: undefined, high: undefined }
  const { source, scalars, answer } = program(rule, { ...config, ball: undefined }, free)
  const points = ['x', 'z', ...drivers.of(driver).points(driver)]
  const known = new Map<string, Moved>()
  for (const name of ['g', ...(source.inputs ?? [])]) known.set(name, STILL)
  for (const name of points) known.set(name, { by: 1 })
  for (const [name, value] of Object.entries({ ...scalars(FIRST), t: 1 })) known.set(name, { by: 0, value })
  for (const [name, { initial = 0 }] of Object.entries(source.slots)) known.set(name, { by: 0, value: initial })
  for (const { target, value } of compileRule(source).statements)
    if (target.role !== 'report')
      known.set(
        target.name,
        moved(value, (name) => known.get(name) ?? DEPENDS),
      )
  const slots = Object.entries(source.slots).flatMap(([name, { kind }]) => (kind === 'tensor' ? [name] : []))
  const served = ['average', answer]
  const isPoint = (slot: string) => served.includes(slot) || Math.abs(known.get(slot)?.by ?? 0) >= 0.5
  return { dtype, slots: new Set(slots.filter((slot) => !isPoint(slot))) }
}

/** What is packed in a state. */
export const packingIn = ({ stateDtype = 'full' }: Common, packed: Packs | undefined): Packing | undefined =>
  packed && stateDtype !== 'full' ? { dtype: stateDtype, slots: new Set(Object.keys(packed)) } : undefined

/** Elements of packed slots. */
export function packedElements(packed: Packs, tensors: readonly TensorSpec[]): number {
  const sizes = new Map(tensors.map(({ name, shape }) => [name, elements(shape)]))
  return Object.values(packed)
    .flatMap((slot) => Object.keys(slot))
    .reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0)
}
