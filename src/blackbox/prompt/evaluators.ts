/**
 * Which of K candidates are best, under a budget of evaluated examples: the selection step of apo.
 * R. Pryzant et al., "Automatic Prompt Optimization with 'Gradient Descent' and Beam Search", EMNLP 2023, section 2.3;
 * successive rejects: J.-Y. Audibert, S. Bubeck, R. Munos, COLT 2010; successive halving: Z. Karnin, T. Koren,
 * O. Somekh, ICML 2013.
 */
export const EVALUATORS = ['ucb', 'ucb-e', 'successive-rejects', 'successive-halving', 'brute-force'] as const
export type EvaluatorId = (typeof EVALUATORS)[number]

export type EvaluatorOptions = {
  evaluator: EvaluatorId
  c: number
  samplesPerEval: number
  evalRounds: number
  promptsPerRound: number
}

/** Plain tree. `dropped` is the phase after which an arm left, Infinity for those that stay. */
export type Arms = { phase: number; samples: number[]; means: number[]; dropped: number[] }
/** So many examples for each of these arms, the same examples for all. */
export type Pulls = { arms: number[]; samples: number }

export const startArms = (count: number): Arms => ({
  phase: 0,
  samples: new Array(count).fill(0),
  means: new Array(count).fill(0),
  dropped: new Array(count).fill(Infinity),
})

/** Examples that one selection may evaluate in all. */
export const budgetOf = ({ samplesPerEval, evalRounds, promptsPerRound }: EvaluatorOptions) =>
  samplesPerEval * evalRounds * promptsPerRound

/** A mean score of `samples` further examples of an arm. */
export function recordScore(arms: Arms, arm: number, score: number, samples: number): void {
  arms.samples[arm] += samples
  arms.means[arm] += ((score - arms.means[arm]) * samples) / arms.samples[arm]
}

const all = (arms: Arms) => arms.means.map((_, arm) => arm)
const alive = (arms: Arms) => all(arms).filter((arm) => arms.dropped[arm] === Infinity)
const score = (arms: Arms, arm: number) => (arms.samples[arm] > 0 ? arms.means[arm] : -Infinity)
/** Descending by a number; of equals the earlier arm first, where infinities are equal too. */
const byDescending = (arms: readonly number[], of: (arm: number) => number) =>
  [...arms].sort((a, b) => (of(a) === of(b) ? a - b : of(b) - of(a)))

/** All arms, best first: those that stayed longest, then by mean score. Arms without a score come last. */
export function rankArms(arms: Arms): number[] {
  return byDescending(all(arms), (arm) => score(arms, arm)).sort((a, b) =>
    arms.dropped[a] === arms.dropped[b] ? 0 : arms.dropped[b] - arms.dropped[a],
  )
}

/** Examples that each surviving arm has after phase k (from 1) of successive rejects, K arms, budget B; 0 for k = 0. */
export function rejectsLevel(k: number, K: number, B: number): number {
  if (k === 0) return 0
  let logBar = 0.5
  for (let i = 2; i <= K; i++) logBar += 1 / i
  return Math.max(1, Math.ceil((B - K) / (logBar * (K + 1 - k))))
}

type Rule = (arms: Arms, options: EvaluatorOptions) => Pulls | null

const keepBest = (arms: Arms, count: number) => {
  for (const arm of byDescending(alive(arms), (a) => score(arms, a)).slice(count)) arms.dropped[arm] = arms.phase
}

/** Pull the arms of the highest upper bounds; those never pulled first. */
const ucb =
  (width: (t: number, samples: number, c: number) => number): Rule =>
  (arms, { evalRounds, promptsPerRound, samplesPerEval, c }) => {
    const t = arms.phase + 1
    if (t > evalRounds) return null
    const bound = (arm: number) => {
      const n = arms.samples[arm]
      return n === 0 ? Infinity : arms.means[arm] + width(t, n, c)
    }
    return { arms: byDescending(all(arms), bound).slice(0, promptsPerRound), samples: samplesPerEval }
  }

const RULES: Record<EvaluatorId, Rule> = {
  ucb: ucb((t, n, c) => c * Math.sqrt(Math.log(t) / n)),
  'ucb-e': ucb((_, n, c) => c * Math.sqrt(c / n)),
  'successive-rejects'(arms, options) {
    const K = arms.means.length
    const k = arms.phase
    if (k > 0) keepBest(arms, K - k)
    if (k >= K - 1) return null
    const level = (phase: number) => rejectsLevel(phase, K, budgetOf(options))
    return { arms: alive(arms), samples: level(k + 1) - level(k) }
  },
  'successive-halving'(arms, options) {
    const phases = Math.ceil(Math.log2(arms.means.length))
    if (arms.phase > 0) keepBest(arms, Math.ceil(alive(arms).length / 2))
    if (arms.phase >= phases) return null
    const left = alive(arms)
    return { arms: left, samples: Math.max(1, Math.floor(budgetOf(options) / (left.length * phases))) }
  },
  'brute-force'(arms, options) {
    if (arms.phase > 0) return null
    return { arms: all(arms), samples: Math.max(1, Math.floor(budgetOf(options) / arms.means.length)) }
  },
}

/** The next pulls, once those before are recorded; null when the selection is over. `samples` may be 0. */
export function nextPulls(arms: Arms, options: EvaluatorOptions): Pulls | null {
  // A lone arm needs no selection, only a score.
  const alone = arms.means.length === 1 && arms.phase === 0
  const pulls = alone ? { arms: [0], samples: options.samplesPerEval } : RULES[options.evaluator](arms, options)
  arms.phase++
  return pulls
}
