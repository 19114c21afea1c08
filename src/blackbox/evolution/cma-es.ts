/**
 * CMA-ES: the covariance matrix adaptation evolution strategy, with active update and restarts.
 * N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772 (figure 6, table 1; equations by number below);
 * A. Auger, N. Hansen, "A Restart CMA Evolution Strategy With Increasing Population Size", CEC 2005 (IPOP); N. Hansen,
 * "Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed", GECCO 2009 (BIPOP).
 *
 * Only the order of values counts. Bounds are kept by reflection. Integers and ordinals keep a margin of probability for
 * other values, so that the search does not freeze on one. A failed or cancelled member is drawn again; one that is
 * infeasible, or pruned without a value, ranks last.
 */
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import { askValue, bestEstimate, type Reading, readValues, signOf, startProgress } from '../space/progress.js'
import { type Box, boxOf, checkBox } from './box.js'
import { axes, constants, decompose, drawStep, update } from './cma.js'
import { begin, type Config, config, ended, NOTHING_SPENT, range, restart, type State } from './cma-runs.js'
import { keepMargin } from './margin.js'
import { promising } from './warm-start.js'

const MAX_DIMENSION = { full: 1000, separable: 100_000 }

const remembered = <T>(memo: Map<string, unknown>, key: string, make: () => T): T => {
  if (!memo.has(key)) memo.set(key, make())
  return memo.get(key) as T
}
const boxFor = ({ memo, problem }: Run<Config>): Box => remembered(memo, 'box', () => boxOf(problem.space))

const row = ({ steps, distribution: { mean } }: State, member: number) =>
  steps.subarray(member * mean.length, (member + 1) * mean.length)

/** Draws a member and asks for the value of mean + sigma y (eq. 40). */
function ask(state: State, box: Box, member: number, rng: Rng): Query {
  const { mean, sigma } = state.distribution
  const y = row(state, member)
  drawStep(state.distribution, rng, y)
  const query = askValue(state.progress, box.point(mean.map((m, i) => m + sigma * y[i])))
  state.open[query.id] = member
  return query
}

/** Takes what was told of a member; the last one of a generation moves the distribution. */
function tell(run: Run<Config>, state: State, box: Box, member: number, { status, value }: Reading, rng: Rng): void {
  const { values, waiting, open, distribution } = state
  if (status === 'failed' || status === 'cancelled') {
    waiting.push(member)
    return
  }
  values[member] = status === 'infeasible' || Number.isNaN(value) ? Number.POSITIVE_INFINITY : value
  if (waiting.length > 0 || Object.keys(open).length > 0) return

  const { mean } = distribution
  const lambda = values.length
  const order = range(lambda).sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : a - b))
  state.recent.push(values[order[0]])
  // A generation without one usable value says nothing about where to go.
  if (values[order[0]] < Number.POSITIVE_INFINITY) {
    const { active, covariance, margin = 1 / (mean.length * lambda) } = run.config
    const rates = remembered(run.memo, `constants ${lambda}`, () =>
      constants(mean.length, lambda, active, covariance === 'separable'),
    )
    const steps = order.map((k) => row(state, k))
    update(distribution, steps, rates)
    const moved = range(mean.length).filter((i) => {
      const share = box.share(i, mean[i])
      return share !== undefined && keepMargin(distribution, i, share, margin)
    })
    if (moved.length > 0) decompose(distribution)
  }
  state.spent.run += lambda
  const reason = ended(run, state, box)
  if (!reason || !restart(run, state, box, rng)) {
    state.done = reason ?? null
    state.waiting = range(lambda)
    values.fill(Number.NaN)
  }
}

function learnKnown({ known }: State, box: Box, readings: readonly Reading[]): void {
  for (const { point, status, value } of readings) {
    if (status !== 'ok') continue
    known.points.push(box.vector(point))
    known.values.push(value)
  }
}

/** The first run begins from what is known. */
function warmUp({ covariance }: Config, state: State): void {
  const { points, values } = state.known
  state.distribution = promising([{ points, values }], covariance === 'separable')
  state.known = { points: [], values: [] }
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const box = boxFor(run)
  const rng = new Rng(state.rng)
  const queries: Query[] = []
  let missing = false
  for (const event of events) {
    if (event.type === 'observation') {
      const readings = readValues(state.progress, run.problem, event)
      const member = state.open[event.query.id]
      delete state.open[event.query.id]
      if (member !== undefined) tell(run, state, box, member, readings[0], rng)
      else if (run.config.warmStart && state.progress.asked === 0) learnKnown(state, box, readings)
    } else if (event.type === 'capacity') {
      if (state.known.points.length > 0) warmUp(run.config, state)
      const count = state.done ? 0 : Math.min(event.count, state.waiting.length)
      for (const member of state.waiting.splice(0, count)) queries.push(ask(state, box, member, rng))
      missing ||= count < event.count
    }
  }
  if (state.done) {
    const reason = `${state.done}, and no restart is left`
    return { state, queries, status: { phase: 'done', reason }, short: { reason, until: 'never' } }
  }
  const open = Object.keys(state.open).length
  const reason = `generation ${state.distribution.generation} waits for ${open} of its ${state.values.length} values`
  return {
    state,
    queries,
    status: { phase: 'running' },
    short: missing ? { reason, until: 'tell' } : undefined,
  }
}

