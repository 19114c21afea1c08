/**
 * Learned query policies: trained in a game against the worst instance, then served as a session.
 * J. Zhang, L. Jain, K. Jamieson, "Learning to Actively Learn: A Robust Approach", 2020,
 * arXiv 2010.15382.
 *
 * Classes K_k hold the instances of complexity at most 2^k. Step 1 finds the best policy of each class and its value L_k, step
 * 2 a policy whose loss exceeds L_k by little on all classes at once. The items of the space are the queries; a value
 * of at least the threshold is a yes. After the budget the session ends with the hypothesis it recommends.
 */
import type { Issue } from '../../core/errors.js'
import { defineMethod, type Estimate, type Outcome, type Run } from '../../core/method.js'
import type { Event, Query } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import type { ItemsSpace, Problem } from '../../core/space.js'
import { type Game, guesses, MAX_NODES, type Nodes, policyAt, unfold } from './game.js'
import { type Config, classesOf, config, gameOf, learnPolicy } from './policy-training.js'

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

function memoOf({ config, memo }: Run<Config>): Memo {
  const known = memo.get('learned-policy') as Memo | undefined
  if (known) return known
  const { game, hypotheses } = gameOf(config)
  const made = { game, hypotheses, nodes: unfold(game) as Nodes }
  memo.set('learned-policy', made)
  return made
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
      authors: 'J. Zhang, L. Jain, K. Jamieson',
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
