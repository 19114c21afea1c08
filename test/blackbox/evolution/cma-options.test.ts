import { describe, expect, it } from 'vitest'
import { normalCdf } from '../../../src/blackbox/bayes/acquisition.js'
import { boxOf } from '../../../src/blackbox/evolution/box.js'
import { constants, deviation, isotropic } from '../../../src/blackbox/evolution/cma.js'
import { method } from '../../../src/blackbox/evolution/cma-es.js'
import { keepMargin } from '../../../src/blackbox/evolution/margin.js'
import { promising } from '../../../src/blackbox/evolution/warm-start.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Parameter, Problem } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem } from '../drive.js'
import { of, Session, vector } from '../zeroth/session.js'

const ellipsoid = (x: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += 10 ** ((6 * i) / (x.length - 1)) * x[i] ** 2
  return sum
}

describe('cma-es with a separable covariance', () => {
  const evaluations = (covariance: string, n: number) => {
    const session = new Session(method, vector(new Array(n).fill(3)), { covariance, sigma: 1, restarts: 0 }, 3)
    for (let count = 0; ; ) {
      for (const query of session.ask(1000)) {
        const [value] = of(ellipsoid)(query)
        count++
        if (value < 1e-8) return count
        session.tell(query, [value])
      }
    }
  }
  it('needs less than half the evaluations on an axis-parallel ellipsoid', () => {
    const separable = evaluations('separable', 20)
    expect(separable).toBeLessThan(0.5 * evaluations('full', 20))
    expect(separable).toBeLessThan(1e4)
  })
  it('learns (n + 2)/3 times faster, and keeps vectors alone', () => {
    expect(constants(10, 10, true, true).c1).toBeCloseTo(4 * constants(10, 10, true).c1, 14)
    expect(constants(10, 10, true, true).cMu).toBeCloseTo(4 * constants(10, 10, true).cMu, 14)
    const problem: Problem = {
      space: { kind: 'tensors', tensors: [{ name: 'x', shape: [50_000], dtype: 'f64' }] },
      objectives: [{ name: 'f', direction: 'minimize' }],
    }
    expect(method.check!(parseConfig(method.config, { covariance: 'separable' }), problem)).toEqual([])
    expect(method.check!(parseConfig(method.config, {}), problem)).toMatchObject([{ path: 'space.tensors' }])
  })
})

describe('cma-es with BIPOP restarts', () => {
  const rastrigin = (x: number[]) => x.reduce((sum, v) => sum + v * v - 10 * Math.cos(2 * Math.PI * v) + 10, 0)
  const space = searchProblem(
    Array.from({ length: 3 }, (_, i): Parameter => ({ name: `x${i}`, type: 'float', low: -5.3, high: 4.9 })),
  )
  it('shares evaluations between large and small runs, and ends after the last large one', () => {
    const driver = new Driver(method, space, { restart: 'bipop', restarts: 4 }, 1)
    const runs: { size: number; restart: number; told: number }[] = []
    let last = ''
    driver.play(
      200_000,
      (query) => {
        const { populationSize: size, restart } = driver.estimate().metrics!
        const { small } = driver.state as { small: boolean }
        const key = `${size} ${restart} ${small}`
        if (key !== last) runs.push({ size, restart, told: 0 })
        last = key
        runs[runs.length - 1].told++
        return rastrigin(Object.values(paramsOf(query)) as number[])
      },
      100,
    )
    expect(driver.outcome?.status.phase).toBe('done')
    expect(driver.best()).toBeLessThan(1e-9)
    const large = runs.filter(({ size, restart }) => size === 7 * 2 ** restart)
    expect([...new Set(large.map(({ size }) => size))]).toEqual([7, 14, 28, 56, 112])
    const small = runs.filter((run) => !large.includes(run))
    expect(small.length).toBeGreaterThan(0)
    for (const { size, restart } of small) {
      expect(size).toBeGreaterThanOrEqual(4)
      expect(size).toBeLessThanOrEqual((7 * 2 ** restart) / 2)
    }
    const { spent } = driver.state as unknown as { spent: { small: number; large: number } }
    expect(spent.small).toBeGreaterThan(0.5 * spent.large)
    expect(spent.small).toBeLessThan(1.6 * spent.large)
  })
  it('gives the same run across restarts of the process', () => {
    const [plain, restarted] = [0, 1].map(() => new Driver(method, space, { restart: 'bipop' }, 2))
    for (let k = 0; k < 300; k++) {
      restarted.restart()
      const [a, b] = [plain, restarted].map((driver) => driver.ask(7))
      expect(b).toEqual(a)
      for (const query of a) {
        const value = rastrigin(Object.values(paramsOf(query)) as number[])
        plain.tell(query, value)
        restarted.tell(query, value)
      }
    }
  })
})

