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
import { addBlocks, addRows, around, BLOCK, joinTotals, UNTOUCHED } from './work.js'

/**
 * `packed`: slots that are packed between steps. `shared`: whether threads share the memory, and the work. `streamed`: whether
 * all tensors are elsewhere.
 */
export type Form = { precision: Precision; packed: readonly string[]; shared: boolean; streamed: boolean }

/**
 * Bytes of the module. It imports its memory, the host's functions and the addresses that a manifest decides. Of what is
 * in memory by parts it has the host unpack one ahead of a pass, and pack it behind: `unpack(number, record, begin, end)`. Work
 * on more elements than a chunk has it may share out: `share(number of the work, from, to, record, chunk)`.
 */
export function generate(
  b: typeof binaryen,
  plan: Plan,
  tables: TableLayout,
  { precision, packed, shared, streamed }: Form,
): Uint8Array {
  const m = new b.Module()
  try {
    const threads = shared ? b.Features.Atomics : 0
    m.setFeatures(b.Features.SIMD128 | b.Features.BulkMemory | b.Features.BulkMemoryOpt | threads)
    m.addMemoryImport('memory', 'host', 'memory', shared)
    if (shared) m.addFunctionImport('share', 'host', 'share', b.createType(Array(5).fill(b.i32)), b.none)
    for (const name of tables.imports) m.addGlobalImport(name, 'address', name, b.i32)
    for (const fn of HOSTED) {
      const params = fn === '^' ? [b.f64, b.f64] : [b.f64]
      m.addFunctionImport(fn, 'host', fn, b.createType(params), b.f64)
    }
    for (const fn of VECTOR_FUNCTIONS)
      if (plan.graph.nodes.some((node) => node.kind === 'call' && node.fn === fn)) addVectorFunction(b, m, fn)
    const parts = streamed ? tables.tensors : packed
    if (parts.length > 0) {
      const params = b.createType([b.i32, b.i32, b.i32, b.i32])
      for (const fn of ['unpack', 'pack']) m.addFunctionImport(fn, 'host', fn, params, b.none)
      m.addGlobal('origin', b.i32, true, m.i32.const(0))
    }
    const code = new Code(b, m, tables, precision, parts, streamed)
    addFields(code, plan.graph.fields)
    const step = new Step(code, plan, shared)
    const body = m.block(null, step.statements())
    m.addFunction('step', b.none, b.none, step.frame.vars, body)
    m.addFunctionExport('step', 'step')
    if (!m.validate()) throw new Error('the generated module is not valid')
    return m.emitBinary()
  } finally {
    m.dispose()
  }
}

/** `unit`: elements of a block, or one row. `shares`: whether threads may share it. */
type Work = { pass: Pass; number: number; name: string; unit: number; shares: boolean }

/** The order of a step: stage by stage the numbers, the passes over rows and columns, the pass over tensors. */
class Step {
  readonly frame = new Frame()
  /** The fields are the first work. */
  private works = 1

  constructor(
    private readonly code: Code,
    private readonly plan: Plan,
    private readonly shared: boolean,
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
    const work = this.blocks(pass, name)
    return code.eachRecord(this.frame, (record) => {
      const begin = () => code.field(record, firstField)
      const count = code.multiply(code.field(record, 'batch'), code.field(record, countField))
      return this.run(work, begin(), code.add(begin(), count), record)
    })
  }

  private tensorPasses(stage: Stage, index: number): Expr[] {
    const { code } = this
    const { m } = code
    const variants = [...stage.tensors].map(([variant, pass]) => {
      const name = `${variant} ${index}`
      const touched = addPass(code, pass, variant, name)
      const byRow = variant === 'matrix' && pass.perRow
      return {
        variant,
        pass,
        touched,
        byRow,
        work: byRow ? this.rows(pass, name, touched) : this.blocks(pass, name, touched),
      }
    })
    const [first] = variants
    if (first?.variant === 'any' && !first.pass.perTensor && (code.streamed || !first.touched.byPart))
      return this.run(first.work, code.int(0), code.address('elements'), () => code.int(0))
    return code.eachRecord(this.frame, (record) => {
      const begin = () => code.field(record, 'first')
      const end = () => code.add(code.field(record, 'first'), code.field(record, 'size'))
      return variants.flatMap(({ variant, pass, touched, byRow, work }) => {
        if (!byRow) {
          const run = code.block(this.run(work, begin(), end(), record))
          if (variant === 'any') return run
          const matrix = code.field(record, 'matrix')
          return m.if(variant === 'matrix' ? matrix : m.i32.eqz(matrix), run)
        }
        const from = () => code.field(record, 'rowFirst')
        const rows = code.multiply(code.field(record, 'batch'), code.field(record, 'rows'))
        const run = this.run(work, from(), code.add(from(), rows), record)
        const columns = pass.reductions.filter(({ domain }) => domain === 'column')
        const ends = columns.flatMap((reduce) => this.finishColumns(reduce, record))
        return m.if(
          code.field(record, 'matrix'),
          code.block([...(code.streamed ? run : around(code, touched, record, begin, end, run)), ...ends]),
        )
      })
    })
  }

  private blocks(pass: Pass, passName: string, touched = UNTOUCHED): Work {
    const work = this.work(pass, BLOCK, !touched.byPart)
    addBlocks(this.code, pass, passName, touched, work.name)
    return work
  }
  private rows(pass: Pass, passName: string, touched: Touched): Work {
    // Sums over columns are one for all rows.
    const work = this.work(pass, 1, !pass.reductions.some(({ domain }) => domain === 'column'))
    // What is packed is packed by whole tensors.
    addRows(this.code, pass, passName, this.code.streamed ? touched : UNTOUCHED, work.name)
    return work
  }
  private work(pass: Pass, unit: number, shares: boolean): Work {
    const number = this.works++
    const name = `work ${number}`
    if (this.shared) this.code.m.addFunctionExport(name, name)
    return { pass, number, name, unit, shares: this.shared && shares }
  }

  /** Does work from `begin` to `end`, alone or with others, and adds up what it comes to. */
  private run({ pass, name, number, unit, shares }: Work, begin: Expr, end: Expr, record: RecordAddress): Expr[] {
    const { code, frame } = this
    const { b, m, get, set, int } = code
    const [from, to] = [frame.local(b.i32), frame.local(b.i32)]
    const alone = code.call(name, [get(from), get(to), record(), get(from)])
    const count = () => m.i32.sub(get(to), get(from))
    const columns = () => code.field(record, 'columns')
    const rowsOfChunk = () => code.divide(code.address('chunk'), columns())
    // Of long rows, one is a chunk.
    const chunk = unit === 1 ? code.add(rowsOfChunk(), m.i32.eqz(rowsOfChunk())) : code.address('chunk')
    const elements = unit === 1 ? code.multiply(count(), columns()) : count()
    const together = () => code.call('share', [int(number), get(from), get(to), record(), chunk])
    return [
      set(from, begin),
      set(to, end),
      shares ? m.if(m.i32.gt_u(elements, code.address('chunk')), together(), alone) : alone,
      ...joinTotals(code, pass, frame, { at: from, end: to, unit }, record),
    ]
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
