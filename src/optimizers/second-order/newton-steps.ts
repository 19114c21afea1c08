/**
 * Newton's method with step sizes: x = x - alpha*n with n = H^-1 g and the local norm l = sqrt(g'n) of the gradient.
 * S. Hanzely, F. Abdukhakimov, M. Takac, "Damped Newton Method with Near-Optimal Global O(k^-3) Convergence Rate", 2024.
 * All of it is unchanged by affine maps of x.
 *
 * root: alpha = 1/(1 + theta), theta = (9M)^(1/(q-1)) * l^((q-2)/(q-1)).
 * universal: the least j with 2*alpha*theta*<g+, n> >= <g+, H^-1 g+>, theta = c^j*sigma*l^beta; then sigma = c^(j-1)*sigma.
 * greedy: the alpha of a grid with the least (f(x - alpha*n) - f(x))/<g+, H^-1 g+>; exact: with the least f(x - alpha*n).
 * aicn: alpha = (sqrt(1 + 2*M*l) - 1)/(M*l), of S. Hanzely et al., "A Damped Newton Method Achieves Global O(1/k^2) and
 * Local Quadratic Convergence Rate", 2022.
 */
import { z } from 'zod'
import type { Method, Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { field } from '../../core/schema.js'
import type { Tree } from '../../core/tree.js'
import { dot, type Flat, plus } from '../flat.js'
import { real } from '../parts.js'
import { checkUnbounded } from '../saddle/steps.js'
import { type Described, type Turn, type TurnsState, turnsMethod } from '../turns.js'
import { advanceSolve, beginSolve, type ConjugateGradients } from './conjugate-gradients.js'
import { signOf } from './curvature.js'
import { checkDimension, isKnown, kindsOf, type Local, learnLocal, turnOf, unknown, type Wish } from './local.js'
import { isConvex, least, radius, type Spectrum, spectrumOf, weighted } from './spectrum.js'

const solvers = ['matrix', 'products', 'cg'] as const

/** Fields that all of them have; `solvers` are those of the method. */
export const newtonFields = <S extends (typeof solvers)[number]>(offered: readonly S[]) => ({
  hessian: field(
    z.enum(offered as readonly S[] as [S, ...S[]]).default(offered[0] as never),
    'How H is told: as a matrix, as its products with all axes in one query, or (cg) as products one by one, by which conjugate gradients find H^-1 g.',
    { source: 'ours' },
  ),
  tolerance: real('Local norm of the gradient at which the session is done.', {
    default: 0,
    min: 0,
    source: 'ours',
    log: true,
  }),
  solverTolerance: real('cg: residual, relative to the right side, at which a solution is good.', {
    default: 1e-10,
    above: 0,
    source: 'ours',
    log: true,
  }),
  solverIterations: field(z.int().min(1).default(100), 'cg: most products for one solution.', { source: 'ours' }),
})
type Common = {
  hessian: (typeof solvers)[number]
  tolerance: number
  solverTolerance: number
  solverIterations: number
}

/** A point on the ray: its step size, and what was told there. `dual` is <g+, H^-1 g+>. */
export type Trial = { alpha: number; at: Local; along: number; dual: number }

/** What a step size goes by: `norm` is l, `tries` counts the refused ones of the step, `sigma` is kept from step to step. */
export type Ray = { norm: number; tries: number; sigma: number }

export type StepSize<C> = {
  /** Step sizes to look at. */
  candidates(config: C, ray: Ray): readonly number[]
  /** What is wanted there; without it, the first is taken. */
  wish?(config: C): { value?: boolean; gradient?: boolean }
  /** The one to take, or none: other candidates are wanted. May change `ray`. */
  pick?(config: C, trials: readonly Trial[], ray: Ray, value: number): Trial | undefined
}

type State = {
  local: Local
  phase: 'local' | 'direction' | 'ray' | 'dual'
  /** H^-1 g */
  direction: Float64Array | null
  trials: Trial[]
  solve: ConjugateGradients | null
  ray: Ray
  alpha: number
  t: number
  stopped: string | null
}

export type NewtonMethod<C extends Common> = Pick<
  Described<C, State>,
  'id' | 'title' | 'summary' | 'references' | 'config' | 'recipes' | 'equations'
> & { stepSize: StepSize<C>; sigma?: (config: C) => number }

/** Eigenvalues below this share of the largest are taken as zero, and their directions left out. */
const CUTOFF = 1e-10

export function newtonMethod<C extends Common>(preset: NewtonMethod<C>): Method<C, TurnsState<State> & Tree> {
  const { stepSize } = preset
  const along = (config: C) => stepSize.wish?.(config) ?? {}
  const wishOf = (config: C): Wish => ({
    value: along(config).value ?? false,
    gradient: true,
    hessian: config.hessian === 'cg' ? false : config.hessian,
  })

  function spectrumAt({ memo }: Run<C>, { local, t }: State): Spectrum {
    const kept = memo.get('spectrum') as { t: number; spectrum: Spectrum } | undefined
    if (kept?.t === t) return kept.spectrum
    const spectrum = spectrumOf(local.hessian!, local.at.length)
    memo.set('spectrum', { t, spectrum })
    return spectrum
  }
  function inverseTimes(run: Run<C>, own: State, x: Float64Array): Float64Array {
    const spectrum = spectrumAt(run, own)
    const cutoff = CUTOFF * radius(spectrum)
    return weighted(spectrum, (value) => (Math.abs(value) <= cutoff ? 0 : 1 / value), x)
  }

  /** Goes on until something has to be asked. */
  function proceed(run: Run<C>, own: State): void {
    const { config } = run
    const { local } = own
    if (own.phase === 'local') {
      if (!isKnown(local, wishOf(config))) return
      const g = local.gradient!
      if (config.hessian === 'cg') {
        own.solve = beginSolve(g)
        own.phase = 'direction'
        if (own.solve.right === 0) stop(own, 'the gradient is zero')
        return
      }
      const spectrum = spectrumAt(run, own)
      if (!isConvex(spectrum)) return notConvex(own, `has the eigenvalue ${least(spectrum)}`)
      return aim(run, own, inverseTimes(run, own, g))
    }
    if (own.phase === 'ray') {
      if (own.trials.some(({ at }) => !isKnown(at, along(config)))) return
      const { gradient } = along(config)
      if (!gradient) return choose(run, own)
      if (config.hessian === 'cg') {
        own.solve = beginSolve(own.trials[0].at.gradient!)
        own.phase = 'dual'
        if (own.solve.right === 0) judge(run, own, [own.solve.x])
        return
      }
      judge(
        run,
        own,
        own.trials.map(({ at }) => inverseTimes(run, own, at.gradient!)),
      )
    }
  }

  /** The direction is known. */
  function aim(run: Run<C>, own: State, direction: Float64Array): void {
    const { config } = run
    own.direction = direction
    own.ray.norm = Math.sqrt(Math.max(0, dot(own.local.gradient!, direction)))
    own.ray.tries = 0
    if (own.ray.norm <= config.tolerance) return stop(own, `the local norm of the gradient is ${own.ray.norm}`)
    look(run, own)
  }

  function look({ config }: Run<C>, own: State): void {
    own.trials = stepSize
      .candidates(config, own.ray)
      .map((alpha) => ({ alpha, at: unknown(plus(own.local.at, -alpha, own.direction!)), along: 0, dual: 0 }))
    if (!stepSize.wish) return move(own, own.trials[0])
    own.phase = 'ray'
  }

  /** Gradients on the ray are told, and H^-1 times each is known. */
  function judge(run: Run<C>, own: State, solutions: readonly Float64Array[]): void {
    own.trials.forEach((trial, i) => {
      trial.along = dot(trial.at.gradient!, own.direction!)
      trial.dual = dot(trial.at.gradient!, solutions[i])
    })
    choose(run, own)
  }
  function choose(run: Run<C>, own: State): void {
    const taken = stepSize.pick!(run.config, own.trials, own.ray, own.local.value ?? Number.NaN)
    if (taken) return move(own, taken)
    own.ray.tries++
    look(run, own)
  }

  function move(own: State, { alpha, at }: Trial): void {
    if (!at.at.every(Number.isFinite)) return stop(own, `step ${own.t + 1} leads beyond all numbers`)
    Object.assign(own, { local: at, phase: 'local', direction: null, trials: [], solve: null, alpha, t: own.t + 1 })
  }
  function stop(own: State, reason: string): void {
    Object.assign(own, { stopped: reason, phase: 'local', trials: [], solve: null })
  }
  const notConvex = (own: State, how: string) =>
    stop(own, `${preset.id} is for convex objectives: the Hessian at step ${own.t} ${how}`)

  function learn(run: Run<C>, flat: Flat, own: State, told: Observation): void {
    const sign = signOf(run.problem)
    if (own.phase === 'local') learnLocal(own.local, run.problem, flat, told)
    else if (own.phase === 'ray')
      own.trials.forEach(({ at }, i) => {
        if (told.values) at.value = sign * told.values[i][0]
        if (told.gradients) at.gradient = flat.vector(told.gradients[i]).map((value) => sign * value)
      })
    else {
      const product = flat.vector(told.products![0]).map((value) => sign * value)
      const { solverTolerance: tolerance, solverIterations: limit } = run.config
      const outcome = advanceSolve(own.solve!, product, { tolerance, limit })
      if (outcome === 'more') return
      if (outcome === 'indefinite') return notConvex(own, 'has no positive curvature along the direction of a solver')
      const { x } = own.solve!
      own.solve = null
      return own.phase === 'direction' ? aim(run, own, x) : judge(run, own, [x])
    }
    proceed(run, own)
  }

  function ask({ config }: Run<C>, own: State): Turn {
    const sampleKey = `s${own.t}`
    if (own.phase === 'local') return { ...turnOf(own.local, wishOf(config)), sampleKey }
    if (own.phase === 'ray') {
      const { value, gradient } = along(config)
      const wants = [
        ...(value ? [{ kind: 'value' as const }] : []),
        ...(gradient ? [{ kind: 'gradient' as const }] : []),
      ]
      return { points: own.trials.map(({ at }) => at.at), wants, purpose: 'line-search', sampleKey }
    }
    const points = [own.local.at, own.solve!.direction]
    return { points, wants: [{ kind: 'hvp', curvature: 'hessian' }], purpose: 'curvature', sampleKey }
  }

  return turnsMethod<C, State>({
    ...preset,
    family: 'gradient',
    needs(config) {
      const kinds = kindsOf(wishOf(config))
      return config.hessian === 'cg' ? [...kinds, 'hvp'] : kinds
    },
    check: ({ hessian }, problem) => [
      ...checkUnbounded(preset.id, problem),
      ...(hessian === 'cg' ? [] : checkDimension(preset.id, problem)),
    ],
    init: ({ config }, flat) => ({
      local: unknown(flat.start()),
      phase: 'local',
      direction: null,
      trials: [],
      solve: null,
      ray: { norm: 0, tries: 0, sigma: preset.sigma?.(config) ?? 1 },
      alpha: 0,
      t: 0,
      stopped: null,
    }),
    ask: (run, _, own) => ask(run, own),
    learn,
    finished: (_, { stopped }) => stopped ?? undefined,
    estimate: (_, { local, ray, alpha, t }) => ({
      x: local.at,
      kind: 'iterate',
      step: t,
      metrics: { alpha, localNorm: ray.norm, tries: ray.tries + 1 },
    }),
  })
}
