/**
 * Bayesian optimization as in the tutorial: P. I. Frazier, "A Tutorial on Bayesian Optimization", arXiv 1807.02811, 2018:
 * the acquisition functions of its section 4 and the exotic problems of its section 5. (`gp` is faster and bound to
 * improvement; this one is for problems that need more than values at points that all count.)
 *
 * - Trials whose fidelity, condition or task is not the one that counts inform through the kernel; the worth of a design
 *   is its mean at the top fidelity, over the conditions by their weights, or on the target task.
 * - Earlier sessions are tasks beside this one (tasks.ts). Their best trials are asked first, and half as many space-filling
 *   ones; then a model with the tasks and one without them take turns, so that earlier sessions that mislead cost no more
 *   than half of the evaluations.
 * - Pending points are drawn from the posterior, several times, with the same numbers for a whole batch.
 */
import type { Estimate } from '../../core/method.js'
import type { Quantity } from '../../core/query.js'
import type { Params, Problem, SearchSpace } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { sobolSequence } from '../sampling/sobol.js'
import type { Encoding } from '../space/encoding.js'
import { signOf } from '../space/progress.js'
import { logNormalCdf } from './acquisition.js'
import {
  type Beliefs,
  type Channel,
  condition,
  type Fit,
  fitChannels,
  type ModelOptions,
  outcomeOf,
} from './beliefs.js'
import { acquisitionIn, type Config, check, config, designer, hasTarget } from './gp-bo-options.js'
import { gumbelMinima, MINIMA } from './mes.js'
import { search } from './search.js'
import { type Scene, sequentialMethod } from './sequential.js'
import type { Dimensions } from './surrogate.js'
import { earlierMeans, type Trend } from './tasks.js'
import { bestTrial, isFeasible, trialEstimate } from './trials.js'
import * as worth from './worth.js'

type Fitted = { rows: number; fits: Fit[] }
/** Where there are earlier sessions also the fits of this session alone, and how many suggestions came. */
type State = Fitted & { alone?: Fitted; turns?: number }
type GpScene = Scene<Config, State>

const MAX_ASCENT = 20
const ELITES = 5
/** Designs whose constraints hold with at least this probability may be chosen. */
const LIKELY = Math.log(0.5)

function channelsOf({ fidelity }: Config, { constraints = [] }: Problem): Channel[] {
  return ['objective', ...constraints.keys(), ...(fidelity?.cost === 'told' ? (['cost'] as const) : [])]
}

const modelOf = ({ kernel, noise, maxRows, outcomeTransform, lengthPrior }: Config): ModelOptions => ({
  kind: kernel,
  prior: 'constant',
  noise,
  maxRows,
  outcome: outcomeTransform,
  lengths: lengthPrior,
})

/** The processes of the trials so far, their hyperparameters fitted again when it is time. */
function beliefsOf({ run, own, trials, encoding, dimensions }: GpScene, refit: boolean, alone = false): Beliefs {
  const { config } = run
  const channels = channelsOf(config, run.problem)
  const options = { ...modelOf(config), tasks: alone ? [] : tasksOf(run, encoding, dimensions) }
  const fitted: Fitted = alone ? (own.alone ??= { rows: 0, fits: [] }) : own
  const { rows } = fitted
  const due = rows === 0 || trials.length >= Math.max(rows + 1, Math.ceil(rows * config.refitGrowth))
  if (refit && due) {
    fitted.fits = fitChannels(trials, channels, dimensions, options, rows ? fitted.fits : undefined)
    fitted.rows = trials.length
  }
  return condition(trials, channels, dimensions, options, fitted.fits, fitted.rows)
}

function tasksOf({ config, problem, earlier = [], memo }: GpScene['run'], encoding: Encoding, dimensions: Dimensions) {
  const known = memo.get('gp-bo tasks') as Trend[] | undefined
  if (known) return known
  const { outcome, lengths } = modelOf(config)
  const tasks = earlierMeans(workspace(), encoding, dimensions, earlier, signOf(problem), { outcome, lengths })
  memo.set('gp-bo tasks', tasks)
  return tasks
}

