/**
 * Bayesian optimization with a Gaussian process and log expected improvement.
 * D. R. Jones, M. Schonlau, W. J. Welch, "Efficient Global Optimization of Expensive Black-Box Functions", J. Global
 * Optim. 13, 1998; S. Ament et al., arXiv 2310.20708 (log EI); P. I. Frazier, "A Tutorial on Bayesian Optimization",
 * arXiv 1807.02811.
 *
 * - Coordinates: those of space/encoding. A parameter that is not active lies in the middle of its axis; the distance
 *   to points where it is active then comes from its parent. Unordered parameters count as equal or different.
 * - Open trials take part as if the posterior mean had been told there, and so do recently failed ones: neither
 *   is asked again at once, but a failed point may come back.
 * - An infeasible point (or an infinite value) counts as the worst value told so far, and is never asked again. A
 *   pruned trial counts with its last value.
 * - Up to `maxRows` trials the posterior is exact. Beyond, at each fit, it keeps the best quarter of that number and of the
 *   others evenly spaced ones; hyperparameters are always fitted to at most FIT_ROWS.
 * - What may be chosen is in files of its own: transforms of values (outcome.ts), warped inputs (warp.ts), priors of the lengths
 *   (lengths.ts), max-value entropy search in place of improvement (mes.ts).
 * - Earlier sessions are tasks beside this one (tasks.ts). Their best trials are asked first, and half as many Sobol' points;
 *   then a model with the tasks and one without them take turns, so that earlier sessions that mislead cost no more than half
 *   of the evaluations.
 */
