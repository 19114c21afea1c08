import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { analyze } from '../../../src/blackbox/analysis/analysis.js'
import { varianceShares } from '../../../src/blackbox/analysis/fanova.js'
import { planOf } from '../../../src/blackbox/analysis/request.js'
import { grow, type Tree } from '../../../src/blackbox/bayes/forest.js'
import type { Params, Problem } from '../../../src/core/space.js'

type Golden = {
  fanova: { importances: number[]; trees: Tree[] }
  forest: { params: Params[]; values: number[]; mean: Record<string, number>; spread: Record<string, number> }
}
const golden: Golden = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf8'))

describe('fANOVA', () => {
  it("has the shares that Optuna's evaluator finds in the same trees", () => {
    const { importances, trees } = golden.fanova
    varianceShares(trees, 3).forEach((share, k) => {
      expect(share).toBeCloseTo(importances[k], 12)
    })
  })

  it("comes near Optuna's importances with a forest of its own", () => {
    const { params, values, mean } = golden.forest
    const problem: Problem = {
      space: {
        kind: 'search',
        parameters: [
          { name: 'x', type: 'float', low: -3, high: 3 },
          { name: 's', type: 'float', low: 0, high: 2, step: 0.25 },
          { name: 'n', type: 'int', low: 1, high: 20 },
          { name: 'kind', type: 'categorical', choices: ['a', 'b', 'c'] },
        ],
      },
      objectives: [{ name: 'value', direction: 'minimize' }],
    }
    const trials = params.map((p, number) => ({
      number,
      state: 'completed',
      params: p,
      values: [values[number]],
      createTime: 0,
      endTime: number,
    }))
    const plan = planOf({ kinds: ['importances'], importanceMethod: 'fanova' }, problem)
    const { importances } = analyze(problem, trials, plan)
    expect(importances?.method).toBe('fanova')
    for (const { parameter, importance } of importances!.parameters)
      expect(Math.abs(importance - mean[parameter]), parameter).toBeLessThan(0.02)
  })

  it('grows a tree that splits where the values change, and none where they do not', () => {
    const points = [0.1, 0.2, 0.7, 0.9].map((x) => Float64Array.of(0.5, x))
    const tree = grow(points, [1, 1, 3, 3])
    expect(tree.feature).toEqual([1, -1, -1])
    expect(tree.threshold[0]).toBeCloseTo(0.45, 12)
    expect([tree.value[tree.left[0]], tree.value[tree.right[0]]]).toEqual([1, 3])
    expect(varianceShares([tree], 2)).toEqual([0, 1])
    expect(varianceShares([grow(points, [2, 2, 2, 2])], 2)).toEqual([0, 0])
    // Equal points with other values can't be told apart.
    expect(grow([points[0], points[0]], [1, 2])).toMatchObject({ feature: [-1], value: [1.5] })
  })
})
