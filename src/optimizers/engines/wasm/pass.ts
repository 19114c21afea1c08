/** The function of one pass: a loop over vectors, the same over what is left, and the totals of its reductions. */
import type binaryen from 'binaryen'
import type { Node, Reduce } from '../graph.js'
import { nodeLocation, operands, type Pass, type Variant } from '../plan.js'
import { type Arguments, accumulate, compute, computeMask, finish, isMask, REDUCTIONS } from './arithmetic.js'
import { type Code, Frame } from './code.js'
import type { Expr, Lanes } from './lanes.js'

/**
 * Parameters of a pass: the elements [begin, end), the address of the tensor's record, and, where the elements are a
 * row of a matrix, the indices of the row and of the first element's column; then where the totals of numbers go.
 */
const Param = { begin: 0, end: 1, record: 2, row: 3, column: 4, totals: 5 } as const
const PARAMS = 6

/** The reductions of a pass that are numbers, in the order of their totals. */
export const numbersOf = ({ reductions }: Pass): readonly Reduce[] =>
  reductions.filter(({ domain }) => domain === 'global' || domain === 'scalar')

/** What a pass loads and stores of what is in memory by parts, by number, and whether it has to go part by part. */
export type Touched = { loads: number[]; stores: number[]; byPart: boolean }

/** Adds the function of a pass to the module. */
export function addPass(code: Code, pass: Pass, variant: Variant, name: string): Touched {
  const { b, m, get, set, int } = code
  const frame = new Frame(PARAMS)
  // Offsets in bytes of the current element and of the loop's end.
  const at = frame.local(b.i32)
  const end = frame.local(b.i32)
  const record = () => get(Param.record)
  const totals = pass.reductions
    .filter(({ domain }) => domain !== 'column')
    .map((reduce) => {
      const local = frame.local(b.f64)
      const { start, join } = REDUCTIONS[reduce.fn]
      const load = () => m.local.get(local, b.f64)
      return {
        reduce,
        load,
        start: set(local, m.f64.const(start)),
        add: (value: Expr) => set(local, code.number.binary(join, load(), value)),
      }
    })
  const first = firstOf(code, pass)
  const statements = [...totals.map(({ start }) => start), set(at, code.multiply(first(), int(code.bytes)))]
  const loaded = new Set<string>()
  for (const lanes of [code.vector, code.scalar]) {
    const loop = new Loop(code, lanes, pass, variant, frame, () => get(at), loaded)
    const sums = totals.map(({ reduce }) => loop.sum(reduce))
    for (const reduce of pass.reductions) if (reduce.domain === 'column') loop.addToColumns(reduce)
    loop.store()
    const whole = m.i32.and(m.i32.sub(get(Param.end), get(Param.begin)), int(-lanes.width))
    statements.push(
      set(end, code.multiply(code.add(first(), whole), int(code.bytes))),
      ...loop.before,
      code.until(at, end, [...loop.body, set(at, code.add(get(at), int(lanes.bytes)))]),
      ...totals.flatMap(({ add }, i) => sums[i]().map(add)),
    )
  }
  for (const { reduce, load } of totals) {
    if (reduce.domain === 'row') {
      const value = code.scalar.splat(finish(m, reduce, load(), code.count(reduce, record)))
      statements.push(code.scalar.store(code.element(nodeLocation(reduce), get(Param.row), code.bytes), value))
    } else {
      statements.push(m.f64.store(8 * numbersOf(pass).indexOf(reduce), 8, get(Param.totals), load()))
    }
  }
  m.addFunction(
    name,
    b.createType(Array.from({ length: PARAMS }, () => b.i32)),
    b.none,
    frame.vars,
    code.block(statements),
  )
  const numbers = (has: { has(location: string): boolean }) =>
    [...code.parts.keys()].filter((i) => has.has(code.parts[i]))
  const [loads, stores] = [numbers(loaded), numbers(pass.stores)]
  return { loads, stores, byPart: (code.streamed && pass.domain === 'tensor') || loads.length + stores.length > 0 }
}

/** The first element, counted from that of the part where all tensors are in memory by parts: byte offsets stay small. */
function firstOf(code: Code, { domain }: Pass): () => Expr {
  const begin = () => code.get(Param.begin)
  return code.streamed && domain === 'tensor' ? () => code.m.i32.sub(begin(), code.address('origin')) : begin
}

/** The loop of a pass over lanes of one width: what is done once before it, and its body. */
class Loop implements Arguments {
  readonly before: Expr[] = []
  readonly body: Expr[] = []
  private readonly values = new Map<Node, number>()
  private readonly masks = new Map<Node, number>()
  private readonly pointers = new Map<string, number>()

  constructor(
    private readonly code: Code,
    private readonly lanes: Lanes,
    private readonly pass: Pass,
    private readonly variant: Variant,
    private readonly frame: Frame,
    private readonly offset: () => Expr,
    /** Takes the locations that are loaded. */
    private readonly loaded: Set<string>,
  ) {}

  store(): void {
    // Every load comes before the first store: old values are what they were at the start of the pass.
    for (const node of this.pass.stores.values()) this.value(node)
    for (const [location, node] of this.pass.stores)
      this.body.push(this.lanes.store(this.addressOf(location), this.value(node)))
  }