import { defineMethod, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import type { Params } from '../../core/space.js'
import type { Encoding } from '../space/encoding.js'
import { freshPoint } from '../space/fresh.js'
import { askValue, bestEstimate, readValues, signOf, startProgress } from '../space/progress.js'
import { type Memo, memoOf, type State } from './gp-model.js'
import { type Config, config } from './gp-options.js'
import { suggest } from './gp-suggest.js'
import { keyOf } from './search.js'

/** Observations after which a failed point may be asked again. */
const COOLDOWN = 10

function tell(run: Run<Config>, state: State, event: Extract<Event, { type: 'observation' }>, encoding: Encoding) {
  const { query, observation } = event
  const reported = state.open[query.id]?.value ?? Number.NaN
  delete state.open[query.id]
  readValues(state.progress, run.problem, event).forEach(({ point, status, value }, i) => {
    if (point.kind !== 'params') return
    const { u } = encoding.encode(point.params)
    const noise = Math.max(0, observation.noise?.[i]?.[0] || 0)
    state.observed++
    if (status === 'ok') state.rows.push({ u, value: Number.isFinite(value) ? value : Number.NaN, noise })
    else if (status === 'infeasible') state.rows.push({ u, value: Number.NaN, noise: 0 })
    else if (status === 'failed') state.failed.push({ u, at: state.observed })
    else if (status === 'pruned') {
      const last = Number.isFinite(value) ? value : reported
      if (Number.isFinite(last)) state.rows.push({ u, value: last, noise })
    }
  })
  state.failed = state.failed.filter(({ at }) => state.observed - at < COOLDOWN)
}

/** Sobol' points first, then the model's; where its search finds nothing, whatever is left. */
function ask(run: Run<Config>, state: State, memo: Memo, count: number): Query[] {
  const { encoding, sobol, keys, begin } = memo
  const whole = Math.min(10, 2 * (encoding.dimension + 1))
  const nInitial = run.config.nInitial ?? (begin.length ? Math.ceil(whole / 2) : whole)
  const rng = new Rng(state.rng)
  const open = new Set(Object.values(state.open).map(({ u }) => keyOf(u)))
  const queries: Query[] = []
  const add = (params: Params) => {
    const query = askValue(state.progress, { kind: 'params', params })
    const { u } = encoding.encode(params)
    state.open[query.id] = { u, value: Number.NaN }
    open.add(keyOf(u))
    queries.push(query)
  }
  const addFresh = (draw: () => Params) => {
    const known = (params: Params) => [keys, open].some((set) => set.has(keyOf(encoding.encode(params).u)))
    const params = freshPoint(encoding, known, draw, (n) => Math.floor(rng.uniform() * n))
    if (params) add(params)
    return params !== undefined
  }
  const uniform = () => encoding.decode(encoding.axes.map(() => rng.uniform()))
  const next = sobol ? () => encoding.decode(sobol(state.index++)) : uniform
  const initial = state.rows.length ? Math.min(count, nInitial - state.rows.length - open.size) : count
  for (let begun = state.begun ?? 0; begun < begin.length && queries.length < count; state.begun = ++begun) {
    const u = keyOf(encoding.encode(begin[begun]).u)
    if (!keys.has(u) && !open.has(u)) add(begin[begun])
  }
  while (queries.length < initial && addFresh(next));
  if (queries.length < count && state.rows.length) suggest(run, state, memo, rng, count - queries.length).forEach(add)
  while (queries.length < count && addFresh(uniform));
  return queries
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const queries: Query[] = []
  let exhausted = false
  for (const event of events) {
    const memo = memoOf(run, state)
    if (event.type === 'observation') tell(run, state, event, memo.encoding)
    else if (event.type === 'report' && state.open[event.query.id])
      state.open[event.query.id].value = signOf(run.problem) * event.value
    else if (event.type === 'capacity') {
      const asked = ask(run, state, memo, event.count)
      exhausted = asked.length < event.count
      queries.push(...asked)
    }
  }
  const status = { phase: 'running' } as const
  if (!exhausted) return { state, queries, status }
  const until = Object.keys(state.open).length ? 'tell' : 'never'
  return { state, queries, status, short: { reason: 'every point of the finite space was told or is open', until } }
}

export const method = defineMethod<Config, State>({
  id: 'gp',
  version: 1,
  stateVersion: 1,
  family: 'bayes',
  title: 'Gaussian process optimization',
  summary:
    'Models the objective with a Gaussian process and asks where the improvement over the best is expected to be largest. The choice for expensive evaluations, up to a few thousand of them.',
  references: [
    {
      authors: 'D. R. Jones, M. Schonlau, W. J. Welch',
      title: 'Efficient Global Optimization of Expensive Black-Box Functions',
      year: 1998,
      url: 'https://doi.org/10.1023/A:1008306431147',
    },
    {
      authors: 'S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy',
      title: 'Unexpected Improvements to Expected Improvement for Bayesian Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2310.20708',
    },
    {
      authors: 'J. Snoek, K. Swersky, R. Zemel, R. P. Adams',
      title: 'Input Warping for Bayesian Optimization of Non-Stationary Functions',
      year: 2014,
      url: 'https://arxiv.org/abs/1402.0929',
    },
    {
      authors: 'A. I. Cowen-Rivers et al.',
      title: 'HEBO: Pushing The Limits of Sample-Efficient Hyperparameter Optimisation',
      year: 2022,
      url: 'https://arxiv.org/abs/2012.03826',
    },
    {
      authors: 'Z. Wang, S. Jegelka',
      title: 'Max-value Entropy Search for Efficient Bayesian Optimization',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.01968',
    },
    {
      authors: 'D. Eriksson, M. Jankowiak',
      title: 'High-Dimensional Bayesian Optimization with Sparse Axis-Aligned Subspaces',
      year: 2021,
      url: 'https://arxiv.org/abs/2103.00349',
    },
    {
      authors: "M. C. Kennedy, A. O'Hagan",
      title: 'Predicting the Output from a Complex Computer Code When Fast Approximations Are Available',
      year: 2000,
      url: 'https://doi.org/10.1093/biomet/87.1.1',
    },
    {
      authors: 'C. Hvarfner, E. O. Hellsten, L. Nardi',
      title: 'Vanilla Bayesian Optimization Performs Great in High Dimensions',
      year: 2024,
      url: 'https://arxiv.org/abs/2402.02229',
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
    invariances: [],
    heavy: true,
    warmStart: true,
  },
  recipes: [
    { problem: 'branin', maxEvaluations: 40, target: 0.3985 },
    { problem: 'mixed', maxEvaluations: 40, target: 1e-4 },
    { problem: 'sphere-5d', maxEvaluations: 40, target: 0.01 },
  ],
  equations: ({ acquisition, warp }) => [
    String.raw`k(x, x') = \sigma^2 \left(1 + \sqrt{5}\,r + \tfrac{5}{3} r^2\right) e^{-\sqrt{5}\,r}, \quad r^2 = \sum_d (x_d - x'_d)^2 / \ell_d^2`,
    ...(warp ? [String.raw`x_d = 1 - (1 - u_d^{a_d})^{b_d}, \quad \log a_d, \log b_d \sim \mathcal{N}(0, 0.75)`] : []),
    ...(acquisition === 'mes'
      ? [
          String.raw`\gamma(x) = (\mu(x) - y^*) / s(x)`,
          String.raw`x_{n+1} = \arg\max_x \; \frac{1}{K} \sum_{y^*} \frac{\gamma\,\varphi(\gamma)}{2\,\Phi(\gamma)} - \log \Phi(\gamma)`,
        ]
      : [
          String.raw`z(x) = (f^* - \mu(x)) / s(x)`,
          String.raw`x_{n+1} = \arg\max_x \; \log s(x) + \log\left(\varphi(z) + z\,\Phi(z)\right)`,
        ]),
  ],
  needs: () => ['value'],
  init: (_, seed) => ({
    progress: startProgress(),
    index: 0,
    observed: 0,
    rows: [],
    failed: [],
    open: {},
    fit: null,
    scramble: rngStream(seed, 'scramble'),
    rng: rngStream(seed, 'gp'),
  }),
  step,
  estimate: (run, state) => bestEstimate(state.progress, run.problem),
})
