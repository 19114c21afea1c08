import { describe, expect, it } from 'vitest'
import { method as pb2 } from '../../../src/blackbox/evolution/pb2.js'
import { method as pbt } from '../../../src/blackbox/evolution/pbt.js'
import { perturbed } from '../../../src/blackbox/evolution/perturb.js'
import { type Member, type Training, truncation } from '../../../src/blackbox/evolution/training.js'
import { covariance, likeliest, logLikelihood, posterior } from '../../../src/blackbox/evolution/tv-process.js'
import { encodingOf } from '../../../src/blackbox/space/encoding.js'
import type { AnyMethod } from '../../../src/core/method.js'
import type { Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Parameter, SearchSpace } from '../../../src/core/space.js'
import { Driver, paramsOf, searchProblem, type Told } from '../drive.js'

const rate: Parameter[] = [{ name: 'rate', type: 'float', low: 1e-3, high: 10, log: true }]
const rateOf = (query: Query) => paramsOf(query).rate as number

/** A driver that numbers trials, as sessions do. */
class Trials extends Driver {
  trials = 0
  override ask(count = 1): readonly Query[] {
    return super.ask(count).map((query) => ({ ...query, trial: this.trials++ }))
  }
  generation(size: number, f: (query: Query) => Told): readonly Query[] {
    const queries = this.ask(size)
    for (const query of queries) this.tell(query, f(query))
    return queries
  }
}
const both: [string, AnyMethod][] = [
  ['pbt', pbt],
  ['pb2', pb2],
]

