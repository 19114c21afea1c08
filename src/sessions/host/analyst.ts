/** Computes analyses, and keeps trials and surrogates of the last few sessions: a prediction costs no fit while nothing is told. */
import { type Analysis, analyze, type Derived } from '../../blackbox/analysis/analysis.js'
import type { Plan } from '../../blackbox/analysis/request.js'
import type { TrialData } from '../../blackbox/analysis/trials.js'
import type { Problem } from '../../core/space.js'

/** `key` stands for the problem and the trials, which may be absent where they were sent before. */
export type AnalysisTask = { key: string; problem: Problem; trials?: readonly TrialData[]; plan: Plan }

const KEPT = 16

type Known = { trials: readonly TrialData[]; derived: Derived }

export class Analyst {
  /** The last used key is the last. */
  private readonly kept = new Map<string, Known>()

  /** Undefined when the trials are absent and not known. */
  analyze({ key, problem, trials, plan }: AnalysisTask): Analysis | undefined {
    const known = this.kept.get(key) ?? (trials && { trials, derived: { models: new Map() } })
    if (!known) return undefined
    this.kept.delete(key)
    this.kept.set(key, known)
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= KEPT) break
      this.kept.delete(oldest)
    }
    return analyze(problem, known.trials, plan, known.derived)
  }
}
