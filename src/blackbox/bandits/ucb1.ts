/**
 * UCB1: the arm whose upper confidence bound is largest.
 * P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 47, 2002,
 * figure 1, for rewards in an interval of width `range`. Open plays count as plays, so that parallel rounds spread.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { banditMethod, bestField } from './anatomy.js'
import { largest } from './arms.js'

const config = z.strictObject({
  range: field(z.number().positive().default(1), 'Width of the interval that rewards lie in.', { source: 'paper' }),
  exploration: field(z.number().min(0).default(2), 'c of sqrt(c ln t / n_a).', { source: 'paper', mutable: true }),
  bestReward: bestField,
})
type Config = z.infer<typeof config>
/** `chosen` counts rounds asked, `plays` those told. */
type State = { rounds: number; chosen: Float64Array; plays: Float64Array; means: Float64Array }

export const method = banditMethod<Config, State>({
  id: 'ucb1',
  title: 'UCB1',
  summary: 'Plays the arm whose mean reward plus confidence width is largest; needs the range of rewards.',
  references: [
    {
      authors: 'P. Auer, N. Cesa-Bianchi, P. Fischer',
      title: 'Finite-time Analysis of the Multiarmed Bandit Problem',
      year: 2002,
      url: 'https://doi.org/10.1023/A:1013689704352',
    },
  ],
  config,
  recipes: [{ problem: 'linear-arms', config: { range: 2 }, maxEvaluations: 60, target: -0.99 }],
  equations: () => [String.raw`a_t = \arg\max_a\; \hat\mu_a + R \sqrt{c \ln t / n_a}`],
  best: ({ bestReward }) => bestReward,
  init: (_, arms) => ({
    rounds: 0,
    chosen: new Float64Array(arms),
    plays: new Float64Array(arms),
    means: new Float64Array(arms),
  }),
  choose({ config: { range, exploration } }, own, { arms, rng }) {
    own.rounds++
    const bounds = own.means.map(
      (mean, a) => mean + range * Math.sqrt((exploration * Math.log(own.rounds)) / Math.max(own.chosen[a], 1)),
    )
    const arm = largest(arms, (a) => (own.chosen[a] > 0 ? bounds[a] : Number.POSITIVE_INFINITY), rng)
    own.chosen[arm]++
    return { arm, purpose: 'optimism', means: own.means, bounds }
  },
  learn(_, { plays, means }, { arm, reward }) {
    plays[arm]++
    means[arm] += (reward - means[arm]) / plays[arm]
  },
})
