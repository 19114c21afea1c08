/**
 * FtSP, for metrical task systems with few action predictions: K. Abdel Sadek, M. Eliáš, "Algorithms
 * for Caching and MTS with reduced number of predictions", ICLR 2024 (arXiv:2404.06280)
 *
 * The space's items are the states. A query with the purpose `move` has the state to be in as its point and asks for the
 * costs of the next task in each state; every a-th task, one with the purpose `predict` then asks for the state that an
 * optimal policy would take. Its price is the cost of the task where it is done, and the distance moved.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import type { Want } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { ItemsSpace, Problem } from '../../core/space.js'
import { itemPoint, itemsOf, playMethod } from './play.js'

const config = z.strictObject({
  every: field(z.int().min(1).default(1), 'Tasks from one prediction to the next, a.', {
    source: 'arXiv:2404.06280',
  }),
  start: field(z.string().optional(), 'Id of the first state; the first item when absent.', { source: 'ours' }),
  metric: field(
    z.enum(['euclidean', 'manhattan', 'matrix']).default('euclidean'),
    'Distance of states by their features; matrix: the features of a state are its distances to all.',
    { source: 'ours' },
  ),
  stay: field(z.number().positive().default(2), 'How much the distance to the predicted state counts.', {
    source: 'ours',
  }),
})
type Config = z.infer<typeof config>

type State = {
  at: number
  /** The state predicted last. */
  predicted: number
  /** Costs of the task under way while a prediction is awaited. */
  task: Float64Array | null
  tasks: number
  cost: number
  predictions: number
}

/** Distances of a state to all. */
function distances({ metric }: Config, problem: Problem, from: number): number[] {
  const items = itemsOf(problem)
  const origin = items[from].features ?? []
  if (metric === 'matrix') return [...origin]
  return items.map(({ features = [] }) => {
    const apart = origin.map((x, i) => Math.abs(x - features[i]))
    return metric === 'manhattan' ? apart.reduce((a, b) => a + b, 0) : Math.hypot(...apart)
  })
}

/** x = argmin cost(x) + stay * dist(x, q); of equals the one nearest to where it is. */
function move(config: Config, problem: Problem, state: State, task: Float64Array): void {
  const predicted = distances(config, problem, state.predicted)
  const here = distances(config, problem, state.at)
  let best = 0
  const score = (x: number) => task[x] + config.stay * predicted[x]
  for (let x = 1; x < task.length; x++)
    if (score(x) < score(best) || (score(x) === score(best) && here[x] < here[best])) best = x
  state.cost += here[best] + task[best]
  state.at = best
  state.task = null
  state.tasks++
}

const want = (name: string, shape: readonly number[], description: string): Want[] => [
  { kind: 'quantities', quantities: [{ name, shape, description }] },
]

export const method = playMethod<Config, State>({
  id: 'ftsp',
  title: 'FtSP: task systems with few predictions',
  summary: 'Moves through the states of a metrical task system, near a predicted state that it asks for now and then.',
  references: [
    {
      authors: 'K. Abdel Sadek, M. Eliáš',
      title: 'Algorithms for Caching and MTS with reduced number of predictions',
      year: 2024,
      url: 'https://arxiv.org/abs/2404.06280',
    },
  ],
  config,
  spaces: ['items'],
  recipes: [
    { problem: 'task-system', maxEvaluations: 200, target: 1 },
    { problem: 'task-system', config: { every: 4 }, maxEvaluations: 200, target: 1 },
  ],
  equations: () => [String.raw`x_t = \arg\min_x \ell_t(x) + 2\, d(x, q)`],
  needs: () => ['quantities'],
  check({ start, metric }, problem) {
    const { items } = problem.space as ItemsSpace
    const issues: Issue[] = []
    if (start !== undefined && !items.some(({ id }) => id === start))
      issues.push({ path: 'config.start', message: `"${start}" is not an item of the space` })
    items.forEach(({ features }, i) => {
      const path = `space.items[${i}].features`
      if (!features?.length) issues.push({ path, message: 'expected where the state lies' })
      else if (metric === 'matrix' && features.length !== items.length)
        issues.push({ path, message: `expected the distances to ${items.length} states, got ${features.length}` })
    })
    return issues
  },
  init({ config, problem }) {
    const at = Math.max(
      0,
      itemsOf(problem).findIndex(({ id }) => id === config.start),
    )
    return { at, predicted: at, task: null, tasks: 0, cost: 0, predictions: 0 }
  },
  ask({ problem }, { at, task, tasks }) {
    const points = [itemPoint(problem, at)]
    if (task)
      return {
        points,
        wants: want('state', [], 'Index of the state that an optimal policy would take for this task.'),
        purpose: 'predict',
        round: tasks + 1,
      }
    const wants = want('costs', [itemsOf(problem).length], 'What the next task costs in each state.')
    return { points, wants, purpose: 'move', round: tasks + 1 }
  },
  learn({ config, problem }, state, { quantities }) {
    const [told] = quantities!
    if (!state.task) {
      const task = Float64Array.from(told.costs)
      if (state.tasks % config.every === 0) state.task = task
      else move(config, problem, state, task)
      return
    }
    const [index] = told.state
    if (!(Number.isInteger(index) && index >= 0 && index < state.task.length)) return
    state.predicted = index
    state.predictions++
    move(config, problem, state, state.task)
  },
  estimate: ({ problem }, { at, tasks, cost, predictions }) => ({
    kind: 'iterate',
    points: [{ point: itemPoint(problem, at) }],
    step: tasks,
    metrics: { cost, predictions },
  }),
})