/** Log probability that all constraints hold. */
function feasibility({ processes, fits }: Beliefs, constraints: number): worth.Worth {
  return (u) => {
    let sum = 0
    for (let c = 1; c <= constraints; c++) {
      const { mean, variance } = processes[c].at(u)
      sum += logNormalCdf((-fits[c].center / fits[c].scale - mean) / Math.sqrt(variance))
    }
    return sum
  }
}

/** Logarithm of what an evaluation costs. */
function costOf({ run, encoding }: GpScene, { processes, fits }: Beliefs): worth.Worth | undefined {
  const { fidelity } = run.config
  if (!fidelity) return undefined
  if (fidelity.cost === 'linear') {
    const axis = encoding.axes.findIndex(({ parameter }) => parameter.name === fidelity.parameter)
    return (u) => Math.log(fidelity.fixedCost + u[axis])
  }
  const last = processes.length - 1
  return (u) => fits[last].center + fits[last].scale * processes[last].at(u).mean
}

/** Designs to compare: those of told trials and of a space-filling set, those whose constraints may hold. */
function designsOf(scene: GpScene, beliefs: Beliefs, size: number): worth.Design[] {
  const { run, encoding, trials } = scene
  const design = designer(run.config, encoding.axes)
  const sobol = sobolSequence(encoding.dimension)
  const grid = Array.from({ length: size }, (_, i) => encoding.encode(encoding.decode(sobol(i))).u)
  const designs = [...trials.map(({ u }) => u), ...grid].map(design)
  const log = feasibility(beliefs, run.problem.constraints?.length ?? 0)
  const likely = designs.filter((points) => points.every(({ u }) => log(u) >= LIKELY))
  return likely.length ? likely : designs
}

/** Draws of the least value in each world, from its values at told trials and at space-filling points. */
function minimaOf(scene: GpScene, beliefs: Beliefs, worlds: readonly worth.World[]): number[][] {
  const points = designsOf(scene, beliefs, scene.run.config.nCandidates).map(([{ u }]) => u)
  const [{ process: first }] = worlds
  const whites = points.map((u) => first.whiten(u))
  return worlds.map(({ process, incumbent }) => {
    const normals = whites.map((white) => ({ mean: process.meanOf(white), variance: first.varianceOf(white) }))
    return gumbelMinima(normals, incumbent, MINIMA, scene.rng)
  })
}

function worthOf(scene: GpScene, beliefs: Beliefs, worlds: readonly worth.World[]): worth.Worth[] {
  const { run, encoding, trials } = scene
  const { config, problem } = run
  const kind = acquisitionIn(config)
  const worths: worth.Worth[] = []
  const feasible = problem.constraints?.length ? trials.some(isFeasible) : true
  // Without a feasible trial there is nothing to improve on: look for one.
  if (feasible) {
    const design = designer(config, encoding.axes)
    if (kind === 'ei') worths.push(worth.improvement(worlds))
    else if (kind === 'pi') worths.push(worth.improvementProbability(worlds))
    else if (kind === 'mes') worths.push(worth.maxValueEntropy(worlds, minimaOf(scene, beliefs, worlds)))
    else if (kind === 'ucb') worths.push(worth.confidenceBound(worlds, config.beta))
    else if (kind === 'kg')
      worths.push(worth.knowledgeGradient(worlds, designsOf(scene, beliefs, config.gridSize), design, 'all'))
    else worths.push(worth.knowledgeGradient(worlds, designsOf(scene, beliefs, 0), design, 'given'))
  }
  if (problem.constraints?.length) worths.push(feasibility(beliefs, problem.constraints.length))
  const cost = costOf(scene, beliefs)
  if (cost) worths.push((u) => -cost(u))
  return worths
}

