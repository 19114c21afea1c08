/**
 * Latent coordinates in which inversion is easy, learned over many related problems: R. Liu, C. Mao, P. Tendulkar, H. Wang,
 * C. Vondrick, "Landscape Learning for Neural Network Inversion", ICCV 2023 (arXiv:2206.09027), section 3.
 *
 * A round descends from u_0 in the coordinates of the present map, z = M(u), on a batch of problems; then the map takes a
 * step on the mean loss at visited points u, which stay as they are: so every point on the way is pulled toward a low loss.
 * When the map is trained, it descends on one more batch without end; the parametrization `landscape-map` puts the map
 * under any rule.
 *
 * The tensor `latents`, [problems, d], holds a point for each problem of a batch, which the client picks by the sample key;
 * the gradient is that of the sum of their losses. Queries with the purpose `inner` and `solve` are at one such point, those
 * with `map` at all that a trajectory visited. The tensor `parameters` holds the map and needs no gradient.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { elements } from '../../core/tensor.js'
import { adamFields, adamStep } from '../adam-step.js'
import { type Flat, flatOf, gaussian, norm, plus, spaceOf } from '../flat.js'
import { checkUnbounded } from '../saddle/steps.js'
import { turnsMethod } from '../turns.js'
import { checkMapped, latentFields } from './fields.js'
import { byRow, type LatentMap, mapOf, startOr } from './maps.js'

const config = z.strictObject({
  ...latentFields,
  start: field(z.enum(['zero', 'normal']).default('zero'), 'Where trajectories begin: u_0 = 0, or random.', {
    source: 'ours',
  }),
  innerSteps: field(z.int().min(1).max(1000).default(10), 'Steps T of a trajectory.', { source: 'ours' }),
  innerLearningRate: field(z.number().positive().default(0.2), 'Step size in u.', { source: 'ours', log: true }),
  learningRate: field(z.number().positive().default(0.01), 'Step size of Adam on the map.', {
    source: 'ours',
    log: true,
    mutable: true,
  }),
  ...adamFields(1e-8, 'torch.optim.Adam'),
  updates: field(z.int().min(1).default(500), 'Steps of the map, one per round.', { source: 'ours' }),
  buffer: field(
    z.int().min(1).max(100).default(1),
    'Latest trajectories, of which one is drawn for each step of the map.',
    {
      source: 'ours',
    },
  ),
})
type Config = z.infer<typeof config>

/** The points u that a batch of problems visited, one after the other. */
type Trajectory = { key: string; points: Float64Array[] }

type State = {
  phase: 'inner' | 'map' | 'solve'
  u: Float64Array
  trajectory: Float64Array[]
  buffer: Trajectory[]
  /** Which of the buffer the map is asked about. */
  drawn: number
  phi: Float64Array
  m: Float64Array
  v: Float64Array
  /** The last gradient by the map. */
  gradient: Float64Array
  loss: number | null
  updates: number
  t: number
  rng: RngState
}

function latents({ config, problem }: Run<Config>): { dimension: number; count: number } {
  const { shape } = spaceOf(problem).tensors.find(({ name }) => name === config.latents)!
  return { dimension: shape.at(-1) ?? 1, count: elements(shape.slice(0, -1)) }
}

function begin(run: Run<Config>, state: State) {
  const { dimension, count } = latents(run)
  const n = dimension * count
  state.u = run.config.start === 'zero' ? new Float64Array(n) : gaussian(new Rng(state.rng), n)
  state.trajectory = []
  state.phase = state.updates < run.config.updates ? 'inner' : 'solve'
}

/** Latents u and the map, as a point of the space. */
function pointOf(run: Run<Config>, flat: Flat, { phi }: State, u: Float64Array): Float64Array {
  const { dimension } = latents(run)
  const map = mapOf(run.config.map, phi, dimension)
  const point = new Float64Array(flat.dimension)
  point.set(
    byRow(u, dimension, (row) => map.forward(row)),
    flat.range(run.config.latents)![0],
  )
  point.set(phi, flat.range(run.config.parameters)![0])
  return point
}

const pulled = (map: LatentMap, d: number, u: Float64Array, g: Float64Array, into?: Float64Array, scale?: number) =>
  byRow(u, d, (row, at) => map.pull(row, g.subarray(at, at + d), into, scale))

/** A step in u on the open batch; a trajectory of full length goes into the buffer. */
function descend(run: Run<Config>, state: State, g: Float64Array) {
  const { config } = run
  const { dimension } = latents(run)
  state.u = plus(
    state.u,
    -config.innerLearningRate,
    pulled(mapOf(config.map, state.phi, dimension), dimension, state.u, g),
  )
  if (state.phase === 'solve') return
  state.trajectory.push(state.u)
  if (state.trajectory.length < config.innerSteps) return
  state.buffer = [...state.buffer, { key: keyOf(state), points: state.trajectory }].slice(-config.buffer)
  state.drawn = new Rng(state.rng).integer(state.buffer.length)
  state.phase = 'map'
}

