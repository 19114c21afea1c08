/** Generates the WebAssembly module of a plan: a function per pass, and `step`, which runs them all in order. */
import type binaryen from 'binaryen'
import type { Node, Reduce } from '../graph.js'
import { isFactor, nodeLocation, type Pass, type Plan, type Stage } from '../plan.js'
import { accumulate, compute, finish, REDUCTIONS } from './arithmetic.js'
import { Code, Frame, type RecordAddress } from './code.js'
import { addFields } from './fields.js'
import { type Expr, HOSTED, type Precision } from './lanes.js'
import { addVectorFunction, VECTOR_FUNCTIONS } from './math.js'
import { addPass, type Touched } from './pass.js'
import type { TableLayout } from './tables.js'

/** Sums are taken over blocks of so many elements, added in order: the same bits however the blocks are shared out. */
export const BLOCK = 4096

/**
 * Bytes of the module. It imports its memory, the host's functions and the addresses that a manifest decides. Of packed slots
 * it has the host unpack a part ahead of a pass, and pack it behind: `unpack(number of the slot, record, begin, end)`.
 */
export function generate(
  b: typeof binaryen,
  plan: Plan,
  tables: TableLayout,
  precision: Precision,
  packed: readonly string[] = [],
): Uint8Array {
  const m = new b.Module()
  try {
    m.setFeatures(b.Features.SIMD128 | b.Features.BulkMemory | b.Features.BulkMemoryOpt)
    m.addMemoryImport('memory', 'host', 'memory')
    for (const name of tables.imports) m.addGlobalImport(name, 'address', name, b.i32)
    for (const fn of HOSTED) {
      const params = fn === '^' ? [b.f64, b.f64] : [b.f64]
      m.addFunctionImport(fn, 'host', fn, b.createType(params), b.f64)
    }
    for (const fn of VECTOR_FUNCTIONS)
      if (plan.graph.nodes.some((node) => node.kind === 'call' && node.fn === fn)) addVectorFunction(b, m, fn)
    if (packed.length > 0) {
      const params = b.createType([b.i32, b.i32, b.i32, b.i32])
      for (const fn of ['unpack', 'pack']) m.addFunctionImport(fn, 'host', fn, params, b.none)
      m.addGlobal('origin', b.i32, true, m.i32.const(0))
    }
    const code = new Code(b, m, tables, precision, packed)
    addFields(code, plan.graph.fields)
    const step = new Step(code, plan)
    const body = m.block(null, step.statements())
    m.addFunction('step', b.none, b.none, step.frame.vars, body)
    m.addFunctionExport('step', 'step')
    if (!m.validate()) throw new Error('the generated module is not valid')
    return m.emitBinary()
  } finally {
    m.dispose()
  }
}

const UNTOUCHED: Touched = { loads: [], stores: [] }
const isTouching = ({ loads, stores }: Touched): boolean => loads.length + stores.length > 0

/** The order of a step: stage by stage the numbers, the passes over rows and columns, the pass over tensors. */
class Step {
  readonly frame = new Frame()

  constructor(
    private readonly code: Code,
    private readonly plan: Plan,
  ) {}

  statements(): Expr[] {
    return [...this.plan.stages.flatMap((stage, index) => this.stage(stage, index)), ...this.commit()]
  }

  private stage(stage: Stage, index: number): Expr[] {
    const { code, frame } = this
    const starting = this.plan.graph.nodes.filter(
      (node): node is Reduce => node.kind === 'reduce' && node.stage === index + 1,
    )
    const forAll = this.numbers('global', stage, starting, () => code.int(0))
    const perTensor = code.eachRecord(frame, (record) => [
      ...this.numbers('scalar', stage, starting, record),
      ...starting.filter(({ over }) => over === 'scalar').map((reduce) => this.addNumber(reduce, record)),
      ...starting.filter(({ domain }) => domain === 'column').flatMap((reduce) => this.clearColumns(reduce, record)),
    ])
    const factors = [stage.rows, stage.columns].flatMap((pass) => (pass ? this.factorPass(pass, index) : []))
    return [...forAll, ...perTensor, ...factors, ...this.tensorPasses(stage, index)]
  }

