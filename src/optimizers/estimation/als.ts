/**
 * Factorizations of a matrix by alternating least squares: Lu, "Low-Rank Approximation, Adaptation, and Other Tales", 2024.
 *
 * The tensors of the space are the factors, in order. low-rank: A ~ W*Z of [m, k] and [k, n]. hadamard: A ~ (C1*D1) o (C2*D2)
 * of [m, k], [k, n], [m, l], [l, n]. kronecker: A ~ the sum over t of B_t kron C_t of [t, p, q] and [t, r, s], or of [p, q] and
 * [r, s]. khatri-rao: column j of A ~ c_j kron f_j of [p, n] and [r, n]. The matrix is asked once.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { Rng, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { elements } from '../../core/tensor.js'
import { type Flat, gaussian, spaceOf } from '../flat.js'
import { turnsMethod } from '../turns.js'
import {
  alternate,
  alternateHadamard,
  byBlocks,
  columnAs,
  type Pair,
  productOf,
  relativeError,
  type Target,
} from './alternating.js'

const config = z.strictObject({
  structure: field(
    z.enum(['low-rank', 'hadamard', 'kronecker', 'khatri-rao']).default('low-rank'),
    'How the matrix is made of the factors.',
    { source: 'paper, section 2' },
  ),
  rounds: field(z.int().min(1).max(100_000).default(200), 'Rounds over all factors.', { source: 'ours' }),
  ridge: field(z.number().min(0).default(0), 'Times the squares of the factors, added to the squared error.', {
    source: 'ours: none',
  }),
  masked: field(
    z.boolean().default(false),
    'Also asks for a mask, 0 at the entries of the matrix that are missing. What the matrix has there is not used.',
  ),
})
type Config = z.infer<typeof config>

type State = { factors: Float64Array; error: number | null; rounds: number }

type Shape = readonly number[]
const shapesOf = (problem: Problem): Shape[] => spaceOf(problem).tensors.map(({ shape }) => shape)
const SHAPES = {
  'low-rank': { count: 2, expected: '[m, k] and [k, n]' },
  hadamard: { count: 4, expected: '[m, k], [k, n], [m, l] and [l, n]' },
  kronecker: { count: 2, expected: '[t, p, q] and [t, r, s], or [p, q] and [r, s]' },
  'khatri-rao': { count: 2, expected: '[p, n] and [r, n]' },
}

/** Rows and columns of the matrix; undefined where the factors do not fit together. */
function sizeOf(structure: Config['structure'], shapes: readonly Shape[]): [number, number] | undefined {
  if (shapes.length !== SHAPES[structure].count) return undefined
  const [a, b, c, d] = shapes
  const matrices = shapes.every(({ length }) => length === 2)
  if (structure === 'kronecker') {
    const terms = a.length === 3 && b.length === 3 && a[0] === b[0]
    if (!matrices && !terms) return undefined
    const [[p, q], [r, s]] = [a.slice(-2), b.slice(-2)]
    return [p * r, q * s]
  }
  if (!matrices) return undefined
  if (structure === 'khatri-rao') return a[1] === b[1] ? [a[0] * b[0], a[1]] : undefined
  if (a[1] !== b[0]) return undefined
  if (structure === 'hadamard' && !(c[1] === d[0] && c[0] === a[0] && d[1] === b[1])) return undefined
  return [a[0], b[1]]
}

/** Fits the factors in place, and gives the relative error after each round to `after`. */
export function factorize(
  { structure, rounds, ridge }: Pick<Config, 'structure' | 'rounds' | 'ridge'>,
  target: Target,
  factors: readonly Float64Array[],
  shapes: readonly Shape[],
  after: (error: number) => void,
) {
  const [a, b, c, d] = factors
  const repeat = (round: () => Float64Array, of = target) => {
    for (let k = 0; k < rounds; k++) after(relativeError(of, round()))
  }
  if (structure === 'low-rank') {
    const pair = { left: a, right: b, rank: shapes[0][1] }
    repeat(() => {
      alternate(target, pair, ridge)
      return productOf(pair)
    })
  } else if (structure === 'hadamard') {
    const [first, second] = [
      { left: a, right: b, rank: shapes[0][1] },
      { left: c, right: d, rank: shapes[2][1] },
    ]
    repeat(() => {
      alternateHadamard(target, first, second, ridge)
      const other = productOf(second)
      return productOf(first).map((value, i) => value * other[i])
    })
  } else if (structure === 'kronecker') {
    const blocks = byBlocks(target, shapes[0].slice(-2), shapes[1].slice(-2))
    const rank = shapes[0].length === 3 ? shapes[0][0] : 1
    // A term is a row of its tensor: of the left factor, a column.
    const pair: Pair = { left: transposed(a, rank), right: b, rank }
    repeat(() => {
      alternate(blocks, pair, ridge)
      return productOf(pair)
    }, blocks)
    a.set(transposed(pair.left, blocks.rows))
  } else {
    const [height, n] = shapes[0]
    const columns = Array.from({ length: n }, (_, j) => columnAs(target, j, height))
    const column = (from: Float64Array, j: number) => from.filter((_, i) => i % n === j)
    const pairs = columns.map((_, j): Pair => ({ left: column(a, j), right: column(b, j), rank: 1 }))
    repeat(() => {
      const fit = new Float64Array(target.values.length)
      for (const [j, pair] of pairs.entries()) {
        alternate(columns[j], pair, ridge)
        productOf(pair).forEach((value, i) => {
          fit[i * n + j] = value
        })
      }
      return fit
    })
    for (const [j, { left, right }] of pairs.entries()) {
      for (const [i, value] of left.entries()) a[i * n + j] = value
      for (const [i, value] of right.entries()) b[i * n + j] = value
    }
  }
}

