import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { pedAnova } from '../../../src/blackbox/analysis/ped-anova.js'
import { toldTrials } from '../../../src/blackbox/analysis/trials.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import type { Params, Problem, SearchSpace } from '../../../src/core/space.js'

type Golden = {
  direction: 'minimize' | 'maximize'
  quantile: number
  params: Params[]
  values: number[]
  raw: Record<string, number>
}
const { pedAnova: golden } = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8')) as {
  pedAnova: Golden[]
}

const space: SearchSpace = {
  kind: 'search',
  parameters: [
    { name: 'x', type: 'float', low: -3, high: 3 },
    { name: 'lr', type: 'float', low: 1e-5, high: 1, log: true },
    { name: 's', type: 'float', low: 0, high: 2, step: 0.25 },
    { name: 'n', type: 'int', low: 1, high: 20 },
    { name: 'w', type: 'int', low: 1, high: 1000, log: true },
    { name: 'odd', type: 'int', low: 1, high: 199, step: 2 },
    { name: 'kind', type: 'categorical', choices: ['a', 'b', 'c'] },
    { name: 'depth', type: 'int', low: 1, high: 8, condition: { parent: 'kind', values: ['a'] } },
  ],
}

describe('PED-ANOVA', () => {
  it.each(golden.map((run) => [`${run.params.length} trials to ${run.direction}`, run] as const))(
    "agrees with Optuna's evaluator: %s",
    (_, { direction, quantile, params, values, raw }) => {
      const problem: Problem = { space, objectives: [{ name: 'value', direction }] }
      const trials = params.map((p, number) => ({
        number,
        state: 'completed',
        params: p,
        values: [values[number]],
        createTime: 0,
        endTime: number,
      }))
      const told = toldTrials(problem, encodingOf(space), trials)
      expect(told).toHaveLength(params.length)
      const losses = told.map((t) => (direction === 'maximize' ? -t.values[0] : t.values[0]))
      const found = Object.fromEntries(pedAnova(space, told, losses, quantile).map((e) => [e.parameter, e.raw]))
      for (const [name, expected] of Object.entries(raw))
        expect(Math.abs(found[name] - expected), name).toBeLessThanOrEqual(1e-9 * expected)
      expect(Object.keys(found).sort()).toEqual(Object.keys(raw).sort())
    },
  )
})
