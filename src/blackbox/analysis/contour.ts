/** The surrogate over two parameters, the others as in the best trial in which both are active. */
import type { Params, ParamValue, SearchSpace } from '../../core/space.js'
import type { Model } from './model.js'
import { bestOf, fewOf, gridOf, offsetsOf, type ToldTrial, withValues } from './trials.js'

/** Trials of a contour; of more, a part. */
const MOST_TRIALS = 1000

export type Contour = {
  x: string
  y: string
  xValues: ParamValue[]
  yValues: ParamValue[]
  /** Row by row: all x of the first y, then of the next. */
  means: number[]
  deviations: number[]
  trials: { trial: number; xValue: ParamValue; yValue: ParamValue; value: number }[]
  at: Params
}

/** Undefined when the parameters were never active together, or one decides whether the other is active. */
export function contour(
  space: SearchSpace,
  trials: readonly ToldTrial[],
  objective: number,
  sign: number,
  [x, y]: readonly [string, string],
  resolution: number,
  model: Model,
): Contour | undefined {
  const { encoding } = model
  const active = trials.filter(({ params }) => Object.hasOwn(params, x) && Object.hasOwn(params, y))
  const at = bestOf(active, objective, sign)?.params
  if (!at) return undefined
  const offsets = offsetsOf(space)
  const [xValues, yValues] = [x, y].map((name) => gridOf(encoding, offsets.get(name)!, resolution))
  const points = yValues.flatMap((yValue) =>
    xValues.map((xValue) => withValues(space, encoding, at, { [x]: xValue, [y]: yValue })),
  )
  if (points.some((params) => !(x in params && y in params))) return undefined
  const moments = model.predictParams(points)
  return {
    x,
    y,
    xValues,
    yValues,
    means: moments.map(({ mean }) => mean),
    deviations: moments.map(({ deviation }) => deviation),
    trials: fewOf(active, objective, sign, MOST_TRIALS).map(({ number, params, values }) => ({
      trial: number,
      xValue: params[x],
      yValue: params[y],
      value: values[objective],
    })),
    at,
  }
}
