/** Makes a method of an evolution strategy with a diagonal search distribution. */
import { z } from 'zod'
import type { Method, Recipe, Reference } from '../../core/method.js'
import { field } from '../../core/schema.js'
import type { Tree } from '../../core/tree.js'
import {
  type Diagonal,
  draw,
  learnFrom,
  populationFor,
  type StrategyId,
  startDiagonal,
  strategies,
} from './diagonal.js'
import { type GenerationsState, generationsMethod, pointsPerQuery } from './generations.js'

const config = z.strictObject({
  populationSize: field(
    z.int().min(2).max(100_000).optional(),
    'Members of a generation; 4 + floor(3 ln n) when absent, even where they come in pairs.',
    { source: 'ours' },
  ),
  sigma: field(
    z.number().positive().default(0.3),
    'First deviation of the search distribution: a part of the range where there are bounds.',
    { source: 'ours', log: true },
  ),
  learningRate: field(
    z.number().positive().optional(),
    'Step of the mean, in deviations (of open-es that of Adam); the usual one when absent.',
    { source: 'ours', mutable: true, log: true },
  ),
  sigmaRate: field(z.number().min(0).optional(), 'Step of the deviations; the usual one when absent.', {
    source: 'ours',
    mutable: true,
    log: true,
  }),
  pointsPerQuery,
})
export type DiagonalConfig = z.infer<typeof config>

export type Described = {
  id: StrategyId
  title: string
  summary: string
  references: readonly Reference[]
  recipes: readonly Recipe<DiagonalConfig>[]
  equations: readonly string[]
}

export const diagonalMethod = ({
  id,
  equations,
  ...described
}: Described): Method<DiagonalConfig, GenerationsState<Diagonal> & Tree> =>
  generationsMethod<DiagonalConfig, Diagonal>({
    ...described,
    id,
    config,
    equations: () => equations,
    invariances: ['monotone-values'],
    check: ({ populationSize = 2 }) =>
      strategies[id].mirrored && populationSize % 2 === 1
        ? [{ path: 'config.populationSize', message: `members of ${id} come in pairs: expected an even number` }]
        : [],
    init: ({ config: { sigma } }, { start }) => startDiagonal(start.slice(), sigma),
    breed({ config: rates }, { dimension: n }, own, told, rng) {
      if (told) learnFrom(id, own, told.points, told.values, rates)
      return draw(id, own, rates.populationSize ?? populationFor(id, n), rng)
    },
    estimate: (_, { deviation }) => ({
      metrics: { sigma: Math.exp(deviation.reduce((sum, s) => sum + Math.log(s), 0) / deviation.length) },
    }),
  })
