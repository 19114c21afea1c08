/**
 * Thompson sampling: plays the arm that is best in a draw from the posterior.
 * W. R. Thompson, Biometrika 25, 1933; O. Chapelle, L. Li, "An Empirical Evaluation of Thompson Sampling", NIPS 2011,
 * algorithm 2 (Bernoulli); normal rewards with the normal-inverse-gamma posterior.
 */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { banditMethod, bestField } from './anatomy.js'
import { largest } from './arms.js'

const config = z.strictObject({
  rewards: field(
    z.enum(['normal', 'bernoulli']).default('normal'),
    'normal: mean and variance unknown. bernoulli: values from 0 to 1, coins of an unknown bias.',
    { source: 'Chapelle and Li' },
  ),
  priorSuccesses: field(z.number().positive().default(1), 'alpha of the Beta prior.', {
    source: 'paper',
    advanced: true,
  }),
  priorFailures: field(z.number().positive().default(1), 'beta of the Beta prior.', {
    source: 'paper',
    advanced: true,
  }),
  priorPlays: field(z.number().positive().default(0.01), 'Plays that the normal prior mean of 0 counts for.', {
    source: 'ours',
    advanced: true,
  }),
  bestReward: bestField,
})
type Config = z.infer<typeof config>
type State = { plays: Float64Array; means: Float64Array; squares: Float64Array }

/** A gamma variate of this shape and rate 1: G. Marsaglia, W. W. Tsang, ACM Trans. Math. Softw. 26, 2000. */
export function gamma(shape: number, rng: Rng): number {
  if (shape < 1) return gamma(shape + 1, rng) * (1 - rng.uniform()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = rng.normal()
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  }
}

function draw(c: Config, { plays, means, squares }: State, arm: number, rng: Rng): number {
  const n = plays[arm]
  if (c.rewards === 'bernoulli') {
    const successes = gamma(c.priorSuccesses + n * means[arm], rng)
    return successes / (successes + gamma(c.priorFailures + n * (1 - means[arm]), rng))
  }
  // Prior: mean 0 of priorPlays plays, precision Gamma(1, 1); the posterior mean is Student t.
  const total = c.priorPlays + n
  const rate = 1 + 0.5 * (squares[arm] + (c.priorPlays * n * means[arm] ** 2) / total)
  const precision = gamma(1 + n / 2, rng) / rate
  return (n * means[arm]) / total + rng.normal() / Math.sqrt(precision * total)
}

export const method = banditMethod<Config, State>({
  id: 'thompson',
  title: 'Thompson sampling',
  summary: 'Plays the arm that is best in a draw from the posterior of the mean rewards.',
  references: [
    {
      authors: 'O. Chapelle, L. Li',
      title: 'An Empirical Evaluation of Thompson Sampling',
      year: 2011,
      url: 'https://papers.nips.cc/paper/4321-an-empirical-evaluation-of-thompson-sampling',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', maxEvaluations: 100, target: -0.99 }],
  equations: ({ rewards }) => [
    rewards === 'bernoulli'
      ? String.raw`\theta_a \sim \mathrm{Beta}(\alpha + s_a, \beta + n_a - s_a)`
      : String.raw`\tau_a \sim \Gamma(\alpha_n, \beta_n), \quad \theta_a \sim N(m_n, 1/(\kappa_n \tau_a))`,
    String.raw`a_t = \arg\max_a \theta_a`,
  ],
  best: ({ bestReward }) => bestReward,
  init: (_, arms) => ({
    plays: new Float64Array(arms),
    means: new Float64Array(arms),
    squares: new Float64Array(arms),
  }),
  choose({ config: c }, own, { arms, rng }) {
    const draws = new Float64Array(own.means.length)
    for (const arm of arms) draws[arm] = draw(c, own, arm, rng)
    return { arm: largest(arms, (a) => draws[a], rng), purpose: 'posterior', means: own.means, bounds: draws }
  },
  learn({ config: c, problem }, { plays, means, squares }, { arm, reward: told }) {
    // Of a value to be minimized, the coin is 1 less it.
    const coin = problem.objectives[0].direction === 'maximize' ? told : 1 + told
    const reward = c.rewards === 'bernoulli' ? Math.min(1, Math.max(0, coin)) : told
    plays[arm]++
    const before = reward - means[arm]
    means[arm] += before / plays[arm]
    squares[arm] += before * (reward - means[arm])
  },
})
