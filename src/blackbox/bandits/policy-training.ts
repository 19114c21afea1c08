/** The options of learned-policy, its classes of instances, and the two steps of its training. */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import { type Game, losses, type Nodes, startPolicy, trainPolicy } from './game.js'

export const config = z.strictObject({
  instances: field(
    z
      .array(
        z.strictObject({
          answers: z
            .array(z.number().min(0).max(1))
            .meta({ description: 'Probability of a yes to each query, in the order of the items.' }),
          hypothesis: z.string().meta({ description: 'What is to be recommended if this is the instance.' }),
          complexity: z
            .number()
            .positive()
            .optional()
            .meta({ description: 'How hard it is; the sum of 1/gap^2 of its answers to the best when absent.' }),
        }),
      )
      .min(2),
    'The instances that may be: the adversary of the training chooses among them.',
    { source: 'paper' },
  ),
  budget: field(z.int().min(1).max(64), 'Queries T before the recommendation.', { source: 'paper' }),
  robust: field(
    z.boolean().default(true),
    'Step 2: near the best policy of every class at once. Otherwise the best policy of the largest class.',
    { source: 'paper' },
  ),
  policy: field(
    z.enum(['adaptive', 'non-adaptive']).default('adaptive'),
    'adaptive: a distribution of queries for every history. non-adaptive: one for every step.',
    { source: 'paper' },
  ),
  training: field(
    z.enum(['exact', 'sampled']).default('exact'),
    'Gradients by dynamic programming over all histories, or REINFORCE over episodes.',
    { source: 'paper' },
  ),
  episodes: field(z.int().min(2).max(4096).default(64), 'Episodes per instance and round of sampled training.', {
    source: 'ours',
    advanced: true,
  }),
  rounds: field(z.int().min(1).max(100000).default(600), 'Rounds of a game.', { source: 'ours' }),
  learningRate: field(z.number().positive().default(8), 'Step size of the policy.', { source: 'ours', log: true }),
  adversaryRate: field(z.number().positive().default(0.2), 'Step size of the adversary, on a log scale.', {
    source: 'ours',
    log: true,
  }),
  threshold: field(
    z.number().default(0.5),
    'Values of at least this are a yes; of an objective to be minimized, their negatives are compared.',
    {
      source: 'ours',
      advanced: true,
    },
  ),
})
export type Config = z.infer<typeof config>

export function gameOf({ instances, budget }: Config): { game: Game; hypotheses: string[] } {
  const hypotheses = [...new Set(instances.map(({ hypothesis }) => hypothesis))]
  const game = {
    answers: instances.map(({ answers }) => answers),
    hypothesis: instances.map(({ hypothesis }) => hypotheses.indexOf(hypothesis)),
    budget,
  }
  return { game, hypotheses }
}

/** Information-theoretic difficulty of finding the best arm: the sum of 1/gap^2, the best arm's gap being the least. */
function complexityOf({ answers, complexity }: Config['instances'][number]): number {
  if (complexity !== undefined) return complexity
  const top = answers.reduce((most, p) => Math.max(most, p), 0)
  const gaps = answers.map((p) => top - p).filter((gap) => gap > 0)
  if (gaps.length === 0) return 1
  const least = gaps.reduce((smallest, gap) => Math.min(smallest, gap), 1)
  return gaps.reduce((sum, gap) => sum + 1 / gap ** 2, 1 / least ** 2)
}

/** Nested classes of instances, of complexity at most 2^k; only those that add an instance. */
export function classesOf({ instances }: Config): number[][] {
  const order = instances.map((instance) => Math.ceil(Math.log2(complexityOf(instance)) - 1e-9))
  return [...new Set(order)].sort((a, b) => a - b).map((k) => [...instances.keys()].filter((i) => order[i] <= k))
}

/** Steps 1 and 2. Returns the policy to serve, the values of the classes, and its worst loss on each. */
export function learnPolicy(c: Config, game: Game, nodes: Nodes, rng: Rng) {
  const { learningRate, adversaryRate, rounds } = c
  const training = { learningRate, adversaryRate, rounds, episodes: c.training === 'exact' ? 0 : c.episodes, rng }
  const adaptive = c.policy === 'adaptive'
  const classes = classesOf(c)
  const trained = classes.map((instances) => {
    const policy = startPolicy(game, nodes, adaptive, rng)
    return { policy, value: trainPolicy(game, nodes, policy, instances, () => 0, training) }
  })
  const values = trained.map(({ value }) => value)
  let { policy } = trained[trained.length - 1]
  if (c.robust && classes.length > 1) {
    policy = startPolicy(game, nodes, adaptive, rng)
    const offset = (i: number) => Math.min(...values.filter((_, k) => classes[k].includes(i)))
    trainPolicy(game, nodes, policy, classes[classes.length - 1], offset, training)
  }
  const found = losses(game, nodes, policy)
  const worst = classes.map((instances) => Math.max(...instances.map((i) => found[i])))
  return { policy, policies: trained.map((t) => t.policy), values, worst }
}
