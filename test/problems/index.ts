/** Named problems with known solutions, for recipes, the conformance suite and everything else that needs an oracle. */
import { type Definition, type ProblemOptions, type TestProblem, testProblem } from './oracle.js'
import { ruleFitnessProblem } from './rules.js'
import { branin, mixed, sphere5d } from './search.js'
import {
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

export type { ProblemOptions, ResolveView, TestProblem } from './oracle.js'

const PROBLEMS: Readonly<Record<string, (options: ProblemOptions) => Definition>> = {
  quadratic,
  rosenbrock,
  'bilinear-game': bilinearGame,
  particles,
  'sum-of-terms': sumOfTerms,
  'rank-sphere': rankSphere,
  'truth-table': truthTable,
  separable,
  'low-rank': lowRank,
  branin,
  'sphere-5d': sphere5d,
  mixed,
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
