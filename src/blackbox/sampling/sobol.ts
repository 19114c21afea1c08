/**
 * Sobol' points, scrambled.
 * I. M. Sobol', USSR Comput. Math. Math. Phys. 7, 1967; I. A. Antonov, V. M. Saleev, 1979 (Gray code order);
 * S. Joe, F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30,
 * 2008 (direction numbers); J. Matoušek, "On the L2-discrepancy for anchored boxes", J. Complexity 14, 1998 (random
 * linear scramble and digital shift).
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { askValue, bestEstimate, type Progress, readValues, startProgress } from '../space/progress.js'
import { DIRECTIONS } from './directions.gen.js'

const BITS = 32
const LINES = DIRECTIONS.trim().split('\n')
/** Dimensions that the table of direction numbers covers. */
export const MAX_DIMENSION = LINES.length

const config = z.strictObject({
  scramble: field(
    z.boolean().default(true),
    'Randomize the sequence by the seed. Unscrambled it is the same for every seed, and starts in the lowest corner.',
    { source: 'SciPy' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  /** Number of the next point, 0 to 2^32 - 1. */
  index: number
  /** Start of the stream that the scramble is drawn from. */
  rng: RngState
}

/** Direction numbers v_1..v_32 of one dimension, the first bit being the most significant (Joe and Kuo, eq. 2, 3). */
function directions(dimension: number): Uint32Array {
  const [polynomial, ...m] = LINES[dimension].split(' ').map(Number)
  const v = new Uint32Array(BITS)
  // The first dimension is the van der Corput sequence: all m are 1.
  const degree = dimension === 0 ? BITS : m.length
  for (let k = 0; k < BITS; k++) {
    if (k < degree) {
      v[k] = (m[k] ?? 1) << (BITS - 1 - k)
      continue
    }
    v[k] = v[k - degree] ^ (v[k - degree] >>> degree)
    for (let j = 1; j < degree; j++) if ((polynomial >>> (degree - j)) & 1) v[k] ^= v[k - j]
  }
  return v
}

function parity(x: number): number {
  x ^= x >>> 16
  x ^= x >>> 8
  x ^= x >>> 4
  return (0x6996 >>> (x & 15)) & 1
}

/** Multiplies direction numbers by a random lower triangular matrix over GF(2) with ones on its diagonal. */
function scramble(v: Uint32Array, rng: Rng): void {
  const rows = Array.from({ length: BITS }, (_, k) => {
    const diagonal = BITS - 1 - k
    const above = k === 0 ? 0 : (rng.word() >>> (diagonal + 1)) << (diagonal + 1)
    return above | (1 << diagonal)
  })
  for (let k = 0; k < BITS; k++) v[k] = rows.reduce((bits, row) => (bits << 1) | parity(row & v[k]), 0)
}

/** The sequence in `dimension` dimensions: point number `index` (Gray code order) as coordinates in [0, 1). */
export function sobolSequence(dimension: number, scrambled?: RngState): (index: number) => Float64Array {
  const v = Array.from({ length: dimension }, (_, d) => directions(d))
  const shift = new Uint32Array(dimension)
  if (scrambled) {
    const rng = new Rng({ ...scrambled, counter: [...scrambled.counter] })
    for (let d = 0; d < dimension; d++) {
      scramble(v[d], rng)
      shift[d] = rng.word()
    }
  }
  return (index) => {
    const gray = (index ^ (index >>> 1)) >>> 0
    return Float64Array.from(v, (vd, d) => {
      let x = shift[d]
      for (let k = 0; k < BITS; k++) if ((gray >>> k) & 1) x ^= vd[k]
      return (x >>> 0) / 2 ** BITS
    })
  }
}

/** Points of the sequence that are skipped for one. */
const SKIPS = 100

type Memo = { encoding: Encoding; point: (index: number) => Float64Array }

function memoOf({ config, problem, memo }: Run<Config>, state: State): Memo {
  const known = memo.get('sobol') as Memo | undefined
  if (known) return known
  const encoding = encodingOf(problem.space as SearchSpace)
  const made = { encoding, point: sobolSequence(encoding.dimension, config.scramble ? state.rng : undefined) }
  memo.set('sobol', made)
  return made
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const { encoding, point } = memoOf(run, state)
  const queries: Query[] = []
  for (const event of events) {
    if (event.type === 'observation') readValues(state.progress, run.problem, event)
    if (event.type !== 'capacity') continue
    for (let i = 0; i < event.count; i++) {
      // Points outside of the constraints are skipped, as long as they are not nearly all.
      for (let skips = 0; skips < SKIPS && !encoding.feasible(encoding.decodeAnywhere(point(state.index))); skips++)
        state.index++
      queries.push(askValue(state.progress, { kind: 'params', params: encoding.decode(point(state.index++)) }))
    }
  }
  return { state, queries, status: { phase: 'running' } }
}

export const method = defineMethod<Config, State>({
  id: 'sobol',
  version: 1,
  stateVersion: 1,
  family: 'sampling',
  title: "Sobol' points",
  summary: 'A quasi-random sequence that covers the space more evenly than random points. Never waits.',
  references: [
    {
      authors: 'S. Joe, F. Y. Kuo',
      title: 'Constructing Sobol sequences with better two-dimensional projections',
      year: 2008,
      url: 'https://doi.org/10.1137/070709359',
    },
    {
      authors: 'J. Matoušek',
      title: 'On the L2-discrepancy for anchored boxes',
      year: 1998,
      url: 'https://doi.org/10.1006/jcom.1998.0489',
    },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values', 'translation'],
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 256, target: 1.2 },
    { problem: 'mixed', maxEvaluations: 256, target: 0.15 },
  ],
  needs: () => ['value'],
  check(_, { space }) {
    const n = space.kind === 'search' ? encodingOf(space).dimension : 0
    const message = `sobol has direction numbers for ${MAX_DIMENSION} parameters, got ${n}`
    return n > MAX_DIMENSION ? [{ path: 'space.parameters', message }] : []
  },
  init: (_, seed) => ({ progress: startProgress(), index: 0, rng: rngStream(seed, 'scramble') }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