describe.each(both)('a population of %s', (_, method) => {
  const population = (config: object = {}) => new Trials(method, searchProblem(rate), { populationSize: 10, ...config })

  it('starts every member from scratch, then continues from its own trial', () => {
    const driver = population({ synchronous: true })
    const first = driver.generation(10, () => 1)
    expect(first.every(({ purpose, parent }) => purpose === 'start' && parent === undefined)).toBe(true)
    const second = driver.ask(10)
    const kept = second.filter(({ purpose }) => purpose === 'continue')
    expect(kept).toHaveLength(8)
    for (const query of kept) expect(paramsOf(query)).toEqual(paramsOf(first[query.parent!]))
  })

  it('replaces the bottom fifth by the top fifth, and perturbs the parameters of those', () => {
    const driver = population({ synchronous: true, resampleProbability: 0 })
    const first = driver.generation(10, (query) => query.trial!)
    const second = driver.ask(10)
    expect(second.map(({ purpose }) => purpose)).toEqual([...Array(8).fill('continue'), 'exploit', 'exploit'])
    for (const query of second.slice(8)) {
      expect([0, 1]).toContain(query.parent)
      const factor = rateOf(query) / rateOf(first[query.parent!])
      expect(Math.min(Math.abs(factor - 0.8), Math.abs(factor - 1.2))).toBeLessThan(1e-9)
    }
  })

  it('goes by the direction of the objective', () => {
    const driver = new Trials(method, searchProblem(rate, 'maximize'), { populationSize: 10, synchronous: true })
    driver.generation(10, (query) => query.trial!)
    expect(
      driver
        .ask(10)
        .map(({ purpose }) => purpose)
        .slice(0, 3),
    ).toEqual(['exploit', 'exploit', 'continue'])
  })

  it('copies a run in place of one that failed, and starts anew where none is left', () => {
    const driver = population({ synchronous: true })
    driver.generation(10, () => 'failed')
    const second = driver.generation(10, (query) => (query.trial === 13 ? 1 : 'infeasible'))
    expect(second.every(({ purpose }) => purpose === 'start')).toBe(true)
    expect(driver.ask(10).map(({ parent }) => parent)).toEqual(Array(10).fill(13))
  })

  it('asks a cancelled interval again', () => {
    const driver = population()
    const [query] = driver.ask(1)
    driver.tell(query, 'cancelled')
    const again = driver.ask(1)[0]
    expect(again.id).not.toBe(query.id)
    expect(paramsOf(again)).toEqual(paramsOf(query))
  })

  it('decides a synchronous generation by the one before it, also when asked one by one', () => {
    const driver = population({ synchronous: true })
    driver.generation(10, (query) => query.trial!)
    const second = Array.from({ length: 10 }, () => driver.generation(1, () => -1)[0])
    expect(second.slice(0, 8).map(({ parent }) => parent)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    for (const { parent } of second.slice(8)) expect([0, 1]).toContain(parent)
  })

  it('takes trials that it did not ask for: in place of their parent, of an empty member, of the worst', () => {
    const driver = population({ populationSize: 2 })
    const add = (trial: number, value: number, parent?: number) => {
      const query = { ...told, id: `own-${trial}`, trial, ...(parent !== undefined && { parent }) }
      driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', values: [[value]] } })
    }
    const told: Query = { id: '', points: [{ kind: 'params', params: { rate: 1 } }], wants: [{ kind: 'value' }] }
    const trials = () => (driver.state as unknown as Training).members.map(({ trial, intervals }) => [trial, intervals])
    add(0, 5)
    add(1, 7)
    expect(trials()).toEqual([
      [0, 1],
      [1, 1],
    ])
    add(2, 4, 0)
    expect(trials()).toEqual([
      [2, 2],
      [1, 1],
    ])
    add(3, 8)
    expect(trials()[1]).toEqual([1, 1])
    add(4, 3)
    expect(trials()[1]).toEqual([4, 1])
    expect(driver.ask(1)[0]).toMatchObject({ parent: 4, points: told.points })
  })

  it('waits for the generation when synchronous, and never for one member otherwise', () => {
    const wait = population({ synchronous: true })
    const [held, ...rest] = wait.ask(10)
    for (const query of rest) wait.tell(query, 1)
    expect(wait.ask(1)).toEqual([])
    expect(wait.outcome?.short).toMatchObject({ until: 'tell' })
    wait.tell(held, 1)
    expect(wait.ask(1)).toHaveLength(1)

    const free = population()
    const open = free.ask(10)
    expect(free.ask(1)).toEqual([])
    for (const query of open.slice(1)) free.tell(query, 1)
    expect(free.ask(10)).toHaveLength(9)
  })

  it('goes on bit for bit after a restart', () => {
    const play = (restart: boolean) => {
      const driver = population()
      const asked: Query[] = []
      for (let i = 0; i < 9; i++) {
        asked.push(...driver.generation(4, (query) => Math.abs(Math.log(rateOf(query)))))
        if (restart) driver.restart()
      }
      return asked
    }
    expect(play(true)).toEqual(play(false))
  })

  it('finds a schedule: what trains fastest changes on the way', () => {
    // Progress is how near the rate is to one that falls tenfold in twenty intervals; constant rates lose it.
    const driver = population({ synchronous: true })
    const reached = new Map<number, { at: number; progress: number }>()
    for (let generation = 0; generation < 20; generation++)
      driver.generation(10, (query) => {
        const from = reached.get(query.parent ?? -1) ?? { at: 0, progress: 0 }
        const off = Math.log10(rateOf(query)) - (0.5 - from.at / 20)
        const next = { at: from.at + 1, progress: from.progress + Math.exp(-8 * off * off) }
        reached.set(query.trial!, next)
        return -next.progress
      })
    let constant = 0
    for (let r = -3; r <= 1; r += 0.01) {
      let sum = 0
      for (let t = 0; t < 20; t++) sum += Math.exp(-8 * (r - (0.5 - t / 20)) ** 2)
      constant = Math.max(constant, sum)
    }
    expect(-driver.best()).toBeGreaterThan(constant)
  })
})

describe('truncation selection', () => {
  const members = (values: number[]) => values.map((value) => ({ value }) as Member)
  it.each([
    [10, 2],
    [11, 3],
    [3, 1],
    [1, 0],
  ])('of %i members takes %i at each end', (size, n) => {
    const { top, bottom } = truncation(members(Array.from({ length: size }, (_, i) => i)), 0.2)
    expect(top.map(({ value }) => value)).toEqual(Array.from({ length: n }, (_, i) => i))
    expect(bottom.map(({ value }) => value)).toEqual(Array.from({ length: n }, (_, i) => size - n + i))
  })
  it('leaves out members that have no value', () => {
    expect(truncation(members([Number.NaN, 1, Number.NaN, 2]), 0.5).top).toHaveLength(1)
  })
})

describe('explore', () => {
  const space: SearchSpace = {
    kind: 'search',
    parameters: [
      ...rate,
      { name: 'size', type: 'ordinal', choices: [1, 2, 4, 8] },
      { name: 'kind', type: 'categorical', choices: ['a', 'b'] },
      { name: 'extra', type: 'float', low: 0, high: 1, condition: { parent: 'kind', values: ['b'] } },
    ],
  }
  const encoding = encodingOf(space)
  const rng = new Rng(rngStream(1, 'explore'))
  const from = { rate: 1, size: 2, kind: 'a' }
  const many = (resampleProbability: number) =>
    Array.from({ length: 2000 }, () =>
      perturbed(encoding, { decrease: 0.8, increase: 1.2, resampleProbability }, from, rng),
    )

  it('multiplies numbers by 0.8 or 1.2, moves an ordinal by one, keeps a category', () => {
    const moved = many(0)
    expect(new Set(moved.map(({ rate }) => (rate as number).toFixed(9)))).toEqual(
      new Set(['0.800000000', '1.200000000']),
    )
    expect(new Set(moved.map(({ size }) => size))).toEqual(new Set([1, 4]))
    expect(moved.every(({ kind, extra }) => kind === 'a' && extra === undefined)).toBe(true)
    const up = moved.filter(({ rate }) => (rate as number) > 1).length
    expect(Math.abs(up - 1000)).toBeLessThan(4 * Math.sqrt(500))
  })
  it('resamples each parameter with the probability given', () => {
    const fresh = many(0.25).filter(
      ({ rate }) => Math.min(Math.abs((rate as number) - 0.8), Math.abs((rate as number) - 1.2)) > 1e-9,
    )
    expect(Math.abs(fresh.length - 500)).toBeLessThan(4 * Math.sqrt(375))
  })
  it('stays inside of the space', () => {
    for (let i = 0, params: typeof from = { ...from, rate: 10 }; i < 200; i++) {
      params = perturbed(encoding, { decrease: 0.8, increase: 1.2, resampleProbability: 0 }, params, rng) as typeof from
      expect(params.rate).toBeLessThanOrEqual(10)
      expect(params.rate).toBeGreaterThanOrEqual(1e-3)
    }
  })
})

describe('the time-varying process', () => {
  const theta = { length: 0.4, epsilon: 0.2, noise: 0.01 }
  const at = (x: number, t: number) => ({ x: Float64Array.of(x), t })

  it('has the kernel of equation 6', () => {
    expect(covariance(theta, at(0.1, 3), at(0.5, 7))).toBeCloseTo(Math.exp(-0.5) * 0.8 ** 2, 14)
  })
  it('predicts one sample as by hand, and forgets it', () => {
    const model = posterior(theta, [at(0.5, 0)], Float64Array.of(2), [])
    expect(model(at(0.5, 0)).mean).toBeCloseTo(2 / 1.01, 12)
    expect(model(at(0.5, 0)).deviation).toBeCloseTo(Math.sqrt(1 - 1 / 1.01), 12)
    expect(model(at(0.5, 10)).mean).toBeCloseTo((2 / 1.01) * 0.8 ** 5, 12)
  })
  it('pending samples narrow the deviation and leave the mean', () => {
    const y = Float64Array.of(1)
    const alone = posterior(theta, [at(0.1, 0)], y, [])(at(0.9, 1))
    const beside = posterior(theta, [at(0.1, 0)], y, [at(0.9, 1)])(at(0.9, 1))
    expect(beside.mean).toBe(alone.mean)
    expect(beside.deviation).toBeLessThan(0.2)
    expect(alone.deviation).toBeGreaterThan(0.9)
  })
  it('is fitted to what is likeliest: changes with time, or none', () => {
    const samples = Array.from({ length: 40 }, (_, i) => at((i % 5) / 4, Math.floor(i / 5)))
    const still = Float64Array.from(samples, ({ x }) => Math.sin(4 * x[0]))
    const drifting = Float64Array.from(samples, ({ x, t }) => Math.sin(4 * x[0] + 0.8 * t))
    expect(likeliest(samples, still).epsilon).toBe(0.01)
    expect(likeliest(samples, drifting).epsilon).toBeGreaterThan(0.1)
    expect(logLikelihood(likeliest(samples, still), samples, still)).toBeGreaterThan(
      logLikelihood(theta, samples, still),
    )
  })
})

it('pb2 asks where training gained most, of what it knows', () => {
  const driver = new Trials(pb2, searchProblem(rate), { populationSize: 4, quantile: 0.25, synchronous: true })
  const progress = new Map<number, number>()
  const gain = (x: number) => Math.exp(-4 * Math.log10(x) ** 2)
  const explored: number[] = []
  for (let i = 0; i < 25; i++)
    driver.generation(4, (query) => {
      const next = (progress.get(query.parent ?? -1) ?? 0) + gain(rateOf(query))
      progress.set(query.trial!, next)
      if (query.purpose === 'exploit' && i > 15) explored.push(gain(rateOf(query)))
      return -next
    })
  expect((driver.state as unknown as Training & { gains: object[] }).gains.length).toBeGreaterThan(50)
  expect(explored.reduce((a, b) => a + b, 0) / explored.length).toBeGreaterThan(0.7)
})
