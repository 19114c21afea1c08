/**
 * Learned query policies: trained in a game against the worst instance, then served as a session.
 * Z. Zhang, R. Camilleri, J. Katz-Samuels, A. Jain, K. Jamieson, "Learning to Actively Learn: A Robust Approach", 2020,
 * arXiv 2010.15382, equations 2 and 3.
 *
 * Classes K_k hold the instances of complexity at most 2^k. Step 1 finds the best policy of each class and its value L_k, step
 * 2 a policy whose loss exceeds L_k by little on all classes at once. The items of the space are the queries; a value
 * of at least the threshold is a yes. After the budget the session ends with the hypothesis it recommends.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Estimate, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { ItemsSpace, Problem } from '../../core/space.js'
import {
  type Game,
  guesses,
  losses,
  MAX_NODES,
  type Nodes,
  policyAt,
  startPolicy,
  trainPolicy,
  unfold,
} from './game.js'

const config = z.strictObject({
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
    { source: 'paper, section 2' },
  ),
  budget: field(z.int().min(1).max(64), 'Queries T before the recommendation.', { source: 'paper, section 2' }),
  robust: field(
    z.boolean().default(true),
    'Step 2: near the best policy of every class at once. Otherwise the best policy of the largest class.',
    { source: 'paper, equation 3' },
  ),
  policy: field(
    z.enum(['adaptive', 'non-adaptive']).default('adaptive'),
    'adaptive: a distribution of queries for every history. non-adaptive: one for every step.',
    { source: 'paper, section 3' },
  ),
  training: field(
    z.enum(['exact', 'sampled']).default('exact'),
    'Gradients by dynamic programming over all histories, or REINFORCE over episodes.',
    { source: 'paper, section 4' },
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
    'Values that are at least this are a yes; at most, if minimized its negative.',
    {
      source: 'ours',
      advanced: true,
    },
  ),
})
type Config = z.infer<typeof config>

type State = {
  rng: RngState
  asked: number
  /** Queries answered, the node of their answers, and how many answers no instance allows. */
  answered: number
  node: number
  impossible: number
  open: string | null
  /** The query that is open or to be asked again, and those that cannot be asked. */
  query: number
  refused: number[]
  logits: Float64Array
  /** Worst loss of the served policy on each class, and the value L_k of the class. */
  worst: number[]
  values: number[]
}

type Memo = { game: Game; nodes: Nodes; hypotheses: readonly string[] }

function gameOf({ instances, budget }: Config): { game: Game; hypotheses: string[] } {
  const hypotheses = [...new Set(instances.map(({ hypothesis }) => hypothesis))]
  const game = {
    answers: instances.map(({ answers }) => answers),
    hypothesis: instances.map(({ hypothesis }) => hypotheses.indexOf(hypothesis)),
    budget,
  }
  return { game, hypotheses }
}

