/**
 * Descent from directional derivatives along guesses of the gradient:
 * L. Fournier, S. Rivaud, E. Belilovsky, M. Eickenberg, E. Oyallon, "Can Forward Gradient Match Backpropagation?", ICML 2023
 * (arXiv:2306.06968), section 3; with random guesses the forward gradient of Baydin et al. 2022.
 *
 * Along a guess u the client tells j = <grad f, u>. Of a random guess, j u is an unbiased estimate; of a guess that is a
 * gradient itself, such as that of a loss near by, j u/|u|^2 is the projection of the gradient on it. By layers, each
 * tensor has its own derivative: the query's directions are then the guess restricted to one tensor after the other.
 *
 * Guesses that are told are gradients that a query asks for with the guess as its purpose; `local`, `ntk` and `fixed-ntk` are
 * those of auxiliary heads (trained, drawn anew for each batch, never trained). The derivatives of the target are asked
 * with the purpose `derivative`, on the same sample.
 */
import { z } from 'zod'
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import type { Tree } from '../../core/tree.js'
import { accumulate, dot, type Flat, gaussian, norm, rademacher, spaceOf } from '../../optimizers/flat.js'
import { type Turn, turnsMethod } from '../../optimizers/turns.js'
import { checkOptimizer, descend, iterate, optimizer, startDescent } from './descent.js'

const config = z.strictObject({
  guess: field(
    z.enum(['gaussian', 'rademacher', 'local', 'ntk', 'fixed-ntk', 'told']).default('gaussian'),
    'The directions: random, or gradients that the client tells.',
    { source: 'paper, section 3.2' },
  ),
  guesses: field(z.int().min(1).default(1), 'Guesses per step.', { source: 'paper, section 3.1' }),
  estimator: field(
    z.enum(['unnormalised', 'projection', 'sign', 'span']).default('unnormalised'),
    'j u; the projection on u; sign(j) u; or the projection on the span of all guesses. The first three are averaged.',
    { source: 'paper, section 3.1' },
  ),
  granularity: field(z.enum(['global', 'layer']).default('global'), 'One derivative for all, or one for each tensor.', {
    source: 'paper, section 3.3',
  }),
  target: field(
    z.enum(['global', 'local']).default('global'),
    'Which gradient is estimated: that of the loss, or the told guess itself, without any derivative.',
    { source: 'paper, section 3.3' },
  ),
  direct: field(
    z.array(z.string()).default([]),
    'Names of the tensors for which the told guess is taken as it is: auxiliary heads, and the last layer.',
    { source: 'paper, section 3.2' },
  ),
  diagnose: field(
    z.boolean().default(false),
    'Asks for the true gradient too, and reports its cosine with the estimate over all tensors but the direct ones.',
    { source: 'paper, section 4' },
  ),
  optimizer,
})
type Config = z.infer<typeof config>

type State = {
  x: Float64Array
  descent: Tree
  /** Where the present step's random guesses begin: drawn from copies until the step is taken. */
  rng: RngState
  /** The guesses of this step that were told. */
  told: Float64Array[] | null
  /** The estimate, while the true gradient is awaited, and the last one after it. */
  estimate: Float64Array
  phase: 'guess' | 'derivative' | 'truth'
  cosine: number | null
  t: number
}

const isRandom = ({ guess }: Config): boolean => guess === 'gaussian' || guess === 'rademacher'
const firstPhase = (config: Config): State['phase'] => (isRandom(config) ? 'derivative' : 'guess')

/** The parts of the vector that have derivatives of their own. */
function blocks({ granularity, direct }: Config, problem: Problem, flat: Flat): (readonly [number, number])[] {
  const names = spaceOf(problem)
    .tensors.map(({ name }) => name)
    .filter((name) => !direct.includes(name))
  if (granularity === 'layer') return names.map((name) => flat.range(name)!)
  return names.length === spaceOf(problem).tensors.length
    ? [[0, flat.dimension]]
    : names.map((name) => flat.range(name)!)
}

function guessesOf(config: Config, flat: Flat, { rng, told }: State): Float64Array[] {
  if (told) return told
  const draws = new Rng({ ...rng, counter: [...rng.counter] })
  const draw = config.guess === 'gaussian' ? gaussian : rademacher
  return Array.from({ length: config.guesses }, () => draw(draws, flat.dimension))
}