/** A step of the map by the gradients at the points of a trajectory. */
function learnMap(run: Run<Config>, state: State, gradients: readonly Float64Array[]) {
  const { config } = run
  const { dimension, count } = latents(run)
  const { points } = state.buffer[state.drawn]
  const map = mapOf(config.map, state.phi, dimension)
  const g = new Float64Array(state.phi.length)
  gradients.forEach((gradient, k) => {
    pulled(map, dimension, points[k], gradient, g, 1 / (points.length * count))
  })
  state.updates++
  state.gradient = g
  state.phi = plus(state.phi, -1, adamStep(state, g, state.updates, config))
  begin(run, state)
}

const keyOf = ({ phase, updates }: State): string => (phase === 'solve' ? 'solve' : `problems${updates}`)

export const method = turnsMethod<Config, State>({
  id: 'landscape-map',
  family: 'gradient',
  title: 'Landscape learning for inversion',
  summary:
    'Learns latent coordinates over many related inversion problems, in which a few gradient steps solve a new one. The ' +
    'sample key says which batch of problems is meant, one per row of the latents; value and gradient are those of the sum ' +
    'of their losses. The estimate holds the map, for the parametrization `landscape-map` of any rule.',
  references: [
    {
      authors: 'R. Liu, C. Mao, P. Tendulkar, H. Wang, C. Vondrick',
      title: 'Landscape Learning for Neural Network Inversion',
      year: 2022,
      url: 'https://arxiv.org/abs/2206.09027',
    },
  ],
  config,
  recipes: [
    {
      problem: 'inversions',
      config: { innerLearningRate: 0.05, updates: 60, innerSteps: 4, learningRate: 0.05 },
      maxEvaluations: 600,
      target: 1e-3,
    },
    {
      problem: 'inversions',
      config: { innerLearningRate: 0.05, updates: 60, innerSteps: 4, buffer: 3, start: 'normal' },
      maxEvaluations: 600,
      target: 1e-3,
    },
  ],
  equations: ({ map }) => [
    map === 'mlp'
      ? String.raw`z = M_\phi(u) = u + W_2 \tanh(W_1 u + b_1) + b_2`
      : `z = M_\\phi(u) = M u${map === 'affine' ? ' + b' : ''}`,
    String.raw`u_{t+1} = u_t - \eta_{in}\, (\partial_u M_\phi)^\top \nabla_z \ell(M_\phi(u_t); x)`,
    String.raw`\phi \leftarrow \phi - \mathrm{Adam}\left(\nabla_\phi \frac{1}{T} \sum_t \ell(M_\phi(u_t); x)\right)`,
  ],
  needs: () => ['gradient', 'value'],
  check: (config, problem) => [
    ...checkUnbounded('landscape-map', problem),
    ...checkMapped(config, spaceOf(problem)).map(({ field, message }) => ({ path: `config.${field}`, message })),
  ],
  init(run, flat, seed) {
    const { config } = run
    const rng = rngStream(seed, 'trajectories')
    const range = flat.range(config.parameters)!
    const phi = startOr(
      flat.start().slice(...range),
      config.map,
      latents(run).dimension,
      new Rng(rngStream(seed, 'map')),
    )
    const zero = phi.map(() => 0)
    const none = new Float64Array(0)
    const state: State = {
      phase: 'inner',
      u: none,
      trajectory: [],
      buffer: [],
      drawn: 0,
      phi,
      m: zero,
      v: zero,
      gradient: zero,
      loss: null,
      updates: 0,
      t: 0,
      rng,
    }
    begin(run, state)
    return state
  },
  ask(run, flat, state) {
    const trained = state.phase === 'map' ? state.buffer[state.drawn] : { key: keyOf(state), points: [state.u] }
    return {
      points: trained.points.map((u) => pointOf(run, flat, state, u)),
      wants: [{ kind: 'gradient' }, { kind: 'value' }],
      purpose: state.phase,
      sampleKey: trained.key,
    }
  },
  learn(run, flat, state, { gradients, values }) {
    const { config, problem } = run
    const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
    const told = gradients!.map((gradient) =>
      flat
        .vector(gradient)
        .slice(...flat.range(config.latents)!)
        .map((g) => sign * g),
    )
    state.loss = values!.at(-1)![0]
    state.t++
    if (state.phase === 'map') learnMap(run, state, told)
    else descend(run, state, told[0])
  },
  estimate(run, state) {
    const { loss, gradient, updates, t } = state
    const metrics = { mapUpdates: updates, mapGradient: norm(gradient), ...(loss !== null && { loss }) }
    return { x: pointOf(run, flatOf(run.problem), state, state.u), kind: 'iterate', step: t, metrics }
  },
})
