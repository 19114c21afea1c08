/** How much each parameter matters, by one of several methods, as shares of their sum. */
import type { SearchSpace } from '../../core/space.js'
import type { Encoding } from '../space/encoding.js'
import { fanova } from './fanova.js'
import type { Model } from './model.js'
import { pedAnova } from './ped-anova.js'
import type { ImportanceMethod, Plan } from './request.js'
import { sobolIndices } from './sobol-indices.js'
import type { ToldTrial } from './trials.js'

export type Importance = { parameter: string; importance: number; raw: number; firstOrder?: number }
export type Importances = { method: ImportanceMethod; parameters: Importance[] }

type Raw = Omit<Importance, 'importance'>

/** Largest first; all shares are 0 where nothing matters. */
export function importances(
  space: SearchSpace,
  encoding: Encoding,
  trials: readonly ToldTrial[],
  { objective, importanceMethod: method, quantile }: Plan,
  sign: number,
  model: () => Model,
): Importances {
  const losses = trials.map(({ values }) => sign * values[objective])
  const by: { [method in ImportanceMethod]: () => Raw[] } = {
    'ped-anova': () => pedAnova(space, trials, losses, quantile),
    fanova: () => fanova(space, trials, losses),
    sobol: () => {
      const predict = (points: readonly Float64Array[]) =>
        model()
          .predict(points)
          .map(({ mean }) => mean)
      return sobolIndices(space, encoding, predict).map(({ parameter, firstOrder, total }) => ({
        parameter,
        raw: total,
        firstOrder,
      }))
    },
  }
  const raw = by[method]()
  const sum = raw.reduce((total, entry) => total + entry.raw, 0)
  const parameters = raw.map((entry) => ({ ...entry, importance: sum > 0 ? entry.raw / sum : 0 }))
  // Sorting is stable: of equals the first of the space.
  return { method, parameters: parameters.sort((a, b) => b.importance - a.importance) }
}