function memoOf({ config, memo }: Run<Config>): Memo {
  const known = memo.get('learned-policy') as Memo | undefined
  if (known) return known
  const { game, hypotheses } = gameOf(config)
  const made = { game, hypotheses, nodes: unfold(game) as Nodes }
  memo.set('learned-policy', made)
  return made
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

/** The next query: drawn from the policy among those that can be asked; -1 when there is none. */
function draw({ game }: Memo, c: Config, state: State): number {
  const queries = game.answers[0].length
  const policy = { adaptive: c.policy === 'adaptive', logits: state.logits }
  const p = policyAt(policy, queries, state.node, state.answered).map((v, i) => (state.refused.includes(i) ? 0 : v))
  const total = p.reduce((sum, v) => sum + v, 0)
  let u = new Rng(state.rng).uniform() * total
  const found = p.findIndex((v) => v > 0 && (u -= v) < 0)
  return found >= 0 ? found : p.findLastIndex((v) => v > 0)
}

function ask(run: Run<Config>, state: State): Query | undefined {
  const memo = memoOf(run)
  if (state.logits.length === 0) {
    const rng = new Rng(state.rng)
    const { policy, values, worst } = learnPolicy(run.config, memo.game, memo.nodes, rng)
    Object.assign(state, { logits: policy.logits, values, worst })
  }
  if (state.query < 0) state.query = draw(memo, run.config, state)
  if (state.query < 0) return undefined
  state.open = `q${state.asked++}`
  const { id } = (run.problem.space as ItemsSpace).items[state.query]
  return { id: state.open, points: [{ kind: 'item', item: id }], wants: [{ kind: 'value' }], purpose: 'query' }
}

function observe(run: Run<Config>, state: State, { observation }: Extract<Event, { type: 'observation' }>) {
  const { nodes } = memoOf(run)
  state.open = null
  if (observation.status === 'infeasible') state.refused.push(state.query)
  if (observation.status === 'infeasible' || observation.status === 'pruned') state.query = -1
  const value = observation.values?.[0]?.[0]
  if (observation.status !== 'ok' || value === undefined || Number.isNaN(value)) return
  const reward = run.problem.objectives[0].direction === 'maximize' ? value : -value
  const yes = reward >= run.config.threshold ? 1 : 0
  const child = nodes.children[state.node]?.[2 * state.query + yes] ?? -1
  if (child >= 0) state.node = child
  else state.impossible++
  state.query = -1
  state.answered++
}

function step(run: Run<Config>, state: State, events: readonly Event[]): Outcome<State> {
  const { budget } = run.config
  const queries: Query[] = []
  let wanted = 0
  let stuck = false
  for (const event of events) {
    if (event.type === 'observation' && event.query.id === state.open) observe(run, state, event)
    if (event.type !== 'capacity') continue
    wanted += event.count
    if (event.count === 0 || state.open !== null || state.answered >= budget) continue
    const query = ask(run, state)
    if (query) queries.push(query)
    else stuck = true
  }
  if (state.answered >= budget) {
    const { game, nodes, hypotheses } = memoOf(run)
    const names = guesses(game, nodes.likelihood[state.node]).map((h) => hypotheses[h])
    return { state, queries, status: { phase: 'done', reason: `recommends ${names.join(' or ')}` } }
  }
  const reason = stuck ? 'no query can be asked' : 'the next query depends on the answer to the open one'
  const short = { reason, until: stuck ? 'never' : 'tell' } as const
  return { state, queries, status: { phase: 'running' }, short: queries.length < wanted ? short : undefined }
}

/** The recommendation: an item where a hypothesis is named so; the numbers say how sure it is, and the worst losses. */
function estimate(run: Run<Config>, state: State): Estimate {
  const { game, nodes, hypotheses } = memoOf(run)
  const likelihood = nodes.likelihood[state.node]
  const total = likelihood.reduce((sum, l) => sum + l, 0)
  const [best] = guesses(game, likelihood)
  const metrics: { [name: string]: number } = { recommendation: best, impossible: state.impossible }
  hypotheses.forEach((name, h) => {
    metrics[`probability ${name}`] =
      likelihood.reduce((sum, l, i) => (game.hypothesis[i] === h ? sum + l : sum), 0) / total
  })
  classesOf(run.config).forEach((_, k) => {
    if (k >= state.worst.length) return
    metrics[`worst loss of class ${k}`] = state.worst[k]
    metrics[`least worst loss of class ${k}`] = state.values[k]
  })
  const item = (run.problem.space as ItemsSpace).items.find(({ id }) => id === hypotheses[best])
  const points = item && state.answered > 0 ? [{ point: { kind: 'item', item: item.id } as const }] : []
  return { kind: 'best', points, step: state.answered, metrics }
}

function check(c: Config, { space }: Problem): Issue[] {
  if (space.kind !== 'items') return []
  const issues = c.instances.flatMap(({ answers }, i) =>
    answers.length === space.items.length
      ? []
      : [
          {
            path: `config.instances[${i}].answers`,
            message: `expected ${space.items.length} probabilities, one per item, got ${answers.length}`,
          },
        ],
  )
  if (issues.length === 0 && !unfold(gameOf(c).game))
    issues.push({
      path: 'config.budget',
      message: `has more than ${MAX_NODES} different histories: a table cannot hold them`,
    })
  return issues
}

export const method = defineMethod<Config, State>({
  id: 'learned-policy',
  version: 1,
  stateVersion: 1,
  family: 'bandit',
  title: 'Learned query policy',
  summary:
    'Few queries to find which of given hypotheses holds: a policy trained against the worst instance of every class of difficulty, then served.',
  references: [
    {
      authors: 'Z. Zhang, R. Camilleri, J. Katz-Samuels, A. Jain, K. Jamieson',
      title: 'Learning to Actively Learn: A Robust Approach',
      year: 2020,
      url: 'https://arxiv.org/abs/2010.15382',
    },
  ],
  config,
  facts: {
    spaces: ['items'],
    objectives: 'one',
    constraints: false,
    parallel: false,
    unsolicited: 'reject',
    invariances: [],
    heavy: true,
  },
  recipes: [
    {
      problem: 'linear-arms',
      config: {
        instances: [0, 1, 2, 3, 4].map((best) => ({
          answers: [0, 1, 2, 3, 4].map((arm) => (arm === best ? 1 : 0)),
          hypothesis: `arm${best}`,
        })),
        budget: 4,
        rounds: 100,
      },
      maxEvaluations: 4,
      target: -0.99,
    },
  ],
  equations: ({ robust }) => [
    String.raw`L_k = \min_\pi \max_{\theta \in K_k} \ell(\pi, \theta), \quad K_k = \{\theta : C(\theta) \le 2^k\}`,
    robust
      ? String.raw`\pi = \arg\min_\pi \max_k \left(\max_{\theta \in K_k} \ell(\pi, \theta) - L_k\right)`
      : String.raw`\pi = \arg\min_\pi \max_\theta \ell(\pi, \theta)`,
    String.raw`w \leftarrow w - \eta \sum_j q_j \nabla_w \ell(\pi_w, \theta_j), \qquad \log q_j \leftarrow \log q_j + \eta_q\, \ell(\pi_w, \theta_j)`,
  ],
  needs: () => ['value'],
  check,
  init: (_, seed) => ({
    rng: rngStream(seed, 'learned-policy'),
    asked: 0,
    answered: 0,
    node: 0,
    impossible: 0,
    open: null,
    query: -1,
    refused: [],
    logits: new Float64Array(0),
    worst: [],
    values: [],
  }),
  step,
  estimate,
})