function suggest(scene: GpScene, count: number): Params[] {
  const { run, encoding, trials, rng, dimensions, own } = scene
  const { config } = run
  const alone = !!run.earlier && (own.turns = (own.turns ?? 0) + 1) % 2 === 0
  const beliefs = beliefsOf(scene, true, alone)
  const [objective] = beliefs.processes
  const pending = [...scene.pending]
  const draws = Array.from({ length: config.fantasies }, () =>
    Float64Array.from({ length: pending.length + count }, () => rng.normal()),
  )
  const means = trials.map((trial) => (isFeasible(trial) ? objective.at(trial.u).mean : Number.POSITIVE_INFINITY))
  const order = [...means.keys()].sort((a, b) => means[a] - means[b] || a - b)
  const incumbent = Number.isFinite(means[order[0]]) ? means[order[0]] : objective.mean
  const elites = order.slice(0, ELITES).map((i) => trials[i].u)
  const options = { candidates: config.nCandidates, starts: config.nStarts, maxEvaluations: MAX_ASCENT }
  const found: Params[] = []
  while (found.length < count) {
    const worlds = pending.length
      ? objective
          .fantasies(pending, draws)
          .map(({ process, values }) => ({ process, incumbent: Math.min(incumbent, ...values) }))
      : [{ process: objective, incumbent }]
    const apart = (u: Float64Array) =>
      scene.allowed(u) && pending.every((v) => v.some((x, i) => Math.abs(x - u[i]) >= 1e-3))
    let point: Float64Array | undefined
    if (acquisitionIn(config) === 'es') {
      const grid = designsOf(scene, beliefs, config.gridSize).map(([{ u }]) => u)
      const gains = worth.entropySearch(worlds, grid, config.samples, rng)
      const best = [...grid.keys()].filter((i) => apart(grid[i])).sort((a, b) => gains[b] - gains[a] || a - b)
      point = grid[best[0]]
    } else {
      const acquisition = worth.acquisitionOf(worthOf(scene, beliefs, worlds), dimensions.ordered)
      point = search(encoding, acquisition, elites, apart, rng, options)
    }
    if (!point) break
    const params = encoding.decode(point)
    pending.push(encoding.encode(params).u)
    found.push(params)
  }
  return found
}

/** The estimate, with the posterior mean and deviation of its value; under an outcome transform its median and a mean half-width. */
function recommend(scene: GpScene): Estimate {
  const { run, encoding, trials, own } = scene
  const { config, problem } = run
  const how = config.recommendation ?? (hasTarget(config) ? 'model' : 'observed')
  const best = trialEstimate(problem, trials, bestTrial(trials))
  if (own.rows === 0) return best
  const state = `${trials.length} ${own.rows}`
  const known = run.memo.get('gp-bo') as { trials: unknown; state: string; estimate: Estimate } | undefined
  if (known?.trials === trials && known.state === state) return known.estimate
  const beliefs = beliefsOf(scene, false)
  const [objective] = beliefs.processes
  const [{ center, scale }] = beliefs.fits
  const sign = signOf(problem)
  const { inverse } = outcomeOf(trials, modelOf(config), own.rows)
  const told = (value: number) => inverse(center + scale * value)
  const designs = designsOf(scene, beliefs, how === 'model' ? 4 * config.gridSize : 0)
  const means = designs.map((design) => worth.designMean(objective, design))
  const at = means.reduce((least, mean, i) => (mean < means[least] ? i : least), 0)
  const heaviest = designs[at].reduce((most, point) => (point.weight > most.weight ? point : most))
  const u = how === 'observed' && best.points.length ? encoding.encode(bestTrial(trials)!.params).u : heaviest.u
  const { mean, variance } = objective.at(u)
  const chosen: Estimate =
    how === 'observed' && best.points.length
      ? best
      : {
          ...best,
          points: [{ point: { kind: 'params', params: encoding.decode(u) }, values: [sign * told(means[at])] }],
        }
  const deviation = Math.sqrt(variance)
  const posteriorDeviation =
    (config.outcomeTransform ?? 'standardize') === 'standardize'
      ? scale * deviation
      : (told(mean + deviation) - told(mean - deviation)) / 2
  const metrics = { posteriorMean: sign * told(mean), posteriorDeviation }
  const estimate = { ...chosen, metrics }
  run.memo.set('gp-bo', { trials, state, estimate })
  return estimate
}

