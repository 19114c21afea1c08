/**
 * Bayesian optimization of several objectives, a Gaussian process for each of them and of the outcome constraints.
 *
 * - ehvi: asks where the hypervolume is expected to grow most. S. Daulton, M. Balandat, E. Bakshy, "Differentiable Expected
 *   Hypervolume Improvement", arXiv 2006.05078; in logarithms: S. Ament et al., arXiv 2310.20708. The front that is to be
 *   improved is that of the posterior means at told points, so noise does not inflate it.
 * - parego: asks for the expected improvement of the objectives' largest weighted distance from their best, under weights
 *   drawn anew for every point. J. Knowles, "ParEGO", IEEE Trans. Evol. Comput. 10, 2006.
 * - Both are weighted with the probability that the constraints hold (J. R. Gardner et al., "Bayesian Optimization with
 *   Inequality Constraints", 2014); where no trial is feasible yet, that probability alone is maximized.
 * - Pending points take part as if the posterior means had been told there.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { Params, Problem, SearchSpace } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { greedySubset, nondominated, nondominatedBoxes, referenceBeyond } from '../space/hypervolume.js'
import { hypervolume } from '../space/pareto.js'
import { logH } from './acquisition.js'
import type { Trial } from './beliefs.js'
import { logVolumeImprovement } from './improvement-volume.js'
import {
  acquisitionOf,
  anywhere,
  type Fit,
  fitted,
  kept,
  type Log,
  type Model,
  modelOf,
  type Read,
  rowsOf,
} from './limited-models.js'
import { type Acquisition, search } from './search.js'
import { type Scene, sequentialMethod } from './sequential.js'
import { frontOf, isFeasible, paretoEstimate } from './trials.js'

const config = z.strictObject({
  acquisition: field(
    z.enum(['ehvi', 'parego']).optional(),
    'ehvi: expected hypervolume improvement, of up to four objectives. parego: expected improvement of random weightings. When absent ehvi where it can be.',
    { source: 'Daulton et al. 2020; Knowles 2006' },
  ),
  reference: field(
    z.array(z.number()).optional(),
    'A value per objective beyond which nothing counts. When absent, a tenth of the extent of all feasible values beyond their worst; of two objectives so in one of them, in turn, and in the other of the front beyond its worst.',
    { source: 'Daulton et al. 2020' },
  ),
  nInitial: field(z.int().min(1).optional(), 'Space-filling trials before; 2 (parameters + 1) when absent.', {
    source: 'Daulton et al. 2020',
  }),
  nCandidates: field(z.int().min(16).max(65536).default(512), 'Points of the acquisition screening.', {
    source: 'ours',
    advanced: true,
  }),
  nStarts: field(z.int().min(1).max(128).default(6), 'Local searches of the acquisition function.', {
    source: 'ours',
    advanced: true,
  }),
  refitGrowth: field(
    z.number().min(1).max(2).default(1.1),
    'Hyperparameters are fitted again when the trials have grown by this factor.',
    { source: 'ours', advanced: true },
  ),
  maxRows: field(z.int().min(50).max(3000).default(600), 'Trials in the models; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
type Config = z.infer<typeof config>
type State = { rows: number; fits: Fit[] }
type EhviScene = Scene<Config, State>

const MOST_OBJECTIVES = 4
/** Points of the front that are improved on, by objectives: with more, those of largest volume stand for all. */
const MOST_POINTS = [0, 0, 200, 64, 24]
const MAX_ASCENT = 30
const ELITES = 8
/** Weight of the sum of distances in ParEGO. */
const RHO = 0.05

/**
 * Of two objectives, beyond the worst of all values in one and beyond the worst of the front in the other, in turn. With that of
 * the front in both, as is usual once a front is known, what lies outside is worth nothing, and a front that is a part of the
 * whole (ZDT3) may stay one; with that of all values in both, most of the volume lies where both are poor, and points are spent
 * there (ZDT2). A single point has no extent. Of more objectives it is that of all values, as parts of a front are many (DTLZ7).
 */
export function referenceFor(points: readonly number[][], front: readonly number[][], turn: number): Float64Array {
  const far = referenceBeyond(points, 1)
  if (far.length > 2 || front.length === 1) return far
  const near = referenceBeyond(front, 1)
  return far.map((x, k) => (k === turn % 2 ? x : near[k]))
}

