/**
 * NSGA-II: K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE
 * Transactions on Evolutionary Computation 6, 2002. Whole fronts survive, and of the last its least crowded members.
 */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { crowding, fronts } from '../space/pareto.js'
import { geneticFields, geneticMethod, type Survivors } from './genetic.js'

const config = z.strictObject({
  populationSize: field(z.int().min(4).max(10_000).default(100), 'Members of the population.', {
    source: 'Deb et al. 2002',
  }),
  ...geneticFields,
})
type Config = z.infer<typeof config>

export const method = geneticMethod<Config>({
  id: 'nsga2',
  title: 'NSGA-II',
  summary:
    'A genetic algorithm for several objectives: keeps whole Pareto fronts, and spreads along the last by crowding.',
  references: [
    {
      authors: 'K. Deb, A. Pratap, S. Agarwal, T. Meyarivan',
      title: 'A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II',
      year: 2002,
      url: 'https://doi.org/10.1109/4235.996017',
    },
  ],
  config,
  recipes: [
    { problem: 'two-objectives', config: { populationSize: 20 }, maxEvaluations: 1500, target: 0.08 },
    { problem: 'mixed', config: { populationSize: 30, mutation: 0.5 }, maxEvaluations: 1500, target: 0.03 },
  ],
  equations: () => [
    String.raw`i \prec j \iff \mathrm{rank}_i < \mathrm{rank}_j \;\text{ or }\; (\mathrm{rank}_i = \mathrm{rank}_j,\; d_i > d_j)`,
    String.raw`d_i = \sum_k \frac{f_k(i+1) - f_k(i-1)}{f_k^{\max} - f_k^{\min}}`,
  ],
  size: ({ populationSize }) => populationSize,
  survive(_, { values, violations }, size) {
    const survivors: Survivors = { chosen: [], ranks: [], distances: [] }
    for (const [rank, front] of fronts(values, violations).entries()) {
      const distance = crowding(front.map((i) => values[i]))
      const order = Array.from(front.keys()).sort((a, b) =>
        distance[a] === distance[b] ? a - b : distance[b] - distance[a],
      )
      for (const k of order.slice(0, size - survivors.chosen.length)) {
        survivors.chosen.push(front[k])
        survivors.ranks.push(rank)
        survivors.distances.push(distance[k])
      }
      if (survivors.chosen.length === size) break
    }
    return survivors
  },
})