const GRADIENT = 'Derivative of the objective in each parameter of the space, in its order and units.'
const COST = 'What this evaluation cost; a positive number.'

export const method = sequentialMethod<Config, State>({
  id: 'gp-bo',
  title: 'Bayesian optimization of the tutorial',
  summary:
    'A Gaussian process with a choice of acquisition functions, and with what practice brings: noise, gradients, constraints, fidelities with cost, random conditions, related tasks, joint batches.',
  references: [
    {
      authors: 'P. I. Frazier',
      title: 'A Tutorial on Bayesian Optimization',
      year: 2018,
      url: 'https://arxiv.org/abs/1807.02811',
    },
    {
      authors: 'Z. Wang, S. Jegelka',
      title: 'Max-value Entropy Search for Efficient Bayesian Optimization',
      year: 2017,
      url: 'https://arxiv.org/abs/1703.01968',
    },
    {
      authors: "M. C. Kennedy, A. O'Hagan",
      title: 'Predicting the Output from a Complex Computer Code When Fast Approximations Are Available',
      year: 2000,
      url: 'https://doi.org/10.1093/biomet/87.1.1',
    },
  ],
  config,
  facts: { constraints: true, warmStart: true },
  recipes: [
    { problem: 'branin', maxEvaluations: 40, target: 0.42 },
    { problem: 'mixed', maxEvaluations: 40, target: 1e-2 },
  ],
  equations: (c) => [
    String.raw`\mu(x) = m + k(x)^\top K^{-1} (y - m), \quad s^2(x) = k(x, x) - k(x)^\top K^{-1} k(x)`,
    {
      ei: String.raw`\mathrm{EI}(x) = \Delta\,\Phi(\Delta / s) + s\,\varphi(\Delta / s), \quad \Delta = f^* - \mu(x)`,
      'noisy-ei': String.raw`\min_{i \le n} \mu_n(x_i) - \mathbb{E}\left[\min_{i \le n+1} \mu_{n+1}(x_i)\right]`,
      kg: String.raw`\mathrm{KG}(x) = \min_{x'} \mu_n(x') - \mathbb{E}\left[\min_{x'} \mu_{n+1}(x') \mid x_{n+1} = x\right]`,
      es: String.raw`H[p(x^*)] - \mathbb{E}_y\, H[p(x^* \mid x, y)]`,
      mes: String.raw`\frac{1}{K} \sum_{y^*} \frac{\gamma\,\varphi(\gamma)}{2\,\Phi(\gamma)} - \log \Phi(\gamma), \quad \gamma = (\mu(x) - y^*) / s(x)`,
      ucb: String.raw`\beta\, s(x) - \mu(x)`,
      pi: String.raw`\Phi\left((f^* - \mu(x)) / s(x)\right)`,
    }[acquisitionIn(c)],
  ],
  nInitial: ({ nInitial }, { space }, warm) =>
    nInitial ?? (warm ? 1 : 2) * ((space as SearchSpace).parameters.length + 1),
  quantities: (c, { space }): readonly Quantity[] => [
    ...(c.gradients
      ? [{ name: 'gradient', shape: [(space as SearchSpace).parameters.length], description: GRADIENT }]
      : []),
    ...(c.fidelity?.cost === 'told' ? [{ name: 'cost', shape: [1], description: COST }] : []),
  ],
  check,
  init: () => ({ rows: 0, fits: [] }),
  suggest,
  recommend,
})