  /** Ends the reductions before a stage, computes its numbers, and starts its own reductions. */
  private numbers(
    domain: 'global' | 'scalar',
    stage: Stage,
    starting: readonly Reduce[],
    record: RecordAddress,
  ): Expr[] {
    const { code } = this
    const { m } = code
    const args = this.numberArguments(record)
    const here = ({ domain: of }: Node) => of === domain
    return [
      ...stage.ended.filter(here).map((reduce) => {
        const result = finish(m, reduce, code.loadNumber(reduce, record), code.count(reduce, record))
        return code.storeNumber(reduce, result, record)
      }),
      ...stage.numbers.filter(here).map((node) => code.storeNumber(node, compute(m, code.number, node, args), record)),
      ...starting
        .filter(here)
        .map((reduce) => code.storeNumber(reduce, m.f64.const(REDUCTIONS[reduce.fn].start), record)),
    ]
  }

  private addNumber(reduce: Reduce, record: RecordAddress): Expr {
    const { value } = this.numberArguments(record)
    const total = accumulate(this.code.number, reduce, this.code.loadNumber(reduce, record), value)
    return this.code.storeNumber(reduce, total, record)
  }

  private numberArguments(record: RecordAddress) {
    const { number } = this.code
    const value = (node: Node) => this.code.loadNumber(node, record)
    return { value, mask: (node: Node) => number.compare('!=', value(node), number.constant(0)) }
  }

  private factorPass(pass: Pass, index: number): Expr[] {
    const { code } = this
    const [firstField, countField] =
      pass.domain === 'row' ? (['rowFirst', 'rows'] as const) : (['columnFirst', 'columns'] as const)
    const name = `${pass.domain} ${index}`
    addPass(code, pass, 'matrix', name)
    return code.eachRecord(this.frame, (record) => {
      const begin = () => code.field(record, firstField)
      const count = code.multiply(code.field(record, 'batch'), code.field(record, countField))
      return [this.run(pass, name, begin(), code.add(begin(), count), record)]
    })
  }

  private tensorPasses(stage: Stage, index: number): Expr[] {
    const { code, frame } = this
    const { m } = code
    const variants = [...stage.tensors].map(([variant, pass]) => {
      const name = `${variant} ${index}`
      return { variant, pass, name, touched: addPass(code, pass, variant, name) }
    })
    const [first] = variants
    if (first?.variant === 'any' && !first.pass.perTensor && !isTouching(first.touched))
      return [this.run(first.pass, first.name, code.int(0), code.address('elements'), () => code.int(0))]
    return code.eachRecord(frame, (record) =>
      variants.map(({ variant, pass, name, touched }) => {
        const matrix = code.field(record, 'matrix')
        if (variant === 'matrix' && pass.perRow) {
          const columns = pass.reductions.filter(({ domain }) => domain === 'column')
          const ends = columns.flatMap((reduce) => this.finishColumns(reduce, record))
          const first = () => code.field(record, 'first')
          const rows = this.around(touched, record, first, () => code.add(first(), code.field(record, 'size')), [
            this.runByRow(name, record),
          ])
          return m.if(matrix, code.block([...rows, ...ends]))
        }
        const begin = code.field(record, 'first')
        const end = code.add(code.field(record, 'first'), code.field(record, 'size'))
        const run = this.run(pass, name, begin, end, record, touched)
        if (variant === 'any') return run
        return m.if(variant === 'matrix' ? matrix : m.i32.eqz(matrix), run)
      }),
    )
  }

  /** Calls a pass on a range: at once, or block by block when it sums or works on packed slots. */
  private run(pass: Pass, name: string, begin: Expr, end: Expr, record: RecordAddress, touched = UNTOUCHED): Expr {
    const { code, frame } = this
    const { b, m, get, set, int } = code
    const call = (from: Expr, to: Expr) => code.call(name, [from, to, record(), int(0), int(0)])
    if (pass.reductions.length === 0 && !isTouching(touched)) return call(begin, end)
    const [at, next, stop] = [frame.local(b.i32), frame.local(b.i32), frame.local(b.i32)]
    return code.block([
      set(at, begin),
      set(stop, end),
      code.until(at, stop, [
        set(next, code.add(get(at), int(BLOCK))),
        m.if(m.i32.gt_u(get(next), get(stop)), set(next, get(stop))),
        ...this.around(
          touched,
          record,
          () => get(at),
          () => get(next),
          [call(get(at), get(next))],
        ),
        set(at, get(next)),
      ]),
    ])
  }

