/** What `auto` begins with and goes on to, from the space, the objectives and the budget, and why. */
import type { Method } from '../../core/method.js'
import { checkSuitable } from '../../core/method.js'
import { parseConfig } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { totalElements } from '../../core/tensor.js'
import type { Tree } from '../../core/tree.js'
import { method as ehvi } from '../bayes/ehvi.js'
import { method as gp } from '../bayes/gp.js'
import { method as gpBo } from '../bayes/gp-bo.js'
import { method as tpe } from '../bayes/tpe.js'
import { method as cmaEs } from '../evolution/cma-es.js'
import { method as geneticMixed } from '../evolution/genetic-mixed.js'
import { method as nsga2 } from '../evolution/nsga2.js'
import { method as nsga3 } from '../evolution/nsga3.js'
import { method as onePlusOne } from '../evolution/one-plus-one.js'
import { method as random } from '../sampling/random.js'
import { encodingOf } from '../space/encoding.js'

// biome-ignore lint/suspicious/noExplicitAny: inner methods of every config and state type.
export type Inner = Method<any, Tree>

export const INNER: { readonly [id: string]: Inner } = Object.fromEntries(
  ([ehvi, gp, gpBo, tpe, cmaEs, geneticMixed, nsga2, nsga3, onePlusOne, random] as unknown as Inner[]).map((m) => [
    m.id,
    m,
  ]),
)

export type Member = { id: string; config: { readonly [name: string]: unknown }; why: string }
/** A method that runs until so many values are told; the last one of a plan has no end. */
export type Stage = Member & {
  until: number
  /** A method that asks every second point. It goes on where it is the next stage. */
  beside?: Member
}
export type Plan = {
  stages: readonly Stage[]
  /** Whether quadratic models in a trust region take turns with the method. */
  local: boolean
}

/** Beyond so many coordinates a Gaussian process with a length for each learns little from what it can hold. */
const MAX_MODEL_DIMENSION = 40
/** Evaluations per coordinate after which the model has given what it can, and the room it needs at least. */
export const MODEL_EVALUATIONS = 30
const MODEL_LEAST = 100
const MODEL_MOST = 600
/** Evaluations for models of several objectives, which take several times as long. */
const MODEL_FRONT = 200
/**
 * Of the acquisition function where most coordinates exist only under conditions: each alternative has few of the values, and
 * a longer search for what the model expects of them costs several times as much and finds nothing better. Half of each batch
 * by TPE was worse.
 */
const BRIEF_SEARCH = { nCandidates: 512, nStarts: 3 }
/**
 * Where most parameters have two values: the model knows after few of them which each should have, if they do not depend on one
 * another, and mutations get on where they do.
 */
const MUTATION: Member = { id: 'one-plus-one', config: {}, why: 'most parameters have two values: mutates the best' }
/** Coordinates of tensors that CMA-ES learns a full covariance of. */
const MAX_FULL = 200

const last = (id: string, why: string, config = {}): Stage => ({ id, config, until: Number.POSITIVE_INFINITY, why })

/**
 * The stages whose method can run on the problem, up to the first that has no end; `random` and genetic-mixed take any search
 * space of one objective.
 */
function suited(stages: readonly Stage[], problem: Problem): Stage[] {
  const able = stages.filter(({ id, config }) => {
    const method = INNER[id]
    const parsed = parseConfig(method.config, config)
    return checkSuitable(method, problem).length === 0 && !method.check?.(parsed, problem).length
  })
  const last = able.findIndex(({ until }) => until === Number.POSITIVE_INFINITY)
  return last < 0 ? able : able.slice(0, last + 1)
}

export function planFor(problem: Problem, maxEvaluations = Number.POSITIVE_INFINITY): Plan {
  const { space, objectives, constraints = [] } = problem
  if (space.kind === 'tensors') {
    const n = totalElements(space.tensors)
    const covariance = n > MAX_FULL ? 'separable' : 'full'
    const why = `values of ${n} real coordinates: ranks and a ${covariance} covariance`
    return {
      stages: suited([last('cma-es', why, { covariance, restart: 'bipop', restarts: 100 })], problem),
      local: false,
    }
  }
  if (space.kind !== 'search') return { stages: [], local: false }
  const { axes, dimension: n, constrained, cardinality } = encodingOf(space)
  if (objectives.length > 1) {
    const id = objectives.length > 3 ? 'nsga3' : 'nsga2'
    const small = Number.isFinite(maxEvaluations) && maxEvaluations < 1000
    const config = small ? { populationSize: Math.max(8, 4 * Math.round(Math.sqrt(maxEvaluations) / 4)) } : {}
    const model = {
      id: 'ehvi',
      config: {},
      until: MODEL_FRONT,
      why: `${objectives.length} objectives and few values: each has a model`,
    }
    const population = last(id, `${objectives.length} objectives: a population spreads over the front`, config)
    const stages = n <= MAX_MODEL_DIMENSION ? [model, population] : [population]
    return { stages: suited(stages, problem), local: false }
  }
  const model = Math.min(maxEvaluations, MODEL_MOST, Math.max(MODEL_LEAST, MODEL_EVALUATIONS * n))
  if (constraints.length) {
    const stages = [
      { id: 'gp-bo', config: {}, until: Math.min(model, 300), why: 'outcome constraints: each has a model of its own' },
      last('nsga2', 'the models have grown too large: a population with constraint domination'),
    ]
    return { stages: suited(stages, problem), local: false }
  }
  const ordered = axes.every(({ ordered, size }) => ordered && size > 1)
  const continuous =
    ordered && axes.every(({ size, parameter }) => size === Number.POSITIVE_INFINITY && !parameter.condition)
  const alternatives = 2 * axes.filter(({ parameter }) => parameter.condition).length > n
  const binary =
    axes.every(({ size, parameter }) => Number.isFinite(size) && !parameter.condition) &&
    2 * axes.filter(({ size }) => size === 2).length > n
  const stages: Stage[] = []
  if (n <= MAX_MODEL_DIMENSION)
    stages.push({
      id: 'gp',
      config: continuous ? { nInitial: n + 2 } : alternatives ? BRIEF_SEARCH : {},
      until: Number.isFinite(cardinality) && cardinality < 2000 ? Number.POSITIVE_INFINITY : model,
      why: `${n} coordinates and few values: a Gaussian process uses each of them`,
      beside: binary ? MUTATION : undefined,
    })
  else if (!ordered && !binary)
    stages.push({ id: 'tpe', config: {}, until: 50 * n, why: `${n} coordinates: densities per parameter` })
  if (binary) stages.push({ ...MUTATION, until: Number.POSITIVE_INFINITY })
  if (ordered)
    stages.push(
      last('cma-es', 'enough values for a search distribution, which begins where the best of them lie', {
        warmStart: n <= MAX_MODEL_DIMENSION,
        restart: 'bipop',
        restarts: 100,
        covariance: n > MAX_FULL ? 'separable' : 'full',
      }),
    )
  stages.push(last('genetic', 'enough values for a population over parameters of all types'))
  stages.push(last('random', 'nothing else takes this space'))
  return { stages: suited(stages, problem), local: continuous && !constrained && n <= MAX_MODEL_DIMENSION && n > 1 }
}
