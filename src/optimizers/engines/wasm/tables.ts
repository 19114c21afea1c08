/** Where numbers live in the kernel's memory: one table for all tensors, and a record per tensor. All are f64. */
import type { Domain, Program } from '../../language/program.js'
import type { Node } from '../graph.js'
import { isFactor, type Plan } from '../plan.js'

/** Fields of a record before its f64 entries: i32 each. `first`, `rowFirst` and `columnFirst` count elements. */
const FIELDS = {
  first: 0,
  size: 4,
  matrix: 8,
  batch: 12,
  rows: 16,
  columns: 20,
  rowFirst: 24,
  columnFirst: 28,
} as const
const ENTRIES = 32

export class TableLayout {
  static readonly fields = FIELDS
  /** Byte offsets in the table and in each record. */
  readonly table: ReadonlyMap<string, number>
  readonly record: ReadonlyMap<string, number>
  readonly tableBytes: number
  readonly recordBytes: number
  /** Names of the i32 globals that an instance gets: addresses, and what else the manifest decides. */
  readonly imports: readonly string[]
  /** Locations that have a value for each element. */
  readonly tensors: readonly string[]

  constructor(plan: Plan, program: Program) {
    const { nodes, fields } = plan.graph
    const slots = Object.entries(program.source.slots)
    const table = ['t', ...program.source.hyperparameters].map((name) => `scalar ${name}`)
    table.push(...(['tensor', 'row', 'column', 'scalar'] as const).map((domain) => `count ${domain}`))
    const record: string[] = []
    for (const [name, { kind }] of slots) {
      if (kind === 'global') table.push(name)
      if (kind === 'scalar') record.push(name)
    }
    const sums: string[] = []
    for (const node of nodes) {
      if (node.kind !== 'call' && node.kind !== 'reduce') continue
      if (node.domain === 'global') table.push(TableLayout.key(node))
      if (node.domain === 'scalar') record.push(TableLayout.key(node))
      if (node.domain === 'column' && node.kind === 'reduce') sums.push(`sums ${node.id}`)
    }
    this.table = new Map(table.map((key, i) => [key, 8 * i]))
    this.record = new Map(record.map((key, i) => [key, ENTRIES + 8 * i]))
    this.tableBytes = 8 * table.length
    this.recordBytes = ENTRIES + 8 * record.length
    const isTensor = ([, { kind }]: (typeof slots)[number]) => kind === 'tensor'
    this.tensors = [
      ...['x', 'g', ...(program.source.inputs ?? [])],
      ...slots.filter(isTensor).map(([name]) => name),
      ...fields.map(({ location }) => location),
      ...[...plan.scratch].filter(([, domain]) => domain === 'tensor').map(([location]) => location),
    ]
    this.imports = [
      ...['table', 'records', 'records end', 'elements', 'row bytes', 'column bytes', 'chunk', 'totals'],
      ...['x', 'g', ...(program.source.inputs ?? [])],
      ...slots.filter(([, { kind }]) => kind === 'tensor' || isFactor(kind)).map(([name]) => name),
      ...fields.map(({ location }) => location),
      ...plan.scratch.keys(),
      ...sums,
    ]
  }

  /** The key of a node's number. */
  static key(node: Node): string {
    if (node.kind === 'scalar') return `scalar ${node.name}`
    if (node.kind === 'load') return node.location
    if (node.kind === 'shape') return 'count tensor'
    return `node ${node.id}`
  }

  /** Where a number is, from the start of the table or of a record. */
  offset(domain: Domain, key: string): number {
    const offset = (domain === 'global' ? this.table : this.record).get(key)
    if (offset === undefined) throw new Error(`there is no ${domain} number "${key}"`)
    return offset
  }
}
