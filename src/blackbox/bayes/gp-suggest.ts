/** What the models of `gp` suggest: points of the largest acquisition, one after the other as if each had been told. */
import type { Run } from '../../core/method.js'
import type { Rng } from '../../core/rng.js'
import type { Params } from '../../core/space.js'
import { workspace } from '../linalg/linalg.js'
import { improvementOver, type Predictor } from './acquisition.js'
import { standardized, subset } from './data.js'
import { warpOf } from './fit.js'
import { type Memo, modelOf, refit, type State, toldIn } from './gp-model.js'
import type { Config } from './gp-options.js'
import { gumbelMinima, informationOver, MINIMA } from './mes.js'
import { keyOf, roundedBy, search, uniform } from './search.js'
import { type Dimensions, Surrogate } from './surrogate.js'
import { combined, type Trend } from './tasks.js'
import type { Warp } from './warp.js'

/** Floating-point work of one screening: at many rows fewer candidates. */
const SCREENING_WORK = 5e8
/** Evaluations per local search of the acquisition function. */
const MAX_ASCENT = 40
/** Points asked in parallel differ by this much, at least, in one coordinate. */
const SEPARATION = 1e-3
const ELITES = 5

/** A model of bent vectors, beside a trend, as one of vectors. */
const trended = (model: Predictor, warp: Warp, trend: Trend, { ordered }: Dimensions): Predictor => ({
  predict: (points, gradients) =>
    model
      .predict(
        points.map((u) => warp.at(u)),
        gradients,
      )
      .map(({ mean, variance, dMean, dVariance }, i) => {
        const u = points[i]
        const prediction = { mean: mean + trend.value(u), variance }
        if (!gradients) return prediction
        const slopes = warp.slopes(u)
        const unbent = (gradient: Float64Array) => gradient.map((g, axis) => g * slopes[axis])
        const slope = unbent(dMean!)
        trend.gradient(u).forEach((g, j) => {
          slope[ordered[j]] += g
        })
        return { ...prediction, dMean: slope, dVariance: unbent(dVariance!) }
      }),
})

/** The next `count` points by the model; fewer when its search finds no more. */
export function suggest(run: Run<Config>, state: State, memo: Memo, rng: Rng, count: number): Params[] {
  const { config } = run
  const { encoding, dimensions } = memo
  const which = memo.tasks.length && (state.turns = (state.turns ?? 0) + 1) % 2 === 0 ? 'alone' : 'fit'
  const { tasks, extras } = modelOf(memo, which)
  const fit = refit(run, state, memo, which)
  const trend = combined(tasks, fit.factors ?? [])
  const warp = warpOf(fit.theta, encoding.dimension, extras)
  const told = toldIn(config, state.rows.slice(0, fit.rows), state.rows)
  const fitted = subset(told.slice(0, fit.rows), config.maxRows)
  const rows = [...fitted, ...told.slice(fit.rows)]
  const { values, noises } = standardized(rows, fit)
  const points = rows.map(({ u }) => warp.at(u))
  const trends = rows.map(({ u }) => trend.value(u))
  const open = Object.values(state.open).map(({ u }) => u)
  const failed = state.failed.map(({ u }) => u)
  const parallel = [...open, ...failed]
  return workspace().scope(() => {
    const room = rows.length + open.length + failed.length + count
    const model = new Surrogate(workspace(), dimensions, fit.theta, room)
    const known = memo.factors[which]
    const kept = known?.theta === fit.theta ? known.factor : undefined
    if (kept) model.restore(kept, points)
    else model.factorize(points.slice(0, fitted.length), noises)
    while (model.rows < rows.length) model.extend(points[model.rows], noises[model.rows])
    memo.factors[which] = { theta: fit.theta, factor: model.save(kept) }

    const residuals = values.map((value, i) => value - trends[i])
    const means = model.condition(residuals, noises).map((mean, i) => mean + trends[i])
    const whole = tasks.length ? trended(model, warp, trend, dimensions) : undefined
    const meanAt = (u: Float64Array) => (whole ?? model).predict([whole ? u : warp.at(u)], false)[0].mean
    const feasible = rows.flatMap(({ value }, i) => (Number.isNaN(value) ? [] : [i]))
    const ranked = (feasible.length ? feasible : [...means.keys()]).sort((a, b) => means[a] - means[b] || a - b)
    let incumbent = means[ranked[0]]
    const believe = (u: Float64Array) => {
      incumbent = Math.min(incumbent, meanAt(u))
      model.believe(warp.at(u))
    }
    for (const u of failed) model.believe(warp.at(u))
    for (const u of open) believe(u)
    const elites = ranked.slice(0, ELITES).map((i) => rows[i].u)
    const candidates = Math.round(Math.min(config.nCandidates, Math.max(256, SCREENING_WORK / rows.length ** 2)))
    const options = { candidates, starts: config.nStarts, maxEvaluations: MAX_ASCENT }
    const found: Params[] = []
    const rounded = roundedBy(encoding)
    const information = (model: Predictor, warp: Pick<Warp, 'at'>) => {
      const random = Array.from({ length: candidates }, () => rounded(uniform(encoding.dimension, rng)))
      const normals = model.predict(
        [...elites, ...random].map((u) => warp.at(u)),
        false,
      )
      return informationOver(gumbelMinima(normals, incumbent, MINIMA, rng), model)
    }
    while (found.length < count) {
      const worth = (model: Predictor, warp: Pick<Warp, 'at'>) =>
        config.acquisition === 'mes' ? information(model, warp) : improvementOver(incumbent, model)
      const acquisition = whole ? worth(whole, { at: (u) => u }) : warp.unbent(worth(model, warp))
      const allowed = (u: Float64Array) =>
        !memo.keys.has(keyOf(u)) && parallel.every((v) => u.some((x, i) => Math.abs(x - v[i]) >= SEPARATION))
      const point = search(encoding, acquisition, elites, allowed, rng, options)
      if (!point) break
      const params = encoding.decode(point)
      const { u } = encoding.encode(params)
      parallel.push(u)
      believe(u)
      found.push(params)
    }
    return found
  })
}
