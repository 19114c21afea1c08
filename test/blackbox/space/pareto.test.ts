import { describe, expect, it } from 'vitest'
import { readFront, startFront } from '../../../src/blackbox/space/front.js'
import { crowding, dominates, fronts, hypervolume } from '../../../src/blackbox/space/pareto.js'
import type { Observation } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Problem } from '../../../src/core/space.js'

describe('several objectives', () => {
  it('dominance is strict somewhere and weak everywhere', () => {
    expect(dominates([1, 2], [1, 3])).toBe(true)
    expect(dominates([1, 2], [1, 2])).toBe(false)
    expect(dominates([1, 3], [2, 2])).toBe(false)
  })

  it('fronts are peeled off one by one; violations come before values', () => {
    const values = [
      [1, 4],
      [2, 2],
      [4, 1],
      [2, 5],
      [3, 3],
      [5, 5],
    ]
    expect(fronts(values)).toEqual([[0, 1, 2], [3, 4], [5]])
    expect(fronts(values, [0, 1, 0, 0, 0, 0.5])).toEqual([[0, 2, 4], [3], [5], [1]])
  })

  it('crowding is the sum of the gaps to both sides', () => {
    expect([
      ...crowding([
        [0, 10],
        [1, 6],
        [4, 2],
        [10, 0],
      ]),
    ]).toEqual([Infinity, 0.4 + 0.8, 0.9 + 0.6, Infinity])
    expect([
      ...crowding([
        [1, 1],
        [1, 1],
        [1, 1],
      ]),
    ]).toEqual([Infinity, 0, Infinity])
  })

  it('the hypervolume is that of the union of boxes', () => {
    expect(
      hypervolume(
        [
          [1, 3],
          [2, 2],
          [3, 1],
          [3, 3],
        ],
        [4, 4],
      ),
    ).toBe(6)
    expect(hypervolume([[5, 0]], [4, 4])).toBe(0)
    expect(hypervolume([], [4, 4])).toBe(0)
    const rng = new Rng(rngStream(1, 'boxes'))
    for (const m of [1, 2, 3, 4]) {
      const points = Array.from({ length: 6 }, () => Array.from({ length: m }, () => rng.integer(5)))
      // Cells of a grid that some point is below.
      let cells = 0
      for (let c = 0; c < 5 ** m; c++) {
        const cell = Array.from({ length: m }, (_, k) => Math.floor(c / 5 ** k) % 5)
        if (points.some((p) => p.every((x, k) => x <= cell[k]))) cells++
      }
      expect(hypervolume(points, new Array(m).fill(5))).toBe(cells)
    }
  })
})

describe('the front of all that was told', () => {
  const problem: Problem = {
    space: { kind: 'items', items: [{ id: 'a' }] },
    objectives: [
      { name: 'cost', direction: 'minimize' },
      { name: 'gain', direction: 'maximize' },
    ],
    constraints: ['weight'],
  }
  const tell = (front: ReturnType<typeof startFront>, values: number[], more: Partial<Observation> = {}, most = 10) =>
    readFront(
      front,
      problem,
      {
        type: 'observation',
        query: { id: 'q', points: [{ kind: 'item', item: 'a' }], wants: [{ kind: 'value' }] },
        observation: { queryId: 'q', status: 'ok', values: [values], ...more },
      },
      most,
    )
  it('keeps feasible points that no other dominates, of equals the first', () => {
    const front = startFront()
    for (const values of [
      [3, 3],
      [2, 1],
      [3, 3],
      [4, 2],
      [1, 0],
    ])
      tell(front, values)
    tell(front, [0, 9], { constraints: [[0.1]] })
    tell(front, [0, 9], { status: 'infeasible' })
    tell(front, [0, Number.NaN])
    expect(front.points.map(({ values }) => values)).toEqual([
      [3, -3],
      [2, -1],
      [1, -0],
    ])
    tell(front, [1, 5], { constraints: [[-1]] })
    expect(front.points.map(({ values }) => values)).toEqual([[1, -5]])
  })
  it('beyond its size drops the most crowded', () => {
    const front = startFront()
    for (const x of [0, 10, 5, 5.5, 2]) tell(front, [x, x], {}, 4)
    expect(front.points.map(({ values: [x] }) => x).sort((a, b) => a - b)).toEqual([0, 2, 5.5, 10])
  })
})
