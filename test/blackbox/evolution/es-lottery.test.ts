import { describe, expect, test } from 'vitest'
import { naturalStep, STRATEGIES, startDiagonal } from '../../../src/blackbox/evolution/diagonal.js'
import { method } from '../../../src/blackbox/evolution/es-lottery.js'
import { barrier } from '../../../src/blackbox/evolution/tickets.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { TensorsSpace } from '../../../src/core/space.js'
import { of, Session, vector, xOf } from '../zeroth/session.js'

const D = 40
const loss = (x: ArrayLike<number>) => {
  let sum = 0
  for (let i = 0; i < 10; i++) sum += (x[i] - 0.3) ** 2
  return sum
}
/** Relevant coordinates start near 0, irrelevant ones at +-1. */
function start(seed: number): number[] {
  const rng = new Rng(rngStream(seed, 'start'))
  return Array.from({ length: D }, (_, i) => (i < 10 ? 0.02 * rng.normal() : rng.uniform() < 0.5 ? -1 : 1))
}
const TOY = { populationSize: 40, sigma: 0.1, rounds: 3, generations: 300, keep: 0.63, pointsPerQuery: 40 }

function run(config: object, seed: number, space: TensorsSpace = vector(start(seed))) {
  const session = new Session(method, space, { ...TOY, ...config }, seed)
  for (let query = session.ask()[0]; query; query = session.ask()[0]) session.tell(query, of(loss)(query))
  return session
}
const shown = (session: Session, answer: string) => {
  const { run: r, state } = session
  return xOf(
    method.estimate({ ...r, config: { ...(r.config as object), answer } } as never, state as never).points[0].point,
  )
}

describe('[es-lottery] forty coordinates, ten of which matter', () => {
  test.each([0, 1, 2, 3])('seed %i: the signal-to-noise ratio finds the ten, magnitude none', (seed) => {
    const snr = run({ prune: 'snr' }, seed)
    expect([...shown(snr, 'mask')]).toEqual(Array.from({ length: D }, (_, i) => Number(i < 10)))
    expect(loss(snr.x)).toBeLessThan(1e-10)
    expect(snr.metrics).toMatchObject({ round: 3, coordinates: 10, sparsity: 0.75 })
    const magnitude = run({ prune: 'magnitude' }, seed)
    expect([...shown(magnitude, 'mask').slice(0, 10)]).toEqual(new Array(10).fill(0))
    expect(loss(magnitude.x)).toBeCloseTo(0.9, 12)
  })
})

test('[es-lottery] one step of snes: the mean moves by 2, the deviation stays', () => {
  const distribution = startDiagonal(Float64Array.of(0), 1)
  naturalStep(distribution, Float64Array.of(1, -1), Float64Array.of(1, -1), {})
  expect([...distribution.mean, ...distribution.deviation]).toEqual([2, 1])
})

test('[es-lottery] the barrier between two points', () => {
  const path = (a: number, b: number, f: (x: number) => number) =>
    Float64Array.from({ length: 21 }, (_, i) => f((1 - i / 20) * a + (i / 20) * b))
  expect(barrier(path(-0.5, 2, (x) => (x - 1) ** 2))).toBeLessThanOrEqual(1e-9)
  expect(barrier(path(-1, 1, (x) => (x * x - 1) ** 2))).toBeCloseTo(1, 9)
})

test('es-lottery: asks along the segment of successive solutions, and reports its barrier', () => {
  const session = new Session(method, vector(start(0)), { ...TOY, rounds: 1, generations: 5, connectivity: true }, 0)
  const sizes: number[] = []
  for (let query = session.ask(1)[0]; query; query = session.ask(1)[0]) {
    sizes.push(query.points.length)
    // A wall in the middle of the path.
    const path = query.points.length === 21
    session.tell(
      query,
      query.points.map((point, i) => (path ? Number(i === 10) : loss(xOf(point)))),
    )
  }
  expect(sizes).toEqual([...new Array(10).fill(40), 21])
  expect(session.metrics.barrier).toBe(1)
})

test.each(STRATEGIES)('es-lottery: %s prunes and still arrives', (strategy) => {
  // open-es has the same deviation everywhere: its ratio is the magnitude, which would drop what matters here.
  const config = strategy === 'open-es' ? { learningRate: 0.02, keep: 1 } : { keep: 0.8 }
  const session = run({ strategy, rounds: 1, ...config }, 1)
  expect(session.metrics.coordinates).toBe(D * config.keep)
  expect(loss(session.x)).toBeLessThan(strategy === 'open-es' ? 0.1 : 1e-3)
})

describe('es-lottery: tickets', () => {
  test('the start with its zeros carries on in another session', () => {
    const found = run({}, 2)
    const ticket = shown(found, 'ticket')
    expect([...ticket]).toEqual(start(2).map((x, i) => (i < 10 ? x : 0)))
    const other = run({ strategy: 'sep-cma-es', rounds: 0, keepZeros: true }, 5, vector([...ticket]))
    expect(other.metrics.coordinates).toBe(10)
    expect(loss(other.x)).toBeLessThan(1e-6)
    expect([...other.x.slice(10)]).toEqual(new Array(30).fill(0))
  })

  test('controls keep as many coordinates, others; a fresh start for a random mask', () => {
    for (const control of ['permuted-mask', 'random-reinit']) {
      const session = run({ control, rounds: 2, generations: 30 }, 3)
      expect(session.metrics.coordinates).toBe(Math.round(40 * 0.63 ** 2))
      const ticket = shown(session, 'ticket')
      const original = start(3)
      const same = [...ticket].every((x, i) => x === 0 || x === original[i])
      expect(same).toBe(control === 'permuted-mask')
    }
  })

  test('biases are never pruned, nor are the tensors that are listed', () => {
    const space: TensorsSpace = {
      kind: 'tensors',
      tensors: ['a', 'b', 'a.bias'].map((name) => ({ name, shape: [10], dtype: 'f64' })),
    }
    const left = (config: object) => {
      const session = new Session(method, space, { ...TOY, generations: 2, rounds: 8, answer: 'mask', ...config })
      for (let query = session.ask()[0]; query; query = session.ask()[0])
        session.tell(
          query,
          query.points.map((_, i) => i),
        )
      const { point } = session.estimate.points[0]
      if (point.kind !== 'tensors') throw new Error('expected tensors')
      return Object.values(point.tensors).map((part) => Array.from(part).reduce((sum, x) => sum + x, 0))
    }
    expect(left({})[2]).toBe(10)
    expect(left({})[0] + left({})[1]).toBe(Math.round(20 * 0.63 ** 8))
    expect(left({ dense: ['b'] })[1]).toBe(10)
    expect(() => left({ dense: ['c'] })).toThrow('config.dense[0]: "c" is not a tensor')
  })
})

test('es-lottery: refuses odd populations of pairs and bounds', () => {
  expect(() => new Session(method, vector([1]), { strategy: 'pgpe', populationSize: 5 })).toThrow(
    'config.populationSize',
  )
  expect(() => new Session(method, vector([1], { low: 0 }))).toThrow('space.low')
  expect(() => new Session(method, vector([1]), { control: 'permuted-mask', keepZeros: true })).toThrow(
    'config.control',
  )
})
