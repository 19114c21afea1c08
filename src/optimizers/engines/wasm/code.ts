/** What all parts of the generator share: addresses, loops, and where numbers are kept. */
import type binaryen from 'binaryen'
import type { Node, Reduce } from '../graph.js'
import { BYTES, type Expr, type Lanes, type Module, type Precision, scalarLanes, vectorLanes } from './lanes.js'
import { TableLayout } from './tables.js'

/** The i32 locals and others of a function being written. */
export class Frame {
  readonly vars: binaryen.Type[] = []
  constructor(private readonly params = 0) {}
  local(type: binaryen.Type): number {
    return this.params + this.vars.push(type) - 1
  }
}

/** The address of a tensor's record, as a new expression each time; 0 in code for all tensors. */
export type RecordAddress = () => Expr

export class Code {
  /** Bytes of one element. */
  readonly bytes: number
  readonly number: Lanes
  readonly scalar: Lanes
  readonly vector: Lanes
  private loops = 0

  constructor(
    readonly b: typeof binaryen,
    readonly m: Module,
    readonly tables: TableLayout,
    precision: Precision,
    /** Locations of which a part is in memory at a time: the elements from the global `origin` on. */
    readonly parts: readonly string[] = [],
    /** Whether these are all locations of tensors. */
    readonly streamed = false,
  ) {
    this.bytes = BYTES[precision]
    this.number = scalarLanes(b, m, 'f64')
    this.scalar = scalarLanes(b, m, precision)
    this.vector = vectorLanes(b, m, precision)
  }

  get = (local: number): Expr => this.m.local.get(local, this.b.i32)
  set = (local: number, value: Expr): Expr => this.m.local.set(local, value)
  int = (value: number): Expr => this.m.i32.const(value)
  add = (a: Expr, b: Expr): Expr => this.m.i32.add(a, b)
  multiply = (a: Expr, b: Expr): Expr => this.m.i32.mul(a, b)
  divide = (a: Expr, b: Expr): Expr => this.m.i32.div_u(a, b)
  block = (statements: Expr[]): Expr => this.m.block(null, statements)
  call = (name: string, args: Expr[]): Expr => this.m.call(name, args, this.b.none)

  while(condition: () => Expr, body: Expr[]): Expr {
    const label = `loop ${this.loops++}`
    return this.m.if(condition(), this.m.loop(label, this.block([...body, this.m.br_if(label, condition())])))
  }
  /** A loop while local `at` is below local `end`. */
  until(at: number, end: number, body: Expr[]): Expr {
    return this.while(() => this.m.i32.lt_u(this.get(at), this.get(end)), body)
  }
  eachRecord(frame: Frame, body: (record: RecordAddress) => Expr[]): Expr[] {
    const at = frame.local(this.b.i32)
    const end = frame.local(this.b.i32)
    const statements = body(() => this.get(at))
    if (statements.length === 0) return []
    const next = this.set(at, this.add(this.get(at), this.int(this.tables.recordBytes)))
    return [
      this.set(at, this.address('records')),
      this.set(end, this.address('records end')),
      this.until(at, end, [...statements, next]),
    ]
  }

  /** An imported address, or another i32 that the manifest decides. */
  address(name: string): Expr {
    return this.m.global.get(name, this.b.i32)
  }
  element(location: string, index: Expr, bytes: number): Expr {
    return this.add(this.address(location), this.multiply(index, this.int(bytes)))
  }
  field(record: RecordAddress, name: keyof typeof TableLayout.fields): Expr {
    return this.m.i32.load(TableLayout.fields[name], 4, record())
  }

  /** A number for all tensors or of one tensor, as f64. */
  loadNumber(node: Node, record: RecordAddress): Expr {
    if (node.kind === 'number') return this.m.f64.const(node.value)
    if (node.kind === 'shape' && node.property !== 'sizeAll')
      return this.m.f64.convert_u.i32(this.field(record, node.property))
    return this.loadEntry(node.domain, TableLayout.key(node), record)
  }
  storeNumber(node: Node, value: Expr, record: RecordAddress): Expr {
    return this.storeEntry(node.domain, TableLayout.key(node), value, record)
  }
  loadEntry(domain: Node['domain'], key: string, record: RecordAddress): Expr {
    return this.m.f64.load(this.tables.offset(domain, key), 8, this.entryBase(domain, record))
  }
  storeEntry(domain: Node['domain'], key: string, value: Expr, record: RecordAddress): Expr {
    return this.m.f64.store(this.tables.offset(domain, key), 8, this.entryBase(domain, record), value)
  }
  private entryBase(domain: Node['domain'], record: RecordAddress): Expr {
    return domain === 'global' ? this.address('table') : record()
  }

  /** How many values a reduction goes over, as f64. */
  count(reduce: Reduce, record: RecordAddress): Expr {
    if (reduce.domain === 'global') return this.loadEntry('global', `count ${reduce.over}`, record)
    const field = (name: keyof typeof TableLayout.fields) => this.field(record, name)
    const count = () => {
      if (reduce.domain === 'row') return field('columns')
      if (reduce.domain === 'column') return field('rows')
      if (reduce.over === 'tensor') return field('size')
      return this.multiply(field('batch'), field(reduce.over === 'row' ? 'rows' : 'columns'))
    }
    return this.m.f64.convert_u.i32(count())
  }
}