/** Values of the front in the models' units, and the reference. */
function frontierOf({ run, trials }: EhviScene, models: Model[], feasible: readonly number[], believed: number[][]) {
  const told = feasible.map((i) => models.map(({ means }) => means[i]))
  const points = [...told, ...believed]
  const front = nondominated(points).map((i) => points[i])
  const given = run.config.reference?.map((r, k) => {
    const inner = run.problem.objectives[k].direction === 'maximize' ? -r : r
    return (inner - models[k].fit.center) / models[k].fit.scale
  })
  const reference = given ? Float64Array.from(given) : referenceFor(points, front, trials.length + believed.length)
  const inside = front.filter((v) => v.every((x, k) => x < reference[k]))
  const most = MOST_POINTS[models.length]
  if (inside.length <= most) return { front: inside, reference }
  return { front: greedySubset(inside, most, reference).map((i) => inside[i]), reference }
}

/** Objectives of ParEGO as one: the largest weighted distance from the best, and a little of their sum. */
function scalarized(trials: readonly Trial[], objectives: number, weights: readonly number[]): Read {
  const told = trials.filter(({ value }) => !Number.isNaN(value))
  const range = Array.from({ length: objectives }, (_, k) =>
    told.reduce<[number, number]>(
      ([low, high], { values }) => [Math.min(low, values![k]), Math.max(high, values![k])],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ),
  )
  return ({ values }) => {
    const parts = weights.map((w, k) => {
      const [low, high] = range[k]
      // Halves, where the difference of values is beyond the largest number.
      return high > low ? w * ((values![k] / 2 - low / 2) / (high / 2 - low / 2)) : values![k] * 0
    })
    return Math.max(...parts) + RHO * parts.reduce((sum, part) => sum + part, 0)
  }
}

const acquisitionIn = ({ acquisition }: Config, { objectives }: Problem) =>
  acquisition ?? (objectives.length <= MOST_OBJECTIVES ? 'ehvi' : 'parego')

function suggest(scene: EhviScene, count: number): Params[] {
  const { run, own, rng, encoding } = scene
  const { config, problem } = run
  const trials = kept(scene.trials, config.maxRows)
  const parego = acquisitionIn(config, problem) === 'parego'
  const limitReads = (problem.constraints ?? []).map(
    (_, c): Read =>
      ({ constraints }) =>
        constraints[c],
  )
  const reads: Read[] = parego
    ? []
    : problem.objectives.map(
        (_, k): Read =>
          ({ values }) =>
            values![k],
      )
  const rows = [
    ...reads.map((read) => rowsOf(trials, read, true)),
    ...limitReads.map((read) => rowsOf(trials, read, false)),
  ]
  const due = own.rows === 0 || scene.trials.length >= Math.max(own.rows + 1, own.rows * config.refitGrowth)
  if (due) {
    own.fits = rows.map((part, i) => fitted(scene, part, own.fits[i]?.theta))
    own.rows = scene.trials.length
  }
  const feasible = trials.flatMap((trial, i) => (isFeasible(trial) ? [i] : []))
  const options = { candidates: config.nCandidates, starts: config.nStarts, maxEvaluations: MAX_ASCENT }
  const pending = [...scene.pending]
  const apart = (u: Float64Array) =>
    scene.allowed(u) && pending.every((v) => v.some((x, i) => Math.abs(x - u[i]) >= 1e-3))
  const found: Params[] = []
  return workspace().scope(() => {
    const models = rows.map((part, i) => modelOf(scene, part, own.fits[i], count))
    const objectives = models.slice(0, reads.length)
    // Of a constraint that was never told there is nothing to learn.
    const limits = models.slice(reads.length).filter((model) => model.rows.length > 0)
    const believed: number[][] = []
    const believe = (u: Float64Array) => {
      if (!parego) believed.push(objectives.map(({ surrogate }) => surrogate.predict([u], false)[0].mean))
      for (const { surrogate } of models) surrogate.believe(u)
    }
    for (const u of pending) believe(u)
    const elites = frontOf(trials)
    const starts = rng.shuffle(elites.length ? elites : trials).slice(0, ELITES)
    while (found.length < count) {
      const point = workspace().scope(() => {
        const acquisition = parego ? weighted(scene, trials, limits, pending, feasible) : volume(believed)
        return search(
          encoding,
          acquisition,
          starts.map(({ u }) => u),
          apart,
          rng,
          options,
        )
      })
      if (!point) break
      const params = encoding.decode(point)
      const { u } = encoding.encode(params)
      pending.push(u)
      believe(u)
      found.push(params)
    }
    return found

    function volume(points: number[][]): Acquisition {
      if (feasible.length === 0) return acquisitionOf(limits.length ? undefined : anywhere, objectives, limits)
      const { front, reference } = frontierOf(scene, objectives, feasible, points)
      const boxes = nondominatedBoxes(front, reference)
      return acquisitionOf((normals) => logVolumeImprovement(boxes, normals), objectives, limits)
    }
  })
}