const transposed = (from: Float64Array, rows: number): Float64Array => {
  const columns = from.length / rows
  return Float64Array.from(from, (_, at) => from[(at % rows) * columns + Math.floor(at / rows)])
}

const factorsOf = (x: Float64Array, problem: Problem): Float64Array[] => {
  let end = 0
  return shapesOf(problem).map((shape) => x.subarray(end, (end += elements(shape))))
}

/** Random factors, where the space gives none. */
function start(problem: Problem, flat: Flat, seed: number): Float64Array {
  return spaceOf(problem).initial ? flat.start() : gaussian(new Rng(rngStream(seed, 'als')), flat.dimension)
}

export const method = turnsMethod<Config, State>({
  id: 'als',
  family: 'gradient',
  title: 'Alternating least squares',
  summary:
    'Factors of a matrix, told once: of low rank, or a Hadamard, Kronecker or Khatri-Rao product; entries may be missing.',
  references: [
    {
      authors: 'J. Lu',
      title: 'Low-Rank Approximation, Adaptation, and Other Tales',
      year: 2024,
      url: 'https://arxiv.org/abs/2408.05883',
    },
  ],
  config,
  recipes: [{ problem: 'factorization', maxEvaluations: 1, target: 1e-9 }],
  equations: ({ structure }) =>
    ({
      'low-rank': [String.raw`W \leftarrow A Z' (Z Z' + \lambda I)^{-1},\quad Z \leftarrow (W'W + \lambda I)^{-1} W'A`],
      hadamard: [String.raw`A \approx (C_1 D_1) \circ (C_2 D_2)`],
      kronecker: [String.raw`A \approx \sum_t B_t \otimes C_t`],
      'khatri-rao': [String.raw`a_j \approx c_j \otimes f_j`],
    })[structure],
  needs: () => ['quantities'],
  check({ structure }, problem): Issue[] {
    if (sizeOf(structure, shapesOf(problem))) return []
    return [{ path: 'space.tensors', message: `expected factors of the shapes ${SHAPES[structure].expected}` }]
  },
  init: ({ problem }, flat, seed) => ({ factors: start(problem, flat, seed), error: null, rounds: 0 }),
  ask({ config, problem }, _, { factors }) {
    const shape = sizeOf(config.structure, shapesOf(problem))!
    const matrix = { name: 'matrix', shape, description: 'the matrix to be factored' }
    const mask = { name: 'mask', shape, description: '1 at the entries that are there, 0 at those that are missing' }
    const quantities = config.masked ? [matrix, mask] : [matrix]
    return { points: [factors], wants: [{ kind: 'quantities', quantities }], purpose: 'matrix' }
  },
  learn({ config, problem }, flat, state, { quantities }) {
    const [{ matrix, mask }] = quantities!
    const shapes = shapesOf(problem)
    const [rows, columns] = sizeOf(config.structure, shapes)!
    const target = { rows, columns, values: Float64Array.from(matrix), mask }
    // What is asked lies in the old array.
    state.factors = state.factors.slice()
    factorize(config, target, factorsOf(state.factors, problem), shapes, (error) => {
      state.error = error
      state.rounds++
    })
    flat.clamp(state.factors)
  },
  finished: (_, { error }) => (error === null ? undefined : 'the matrix is factored'),
  estimate: (_, { factors, error, rounds }) => ({
    x: factors,
    kind: 'iterate',
    step: rounds,
    metrics: { ...(error !== null && { error }) },
  }),
})
