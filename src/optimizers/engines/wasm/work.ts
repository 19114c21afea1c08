/**
 * A pass cut into units, blocks of elements or rows, as a function that goes over any range of them. Totals of numbers are
 * left by unit, so that whoever adds them does so in order, however the units were shared out.
 */
import type { Pass } from '../plan.js'
import { REDUCTIONS } from './arithmetic.js'
import { type Code, Frame, type RecordAddress } from './code.js'
import type { Expr } from './lanes.js'
import { numbersOf, type Touched } from './pass.js'

/** Sums are taken over blocks of so many elements, added in order: the same bits however the blocks are shared out. */
export const BLOCK = 4096

export const UNTOUCHED: Touched = { loads: [], stores: [], byPart: false }

/** `base`: the first unit of the whole range, whose totals come first. */
const Param = { from: 0, to: 1, record: 2, base: 3 } as const
const PARAMS = 4

/** Bytes of the totals of one unit. */
const totalBytes = (pass: Pass): number => 8 * numbersOf(pass).length

/** Adds the function `name`(from, to, record, base) that goes over elements by blocks. */
export function addBlocks(code: Code, pass: Pass, passName: string, touched: Touched, name: string): void {
  const { b, m, get, set, int } = code
  const frame = new Frame(PARAMS)
  const record = () => get(Param.record)
  const [next, totals] = [frame.local(b.i32), frame.local(b.i32)]
  const call = (to: number) => code.call(passName, [get(Param.from), get(to), record(), int(0), int(0), get(totals)])
  const block = around(
    code,
    touched,
    record,
    () => get(Param.from),
    () => get(next),
    [call(next)],
  )
  const byBlock = [
    set(totals, totalsOf(code, pass, code.divide(m.i32.sub(get(Param.from), get(Param.base)), int(BLOCK)))),
    code.until(Param.from, Param.to, [
      set(next, code.add(get(Param.from), int(BLOCK))),
      m.if(m.i32.gt_u(get(next), get(Param.to)), set(next, get(Param.to))),
      ...block,
      set(Param.from, get(next)),
      set(totals, code.add(get(totals), int(totalBytes(pass)))),
    ]),
  ]
  const cuts = pass.reductions.length > 0 || touched.byPart
  add(code, name, frame, cuts ? byBlock : [call(Param.to)])
}

/** Adds the function `name`(from, to, record, base) that goes over the rows of a tensor's matrices. `touched`: by these parts. */
export function addRows(code: Code, pass: Pass, passName: string, touched: Touched, name: string): void {
  const { b, m, get, set, int } = code
  const frame = new Frame(PARAMS)
  const [at, column, inMatrix, totals, end, start, stop] = Array.from({ length: 7 }, () => frame.local(b.i32))
  const record = () => get(Param.record)
  const field = (of: 'first' | 'rowFirst' | 'columnFirst' | 'rows' | 'columns') => code.field(record, of)
  const before = () => m.i32.sub(get(Param.from), field('rowFirst'))
  const increase = (local: number, by: Expr) => set(local, code.add(get(local), by))
  const row = () => [get(at), code.add(get(at), field('columns')), record(), get(Param.from), get(column), get(totals)]
  const each = (to: number) =>
    code.until(Param.from, to, [
      code.call(passName, row()),
      increase(at, field('columns')),
      increase(totals, int(totalBytes(pass))),
      increase(Param.from, int(1)),
      increase(inMatrix, int(1)),
      m.if(
        m.i32.eq(get(inMatrix), field('rows')),
        code.block([set(inMatrix, int(0)), increase(column, field('columns'))]),
      ),
    ])
  const byPart = () => {
    const rows = code.divide(int(BLOCK), code.add(field('columns'), m.i32.eqz(field('columns'))))
    return code.until(Param.from, Param.to, [
      set(end, rows),
      set(end, code.add(get(Param.from), code.add(get(end), m.i32.eqz(get(end))))),
      m.if(m.i32.gt_u(get(end), get(Param.to)), set(end, get(Param.to))),
      set(start, get(at)),
      set(stop, code.add(get(at), code.multiply(m.i32.sub(get(end), get(Param.from)), field('columns')))),
      ...around(
        code,
        touched,
        record,
        () => get(start),
        () => get(stop),
        [each(end)],
      ),
    ])
  }
  const rows = [
    set(at, code.add(field('first'), code.multiply(before(), field('columns')))),
    set(column, code.add(field('columnFirst'), code.multiply(code.divide(before(), field('rows')), field('columns')))),
    set(inMatrix, m.i32.rem_u(before(), field('rows'))),
    set(totals, totalsOf(code, pass, m.i32.sub(get(Param.from), get(Param.base)))),
    touched.byPart ? byPart() : each(Param.to),
  ]
  // Matrices without rows are not to be divided by.
  add(code, name, frame, [m.if(m.i32.lt_u(get(Param.from), get(Param.to)), code.block(rows))])
}

function add({ b, m, block }: Code, name: string, frame: Frame, body: Expr[]): void {
  m.addFunction(name, b.createType([b.i32, b.i32, b.i32, b.i32]), b.none, frame.vars, block(body))
}

const totalsOf = (code: Code, pass: Pass, unit: Expr): Expr =>
  code.add(code.address('totals'), code.multiply(unit, code.int(totalBytes(pass))))

/** Adds the totals that the units from local `at` to local `end` have left, in order. */
export function joinTotals(
  code: Code,
  pass: Pass,
  frame: Frame,
  { at, end, unit }: { at: number; end: number; unit: number },
  record: RecordAddress,
): Expr[] {
  const { b, m, get, set, int } = code
  const numbers = numbersOf(pass)
  if (numbers.length === 0) return []
  const totals = frame.local(b.i32)
  const joins = numbers.map((reduce, i) => {
    const total = m.f64.load(8 * i, 8, get(totals))
    return code.storeNumber(
      reduce,
      code.number.binary(REDUCTIONS[reduce.fn].join, code.loadNumber(reduce, record), total),
      record,
    )
  })
  return [
    set(totals, code.address('totals')),
    code.until(at, end, [
      ...joins,
      set(totals, code.add(get(totals), int(totalBytes(pass)))),
      set(at, code.add(get(at), int(unit))),
    ]),
  ]
}

/** Work on a part of a tensor, the elements from `begin` to `end`, with what it touches of packed slots in memory. */
export function around(
  code: Code,
  touched: Touched,
  record: RecordAddress,
  begin: () => Expr,
  end: () => Expr,
  work: Expr[],
): Expr[] {
  if (!touched.byPart) return work
  const each = (fn: string, slots: number[]) =>
    slots.map((slot) => code.call(fn, [code.int(slot), record(), begin(), end()]))
  return [
    code.m.global.set('origin', begin()),
    ...each('unpack', touched.loads),
    ...work,
    ...each('pack', touched.stores),
  ]
}
