/**
 * Population-based training.
 * M. Jaderberg et al., "Population Based Training of Neural Networks", arXiv:1711.09846: truncation selection to exploit,
 * perturb and resample to explore (training.ts has the population and what its trials are).
 */
import { z } from 'zod'
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { bestEstimate } from '../space/progress.js'
import { perturbed, perturbFields } from './perturb.js'
import { BUSY, encodingFor, startTraining, type Training, train, trained, trainingFields } from './training.js'

const config = z.strictObject({ ...trainingFields, ...perturbFields })
type Config = z.infer<typeof config>

function step(run: Run<Config>, state: Training, events: readonly Event[]): Outcome<Training> {
  const queries: Query[] = []
  let capacity = 0
  for (const event of events) {
    if (event.type === 'observation') trained(run, state, event)
    if (event.type !== 'capacity') continue
    capacity += event.count
    queries.push(
      ...train(run, state, event.count, ({ params }, _, rng) => perturbed(encodingFor(run), run.config, params!, rng)),
    )
  }
  const short = queries.length < capacity ? BUSY : undefined
  return { state, queries, status: { phase: 'running' }, short }
}

export const method = defineMethod<Config, Training>({
  id: 'pbt',
  version: 1,
  stateVersion: 1,
  family: 'evolution',
  title: 'Population-based training',
  summary:
    'Trains a population and tunes it on the way: bad members copy the checkpoint of good ones and change their parameters. Finds schedules. A trial is an interval of training, and names the trial it goes on from.',
  references: [
    {
      authors: 'M. Jaderberg, V. Dalibard, S. Osindero, W. M. Czarnecki, J. Donahue, A. Razavi, et al.',
      title: 'Population Based Training of Neural Networks',
      year: 2017,
      url: 'https://arxiv.org/abs/1711.09846',
    },
  ],
  config,
  facts: {
    spaces: ['search'],
    parameters: ['float', 'int', 'categorical', 'ordinal', 'conditional', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 300, target: 1.5 },
    { problem: 'mixed', maxEvaluations: 300, target: 0.15 },
  ],
  needs: () => ['value'],
  init: ({ config }, seed) => startTraining(config, seed, 'pbt'),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