export const method = defineMethod<Config, State>({
  id: 'cma-es',
  version: 3,
  stateVersion: 2,
  family: 'evolution',
  title: 'CMA-ES',
  summary:
    'Samples generations from a normal distribution that learns its mean, scale and covariance from the ranks of values.',
  references: [
    {
      authors: 'N. Hansen',
      title: 'The CMA Evolution Strategy: A Tutorial',
      year: 2016,
      url: 'https://arxiv.org/abs/1604.00772',
    },
    {
      authors: 'A. Auger, N. Hansen',
      title: 'A Restart CMA Evolution Strategy With Increasing Population Size',
      year: 2005,
      url: 'https://doi.org/10.1109/CEC.2005.1554902',
    },
    {
      authors: 'N. Hansen',
      title: 'Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed',
      year: 2009,
      url: 'https://doi.org/10.1145/1570256.1570333',
    },
    {
      authors: 'R. Ros, N. Hansen',
      title: 'A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity',
      year: 2008,
      url: 'https://doi.org/10.1007/978-3-540-87700-4_30',
    },
    {
      authors: 'M. Nomura, S. Watanabe, Y. Akimoto, Y. Ozaki, M. Onishi',
      title: 'Warm Starting CMA-ES for Hyperparameter Optimization',
      year: 2021,
      url: 'https://arxiv.org/abs/2012.06932',
    },
    {
      authors: 'R. Hamano, S. Saito, M. Nomura, S. Shirakawa',
      title: 'CMA-ES with Margin: Lower-Bounding Marginal Probability for Mixed-Integer Black-Box Optimization',
      year: 2022,
      url: 'https://arxiv.org/abs/2205.13482',
    },
  ],
  config,
  facts: {
    spaces: ['search', 'tensors'],
    parameters: ['float', 'int', 'ordinal', 'constrained'],
    objectives: 'one',
    constraints: false,
    parallel: true,
    unsolicited: 'accept',
    invariances: ['monotone-values'],
    warmStart: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 300, target: 0.398 },
    { problem: 'sphere-5d', maxEvaluations: 800, target: 1e-6 },
    { problem: 'rosenbrock', maxEvaluations: 1500, target: 1e-10 },
    { problem: 'sphere-5d', config: { covariance: 'separable', restart: 'bipop' }, maxEvaluations: 800, target: 1e-6 },
  ],
  equations: () => [
    String.raw`y_k \sim \mathcal{N}(0, C), \quad x_k = m + \sigma y_k`,
    String.raw`m \leftarrow m + \sigma \langle y \rangle_w, \quad \langle y \rangle_w = \sum_{i=1}^{\mu} w_i \, y_{i:\lambda}`,
    String.raw`p_\sigma \leftarrow (1 - c_\sigma) p_\sigma + \sqrt{c_\sigma (2 - c_\sigma) \mu_\mathrm{eff}} \; C^{-1/2} \langle y \rangle_w`,
    String.raw`\sigma \leftarrow \sigma \exp\left(\frac{c_\sigma}{d_\sigma} \left(\frac{\|p_\sigma\|}{E\|\mathcal{N}(0, I)\|} - 1\right)\right)`,
    String.raw`p_c \leftarrow (1 - c_c) p_c + h_\sigma \sqrt{c_c (2 - c_c) \mu_\mathrm{eff}} \; \langle y \rangle_w`,
    String.raw`C \leftarrow \left(1 + c_1 \delta(h_\sigma) - c_1 - c_\mu \sum_j w_j\right) C + c_1 p_c p_c^\top + c_\mu \sum_{i=1}^{\lambda} w_i^\circ \, y_{i:\lambda} y_{i:\lambda}^\top`,
  ],
  needs: () => ['value'],
  check: ({ covariance }, { space }) => checkBox('cma-es', space, MAX_DIMENSION[covariance]),
  init(run, seed) {
    const rng = new Rng(rngStream(seed, 'cma-es'))
    const box = boxOf(run.problem.space)
    const first = begin(run, box, 0, false, NOTHING_SPENT, rng)
    const sign = signOf(run.problem)
    const tasks = (run.earlier ?? []).flatMap(({ trials }) => {
      const points = trials.map(({ params }) => box.vector({ kind: 'params', params }))
      return points.length ? [{ points, values: trials.map(({ value }) => sign * value) }] : []
    })
    return {
      progress: startProgress(),
      rng: rng.state,
      done: null,
      known: { points: [], values: [] },
      ...first,
      ...(tasks.length && { distribution: promising(tasks, run.config.covariance === 'separable') }),
    }
  },
  migrate: (_, tree) => ({
    ...(tree as State),
    small: false,
    spent: { ...NOTHING_SPENT },
    known: { points: [], values: [] },
  }),
  step,
  estimate(run, state) {
    const { distribution, restart, values } = state
    const { generation, sigma } = distribution
    const [smallest, largest] = axes(distribution)
    return {
      ...bestEstimate(state.progress, run.problem),
      metrics: { generation, sigma, axisRatio: largest / smallest, restart, populationSize: values.length },
    }
  },
})
