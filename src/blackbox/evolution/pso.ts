/**
 * Particle swarm optimization: J. Kennedy, R. Eberhart, 1995; with the constriction of M. Clerc, J. Kennedy, 2002, and the
 * ring or random neighbourhoods of "Standard PSO 2011" (M. Clerc, 2012).
 *
 * v <- w v + c1 r1 (p - x) + c2 r2 (l - x), x <- x + v: p is the best place of the particle, l that of its informants.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { generationsMethod, pointsPerQuery, scatter } from './generations.js'

const config = z.strictObject({
  particles: field(z.int().min(2).max(100_000).default(40), 'Particles of the swarm.', { source: 'SPSO 2011' }),
  inertia: field(
    z
      .number()
      .min(0)
      .lt(1)
      .default(1 / (2 * Math.log(2))),
    'Inertia w.',
    {
      source: 'SPSO 2011: 1/(2 ln 2)',
      mutable: true,
    },
  ),
  cognitive: field(
    z
      .number()
      .min(0)
      .default(0.5 + Math.log(2)),
    'Pull c1 of the own best place.',
    {
      source: 'SPSO 2011: 1/2 + ln 2',
      mutable: true,
    },
  ),
  social: field(
    z
      .number()
      .min(0)
      .default(0.5 + Math.log(2)),
    'Pull c2 of the best place of its informants.',
    {
      source: 'SPSO 2011: 1/2 + ln 2',
      mutable: true,
    },
  ),
  topology: field(
    z.enum(['random', 'ring', 'global']).default('random'),
    'Who informs a particle: some at random, new ones when the swarm has not improved; its two neighbours; or all.',
    { source: 'SPSO 2011' },
  ),
  informants: field(z.int().min(1).default(3), 'Particles that each informs, of the random topology.', {
    source: 'SPSO 2011',
  }),
  spread: field(
    z.number().positive().optional(),
    'Standard deviation of the first places about the start. When absent, uniform within bounds, and 1 without.',
    { source: 'ours' },
  ),
  pointsPerQuery,
})
type Config = z.infer<typeof config>

type State = {
  velocities: Float64Array
  /** Best place of each particle and its value. */
  places: Float64Array
  values: Float64Array
  /** Who informs whom: row i has a 1 for each informant of particle i; of the random topology. */
  links: Uint8Array
}

/** Each particle informs itself and some others. */
function drawLinks({ topology, informants }: Config, count: number, rng: Rng): Uint8Array {
  const links = new Uint8Array(topology === 'random' ? count * count : 0)
  if (topology === 'random')
    for (let from = 0; from < count; from++) {
      links[from * count + from] = 1
      for (let k = 0; k < informants; k++) links[rng.integer(count) * count + from] = 1
    }
  return links
}

/** The informant of a particle with the best place. */
function leaderOf({ topology }: Config, { values, links }: State, i: number): number {
  const count = values.length
  const informs = (j: number) => {
    if (topology === 'global') return true
    if (topology === 'random') return links[i * count + j] === 1
    const apart = Math.abs(i - j)
    return apart <= 1 || apart === count - 1
  }
  let best = i
  for (let j = 0; j < count; j++) if (informs(j) && values[j] < values[best]) best = j
  return best
}

export const method = generationsMethod<Config, State>({
  id: 'pso',
  title: 'Particle swarm optimization',
  summary: 'Particles fly between the best place they have seen and the best of those that inform them.',
  references: [
    {
      authors: 'J. Kennedy, R. Eberhart',
      title: 'Particle swarm optimization',
      year: 1995,
      url: 'https://doi.org/10.1109/ICNN.1995.488968',
    },
    {
      authors: 'M. Clerc',
      title: 'Standard Particle Swarm Optimisation',
      year: 2012,
      url: 'https://hal.science/hal-00764996',
    },
  ],
  config,
  recipes: [
    { problem: 'branin', config: { particles: 20 }, maxEvaluations: 1500, target: 0.4 },
    { problem: 'sphere-5d', config: { particles: 20, topology: 'ring' }, maxEvaluations: 3000, target: 1e-4 },
  ],
  invariances: ['monotone-values'],
  equations: () => [
    String.raw`v_i \leftarrow w v_i + c_1 r_1 \odot (p_i - x_i) + c_2 r_2 \odot (l_i - x_i)`,
    String.raw`x_i \leftarrow x_i + v_i`,
  ],
  init: ({ config }, _, rng) => ({
    velocities: new Float64Array(0),
    places: new Float64Array(0),
    values: new Float64Array(config.particles).fill(Number.POSITIVE_INFINITY),
    links: drawLinks(config, config.particles, rng),
  }),
  breed({ config }, box, own, told, rng) {
    const { particles, inertia, cognitive, social, spread } = config
    const { dimension: n, low, high } = box
    if (!told) {
      const first = scatter(box, particles, spread, rng)
      // Half the way to another such point.
      own.velocities = scatter(box, particles, spread, rng).map((x, i) => (x - first[i]) / 2)
      own.places = first.slice()
      return first
    }
    const before = Math.min(...own.values)
    told.values.forEach((value, i) => {
      if (!(value < own.values[i])) return
      own.values[i] = value
      own.places.set(told.points.subarray(i * n, (i + 1) * n), i * n)
    })
    if (!(Math.min(...own.values) < before)) own.links = drawLinks(config, particles, rng)
    const next = told.points.slice()
    for (let i = 0; i < particles; i++) {
      const leader = leaderOf(config, own, i)
      for (let j = 0; j < n; j++) {
        const at = i * n + j
        const x = next[at]
        const pull = cognitive * rng.uniform() * (own.places[at] - x)
        const draw = social * rng.uniform() * (own.places[leader * n + j] - x)
        own.velocities[at] = inertia * own.velocities[at] + pull + draw
        next[at] = x + own.velocities[at]
        // At a bound it stops and turns back at half its speed.
        if (next[at] >= low && next[at] <= high) continue
        next[at] = Math.min(Math.max(next[at], low), high)
        own.velocities[at] *= -0.5
      }
    }
    return next
  },
  estimate: (_, { velocities }) => ({
    metrics: { speed: Math.sqrt(velocities.reduce((sum, v) => sum + v * v, 0) / velocities.length) },
  }),
})
