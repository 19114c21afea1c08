/**
 * The steps of gradient methods behind a polynomial of a curvature matrix that cuts its largest eigenvalues: N. Doikov, A. Rodomanov,
 * "Polynomial Preconditioning for Gradient Methods", ICML 2023 (arXiv:2301.13194), algorithms 1 to 3.
 */
import type { Run } from '../../core/method.js'
import type { Observation } from '../../core/query.js'
import { Rng, type RngState, rngStream } from '../../core/rng.js'
import { beginLanczos, extendLanczos, type Lanczos } from '../diagnostics/lanczos.js'
import { dot, type Flat, norm, plus, sphere } from '../flat.js'
import type { Turn } from '../turns.js'
import { matrixOfAnswer, matrixTurn, productsOf, productsTurn, signOf } from './curvature.js'
import { krylovStep, pictureOf } from './krylov.js'
import type { Config } from './polynomial-precond.js'
import { combination, coordinates, type Spectrum, spectrumOf, weighted } from './spectrum.js'
import { elementary, elementaryOfOthers, polynomialAt, tracesOf } from './symmetric-polynomials.js'

export type State = {
  x: Float64Array
  before: Float64Array
  /** Steps since the momentum began anew. */
  run: number
  M: number | null
  phase: 'matrix' | 'probe' | 'gradient' | 'product' | 'trial'
  spectrum: Spectrum | null
  probes: Lanczos[]
  /** Elementary symmetric polynomials of the spectrum. */
  e: number[]
  condition: number | null
  /** Where the gradient is asked; the value there. */
  y: Float64Array
  value: number
  gradient: Float64Array
  /** P_0 g to P_tau g one after the other, or the Krylov step at M = 1. */
  direction: Float64Array
  degree: number
  krylov: Lanczos | null
  doublings: number
  /** The value that the last step came to. */
  last: number | null
  rng: RngState
  t: number
}

/** Doublings of M after which a step is not taken: the value cannot fall any more. */
const MOST_DOUBLINGS = 60
/** What rounding may hide of a decrease, relative to the value. */
const ROUNDING = 4 * Number.EPSILON

const isKrylov = ({ variant }: Config) => variant === 'krylov-adaptive'
export const wantsValue = ({ step, variant }: Config) => step === 'adaptive' || variant === 'fast'

/** What a step asks first: the matrix or the estimate of its traces where they are due, else the gradient. */
function first(config: Config, { t, spectrum, e }: State): State['phase'] {
  const due = config.curvatureEvery > 0 && t % config.curvatureEvery === 0
  if (config.source !== 'products') return due || !spectrum ? 'matrix' : 'gradient'
  return !isKrylov(config) && (due || e.length === 0) ? 'probe' : 'gradient'
}

function begin(config: Config, dimension: number, state: State) {
  const weight = config.variant === 'fast' ? state.run / (state.run + 3) : 0
  state.y = plus(state.x, weight, plus(state.x, -1, state.before))
  state.phase = first(config, state)
  if (state.phase !== 'probe') return
  const rng = new Rng(state.rng)
  state.probes = Array.from({ length: config.probes }, () => beginLanczos(sphere(rng, dimension)))
}

export function start(config: Config, flat: Flat, seed: number): State {
  const x = flat.start()
  const none = new Float64Array(0)
  const state: State = {
    x,
    before: x,
    run: 0,
    M: config.stepConstant ?? null,
    phase: 'gradient',
    spectrum: null,
    probes: [],
    e: [],
    condition: null,
    y: x,
    value: 0,
    gradient: none,
    direction: none,
    degree: 0,
    krylov: null,
    doublings: 0,
    last: null,
    rng: rngStream(seed, 'probes'),
    t: 0,
  }
  begin(config, flat.dimension, state)
  return state
}

/** Bases that are not complete. */
const open = (probes: readonly Lanczos[]) => probes.filter(({ basis, diagonal }) => basis.length > diagonal.length)
const newest = ({ basis }: Lanczos) => basis[basis.length - 1]
const trial = ({ y, M, direction }: State) => plus(y, -1 / M!, direction)

export function ask({ config }: Run<Config>, _: Flat, state: State): Turn {
  const { curvature, source } = config
  const { x, y, t, phase, probes, krylov, direction } = state
  const about = { purpose: phase, sampleKey: `s${t}` }
  const value = { kind: 'value' } as const
  if (phase === 'matrix') return { ...matrixTurn(x, source === 'matrix' ? 'matrix' : 'axes', curvature), ...about }
  if (phase === 'probe') return { ...productsTurn(x, open(probes).map(newest), curvature), ...about }
  if (phase === 'product') return { ...productsTurn(y, [krylov ? newest(krylov) : direction], curvature), ...about }
  if (phase === 'trial') return { points: [trial(state)], wants: [value], ...about }
  return { points: [y], wants: [{ kind: 'gradient' }, ...(wantsValue(config) ? [value] : [])], ...about }
}