  /** Work on a part of a tensor, the elements from `begin` to `end`, with what it touches of packed slots in memory. */
  private around(touched: Touched, record: RecordAddress, begin: () => Expr, end: () => Expr, work: Expr[]): Expr[] {
    if (!isTouching(touched)) return work
    const { code } = this
    const each = (fn: string, slots: number[]) =>
      slots.map((slot) => code.call(fn, [code.int(slot), record(), begin(), end()]))
    return [
      code.m.global.set('origin', begin()),
      ...each('unpack', touched.loads),
      ...work,
      ...each('pack', touched.stores),
    ]
  }

  /** Calls a pass on each row of a tensor's matrices. */
  private runByRow(name: string, record: RecordAddress): Expr {
    const { code, frame } = this
    const { b, m, get, set, int } = code
    const [at, row, rowEnd, column, inMatrix] = Array.from({ length: 5 }, () => frame.local(b.i32))
    const increase = (local: number, by: Expr) => set(local, code.add(get(local), by))
    const columns = () => code.field(record, 'columns')
    const rows = () => code.field(record, 'rows')
    return code.block([
      set(at, code.field(record, 'first')),
      set(row, code.field(record, 'rowFirst')),
      set(rowEnd, code.add(get(row), code.multiply(code.field(record, 'batch'), rows()))),
      set(column, code.field(record, 'columnFirst')),
      set(inMatrix, int(0)),
      code.until(row, rowEnd, [
        code.call(name, [get(at), code.add(get(at), columns()), record(), get(row), get(column)]),
        increase(at, columns()),
        increase(row, int(1)),
        increase(inMatrix, int(1)),
        m.if(m.i32.eq(get(inMatrix), rows()), code.block([set(inMatrix, int(0)), increase(column, columns())])),
      ]),
    ])
  }

  // Sums over columns are kept in memory as f64 while the rows go by.

  private clearColumns(reduce: Reduce, record: RecordAddress): Expr[] {
    const { m } = this.code
    const start = () => m.f64.const(REDUCTIONS[reduce.fn].start)
    return this.eachColumn(record, (column) => m.f64.store(0, 8, this.columnSum(reduce, column), start()))
  }

  private finishColumns(reduce: Reduce, record: RecordAddress): Expr[] {
    const { code } = this
    return this.eachColumn(record, (column) => {
      const sum = code.m.f64.load(0, 8, this.columnSum(reduce, column))
      const value = code.scalar.splat(finish(code.m, reduce, sum, code.count(reduce, record)))
      return code.scalar.store(code.element(nodeLocation(reduce), code.get(column), code.bytes), value)
    })
  }

  private columnSum(reduce: Reduce, column: number): Expr {
    return this.code.element(`sums ${reduce.id}`, this.code.get(column), 8)
  }

  private eachColumn(record: RecordAddress, body: (column: number) => Expr): Expr[] {
    const { code, frame } = this
    const { get, set } = code
    const [column, end] = [frame.local(code.b.i32), frame.local(code.b.i32)]
    return [
      set(column, code.field(record, 'columnFirst')),
      set(end, code.add(get(column), code.multiply(code.field(record, 'batch'), code.field(record, 'columns')))),
      code.until(column, end, [body(column), set(column, code.add(get(column), code.int(1)))]),
    ]
  }

  /** Moves the new values of slots outside of tensors in, once nothing reads the old ones. */
  private commit(): Expr[] {
    const { code } = this
    const commits = [...this.plan.commits]
    const move = (domain: 'global' | 'scalar', record: RecordAddress) =>
      commits
        .filter(([, node]) => node.domain === domain)
        .map(([slot, node]) => code.storeEntry(domain, slot, code.loadNumber(node, record), record))
    const factors = commits
      .filter(([, node]) => isFactor(node.domain))
      .map(([slot, node]) => {
        const bytes = code.address(`${node.domain} bytes`)
        return code.m.memory.copy(code.address(slot), code.address(nodeLocation(node)), bytes)
      })
    return [
      ...move('global', () => code.int(0)),
      ...code.eachRecord(this.frame, (record) => move('scalar', record)),
      ...factors,
    ]
  }
}
