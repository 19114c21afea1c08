import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { normalCdf } from '../../../src/blackbox/bayes/acquisition.js'
import { Parzen } from '../../../src/blackbox/bayes/parzen.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter } from '../../../src/core/space.js'

const parameters: Parameter[] = [
  { name: 'x', type: 'float', low: -2, high: 3 },
  { name: 'rate', type: 'float', low: 1e-4, high: 1, log: true },
  { name: 'width', type: 'int', low: 4, high: 200, log: true },
  { name: 'depth', type: 'int', low: 1, high: 6 },
  { name: 'grid', type: 'float', low: 0, high: 1, step: 0.25 },
  { name: 'kind', type: 'categorical', choices: ['a', 'b', 'c'] },
]
const CANDIDATES = 24
const { axes, encode } = encodingOf({ kind: 'search', parameters })
const { cases } = JSON.parse(readFileSync(new URL('../golden/parzen.json', import.meta.url), 'utf8')) as {
  cases: { kernels: number[][]; points: number[][]; logDensity: number[] }[]
}

/** Coordinates of a row of numbers, categories by index. */
const coordinates = (row: readonly number[]) =>
  encode(Object.fromEntries(parameters.map((p, i) => [p.name, p.type === 'categorical' ? p.choices[row[i]] : row[i]])))
    .u

const flat = (points: readonly Float64Array[]) => Float64Array.from(points.flatMap((u) => [...u]))
function logDensity(mixture: Parzen, points: Float64Array): number[] {
  const out = new Float64Array(CANDIDATES)
  mixture.logDensity(points, out)
  return [...out]
}
const random = (rng: Rng) => encode(encodingOf({ kind: 'search', parameters }).decode(axes.map(() => rng.uniform()))).u