/** Expected improvement under weights that are drawn for it. */
function weighted(
  scene: EhviScene,
  trials: readonly Trial[],
  limits: Model[],
  pending: readonly Float64Array[],
  feasible: readonly number[],
): Acquisition {
  const { run, rng } = scene
  const m = run.problem.objectives.length
  const draws = Array.from({ length: m }, () => -Math.log(1 - rng.uniform()))
  const total = draws.reduce((sum, x) => sum + x, 0)
  const read = scalarized(
    trials,
    m,
    draws.map((x) => x / total),
  )
  const rows = rowsOf(trials, read, true)
  const model = modelOf({ ...scene, pending }, rows, fitted(scene, rows), 0)
  let incumbent = feasible.reduce((least, i) => Math.min(least, model.means[i]), Number.POSITIVE_INFINITY)
  for (const u of pending) {
    incumbent = Math.min(incumbent, model.surrogate.predict([u], false)[0].mean)
    model.surrogate.believe(u)
  }
  if (feasible.length === 0) return acquisitionOf(limits.length ? undefined : anywhere, [model], limits)
  const improvement = (mean: number, s: number): Log => {
    const { value, cdf, density } = logH((incumbent - mean) / s)
    return { value: Math.log(s) + value, dMeans: [-cdf / s], dDeviations: [density / s] }
  }
  return acquisitionOf(({ means, deviations }) => improvement(means[0], deviations[0]), [model], limits)
}

export const method = sequentialMethod<Config, State>({
  id: 'ehvi',
  version: 2,
  title: 'Expected hypervolume improvement',
  summary:
    'Several objectives with few evaluations: a Gaussian process for each, asked where their Pareto front is expected to grow most. Takes outcome constraints, and more than four objectives by random weightings (ParEGO).',
  references: [
    {
      authors: 'S. Daulton, M. Balandat, E. Bakshy',
      title: 'Differentiable Expected Hypervolume Improvement for Parallel Multi-Objective Bayesian Optimization',
      year: 2020,
      url: 'https://arxiv.org/abs/2006.05078',
    },
    {
      authors: 'S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy',
      title: 'Unexpected Improvements to Expected Improvement for Bayesian Optimization',
      year: 2023,
      url: 'https://arxiv.org/abs/2310.20708',
    },
    {
      authors: 'J. Knowles',
      title:
        'ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems',
      year: 2006,
      url: 'https://doi.org/10.1109/TEVC.2005.851274',
    },
  ],
  config,
  facts: {
    objectives: 'many',
    constraints: true,
    parameters: ['float', 'int', 'categorical', 'ordinal', 'permutation', 'conditional', 'constrained'],
  },
  recipes: [
    { problem: 'two-objectives', maxEvaluations: 40, target: 0.05 },
    { problem: 'two-objectives', config: { acquisition: 'parego' }, maxEvaluations: 50, target: 0.1 },
  ],
  equations: ({ acquisition }) =>
    acquisition === 'parego'
      ? [
          String.raw`g_\lambda(y) = \max_k \lambda_k y_k + \rho \textstyle\sum_k \lambda_k y_k`,
          String.raw`x_{n+1} = \arg\max_x \; \log \mathrm{EI}_{g_\lambda}(x) + \textstyle\sum_c \log P(c(x) \le 0)`,
        ]
      : [
          String.raw`\mathrm{EHVI}(x) = \sum_b \prod_k \left(\psi_k(u_k^b) - \psi_k(l_k^b)\right), \quad \psi_k(t) = \mathbb{E}\,(t - y_k(x))_+`,
          String.raw`x_{n+1} = \arg\max_x \; \log \mathrm{EHVI}(x) + \textstyle\sum_c \log P(c(x) \le 0)`,
        ],
  nInitial: ({ nInitial }, { space }) => nInitial ?? 2 * ((space as SearchSpace).parameters.length + 1),
  check(parsed, { objectives: { length } }) {
    const { acquisition, reference } = parsed
    const issues = []
    if (length < 2) issues.push({ path: 'objectives', message: 'ehvi takes two objectives or more' })
    if (acquisition === 'ehvi' && length > MOST_OBJECTIVES)
      issues.push({
        path: 'config.acquisition',
        message: `ehvi takes ${MOST_OBJECTIVES} objectives at most, got ${length}`,
      })
    if (reference && reference.length !== length)
      issues.push({
        path: 'config.reference',
        message: `expected ${length} numbers, one per objective, got ${reference.length}`,
      })
    return issues
  },
  init: () => ({ rows: 0, fits: [] }),
  suggest,
  recommend({ run: { config: c, problem }, trials }) {
    const front = frontOf(trials)
    const estimate = paretoEstimate(problem, trials, front)
    const reference = c.reference?.map((r, k) => (problem.objectives[k].direction === 'maximize' ? -r : r))
    const values = front.map((trial) => trial.values as Float64Array)
    return {
      ...estimate,
      metrics: { front: front.length, ...(reference && { hypervolume: hypervolume(values, reference) }) },
    }
  },
})