/** The spectrum is known, or a picture of it: the polynomials, and what they lead one to expect. */
function know(config: Config, dimension: number, state: State) {
  const { tau, lipschitz } = config
  let after: number[]
  if (state.spectrum) {
    const { values } = state.spectrum
    after = Array.from(elementaryOfOthers(values, tau), (p, i) => p * values[i])
  } else {
    const pictures = state.probes.map((lanczos) => pictureOf(lanczos, dimension, tau))
    state.e = elementary(tracesOf(pictures, tau))
    after = pictures.flatMap(({ values }) => values.map((value) => polynomialAt(state.e, tau, value) * value))
  }
  state.condition = Math.max(...after) / Math.min(...after)
  const largest = Math.max(...after)
  if (!isKrylov(config) && largest > 0) state.M ??= lipschitz * largest
}

/** Takes a product of the step under way; whether the direction is complete. */
function takeProduct({ tau }: Config, state: State, product: Float64Array): boolean {
  const { krylov, gradient, e } = state
  if (!krylov) {
    const factor = e[++state.degree]
    state.direction = gradient.map((g, i) => factor * g - product[i])
    return state.degree === tau
  }
  const more = extendLanczos(krylov, product)
  if (more && krylov.diagonal.length <= tau) return false
  state.direction = krylovStep(krylov, norm(gradient))
  return true
}

/** A gradient was told: the direction, or what it needs. */
function turn(config: Config, state: State): boolean {
  const { gradient, spectrum } = state
  state.direction = gradient
  state.degree = 0
  state.krylov = isKrylov(config) && norm(gradient) > 0 ? beginLanczos(gradient.map((g) => g / norm(gradient))) : null
  state.phase = 'product'
  if (!spectrum) return state.krylov ? false : isKrylov(config) || config.tau === 0
  if (!state.krylov) {
    const weights = elementaryOfOthers(spectrum.values, config.tau)
    const c = coordinates(spectrum, gradient)
    state.direction = combination(
      spectrum,
      c.map((value, i) => weights[i] * value),
    )
    return true
  }
  while (
    !takeProduct(
      config,
      state,
      weighted(spectrum, (value) => value, newest(state.krylov)),
    )
  ) {}
  return true
}

function take(config: Config, dimension: number, state: State, x: Float64Array, value: number | null) {
  const rises = state.last !== null && value !== null && value > state.last
  state.before = rises ? x : state.x
  state.run = rises ? 0 : state.run + 1
  state.x = x
  state.last = value
  state.t++
  begin(config, dimension, state)
}

function tryStep(config: Config, dimension: number, state: State, value: number) {
  const decrease = dot(state.gradient, state.direction) / (2 * state.M!)
  const enough = value <= state.value - decrease + ROUNDING * Math.abs(state.value)
  const x = enough ? trial(state) : state.y
  if (!enough && ++state.doublings < MOST_DOUBLINGS) {
    state.M! *= 2
    return
  }
  state.M = enough ? state.M! / 2 : state.M! / 2 ** state.doublings
  state.doublings = 0
  take(config, dimension, state, x, enough ? value : state.value)
}

export function learn({ config, problem }: Run<Config>, flat: Flat, state: State, told: Observation) {
  const { curvature, step, lipschitz } = config
  const { dimension } = flat
  const sign = signOf(problem)
  if (state.phase === 'matrix') {
    state.spectrum = spectrumOf(matrixOfAnswer(told, curvature, flat, problem), dimension)
    know(config, dimension, state)
    state.phase = 'gradient'
    return
  }
  if (state.phase === 'probe') {
    const products = productsOf(told, curvature, flat, problem)
    open(state.probes).forEach((lanczos, i) => {
      extendLanczos(lanczos, products[i])
    })
    const going = open(state.probes)
    if (going.length > 0 && going[0].diagonal.length < config.lanczosSteps) return
    know(config, dimension, state)
    state.probes = []
    state.phase = 'gradient'
    return
  }
  if (state.phase === 'trial') return tryStep(config, dimension, state, sign * told.values![0][0])
  let complete: boolean
  if (state.phase === 'gradient') {
    state.gradient = flat.vector(told.gradients![0]).map((g) => sign * g)
    if (told.values) state.value = sign * told.values[0][0]
    complete = turn(config, state)
  } else complete = takeProduct(config, state, productsOf(told, curvature, flat, problem)[0])
  if (!complete) return
  // B is not positive, or its traces are too far off: the gradient itself.
  if (!(dot(state.gradient, state.direction) > 0)) state.direction = state.gradient
  state.M ??= lipschitz
  if (step === 'adaptive') state.phase = 'trial'
  else take(config, dimension, state, trial(state), wantsValue(config) ? state.value : null)
}
