/**
 * Training by forward passes at the memory of inference: S. Malladi, T. Gao, E. Nichani, A. Damian, J. D. Lee, D. Chen,
 * S. Arora, "Fine-Tuning Language Models with Just Forward Passes", NeurIPS 2023 (arXiv:2305.17333), algorithm 1.
 *
 * A step takes the loss at x + eps z and x - eps z for the direction z of a seed, and moves x by -lr (l+ - l-)/(2 eps) z.
 * Only seeds, losses and coefficients travel: the client keeps x and makes z itself (core/directions.ts). So does the
 * state, which holds the coefficients of all moves; x is made of them when somebody wants it, from the start values of the
 * space or, where it has none, from zero: what the client's own start has moved by.
 */
import { z } from 'zod'
import { addMove, type Move } from '../../core/directions.js'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Observation, Point, Query } from '../../core/query.js'
import { philox4x32, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tensors } from '../../core/tensor.js'
import { flatOf, spaceOf } from '../../optimizers/flat.js'

const config = z.strictObject({
  learningRate: field(z.number().positive().default(1e-6), 'Step size.', {
    source: 'paper, appendix E.3 (1e-7 to 1e-5)',
    mutable: true,
    log: true,
  }),
  eps: field(z.number().positive().default(1e-3), 'How far along a direction the losses are taken.', {
    source: 'paper, appendix E.3',
    log: true,
  }),
  samples: field(z.int().min(1).max(1024).default(1), 'Directions per step, n: their estimates are averaged.', {
    source: 'paper, definition 2',
  }),
  distribution: field(
    z.enum(['normal', 'rademacher']).default('normal'),
    'Standard normal directions, or of signs: those have the same bits on server and client, and are made faster.',
    { source: 'paper, definition 1 (normal)' },
  ),
  feedback: field(
    z.enum(['values', 'directional']).default('values'),
    'Losses on both sides of x, or the derivative along the direction (a Jacobian-vector product) at x.',
    { source: 'paper; A. G. Baydin et al., arXiv:2202.08587 (directional)' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  key0: number
  key1: number
  /** Of every move so far, in order: `samples` to a step. */
  scales: number[]
  steps: number
  asked: number
  open: string | null
}

/** The seed of a direction: a word of the session's own stream. */
function seedAt({ key0, key1 }: State, index: number): number {
  const block = new Uint32Array(4)
  philox4x32([index >>> 0, Math.floor(index / 2 ** 32), 0, 0], key0, key1, block)
  return block[0]
}

const moveAt = ({ distribution }: Config, state: State, index: number, scale: number): Move => ({
  seed: seedAt(state, index),
  scale: Math.fround(scale),
  rademacher: distribution === 'rademacher',
})

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

function ask(config: Config, state: State): Query {
  const { feedback, samples, eps } = config
  const { scales } = state
  const next = range(scales.length, scales.length + samples)
  const points: Point[] =
    feedback === 'values'
      ? next.flatMap((i) => [eps, -eps].map((by) => ({ kind: 'seeded', move: moveAt(config, state, i, by) }) as const))
      : [
          { kind: 'seeded', move: moveAt(config, state, scales.length, 0) },
          ...next.map((i) => ({ kind: 'seeded', move: moveAt(config, state, i, 1), alone: true }) as const),
        ]
  const last = range(Math.max(0, scales.length - samples), scales.length)
  state.open = `q${++state.asked}`
  return {
    id: state.open,
    points,
    wants: [{ kind: feedback === 'values' ? 'value' : 'directional' }],
    iterate: { step: state.steps, last: last.map((i) => moveAt(config, state, i, scales[i])) },
  }
}

function learn({ config, problem }: Run<Config>, state: State, { values, derivatives }: Observation): void {
  const { learningRate, eps, samples } = config
  const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
  const slopes = values
    ? range(0, samples).map((j) => (values[2 * j][0] - values[2 * j + 1][0]) / (2 * Math.fround(eps)))
    : derivatives!
  for (const slope of slopes) state.scales.push(Math.fround((-sign * learningRate * slope) / samples))
  state.steps++
}

/** x after all moves. What was made before is kept, and only what came after is added. */
function iterateOf({ config, problem, memo }: Run<Config>, state: State): Tensors {
  let made = memo.get('iterate') as { moves: number; x: Tensors } | undefined
  if (!made) {
    const flat = flatOf(problem)
    made = { moves: 0, x: flat.tensors(flat.start()) }
    memo.set('iterate', made)
  }
  for (; made.moves < state.scales.length; made.moves++)
    addMove(made.x, moveAt(config, state, made.moves, state.scales[made.moves]))
  return made.x
}

function check(_: Config, problem: Problem): Issue[] {
  if (problem.space.kind !== 'tensors') return []
  const { tensors, low, high } = spaceOf(problem)
  const issues: Issue[] = tensors.flatMap(({ dtype }, i) =>
    dtype === 'f32' || dtype === 'f64'
      ? []
      : [
          {
            path: `space.tensors[${i}].dtype`,
            message: `expected f32 or f64: client and server round alike, got ${dtype}`,
          },
        ],
  )
  if (low !== undefined) issues.push({ path: 'space.low', message: 'mezo knows no bounds' })
  if (high !== undefined) issues.push({ path: 'space.high', message: 'mezo knows no bounds' })
  return issues
}

export const method = defineMethod<Config, State>({
  id: 'mezo',
  version: 1,
  stateVersion: 1,
  family: 'zeroth',
  title: 'MeZO',
  summary: 'Steps along random directions by losses or derivatives there. A few bytes travel in a step, at any size.',
  references: [
    {
      authors: 'S. Malladi, T. Gao, E. Nichani, A. Damian, J. D. Lee, D. Chen, S. Arora',
      title: 'Fine-Tuning Language Models with Just Forward Passes',
      year: 2023,
      url: 'https://arxiv.org/abs/2305.17333',
    },
  ],
  config,
  facts: {
    spaces: ['tensors'],
    objectives: 'one',
    constraints: false,
    parallel: false,
    unsolicited: 'reject',
    invariances: ['translation'],
  },
  recipes: [
    { problem: 'quadratic', config: { learningRate: 0.02 }, maxEvaluations: 2000, target: 1e-3 },
    {
      problem: 'quadratic',
      config: { learningRate: 0.05, feedback: 'directional', distribution: 'rademacher', samples: 4 },
      maxEvaluations: 2000,
      target: 1e-3,
    },
  ],
  equations: ({ feedback }) => [
    feedback === 'values'
      ? String.raw`g_i = \frac{L(x + \epsilon z_i) - L(x - \epsilon z_i)}{2 \epsilon}`
      : String.raw`g_i = \nabla L(x)^\top z_i`,
    String.raw`x \leftarrow x - \frac{\eta}{n} \sum_{i=1}^{n} g_i z_i`,
  ],
  needs: ({ feedback }) => [feedback === 'values' ? 'value' : 'directional'],
  check,
  init(_, seed) {
    const { key0, key1 } = rngStream(seed, 'seeds')
    return { key0, key1, scales: [], steps: 0, asked: 0, open: null }
  },
  step(run, state, events: readonly Event[]): Outcome<State> {
    let capacity = 0
    for (const event of events) {
      if (event.type === 'capacity') capacity += event.count
      if (event.type !== 'observation' || event.query.id !== state.open) continue
      state.open = null
      const { status } = event.observation
      if (status === 'ok') learn(run, state, event.observation)
      // Directions that will never have an answer are passed over.
      else if (status === 'infeasible' || status === 'pruned') {
        for (let j = 0; j < run.config.samples; j++) state.scales.push(0)
        state.steps++
      }
    }
    const queries = state.open === null ? [ask(run.config, state)] : []
    const short = { reason: 'the next step waits for the answer of this one', until: 'tell' } as const
    return { state, queries, status: { phase: 'running' }, short: queries.length < capacity ? short : undefined }
  },
  estimate: (_, { steps }) => ({ kind: 'iterate', points: [{ point: { kind: 'view', name: 'x' } }], step: steps }),
  view: iterateOf,
})