describe('cma-es with a margin', () => {
  it('leaves each side of an integer a probability, and touches nothing where it has one', () => {
    for (const [mean, sigma] of [
      [0.1, 0.01],
      [0.49, 0.02],
      [-0.2, 0.3],
      [0, 1e-9],
    ]) {
      const distribution = isotropic(Float64Array.of(mean, 0), sigma)
      const changed = keepMargin(distribution, 0, [-0.5, 0.5], 0.1)
      const s = deviation(distribution, 0)
      const [below, above] = [normalCdf((-0.5 - distribution.mean[0]) / s), normalCdf((distribution.mean[0] - 0.5) / s)]
      expect(Math.min(below, above)).toBeGreaterThan(0.05 - 1e-6)
      expect(distribution.mean[0]).toBeGreaterThan(-0.5)
      expect(distribution.mean[0]).toBeLessThan(0.5)
      expect(changed).toBe(true)
      expect(deviation(distribution, 1)).toBe(sigma)
    }
    const wide = isotropic(Float64Array.of(0, 0), 1)
    expect(keepMargin(wide, 0, [-0.5, 0.5], 0.1)).toBe(false)
    expect([...wide.C]).toEqual([1, 0, 0, 1])
  })

  it('the share of a value goes on in the mirror at the bounds', () => {
    const box = boxOf({
      kind: 'search',
      parameters: [
        { name: 'n', type: 'int', low: 1, high: 4 },
        { name: 'x', type: 'float', low: 0, high: 1 },
      ],
    })
    expect(box.share(0, 0.3)).toEqual([0.25, 0.5])
    expect(box.share(0, 0.1)).toEqual([-0.25, 0.25])
    expect(box.share(0, -0.1)).toEqual([-0.25, 0.25])
    expect(box.share(0, 0.9)).toEqual([0.75, 1.25])
    expect(box.share(0, 1.1)).toEqual([0.75, 1.25])
    expect(box.share(0, 1.6)).toEqual([1.5, 1.75])
    expect(box.share(1, 0.3)).toBeUndefined()
  })

  it('finds the optimum of binary and integer coordinates that a narrow distribution would never leave', () => {
    // Hamano et al. 2022, "SphereLeadingOnes" and "EllipsoidInt" in small.
    const parameters: Parameter[] = [
      ...Array.from({ length: 3 }, (_, i): Parameter => ({ name: `x${i}`, type: 'float', low: -3, high: 5 })),
      ...Array.from({ length: 3 }, (_, i): Parameter => ({ name: `b${i}`, type: 'int', low: 0, high: 1 })),
      { name: 'n', type: 'int', low: -10, high: 10 },
    ]
    const f = (params: Record<string, number>) => {
      const bits = [0, 1, 2].map((i) => params[`b${i}`])
      const leading = bits.indexOf(0) < 0 ? 3 : bits.indexOf(0)
      return [0, 1, 2].reduce((sum, i) => sum + params[`x${i}`] ** 2, 0) + 3 - leading + (params.n - 7) ** 2
    }
    for (let seed = 0; seed < 5; seed++) {
      const driver = new Driver(method, searchProblem(parameters), { restarts: 0 }, seed)
      driver.play(2500, (query) => f(paramsOf(query) as Record<string, number>), 9)
      expect(driver.best()).toBeLessThan(1e-6)
    }
  })
})