/** The directions of a guess: its blocks by layer, else one vector that is zero at the direct tensors. */
function directionsOf(run: Run<Config>, flat: Flat, u: Float64Array): Float64Array[] {
  const parts = blocks(run.config, run.problem, flat)
  const cut = (ranges: readonly (readonly [number, number])[]) => {
    const v = new Float64Array(u.length)
    for (const [from, to] of ranges) v.set(u.subarray(from, to), from)
    return v
  }
  return run.config.granularity === 'layer' ? parts.map((part) => cut([part])) : [cut(parts)]
}

/** An estimate of the gradient by its derivatives along guesses; all are of one block. */
export function combine(
  estimator: Config['estimator'],
  guesses: readonly Float64Array[],
  derivatives: readonly number[],
): Float64Array {
  const e = new Float64Array(guesses[0].length)
  if (estimator === 'span') {
    // By Gram-Schmidt: q_i orthonormal, with the derivative along each; dependent guesses add nothing.
    const basis: { q: Float64Array; j: number }[] = []
    guesses.forEach((u, i) => {
      const q = u.slice()
      let j = derivatives[i]
      for (let pass = 0; pass < 2; pass++)
        for (const known of basis) {
          const along = dot(known.q, q)
          accumulate(q, -along, known.q)
          j -= along * known.j
        }
      const length = norm(q)
      if (length <= DEPENDENT * norm(u)) return
      basis.push({ q: q.map((value) => value / length), j: j / length })
    })
    for (const { q, j } of basis) accumulate(e, j, q)
    return e
  }
  guesses.forEach((u, i) => {
    const j = derivatives[i]
    const scale = estimator === 'projection' ? j / (dot(u, u) + 1e-16) : estimator === 'sign' ? Math.sign(j) : j
    accumulate(e, scale / guesses.length, u)
  })
  return e
}

/** Length, relative to the guess, below which what is left of it by the others is rounding. */
const DEPENDENT = 1e-10

function ask(run: Run<Config>, flat: Flat, state: State): Turn {
  const { guess, guesses } = run.config
  const sampleKey = `s${state.t}`
  const gradient = [{ kind: 'gradient' as const }]
  if (state.phase === 'guess')
    return { points: Array.from({ length: guesses }, () => state.x), wants: gradient, purpose: guess, sampleKey }
  if (state.phase === 'truth') return { points: [state.x], wants: gradient, purpose: 'truth', sampleKey }
  const directions = guessesOf(run.config, flat, state).flatMap((u) => directionsOf(run, flat, u))
  return { points: [state.x, ...directions], wants: [{ kind: 'directional' }], purpose: 'derivative', sampleKey }
}

/** The estimate by the told derivatives, guess by guess and within a guess direction by direction. */
function estimate(run: Run<Config>, flat: Flat, state: State, derivatives: readonly number[]): Float64Array {
  const guesses = guessesOf(run.config, flat, state)
  const directions = guesses.map((u) => directionsOf(run, flat, u))
  const e = new Float64Array(flat.dimension)
  directions[0].forEach((_, k) => {
    const along = directions.map((of) => of[k])
    const told = guesses.map((_, i) => derivatives[i * directions[0].length + k])
    accumulate(e, 1, combine(run.config.estimator, along, told))
  })
  for (const name of run.config.direct) {
    const [from, to] = flat.range(name)!
    e.set(guesses[0].subarray(from, to), from)
  }
  return e
}

function step(run: Run<Config>, flat: Flat, state: State) {
  state.descent = descend(run, state.descent, flat, state.estimate)
  state.x = iterate(run, state.descent, flat)
  if (isRandom(run.config)) {
    const rng = new Rng(state.rng)
    for (let i = 0; i < run.config.guesses; i++)
      (run.config.guess === 'gaussian' ? gaussian : rademacher)(rng, flat.dimension)
  }
  state.told = null
  state.phase = firstPhase(run.config)
  state.t++
}

