import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Drive } from '../../../src/optimizers/drivers/driver.js'
import { drivers } from '../../../src/optimizers/drivers/index.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

const example = (key: string | undefined) => Number(key!.slice(1))

/** The sum of x^2/2 + s_i*x, s_i = 1 for the first half and -1 for the second: its minimizer is 0. */
const side = (i: number, n: number) => (i < n / 2 ? 1 : -1)

test('[grab] four examples by hand: the order of each epoch, and where it leads', () => {
  const driver = { id: 'examples', count: 4, order: 'grab', first: [0, 1, 2, 3] }
  const session = new Session(sgd, vectors([0]), { config: { learningRate: 0.1, driver } })
  const epoch = () =>
    Array.from({ length: 4 }, () => {
      const i = example(session.query.sampleKey)
      session.tell([session.x[0] + side(i, 4)])
      return i + 1
    })
  expect(epoch()).toEqual([1, 2, 3, 4])
  expect(Math.abs(session.x[0] - 0.0361)).toBeLessThan(1e-12)
  expect(Math.abs(session.view('stale').x[0] + 0.09025)).toBeLessThan(1e-12)
  session.restart()
  expect(epoch()).toEqual([2, 4, 3, 1])
  expect(epoch()).toEqual([1, 3, 4, 2])
})

/** Runs the driver around plain SGD on the test sum: the root mean square of the last iterate over seeds. */
function rms(order: string, n: number, seeds = 20) {
  const config = { id: 'examples', count: n, order }
  const driver = drivers.of(config)
  let squares = 0
  for (let seed = 0; seed < seeds; seed++) {
    const x = { x: new Float64Array(1) }
    const points = Object.fromEntries(driver.points(config).map((name) => [name, { x: new Float64Array(1) }]))
    const drive: Drive = {
      space: vectors([0]),
      x,
      state: { phase: '', shard: 0, points },
      rng: new Rng(rngStream(seed, 'order')),
      constrained: false,
      update: (g) => {
        x.x[0] -= g.x[0] / (4 * n)
      },
      learningRate: 1,
      probe: () => {},
      decay: () => {},
      forecast: () => {},
      run: () => {},
      measure: () => {},
      copy: () => {},
    }
    const gradient = { x: new Float64Array(1) }
    let ask = driver.begin(config, drive)
    for (let t = 0; t < 12 * n; t++) {
      gradient.x[0] = x.x[0] + side(ask.example!, n)
      ask = driver.advance(config, drive, gradient, { gradients: [gradient], values: [], products: [], quantities: [] })
    }
    squares += x.x[0] ** 2 / seeds
  }
  return Math.sqrt(squares)
}

test('[grab] errors after 12 epochs: with replacement, by random permutations, and balanced', () => {
  const at = (n: number) => ({
    replaced: rms('with-replacement', n),
    random: rms('random-reshuffle', n),
    grab: rms('grab', n),
  })
  const [small, large] = [at(64), at(1024)]
  expect(large.grab).toBeLessThanOrEqual(0.1 * large.random)
  expect(large.random).toBeLessThanOrEqual(0.2 * large.replaced)
  expect(small.random / large.random).toBeGreaterThan(2.5)
  expect(small.random / large.random).toBeLessThan(6)
  expect(small.grab / large.grab).toBeGreaterThanOrEqual(6)
  expect(small.grab / large.grab).toBeGreaterThan(small.random / large.random)
})

test('[grab] orders: permutations or draws, anew or once, told or random, the same for the same seed', () => {
  const epochs = (driver: object, seed = 1) => {
    const config = { learningRate: 0.01, driver: { id: 'examples', count: 30, ...driver } }
    const session = new Session(sgd, vectors([0, 1]), { config, seed })
    return Array.from({ length: 4 }, () =>
      Array.from({ length: 30 }, () => {
        const i = example(session.query.sampleKey)
        session.refuse('failed')
        expect(example(session.query.sampleKey)).toBe(i)
        session.tell([Math.sin(i), Math.cos(7 * i)])
        return i
      }),
    )
  }
  const sorted = (order: number[]) => [...order].sort((a, b) => a - b)
  const all = Array.from({ length: 30 }, (_, i) => i)
  for (const order of ['random-reshuffle', 'shuffle-once', 'grab']) {
    const found = epochs({ order })
    for (const epoch of found) expect(sorted(epoch)).toEqual(all)
    expect(epochs({ order })).toEqual(found)
    expect(epochs({ order }, 2)).not.toEqual(found)
    expect(epochs({ order, first: [...all].reverse() })[0]).toEqual([...all].reverse())
    if (order === 'shuffle-once') expect(found[3]).toEqual(found[0])
    else expect(found[3]).not.toEqual(found[0])
  }
  const drawn = epochs({ order: 'with-replacement' })
  expect(new Set(drawn[0]).size).toBeLessThan(30)
  expect(drawn[1]).not.toEqual(drawn[0])
  for (const first of [
    [0, 1],
    [...all.slice(1), 1],
    [...all.slice(1), 30],
  ])
    expect(() => epochs({ first })).toThrow('config.driver.first: expected each number from 0 to 29 once')
})

test('[grab] averages of the iterates: uniform, and with weights that grow as errors shrink', () => {
  const q = 1 - 0.1
  for (const [averaging, weight] of [
    [{ id: 'polynomial', gamma: 0 }, () => 1],
    [{ id: 'ema', decay: q }, (t: number) => q ** -t],
  ] as const) {
    const driver = { id: 'examples', count: 5, order: 'grab' }
    const session = new Session(sgd, vectors([1]), { config: { learningRate: 0.1, driver, averaging } })
    let [sum, total] = [0, 0]
    for (let t = 1; t <= 30; t++) {
      session.tell([session.x[0] + Math.sin(t)])
      sum += weight(t) * session.x[0]
      total += weight(t)
      expect(session.answer.x[0]).toBeCloseTo(sum / total, 10)
    }
  }
})
