/** Random fields in WebAssembly: the same as fillField gives, four Philox blocks at a time. */
import type { Distribution } from '../../language/program.js'
import type { RandomField } from '../graph.js'
import type { Code } from './code.js'
import type { Expr } from './lanes.js'
import { type Vec, VectorCode } from './math.js'

/** Elements that one turn of the loop fills: fields are allocated in whole multiples. */
export const FIELD_STEP = 16

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const
const WEYL = [0x9e3779b9, 0xbb67ae85] as const
const ROUNDS = 10
/** Low and high words of four 64-bit products that two vectors hold. */
const LOW_WORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
const HIGH_WORDS = LOW_WORDS.map((byte) => byte + 4)

const Param = { from: 0, to: 1, key0: 2, key1: 3 } as const
const PARAMS = 4
const KEYS = [Param.key0, Param.key1] as const

/** Adds and exports `work 0`(from, to, key0, key1), which fills all fields of a rule; `from` is a multiple of FIELD_STEP. */
export function addFields(code: Code, fields: readonly RandomField[]): void {
  const { b, m, get } = code
  const calls = fields.map((field, i) => {
    addField(code, field, `field ${i}`)
    if (code.streamed) m.addFunctionExport(`field ${i}`, `field ${i}`)
    return code.call(`field ${i}`, [Param.from, Param.to, Param.key0, Param.key1].map(get))
  })
  m.addFunction('work 0', typeOf(code), b.none, [], code.block(calls))
  m.addFunctionExport('work 0', 'work 0')
}

function addField(code: Code, { distribution, location, site }: RandomField, name: string): void {
  const { b, m, get, set, int } = code
  // Locals behind the parameters: the first block of this turn, where it goes, and the end.
  const [block, pointer, end] = [PARAMS, PARAMS + 1, PARAMS + 2]
  const vectors = new VectorCode(b, m, PARAMS + 3)
  const lanes = m.i32x4.add(m.i32x4.splat(get(block)), m.v128.const(new Uint8Array(Uint32Array.of(0, 1, 2, 3).buffer)))
  const words = philox(vectors, lanes, site)
  const stores = variates(vectors, distribution, words).flatMap((pair) => storePair(code, pair, pointer))
  const step = [
    set(block, code.add(get(block), int(4))),
    set(pointer, code.add(get(pointer), int(FIELD_STEP * code.bytes))),
  ]
  const inPart = (element: Expr) => (code.streamed ? m.i32.sub(element, code.address('origin')) : element)
  const body = code.block([
    set(block, m.i32.shr_u(get(Param.from), int(2))),
    set(pointer, code.element(location, inPart(get(Param.from)), code.bytes)),
    set(end, code.element(location, inPart(get(Param.to)), code.bytes)),
    code.until(pointer, end, [...vectors.statements, ...stores, ...step]),
  ])
  m.addFunction(name, typeOf(code), b.none, [b.i32, b.i32, b.i32, ...vectors.vars], body)
}

const typeOf = ({ b }: Code) => b.createType([b.i32, b.i32, b.i32, b.i32])

/** The four words of four blocks: word j of all blocks in vector j. */
function philox(vectors: VectorCode, blocks: Expr, site: number): Vec[] {
  const { m } = vectors
  const splat = (word: number) => m.i32x4.splat(m.i32.const(word | 0))
  let [c0, c1, c2, c3] = [blocks, splat(0), splat(site), splat(0)].map((value) => vectors.keep(value))
  const products = (c: Vec, multiplier: number) => {
    const low = vectors.keep(m.i64x2.extmul_low_i32x4_u(c(), splat(multiplier)))
    const high = vectors.keep(m.i64x2.extmul_high_i32x4_u(c(), splat(multiplier)))
    const words = (which: readonly number[]) => vectors.keep(m.i8x16.shuffle(low(), high(), which))
    return { low: words(LOW_WORDS), high: words(HIGH_WORDS) }
  }
  for (let round = 0; round < ROUNDS; round++) {
    const key = (half: 0 | 1) => {
      const word = m.i32.add(m.local.get(KEYS[half], vectors.b.i32), m.i32.const(Math.imul(WEYL[half], round)))
      return m.i32x4.splat(word)
    }
    const first = products(c0, MULTIPLIERS[0])
    const second = products(c2, MULTIPLIERS[1])
    const mix = (a: Vec, c: Vec, k: Expr) => vectors.keep(m.v128.xor(m.v128.xor(a(), c()), k))
    ;[c0, c1, c2, c3] = [mix(second.high, c1, key(0)), second.low, mix(first.high, c3, key(1)), first.low]
  }
  return [c0, c1, c2, c3]
}

/** Two lanes of variates, and the element of its block that they are. */
type Pair = { value: Vec; firstBlock: 0 | 2; element: number }

function variates(vectors: VectorCode, distribution: Distribution, words: readonly Vec[]): Pair[] {
  const { m } = vectors
  const converted = (word: Vec, firstBlock: 0 | 2): Vec => {
    const high = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]
    const half = firstBlock === 0 ? word() : m.i8x16.shuffle(word(), word(), high)
    return vectors.keep(m.f64x2.convert_low_i32x4_u(half))
  }
  /** In (0, 1). */
  const open = (word: Vec, firstBlock: 0 | 2) =>
    vectors.scale(vectors.add(converted(word, firstBlock), vectors.constant(0.5)), 2 ** -32)
  const one = (word: Vec, firstBlock: 0 | 2): Vec => {
    if (distribution === 'exponential') return vectors.negate(vectors.log(open(word, firstBlock)))
    const number = converted(word, firstBlock)
    if (distribution === 'uniform')
      return vectors.scale(vectors.keep(m.f64x2.floor(vectors.scale(number, 2 ** -8)())), 2 ** -24)
    const isHigh = vectors.keep(m.f64x2.ge(number(), vectors.constant(2 ** 31)()))
    return vectors.select(isHigh, vectors.constant(-1), vectors.constant(1))
  }
  const normals = (element: 0 | 2, firstBlock: 0 | 2): Pair[] => {
    const logarithm = vectors.log(open(words[element], firstBlock))
    const radius = vectors.keep(m.f64x2.sqrt(vectors.scale(logarithm, -2)()))
    const { sin, cos } = vectors.turn(vectors.scale(converted(words[element + 1], firstBlock), 2 ** -32))
    return [
      { value: vectors.multiply(radius, cos), firstBlock, element },
      { value: vectors.multiply(radius, sin), firstBlock, element: element + 1 },
    ]
  }
  const halves = [0, 2] as const
  if (distribution === 'normal') return halves.flatMap((half) => [...normals(0, half), ...normals(2, half)])
  return halves.flatMap((half) => words.map((word, element) => ({ value: one(word, half), firstBlock: half, element })))
}

function storePair(code: Code, { value, firstBlock, element }: Pair, pointer: number): Expr[] {
  const { m } = code
  return [0, 1].map((lane) => {
    const offset = ((firstBlock + lane) * 4 + element) * code.bytes
    const number = m.f64x2.extract_lane(value(), lane)
    return code.scalar.store(code.add(code.get(pointer), code.int(offset)), code.scalar.splat(number))
  })
}