function learn(run: Run<Config>, flat: Flat, state: State, { gradients, derivatives }: Observation) {
  const { target, diagnose } = run.config
  const sign = run.problem.objectives[0].direction === 'maximize' ? -1 : 1
  const told = gradients?.map((g) => flat.vector(g).map((value) => sign * value))
  if (state.phase === 'truth') {
    const cut = (v: Float64Array) => {
      const kept = v.slice()
      for (const name of run.config.direct) kept.fill(0, ...flat.range(name)!)
      return kept
    }
    const [e, g] = [cut(state.estimate), cut(told![0])]
    const size = norm(e) * norm(g)
    state.cosine = size > 0 ? dot(e, g) / size : null
    return step(run, flat, state)
  }
  if (state.phase === 'guess') {
    state.told = told!
    state.phase = 'derivative'
    if (target === 'global') return
    state.estimate = told![0]
  } else
    state.estimate = estimate(
      run,
      flat,
      state,
      derivatives!.map((j) => sign * j),
    )
  if (diagnose) state.phase = 'truth'
  else step(run, flat, state)
}

export const method = turnsMethod<Config, State>({
  id: 'forward-gradient',
  family: 'zeroth',
  title: 'Forward gradient',
  summary: 'Descent without backpropagation: directional derivatives along random directions or local gradients.',
  references: [
    {
      authors: 'L. Fournier, S. Rivaud, E. Belilovsky, M. Eickenberg, E. Oyallon',
      title: 'Can Forward Gradient Match Backpropagation?',
      year: 2023,
      url: 'https://arxiv.org/abs/2306.06968',
    },
    {
      authors: 'A. G. Baydin, B. A. Pearlmutter, D. Syme, F. Wood, P. Torr',
      title: 'Gradients without Backpropagation',
      year: 2022,
      url: 'https://arxiv.org/abs/2202.08587',
    },
  ],
  config,
  recipes: [
    {
      problem: 'quadratic',
      config: { optimizer: { id: 'sgd', config: { learningRate: 0.01 } } },
      maxEvaluations: 1500,
      target: 1e-3,
    },
    {
      problem: 'quadratic',
      config: {
        guess: 'rademacher',
        guesses: 3,
        estimator: 'span',
        granularity: 'layer',
        optimizer: { id: 'sgd', config: { learningRate: 0.1 } },
      },
      maxEvaluations: 400,
      target: 1e-4,
    },
  ],
  equations: ({ estimator }) => [
    {
      unnormalised: String.raw`e = \langle \nabla f, u \rangle\, u`,
      projection: String.raw`e = \frac{\langle \nabla f, u \rangle}{\|u\|^2}\, u`,
      sign: String.raw`e = \mathrm{sign}(\langle \nabla f, u \rangle)\, u`,
      span: String.raw`e = U (U^\top U)^+ U^\top \nabla f`,
    }[estimator],
    String.raw`x \leftarrow \mathrm{rule}(x, e)`,
  ],
  needs: (config) => [
    ...(config.target === 'global' ? (['directional'] as const) : []),
    ...(isRandom(config) && !config.diagnose ? [] : (['gradient'] as const)),
  ],
  check(config, problem) {
    const issues = checkOptimizer(config, problem)
    const names = new Set(spaceOf(problem).tensors.map(({ name }) => name))
    config.direct.forEach((name, i) => {
      if (!names.has(name))
        issues.push({ path: `config.direct[${i}]`, message: `"${name}" is not a tensor of the space` })
    })
    if (config.direct.length === names.size)
      issues.push({ path: 'config.direct', message: 'expected a tensor that is left to estimate' })
    if (isRandom(config) && config.direct.length > 0)
      issues.push({ path: 'config.direct', message: 'random guesses are no gradients; expected a guess that is told' })
    if (isRandom(config) && config.target === 'local')
      issues.push({ path: 'config.target', message: 'random guesses are no gradients; expected a guess that is told' })
    return issues
  },
  init: (run, flat, seed) => ({
    x: flat.start(),
    descent: startDescent(run, seed),
    rng: rngStream(seed, 'guesses'),
    told: null,
    estimate: new Float64Array(flat.dimension),
    phase: firstPhase(run.config),
    cosine: null,
    t: 0,
  }),
  ask,
  learn,
  estimate: (_, { x, estimate, cosine, t }) => ({
    x,
    kind: 'iterate',
    step: t,
    metrics: { gradientNorm: norm(estimate), ...(cosine !== null && { cosine }) },
  }),
})
