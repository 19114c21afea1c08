import { describe, expect, it } from 'vitest'
import {
  contributions,
  exclusive,
  greedySubset,
  leadingFronts,
  nondominated,
  nondominatedBoxes,
} from '../../../src/blackbox/space/hypervolume.js'
import { fronts, hypervolume } from '../../../src/blackbox/space/pareto.js'
import { Rng, rngStream } from '../../../src/core/rng.js'

const draw = (n: number, m: number, seed: number) => {
  const rng = new Rng(rngStream(seed, 'test'))
  return Array.from({ length: n }, () => Array.from({ length: m }, () => rng.uniform()))
}
const ones = (m: number) => new Array<number>(m).fill(1)

describe.each([2, 3, 4])('in %i objectives', (m) => {
  const points = draw(30, m, m)
  const reference = ones(m)

  it('the leading fronts are those of non-dominated sorting', () => {
    const all = fronts(points)
    expect(nondominated(points)).toEqual(all[0])
    expect(leadingFronts(points, 30)).toEqual(all)
    expect(leadingFronts(points, all[0].length + 1)).toEqual(all.slice(0, 2))
  })

  it('a contribution is what the volume loses', () => {
    const total = hypervolume(points, reference)
    contributions(points, reference).forEach((gain, i) => {
      expect(gain).toBeCloseTo(total - hypervolume(points.toSpliced(i, 1), reference), 12)
    })
  })

  it('what a point adds is the difference of volumes', () => {
    for (const point of draw(10, m, 9))
      expect(exclusive(point, points, reference)).toBeCloseTo(
        hypervolume([...points, point], reference) - hypervolume(points, reference),
        12,
      )
  })

  it('what a point adds is what it takes of disjoint boxes, wherever it is', () => {
    const boxes = nondominatedBoxes(points, reference)
    for (const point of [...draw(20, m, 5), ...draw(5, m, 6).map((p) => p.map((x) => x - 0.9))]) {
      const taken = boxes.map(({ low, high }) =>
        point.reduce((product, x, k) => product * Math.max(0, high[k] - Math.max(low[k], x)), 1),
      )
      const sum = taken.reduce((a, b) => a + b, 0)
      expect(sum).toBeCloseTo(exclusive(point, points, reference), 12)
      expect(boxes.filter(({ low, high }) => point.every((x, k) => low[k] < x && x < high[k])).length).toBe(
        points.some((p) => p.every((x, k) => x <= point[k])) ? 0 : 1,
      )
    }
    if (m === 3) expect(boxes.length).toBeLessThanOrEqual(2 * points.length + 1)
  })

  it('a greedy subset takes each time what adds most', () => {
    const chosen = greedySubset(points, 6, reference)
    for (let k = 0; k < 6; k++) {
      const before = chosen.slice(0, k).map((i) => points[i])
      const gain = (i: number) => exclusive(points[i], before, reference)
      const most = Math.max(...[...points.keys()].map(gain))
      expect(gain(chosen[k])).toBe(most)
    }
  })
})

it('of equal points one is in the front, and none adds anything', () => {
  const twins = [
    [0.5, 0.5],
    [0.5, 0.5],
    [0.2, 0.9],
  ]
  expect(nondominated(twins)).toEqual([0, 2])
  expect([...contributions(twins, [1, 1])].slice(0, 2)).toEqual([0, 0])
})
