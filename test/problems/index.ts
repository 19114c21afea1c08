/** Named problems with known solutions, for recipes, the conformance suite and everything else that needs an oracle. */
import { layers } from './layers.js'
import {
  clicks,
  clusters,
  denoiser,
  fixedPoint,
  inversions,
  modelOutputs,
  rewards,
  sharedMinimum,
  smoothedWaves,
} from './models.js'
import { noisyModules } from './modules.js'
import {
  armsInRounds,
  experts,
  linearArms,
  linearRounds,
  requests,
  skiSeason,
  taskSystem,
  transport,
} from './online.js'
import { type Definition, type ProblemOptions, type TestProblem, testProblem } from './oracle.js'
import { phaseRetrieval } from './retrieval.js'
import { ruleFitnessProblem } from './rules.js'
import { branin, mixed, sphere5d, twoConstraints, twoObjectives } from './search.js'
import {
  bandit,
  bilinearGame,
  lowRank,
  particles,
  quadratic,
  rankSphere,
  rosenbrock,
  separable,
  sumOfTerms,
  truthTable,
} from './tensors.js'
import { keywords } from './text.js'
import { attribution, documents, factorization, scores } from './told.js'

export type { ProblemOptions, ResolveView, TestProblem } from './oracle.js'

const PROBLEMS: Readonly<Record<string, (options: ProblemOptions) => Definition>> = {
  quadratic,
  rosenbrock,
  'bilinear-game': bilinearGame,
  bandit,
  particles,
  'sum-of-terms': sumOfTerms,
  'rank-sphere': rankSphere,
  'truth-table': truthTable,
  separable,
  'low-rank': lowRank,
  'noisy-modules': noisyModules,
  'model-outputs': modelOutputs,
  layers,
  clicks,
  clusters,
  rewards,
  denoiser,
  inversions,
  'fixed-point': fixedPoint,
  'smoothed-waves': smoothedWaves,
  'shared-minimum': sharedMinimum,
  'phase-retrieval': phaseRetrieval,
  scores,
  attribution,
  factorization,
  documents,
  transport,
  'linear-rounds': linearRounds,
  'linear-arms': linearArms,
  'arms-in-rounds': armsInRounds,
  experts,
  requests,
  'task-system': taskSystem,
  'ski-season': skiSeason,
  branin,
  'sphere-5d': sphere5d,
  mixed,
  'two-objectives': twoObjectives,
  'two-constraints': twoConstraints,
  keywords,
  'rule-fitness': ruleFitnessProblem,
}

export const problemNames = Object.keys(PROBLEMS)

/** A fresh problem. Throws on an unknown name. */
export function problem(name: string, options: ProblemOptions = {}): TestProblem {
  const make = PROBLEMS[name]
  if (!make) throw new Error(`no test problem "${name}"; there are ${problemNames.join(', ')}`)
  return testProblem(name, make(options), options)
}