describe('Parzen', () => {
  it.each(cases.map((c) => [c.kernels.length, c] as const))(
    "has the density of Optuna's estimator up to a constant: %i kernels",
    (_, { kernels, points, logDensity: expected }) => {
      const mixture = new Parzen(axes, 1, CANDIDATES)
      kernels.forEach((row, i) => {
        mixture.insert(i, coordinates(row))
      })
      const actual = logDensity(mixture, flat(points.map(coordinates)))
      // The constant: the unit of each continuous coordinate and the total weight.
      const shift = actual[0] - expected[0]
      actual.forEach((value, i) => {
        expect(value - shift).toBeCloseTo(expected[i], 9)
      })
    },
  )

  it('is a function of the set of kernels, bit for bit, not of how it came about', () => {
    const rng = new Rng(rngStream(5, 'parzen'))
    const points = Array.from({ length: 200 }, () => random(rng))
    const candidates = flat(Array.from({ length: CANDIDATES }, () => random(rng)))
    const keep = (row: number) => row % 3 !== 0
    const plain = new Parzen(axes, 1, CANDIDATES)
    points.forEach((u, row) => {
      if (keep(row)) plain.insert(row, u)
    })
    const worn = new Parzen(axes, 1, CANDIDATES)
    for (const row of rng.shuffle(points.map((_, i) => i))) {
      worn.insert(row, points[row])
      if (rng.uniform() < 0.2) logDensity(worn, candidates)
      if (rng.uniform() < 0.3) {
        worn.remove(row)
        worn.insert(row, points[(row + 1) % points.length])
        worn.remove(row)
        worn.insert(row, points[row])
      }
    }
    for (const row of rng.shuffle(points.map((_, i) => i))) if (!keep(row)) worn.remove(row)
    expect(logDensity(worn, candidates)).toEqual(logDensity(plain, candidates))
  })

  it('gives a point the same density whatever the number of candidates', () => {
    const rng = new Rng(rngStream(6, 'parzen'))
    const points = Array.from({ length: 40 }, () => random(rng))
    const candidates = Array.from({ length: 5 }, () => random(rng))
    const few = new Parzen(axes, 1, 5)
    const many = new Parzen(axes, 1, CANDIDATES)
    points.forEach((u, row) => {
      few.insert(row, u)
      many.insert(row, u)
    })
    const out = new Float64Array(5)
    few.logDensity(flat(candidates), out)
    const fill = Array.from({ length: CANDIDATES - 5 }, () => candidates[0])
    const among = logDensity(many, flat([...candidates, ...fill])).slice(0, 5)
    among.forEach((value, c) => {
      expect(value).toBeCloseTo(out[c], 12)
    })
  })

  it('takes the density at a value for the mass of its share where there are thousands', () => {
    const parameter: Parameter = { name: 'n', type: 'int', low: 1, high: 1500 }
    const [axis] = encodingOf({ kind: 'search', parameters: [parameter] }).axes
    const mixture = new Parzen([axis], 1, CANDIDATES)
    const kernels = Array.from({ length: 120 }, (_, i) => ({ mu: axis.encode(300 + 3 * i), sigma: 0.01 }))
    kernels.forEach(({ mu }, row) => {
      mixture.insert(row, [mu])
    })
    const numbers = Array.from({ length: CANDIDATES }, (_, c) => 280 + 17 * c)
    const out = logDensity(mixture, Float64Array.from(numbers, axis.encode))
    // The mass of each share, kernel by kernel, with the weights of 120 kernels and the prior.
    const mass = (mu: number, sigma: number, from: number, to: number) =>
      normalCdf((to - mu) / sigma) - normalCdf((from - mu) / sigma)
    const expected = numbers.map((number) => {
      const share = [(number - 1) / 1500, number / 1500] as const
      const under = (mu: number, sigma: number) => mass(mu, sigma, ...share) / mass(mu, sigma, 0, 1)
      return kernels.reduce(
        (sum, { mu, sigma }, k) => sum + (k < 95 ? 1 / 120 + (k * (1 - 1 / 120)) / 94 : 1) * under(mu, sigma),
        under(0.5, 1),
      )
    })
    out.forEach((value, c) => {
      expect(Math.exp(value - out[0]) / (expected[c] / expected[0])).toBeCloseTo(1, 3)
    })
  })

  it('draws what its density says', () => {
    const [axis] = encodingOf({ kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] }).axes
    const mixture = new Parzen([axis], 1, CANDIDATES)
    for (const [row, x] of [0.1, 0.15, 0.8].entries()) mixture.insert(row, [x])
    const bins = 24
    const out = logDensity(
      mixture,
      Float64Array.from({ length: bins }, (_, i) => (i + 0.5) / bins),
    )
    // Density sums to the total weight, 3 kernels and the prior.
    const p = out.map((value) => Math.exp(value) / 4 / bins)
    expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 2)
    const rng = new Rng(rngStream(1, 'draws'))
    const counts = new Array<number>(bins).fill(0)
    const x = new Float64Array(1)
    const draws = 40_000
    for (let i = 0; i < draws; i++) {
      mixture.sample(rng, x)
      counts[Math.floor(x[0] * bins)]++
    }
    // The density at the middle of a bin stands for its mean: hence the 3%.
    counts.forEach((count, i) => {
      expect(Math.abs(count - draws * p[i])).toBeLessThan(5 * Math.sqrt(draws * p[i]) + 0.03 * draws * p[i])
    })
  })

  it('draws categories with the weight of the prior, and values on the grid', () => {
    const mixture = new Parzen(axes, 1, CANDIDATES)
    mixture.insert(0, coordinates([0, 0.01, 10, 3, 0.5, 1]))
    const rng = new Rng(rngStream(2, 'draws'))
    const x = new Float64Array(axes.length)
    const counts = [0, 0, 0]
    const draws = 20_000
    for (let i = 0; i < draws; i++) {
      mixture.sample(rng, x)
      counts[axes[5].values!.index(x[5])]++
      if (i < 500) for (const j of [2, 3, 4, 5]) expect(axes[j].encode(axes[j].decode(x[j]))).toBe(x[j])
    }
    // One kernel on "b" with p = 1/2 on each choice, (1 + p) / (1 + 3 p) = 0.6 on its own; one prior with 1/3 each.
    const own = (0.6 + 1 / 3) / 2
    expect(Math.abs(counts[1] / draws - own)).toBeLessThan(5 * Math.sqrt((own * (1 - own)) / draws))
  })
})
