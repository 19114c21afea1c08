/** The value along each parameter: told trials, and the surrogate through the best of them. */
import type { Params, ParamValue, SearchSpace } from '../../core/space.js'
import type { Model, Moments } from './model.js'
import { bestOf, fewOf, gridOf, offsetsOf, type ToldTrial, withValues } from './trials.js'

/** Trials of a slice; of more, a part. */
const MOST_TRIALS = 1000

export type Slice = {
  parameter: string
  trials: { trial: number; parameterValue: ParamValue; value: number }[]
  /** Empty without a model, and of a permutation. */
  surrogate: ({ parameterValue: ParamValue } & Moments)[]
  /** The best trial in which the parameter is active; the other parameters of the surrogate's points. */
  at?: Params
}

/** `resolution` points of the surrogate, fewer where the parameter has fewer values. */
export function slice(
  space: SearchSpace,
  trials: readonly ToldTrial[],
  objective: number,
  sign: number,
  parameter: string,
  resolution: number,
  model?: Model,
): Slice {
  const active = trials.filter(({ params }) => Object.hasOwn(params, parameter))
  const seen = fewOf(active, objective, sign, MOST_TRIALS).map(({ number, params, values }) => ({
    trial: number,
    parameterValue: params[parameter],
    value: values[objective],
  }))
  const at = bestOf(active, objective, sign)?.params
  const isPermutation = space.parameters.some(({ name, type }) => name === parameter && type === 'permutation')
  if (!model || !at || isPermutation) return { parameter, trials: seen, surrogate: [], at }
  const grid = gridOf(model.encoding, offsetsOf(space).get(parameter)!, resolution)
  const moments = model.predictParams(
    grid.map((value) => withValues(space, model.encoding, at, { [parameter]: value })),
  )
  const surrogate = grid.map((parameterValue, i) => ({ parameterValue, ...moments[i] }))
  return { parameter, trials: seen, surrogate, at }
}
