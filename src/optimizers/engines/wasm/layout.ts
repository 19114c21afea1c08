/** Where everything of a kernel is in its memory. */
import type { Domain, Program } from '../../language/program.js'
import type { Packing } from '../engine.js'
import type { Pass, Plan } from '../plan.js'
import { domainSize, type TensorShape } from '../shapes.js'
import { FIELD_STEP } from './fields.js'
import { KeptSlots, partSize } from './kept.js'
import { BYTES, type Precision } from './lanes.js'
import { numbersOf } from './pass.js'
import type { TableLayout } from './tables.js'
import { BLOCK } from './work.js'

const ALIGNMENT = 64
const align = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT

/** A program compiled for a precision, whatever the manifest. */
export type Compiled = {
  module: WebAssembly.Module
  plan: Plan
  tables: TableLayout
  /** Slots of which the module has the host unpack and pack a part at a time. */
  packed: readonly string[]
  /** Whether it has it do so with all that tensors have. */
  streamed: boolean
}

export type Layout = {
  compiled: Compiled
  /** What a module imports by these names: addresses, and other numbers that the manifest decides. */
  address: Readonly<Record<string, number>>
  /** Bytes of the memory. */
  end: number
  /** Values of all tensors by domain. */
  count: Readonly<Record<Domain, number>>
  kept?: KeptSlots
}

/** `chunk`: elements that a thread takes at a time. */
export function layoutOf(
  compiled: Compiled,
  program: Program,
  shapes: readonly TensorShape[],
  precision: Precision,
  packing?: Packing,
  chunk = 0,
): Layout {
  const { tables, plan, packed, streamed } = compiled
  const total = (domain: Domain) => shapes.reduce((sum, shape) => sum + domainSize(domain, shape), 0)
  const count = {
    tensor: total('tensor'),
    row: total('row'),
    column: total('column'),
    scalar: shapes.length,
    global: 1,
  }
  const bytes = BYTES[precision]
  const domains = new Map<string, Domain>(plan.scratch)
  for (const [name, { kind }] of Object.entries(program.source.slots)) domains.set(name, kind)
  const fields = new Set(plan.graph.fields.map(({ location }) => location))
  const streams = new Set(streamed ? tables.tensors : [])
  const regionBytes = (name: string) => {
    if (name === 'totals') return 8 * totalsOf(plan, count)
    if (streams.has(name)) return bytes * (partSize(plan, shapes, ({ columns }) => columns) + FIELD_STEP)
    if (packed.includes(name)) return bytes * partSize(plan, shapes, ({ size }) => size)
    if (name.startsWith('sums ')) return 8 * count.column
    if (fields.has(name)) return bytes * Math.ceil(count.tensor / FIELD_STEP) * FIELD_STEP
    return bytes * count[domains.get(name) ?? 'tensor']
  }
  const address: Record<string, number> = { chunk }
  let end = ALIGNMENT
  const place = (name: string, size: number) => {
    // A part of a field is drawn from a few elements before it.
    if (streams.has(name)) end += ALIGNMENT
    address[name] = end
    end = align(end + size)
    return address[name]
  }
  place('table', tables.tableBytes)
  place('records', tables.recordBytes * shapes.length)
  address['records end'] = address.records + tables.recordBytes * shapes.length
  address.elements = count.tensor
  address['row bytes'] = bytes * count.row
  address['column bytes'] = bytes * count.column
  for (const name of tables.imports) if (!Object.hasOwn(address, name)) place(name, regionBytes(name))
  const kept = packing && packed.length > 0 ? new KeptSlots(packed, shapes, precision, packing, place) : undefined
  return { compiled, address, end, count, kept }
}

/** How many totals the units of a pass may leave. */
function totalsOf({ stages }: Plan, count: Readonly<Record<Domain, number>>): number {
  const passes = stages.flatMap(({ rows, columns, tensors }) => [rows, columns, ...tensors.values()])
  // What goes tensor by tensor leaves no more at a time.
  const units = (pass: Pass) => (pass.perRow ? count.row : 0) + Math.ceil(count[pass.domain] / BLOCK)
  return Math.max(0, ...passes.map((pass) => (pass ? numbersOf(pass).length * units(pass) : 0)))
}