describe('cma-es with a warm start', () => {
  const parameters: Parameter[] = [
    { name: 'x', type: 'float', low: 0, high: 10 },
    { name: 'y', type: 'float', low: 1e-3, high: 1, log: true },
  ]
  const f = (params: Record<string, number>, shift: number) =>
    (params.x - 7 - shift) ** 2 + Math.log10(params.y / 0.1) ** 2
  const known = Array.from({ length: 100 }, (_, i) => ({
    x: (i % 10) + 0.5,
    y: 10 ** (-3 * ((Math.floor(i / 10) + 0.5) / 10)),
  }))
  const evaluations = (warmStart: boolean, covariance = 'full') => {
    const driver = new Driver(method, searchProblem(parameters), { warmStart, covariance }, 1)
    for (const params of known) driver.add(params, f(params, 0))
    const first = driver.ask(6)
    let count = 0
    let best = Number.POSITIVE_INFINITY
    const tell = (query: Parameters<typeof driver.tell>[0]) => {
      const value = f(paramsOf(query) as Record<string, number>, 0.3)
      best = Math.min(best, value)
      count++
      driver.tell(query, value)
    }
    for (const query of first) tell(query)
    while (best > 1e-4)
      driver.play(1, (query) => {
        const value = f(paramsOf(query) as Record<string, number>, 0.3)
        best = Math.min(best, value)
        count++
        return value
      })
    return { count, first: first.map((query) => paramsOf(query) as Record<string, number>) }
  }
  it('begins about the best tenth of what is known, and needs fewer evaluations', () => {
    const warm = evaluations(true)
    const mean = warm.first.reduce((sum, { x }) => sum + x / warm.first.length, 0)
    expect(Math.abs(mean - 7)).toBeLessThan(1.5)
    expect(warm.count).toBeLessThan(0.8 * evaluations(false).count)
    expect(evaluations(true, 'separable').count).toBeLessThan(0.8 * evaluations(false, 'separable').count)
  })
  it('the distribution is that of the mixture of the best', () => {
    const points = [
      [0.2, 0.4],
      [0.4, 0.8],
      [0.9, 0.9],
    ].map((x) => Float64Array.from(x))
    const many = [...points.slice(0, 2), ...Array.from({ length: 18 }, () => points[2])]
    const { mean, sigma, C } = promising([{ points: many, values: [...many.keys()] }], false)
    expect([...mean]).toEqual([0.3, 0.6].map((x) => expect.closeTo(x, 12)))
    // 0.1^2 I + [[0.01, 0.02], [0.02, 0.04]].
    expect([...C].map((c) => c * sigma ** 2)).toEqual([0.02, 0.02, 0.02, 0.05].map((c) => expect.closeTo(c, 12)))
  })
  it('points and vectors of a space stand for each other', () => {
    const box = boxOf({ kind: 'search', parameters: [...parameters, { name: 'fixed', type: 'int', low: 3, high: 3 }] })
    expect([...box.vector(box.point([0.25, 0.75]))]).toEqual([0.25, 0.75].map((x) => expect.closeTo(x, 12)))
    const tensors = {
      kind: 'tensors' as const,
      tensors: [{ name: 'a', shape: [2], dtype: 'f64' as const }],
      low: -1,
      high: 3,
    }
    expect([...boxOf(tensors).vector(boxOf(tensors).point([0.25, 0.5]))]).toEqual([0.25, 0.5])
  })
})

it('cma-es: brings the state of an earlier version along', () => {
  const driver = new Driver(method, searchProblem([{ name: 'x', type: 'float', low: 0, high: 1 }]), {}, 1)
  const { small, spent, ...old } = driver.state as unknown as { small: boolean; spent: object }
  expect(method.migrate!(1, old as never)).toMatchObject({ small, spent })
})
