/** Trials as lines over parallel axes: A. Inselberg, "The plane with parallel coordinates", The Visual Computer 1, 1985. */
import type { Params, SearchSpace } from '../../core/space.js'
import { offsetsOf, type ToldTrial } from './trials.js'

export type ParallelLine = { trial: number; params: Params; coordinates: number[]; value: number }
export type ParallelCoordinates = { parameters: string[]; lines: ParallelLine[] }

/** Places on the axes from 0 to 1; NaN where a parameter is not active, and of permutations. */
export function parallelCoordinates(
  space: SearchSpace,
  trials: readonly ToldTrial[],
  objective: number,
  parameters: readonly string[],
): ParallelCoordinates {
  const offsets = offsetsOf(space)
  const shown = space.parameters.filter(({ name }) => parameters.includes(name))
  const lines = trials.map(({ number, params, values, u }) => {
    const place = (p: SearchSpace['parameters'][number]) =>
      p.type !== 'permutation' && Object.hasOwn(params, p.name) ? u[offsets.get(p.name)!] : Number.NaN
    return { trial: number, params, coordinates: shown.map(place), value: values[objective] }
  })
  return { parameters: shown.map(({ name }) => name), lines }
}
