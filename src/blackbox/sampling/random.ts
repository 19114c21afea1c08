/**
 * Random search.
 * J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012.
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Params, SearchSpace } from '../../core/space.js'
import { type Encoding, encodingOf } from '../space/encoding.js'
import { EXHAUSTED, freshPoint, uniformPoint } from '../space/fresh.js'
import { askValue, bestEstimate, type Progress, readValues, startProgress } from '../space/progress.js'

const config = z.strictObject({
  avoidRepeats: field(
    z.boolean().default(false),
    'Never ask a point of a finite space twice, unless it failed or was cancelled.',
    { source: 'ours' },
  ),
})
type Config = z.infer<typeof config>

type State = {
  progress: Progress
  rng: RngState
  /** Keys of points asked or told, kept where repeats are avoided. */
  known: { [key: string]: true }
}

const encodingFor = ({ problem, memo }: Run<Config>): Encoding => {
  const encoding = (memo.get('encoding') as Encoding) ?? encodingOf(problem.space as SearchSpace)
  memo.set('encoding', encoding)
  return encoding
}

const keyOf = (encoding: Encoding, params: Params): string => encoding.encode(params).u.join(' ')

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const encoding = encodingFor(run)
  const remember = run.config.avoidRepeats && Number.isFinite(encoding.cardinality)
  const rng = new Rng(state.rng)
  const { known } = state
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    if (event.type === 'observation')
      for (const { point, status } of readValues(state.progress, run.problem, event)) {
        if (!remember || point.kind !== 'params') continue
        const key = keyOf(encoding, point.params)
        if (status === 'failed' || status === 'cancelled') delete known[key]
        else known[key] = true
      }
    if (event.type !== 'capacity') continue
    for (let i = 0; i < event.count; i++) {
      const params = remember
        ? freshPoint(
            encoding,
            (p) => Object.hasOwn(known, keyOf(encoding, p)),
            () => uniformPoint(encoding, rng),
            (n) => Math.floor(rng.uniform() * n),
          )
        : uniformPoint(encoding, rng)
      if (!params) {
        exhausted = true
        break
      }
      if (remember) known[keyOf(encoding, params)] = true
      queries.push(askValue(state.progress, { kind: 'params', params }))
    }
  }
  return {
    state,
    queries,
    status: { phase: 'running' },
    short: exhausted ? { reason: EXHAUSTED, until: 'never' } : undefined,
  }
}

export const method = defineMethod<Config, State>({
  id: 'random',
  version: 1,
  stateVersion: 1,
  family: 'sampling',
  title: 'Random search',
  summary: 'Independent uniform points: the baseline that any other method has to beat. Never waits.',
  references: [
    {
      authors: 'J. Bergstra, Y. Bengio',
      title: 'Random Search for Hyper-Parameter Optimization',
      year: 2012,
      url: 'https://www.jmlr.org/papers/v13/bergstra12a.html',
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
    { problem: 'branin', maxEvaluations: 300, target: 1.5 },
    { problem: 'mixed', maxEvaluations: 300, target: 0.15 },
  ],
  needs: () => ['value'],
  init: (_, seed) => ({ progress: startProgress(), rng: rngStream(seed, 'random'), known: {} }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
