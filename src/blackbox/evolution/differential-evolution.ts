/**
 * Differential evolution that learns its settings from what succeeded (SHADE), with a population that shrinks over a known
 * budget (L-SHADE): R. Tanabe, A. S. Fukunaga, "Improving the Search Performance of SHADE Using Linear Population Size
 * Reduction", CEC 2014; R. Storn, K. Price, "Differential Evolution", 1997.
 *
 * A generation is a trial for each member: v = x + F (x_pbest - x) + F (x_r1 - x_r2), crossed with x, and kept where it is no
 * worse. F and CR are drawn about memories of those that succeeded; x_r2 may come from an archive of members that were beaten.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Box } from './box.js'
import { ranking } from './diagonal.js'
import { generationsMethod, pointsPerQuery, scatter, type Told } from './generations.js'

/** Smallest population: a member, its best, and two others. */
const LEAST = 4
/** Width of the draws about a memory. */
const WIDTH = 0.1

const config = z.strictObject({
  populationSize: field(
    z.int().min(LEAST).max(100_000).optional(),
    'Members at first; 18 per coordinate when absent.',
    {
      source: 'CEC 2014',
    },
  ),
  maxEvaluations: field(
    z.int().min(1).optional(),
    `Evaluations over which the population shrinks to ${LEAST}; it stays as it is when absent.`,
    { source: 'CEC 2014' },
  ),
  memory: field(z.int().min(1).default(6), 'Remembered settings H.', { source: 'CEC 2014' }),
  best: field(z.number().gt(0).max(1).default(0.11), 'Share p of the population that x_pbest is drawn from.', {
    source: 'CEC 2014',
  }),
  archive: field(z.number().min(0).default(2.6), 'Size of the archive, in populations.', {
    source: 'CEC 2014',
  }),
  spread: field(
    z.number().positive().optional(),
    'Standard deviation of the first members about the start. When absent, uniform within bounds, and 1 without.',
    { source: 'ours' },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  /** Members, one a row; none before the first are told. */
  members: Float64Array
  values: Float64Array
  archive: Float64Array
  /** Memories of F and CR; a CR of -1 is 0 for good. */
  F: Float64Array
  CR: Float64Array
  next: number
  /** Settings of the trials. */
  trialF: Float64Array
  trialCR: Float64Array
  evaluations: number
}

const row = (rows: Float64Array, i: number, n: number) => rows.subarray(i * n, (i + 1) * n)
const sizeOf = ({ populationSize }: Config, n: number) => populationSize ?? Math.max(LEAST, 18 * n)

/** Cauchy about the memory, drawn again until it is positive; at most 1. */
function drawF(rng: Rng, memory: number): number {
  for (;;) {
    const F = memory + WIDTH * Math.tan(Math.PI * (rng.uniform() - 0.5))
    if (F > 0) return Math.min(F, 1)
  }
}

const drawCR = (rng: Rng, memory: number): number =>
  memory < 0 ? 0 : Math.min(1, Math.max(0, memory + WIDTH * rng.normal()))

/** sum w s^2 / sum w s. */
function lehmer(successes: readonly number[], weights: readonly number[]): number {
  const sum = (power: number) => successes.reduce((total, s, i) => total + weights[i] * s ** power, 0)
  return sum(2) / sum(1)
}

/** Keeps what is no worse than its parent; learns from what is better. */
function select({ archive }: Config, own: State, { points, values }: Told, n: number, rng: Rng): void {
  const beaten: number[] = []
  values.forEach((value, i) => {
    if (value < own.values[i]) beaten.push(i)
  })
  const gains = beaten.map((i) => Math.min(own.values[i] - values[i], 1e300))
  const lost = beaten.map((i) => row(own.members, i, n).slice())
  values.forEach((value, i) => {
    if (value > own.values[i]) return
    own.members.set(row(points, i, n), i * n)
    own.values[i] = value
  })
  if (beaten.length === 0) return
  const rows = [...Array.from({ length: own.archive.length / n }, (_, i) => row(own.archive, i, n)), ...lost]
  own.archive = joined(rng.shuffle(rows).slice(0, Math.round(archive * own.values.length)), n)
  const [F, CR] = [own.trialF, own.trialCR].map((trial) => beaten.map((i) => trial[i]))
  own.F[own.next] = lehmer(F, gains)
  own.CR[own.next] = own.CR[own.next] < 0 || Math.max(...CR) === 0 ? -1 : lehmer(CR, gains)
  own.next = (own.next + 1) % own.F.length
}

function joined(rows: readonly Float64Array[], n: number): Float64Array {
  const out = new Float64Array(rows.length * n)
  rows.forEach((r, i) => {
    out.set(r, i * n)
  })
  return out
}

/** Drops the worst members so that the population falls linearly to the least over the budget. */
function shrink(config: Config, own: State, n: number): void {
  if (config.maxEvaluations === undefined) return
  const first = sizeOf(config, n)
  const spent = Math.min(1, own.evaluations / config.maxEvaluations)
  const size = Math.round(first + (LEAST - first) * spent)
  if (size >= own.values.length) return
  const kept = ranking(own.values).slice(0, size)
  own.members = joined(
    kept.map((i) => row(own.members, i, n)),
    n,
  )
  own.values = Float64Array.from(kept, (i) => own.values[i])
  own.archive = own.archive.slice(0, Math.round(config.archive * size) * n)
}

/** A trial for each member. */
function trials({ best }: Config, own: State, { low, high, dimension: n }: Box, rng: Rng): Float64Array {
  const { members, values, archive } = own
  const count = values.length
  const order = ranking(values)
  const top = Math.max(2, Math.round(best * count))
  const others = count + archive.length / n
  const out = members.slice()
  own.trialF = new Float64Array(count)
  own.trialCR = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const memory = rng.integer(own.F.length)
    const F = drawF(rng, own.F[memory])
    const CR = drawCR(rng, own.CR[memory])
    const leader = row(members, order[rng.integer(top)], n)
    let [r1, r2] = [i, i]
    while (r1 === i) r1 = rng.integer(count)
    while (r2 === i || r2 === r1) r2 = rng.integer(others)
    const [a, b] = [row(members, r1, n), r2 < count ? row(members, r2, n) : row(archive, r2 - count, n)]
    const forced = rng.integer(n)
    for (let j = 0; j < n; j++) {
      if (rng.uniform() >= CR && j !== forced) continue
      const x = members[i * n + j]
      const v = x + F * (leader[j] - x) + F * (a[j] - b[j])
      // Beyond a bound: half way from the parent to it.
      out[i * n + j] = v < low ? (low + x) / 2 : v > high ? (high + x) / 2 : v
    }
    own.trialF[i] = F
    own.trialCR[i] = CR
  }
  return out
}

export const method = generationsMethod<Config, State>({
  id: 'differential-evolution',
  title: 'Differential evolution (L-SHADE)',
  summary:
    'Moves members along differences of others, with step sizes and crossover rates learned from what succeeded.',
  references: [
    {
      authors: 'R. Tanabe, A. S. Fukunaga',
      title: 'Improving the Search Performance of SHADE Using Linear Population Size Reduction',
      year: 2014,
      url: 'https://doi.org/10.1109/CEC.2014.6900380',
    },
    {
      authors: 'R. Storn, K. Price',
      title: 'Differential Evolution: A Simple and Efficient Heuristic for Global Optimization over Continuous Spaces',
      year: 1997,
      url: 'https://doi.org/10.1023/A:1008202821328',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', config: { populationSize: 20 }, maxEvaluations: 800, target: 0.4 },
    { problem: 'sphere-5d', config: { populationSize: 40, maxEvaluations: 3000 }, maxEvaluations: 3000, target: 1e-6 },
  ],
  equations: () => [
    String.raw`v_i = x_i + F_i (x_\mathrm{pbest} - x_i) + F_i (x_{r_1} - x_{r_2})`,
    String.raw`u_{ij} = v_{ij} \text{ where } U_j < CR_i \text{ or } j = j_\mathrm{rand}, \text{ else } x_{ij}`,
    String.raw`M_F \leftarrow \frac{\sum w S_F^2}{\sum w S_F}, \quad w_k \propto f(x_k) - f(u_k)`,
  ],
  init: ({ config: { memory } }) => ({
    members: new Float64Array(0),
    values: new Float64Array(0),
    archive: new Float64Array(0),
    F: new Float64Array(memory).fill(0.5),
    CR: new Float64Array(memory).fill(0.5),
    next: 0,
    trialF: new Float64Array(0),
    trialCR: new Float64Array(0),
    evaluations: 0,
  }),
  breed({ config }, box, own, told, rng) {
    const n = box.dimension
    if (!told) return scatter(box, sizeOf(config, n), config.spread, rng)
    own.evaluations += told.values.length
    if (own.values.length > 0) select(config, own, told, n, rng)
    else {
      own.members = told.points.slice()
      own.values = told.values.slice()
    }
    shrink(config, own, n)
    return trials(config, own, box, rng)
  },
  estimate: (_, { F, CR, archive, members }) => ({
    metrics: {
      F: F.reduce((a, b) => a + b, 0) / F.length,
      CR: CR.reduce((a, b) => a + Math.max(0, b), 0) / CR.length,
      archive: members.length > 0 ? archive.length / members.length : 0,
    },
  }),
})