  /** Keeps a sum in f64 lanes; returns what reads them after the loop. */
  sum(reduce: Reduce): () => Expr[] {
    const { m } = this.code
    const { wide } = this.lanes
    const sums = this.widened(reduce).map((value) => {
      const sum = this.frame.local(wide.type)
      const get = () => m.local.get(sum, wide.type)
      this.before.push(m.local.set(sum, wide.constant(REDUCTIONS[reduce.fn].start)))
      this.body.push(m.local.set(sum, accumulate(wide, reduce, get(), value)))
      return get
    })
    return () => sums.flatMap((get) => Array.from({ length: wide.width }, (_, lane) => wide.extract(get(), lane)))
  }

  /** Adds to the sums of columns, which are kept in memory as f64. */
  addToColumns(reduce: Reduce): void {
    const { b, get, set, int } = this.code
    const { wide } = this.lanes
    for (const [part, value] of this.widened(reduce).entries()) {
      const sum = this.frame.local(b.i32)
      const element = this.code.multiply(this.offset(), int(8 / this.code.bytes))
      const pointer = get(this.pointer(`sums ${reduce.id}`, 8))
      this.body.push(set(sum, this.code.add(this.code.add(pointer, element), int(part * wide.bytes))))
      this.body.push(wide.store(get(sum), accumulate(wide, reduce, wide.load(get(sum)), value)))
    }
  }

  /** Reads the arguments of a reduction as f64, one function for each part of the lanes. */
  private widened(reduce: Reduce): ((node: Node) => Expr)[] {
    for (const arg of reduce.args) this.value(arg)
    const { parts } = this.lanes
    return Array.from({ length: parts }, (_, part) => (node: Node) => this.lanes.widen(this.value(node), part))
  }

  value = (node: Node): Expr => this.recall(this.values, node, this.lanes.type, () => this.origin(node))

  mask = (node: Node): Expr =>
    this.recall(this.masks, node, this.lanes.maskType, () => {
      const chosen = this.chosen(node)
      if (chosen !== node) return [this.body, this.mask(chosen)]
      if (this.isComputed(node) && isMask(node.fn)) return [this.body, computeMask(this.lanes, node, this)]
      return [this.body, this.lanes.compare('!=', this.value(node), this.lanes.constant(0))]
    })

  /** Computes a value once and keeps it in a local. */
  private recall(known: Map<Node, number>, node: Node, type: binaryen.Type, make: () => [Expr[], Expr]): Expr {
    let local = known.get(node)
    if (local === undefined) {
      const [where, value] = make()
      local = this.frame.local(type)
      where.push(this.code.set(local, value))
      known.set(node, local)
    }
    return this.code.m.local.get(local, type)
  }

  /** Where a value comes from: the code that its expression belongs to, and the expression. */
  private origin(node: Node): [Expr[], Expr] {
    const { code, lanes, pass } = this
    const chosen = this.chosen(node)
    if (chosen !== node) return [this.body, this.value(chosen)]
    if (node.kind === 'number') return [this.before, lanes.constant(node.value)]
    if (node.kind === 'shape' && node.property === 'matrix' && this.variant !== 'any')
      return [this.before, lanes.constant(this.variant === 'matrix' ? 1 : 0)]
    if (node.domain === 'global' || node.domain === 'scalar')
      return [this.before, lanes.splat(code.loadNumber(node, () => code.get(Param.record)))]
    if (node.domain === 'row' && pass.domain !== 'row') {
      const element = code.element(nodeLocation(node), code.get(Param.row), code.bytes)
      return [this.before, lanes.splat(code.scalar.extract(code.scalar.load(element), 0))]
    }
    if (this.isComputed(node)) return [this.body, compute(code.m, lanes, node, this)]
    const ofColumn = node.domain === 'column' && pass.domain !== 'column'
    const location = pass.sources.get(node) ?? nodeLocation(node)
    this.loaded.add(location)
    return [this.body, lanes.load(this.addressOf(location, ofColumn ? code.bytes : 0))]
  }

  /** Whether this pass computes a value rather than reads it. */
  private isComputed(node: Node): node is Node & { kind: 'call' } {
    return node.domain === this.pass.domain && node.kind === 'call' && !this.pass.sources.has(node)
  }

  /** What a choice by rank comes to in this variant. */
  private chosen(node: Node): Node {
    const read = operands(node, this.variant)
    return this.isComputed(node) && read !== node.args ? read[0] : node
  }

  private addressOf(location: string, columnBytes = 0): Expr {
    return this.code.add(this.code.get(this.pointer(location, columnBytes)), this.offset())
  }

  /** A local with the address of element 0; for columns, shifted to where the column of the pass's `begin` belongs. */
  private pointer(location: string, columnBytes = 0): number {
    const { b, m, get, set, int } = this.code
    const known = this.pointers.get(location)
    if (known !== undefined) return known
    const pointer = this.frame.local(b.i32)
    this.pointers.set(location, pointer)
    const origin = () => this.code.multiply(this.code.address('origin'), int(this.code.bytes))
    const isFromOrigin = !this.code.streamed && this.code.parts.includes(location)
    const address = isFromOrigin ? m.i32.sub(this.code.address(location), origin()) : this.code.address(location)
    const first = firstOf(this.code, this.pass)
    const shift = () => this.code.multiply(m.i32.sub(get(Param.column), first()), int(columnBytes))
    this.before.push(set(pointer, columnBytes ? this.code.add(address, shift()) : address))
    return pointer
  }
}
