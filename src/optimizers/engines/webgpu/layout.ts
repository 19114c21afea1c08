/**
 * Where the values of a kernel are on the device: one array of f32 for everything shaped like tensors, rows and columns,
 * and the facts about it that shaders read. Shaders know names by their place in the facts, so that one shader serves
 * every manifest.
 */
import type { Domain, Program } from '../../language/program.js'
import { isFactor, type Plan } from '../plan.js'
import { domainSize, type TensorShape } from '../shapes.js'

/** Elements of a block. Sums are taken over blocks, and added in order on the host: the same bits on every run. */
export const BLOCK = 4096
/** Rows and columns that one workgroup sums. */
export const ROWS = 8
export const COLUMNS = 32

/** The first facts: the bits of infinity and of NaN, the two words of the seed of random fields, where records begin. */
export const KEYS_AT = 2
const RECORDS_AT = 4
const HEADER = [0x7f800000, 0x7fc00000, 0, 0]
/** Facts of each tensor, behind all other facts. */
export const RECORD = ['first', 'rows', 'columns', 'rowFirst', 'columnFirst'] as const
export type RecordField = (typeof RECORD)[number]

/** How a shader goes over elements: a table has an entry per workgroup. */
export type Table = 'whole' | 'tensors' | 'matrices' | 'vectors' | 'rows' | 'columns' | 'row sums' | 'column sums'
/**
 * An entry: the tensor, the first element and the end; of sums along an axis the number of rows or columns instead of the
 * end, and the index of the first.
 */
export type Entry = readonly [tensor: number, begin: number, end: number, index: number]

/** Names of what shaders read and write, known before there is a manifest. */
export class Regions {
  readonly state: readonly { name: string; domain: Domain }[]
  readonly inputs: readonly string[]
  private readonly all: readonly { name: string; domain: Domain }[]

  constructor(plan: Plan, { source }: Program) {
    const slots = Object.entries(source.slots).flatMap(([name, { kind }]) =>
      kind === 'tensor' || isFactor(kind) ? [{ name, domain: kind }] : [],
    )
    const tensors = (names: readonly string[]) => names.map((name) => ({ name, domain: 'tensor' as const }))
    this.state = [...tensors(['x']), ...slots]
    this.inputs = ['g', ...(source.inputs ?? [])]
    const fields = plan.graph.fields.map(({ location }) => location)
    const scratch = [...plan.scratch].map(([name, domain]) => ({ name, domain }))
    this.all = [...this.state, ...tensors(this.inputs), ...tensors(fields), ...scratch]
  }

  /** The fact that says where a region begins, as WGSL. */
  fact(name: string): string {
    const at = this.all.findIndex((region) => region.name === name)
    if (at < 0) throw new Error(`there is no region "${name}"`)
    return `facts[${RECORDS_AT + 1 + at}]`
  }
  /** The fact that says where the partial sums of a shader begin. */
  partialsFact(place: number): string {
    return `facts[${RECORDS_AT + 1 + this.all.length + place}]`
  }
  recordFact(field: RecordField): string {
    return `facts[facts[${RECORDS_AT}] + tensor * ${RECORD.length} + ${RECORD.indexOf(field)}]`
  }

  /** Places of all regions, in elements, for tensors of these shapes. State comes first, then inputs. */
  place(shapes: readonly TensorShape[]) {
    const begins = new Map<string, number>()
    let end = 0
    for (const { name, domain } of this.all) {
      begins.set(name, end)
      const size = shapes.reduce((n, shape) => n + domainSize(domain, shape), 0)
      // Multiples of what vectors and copies need; nothing is empty.
      end += 64 * Math.max(1, Math.ceil(size / 64))
    }
    const at = (count: number) => begins.get(this.all[count]?.name) ?? end
    return { begins, stateEnd: at(this.state.length), inputsEnd: at(this.state.length + this.inputs.length), end }
  }

  facts(begins: ReadonlyMap<string, number>, partials: readonly number[], shapes: readonly TensorShape[]): Uint32Array {
    const next = { first: 0, rowFirst: 0, columnFirst: 0 }
    const records = shapes.flatMap((shape) => {
      const record = { ...next, rows: shape.rows, columns: shape.columns }
      next.first += shape.size
      next.rowFirst += domainSize('row', shape)
      next.columnFirst += domainSize('column', shape)
      return RECORD.map((field) => record[field])
    })
    const places = [...begins.values(), ...partials]
    return Uint32Array.from([...HEADER, RECORDS_AT + 1 + places.length, ...places, ...records])
  }
}

/** The entries of a table, for tensors of these shapes. */
export function entriesOf(table: Table, shapes: readonly TensorShape[]): Entry[] {
  if (table === 'whole') {
    const size = shapes.reduce((n, shape) => n + shape.size, 0)
    return cut(0, 0, size)
  }
  const domain = table === 'rows' ? 'row' : table === 'columns' ? 'column' : 'tensor'
  const entries: Entry[] = []
  let [first, row, column, begin] = [0, 0, 0, 0]
  for (const [tensor, shape] of shapes.entries()) {
    const { size, matrix, batch, rows, columns } = shape
    if (table === 'row sums')
      for (let r = 0, all = domainSize('row', shape); r < all; r += ROWS)
        entries.push([tensor, first + r * columns, Math.min(ROWS, all - r), row + r])
    else if (table === 'column sums')
      for (let b = 0; matrix && b < batch; b++)
        for (let c = 0; c < columns; c += COLUMNS)
          entries.push([
            tensor,
            first + b * rows * columns + c,
            Math.min(COLUMNS, columns - c),
            column + b * columns + c,
          ])
    else if (table !== (matrix ? 'vectors' : 'matrices'))
      entries.push(...cut(tensor, begin, begin + domainSize(domain, shape)))
    first += size
    row += domainSize('row', shape)
    column += domainSize('column', shape)
    begin += domainSize(domain, shape)
  }
  return entries
}

function cut(tensor: number, begin: number, end: number): Entry[] {
  const entries: Entry[] = []
  for (let at = begin; at < end; at += BLOCK) entries.push([tensor, at, Math.min(end, at + BLOCK), 0])
  return entries
}
