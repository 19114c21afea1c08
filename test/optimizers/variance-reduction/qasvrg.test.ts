import { expect, test } from 'vitest'
import { linearSystem, quasarHinge, type Sum } from '../../../examples/workloads/quasar-convex.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as qasvrg } from '../../../src/optimizers/variance-reduction/qasvrg.js'
import { type Config, coupling } from '../../../src/optimizers/variance-reduction/quasar.js'
import { vectors } from '../session.js'
import { type Client, Turns } from '../turns.js'

/** Answers of a sum, with batches drawn by the sample key: of the size that the session reports, or of all examples. */
const clientOf =
  (sum: Sum, size?: () => number): Client =>
  (points, { sampleKey, purpose }) => {
    const whole = purpose === 'snapshot' || !size
    const all = Array.from({ length: sum.examples }, (_, i) => i)
    const batch = whole ? undefined : new Rng(rngStream(0, sampleKey!)).shuffle(all).slice(0, size())
    const told = points.map(({ x }) => sum.at(x, batch))
    return { values: told.map(({ value }) => [value]), gradients: told.map(({ gradient }) => ({ x: gradient })) }
  }
const bent: Sum = {
  dimension: 2,
  examples: 1,
  at: ([x, y]: ArrayLike<number> & Iterable<number>) => ({
    value: x ** 4 + Math.cosh(y),
    gradient: Float64Array.of(4 * x ** 3, Math.sinh(y)),
  }),
}

test('[qasvrg] the first step of each method', () => {
  const first = (config: object) => {
    const session = new Turns(qasvrg, vectors([1, 2]), { config: { gamma: 0.5, smoothness: 4, ...config } })
    const client = clientOf(bent)
    session.steps(1, client)
    const z = (session.state as { own: { z: Float64Array } }).own.z
    return { y: Array.from(session.answer.x), z: Array.from(z) }
  }
  const { gradient } = bent.at([1, 2])
  const moved = (size: number) => [1, 2].map((v, i) => v - size * gradient[i])
  const near = (a: number[], b: number[]) =>
    a.forEach((v, i) => {
      expect(v).toBeCloseTo(b[i], 14)
    })
  near(first({ variant: 'qagd' }).y, moved(0.25))
  near(first({ variant: 'qagd' }).z, moved(0.09375))
  near(first({ variant: 'qasvrg' }).y, moved(0.25))
  near(first({ variant: 'qasvrg' }).z, moved(0.046875))
  near(first({ variant: 'qasgd' }).y, [1, 2])
  near(first({ variant: 'qasgd' }).z, moved((1 / 4) * (3 / 0.5)))
  near(first({ variant: 'qasgd', form: 'sgc', rho: 2 }).y, moved(1 / 8))
  near(first({ variant: 'qasgd', form: 'sgc', rho: 2 }).z, moved((0.5 * 3) / (4 * 4 * 4)))
  const [a, beta] = [0.5 * 0.1 * 0.5, Math.sqrt(2 * 4 * 0.1)]
  near(first({ form: 'strong', mu: 0.1 }).y, moved(0.25))
  near(first({ form: 'strong', mu: 0.1 }).z, moved(1 / (a + beta)))
})

test('[qasvrg] every weight holds its inequality on one batch, or is an end by its branch', () => {
  const hinge = quasarHinge(rngStream(0, 'hinge'))
  const branches = new Set<string>()
  for (const config of [
    { variant: 'qagd' },
    { variant: 'qasgd', noise: 1 },
    { variant: 'qasvrg', examples: 100, stageSteps: 20 },
    { variant: 'qasvrg', form: 'strong', mu: 0.01, examples: 100 },
    { variant: 'qagd', gamma: 0.05 },
  ]) {
    const start = vectors(Array.from({ length: 20 }, (_, i) => 30 * Math.sin(5 * i)))
    const session = new Turns(qasvrg, start, {
      config: { gamma: 0.5, smoothness: hinge.smoothness, tolerance: 1e-12, ...config },
    })
    const parsed = session.run.config as Config
    const client = clientOf(hinge, () => session.metrics.batchSize ?? 30)
    const own = () => (session.state as { own: { y: Float64Array; z: Float64Array; k: number; tau: number } }).own
    for (let t = 0; t < 150; t++) {
      // At the start of a step its y, z and k are known, and by its first query its batch.
      while (session.query!.purpose === 'snapshot') session.tell(client)
      const { y, z, k } = { ...own() }
      const { sampleKey } = session.query!
      const on = (x: Float64Array) => {
        const { values, gradients } = client([{ x }], { ...session.query!, sampleKey, purpose: 'search' })
        return { f: values![0][0], g: gradients![0].x }
      }
      const batched = { y: on(y), z: on(z) }
      let tau = own().tau
      const { step } = session.estimate
      const at = (weight: number) => on(y.map((v, i) => weight * v + (1 - weight) * z[i]))
      const memory = new Map<number, { f: number; g: Float64Array }>()
      while (session.estimate.step === step) {
        expect(session.query!.sampleKey).toBe(sampleKey)
        tau = own().tau
        if (!memory.has(tau)) memory.set(tau, at(tau) as { f: number; g: Float64Array })
        session.tell(client)
      }
      if (y.every((v, i) => v === z[i])) {
        expect(tau).toBe(1)
        continue
      }
      const { c, b } = coupling(parsed, k)
      const { f, g } = memory.get(tau)!
      const apart = y.map((v, i) => v - z[i])
      const dot = (u: ArrayLike<number>, v: ArrayLike<number>) => Array.from(u).reduce((s, ui, i) => s + ui * v[i], 0)
      const p = b * dot(apart, apart)
      const holds = c * f + tau * (dot(g, apart) - tau * p) <= c * batched.y.f + 1e-12
      const one = tau === 1 && dot(batched.y.g, apart) <= 1e-12 + p
      const zero = tau === 0 && batched.z.f <= batched.y.f + 1e-12 / c
      expect(holds || one || zero).toBe(true)
      branches.add(one ? 'one' : zero ? 'zero' : memory.size > 3 ? 'halved' : 'guess')
    }
  }
  expect(branches.size).toBeGreaterThanOrEqual(3)
})

test('[qasvrg] with strong growth of constant 1 and whole batches, qasgd is qagd', () => {
  const hinge = quasarHinge(rngStream(1, 'hinge'))
  const config = { gamma: 0.5, smoothness: hinge.smoothness }
  const [a, b] = [{ variant: 'qagd' }, { variant: 'qasgd', form: 'sgc', rho: 1 }].map(
    (more) => new Turns(qasvrg, vectors(Array(20).fill(0)), { config: { ...config, ...more } }),
  )
  for (let t = 0; t < 50; t++) {
    const [x, y] = [a, b].map((session) => session.steps(1, clientOf(hinge)).answer.x)
    x.forEach((v, i) => {
      expect(Math.abs(v - y[i])).toBeLessThan(1e-10)
    })
  }
})

test('[qasvrg] the root hinge: a quarter of the gradients of descent, those of the search included', () => {
  for (let seed = 0; seed < 3; seed++) {
    const hinge = quasarHinge(rngStream(seed, 'hinge'))
    const config = { variant: 'qagd', gamma: 0.5, smoothness: hinge.smoothness }
    const session = new Turns(qasvrg, vectors(Array(20).fill(0)), { config })
    const client = clientOf(hinge)
    while (hinge.at(session.answer.x).value >= 1e-2) session.steps(1, client)
    let x = new Float64Array(20)
    let gradients = 0
    for (let told = hinge.at(x); told.value >= 1e-2; told = hinge.at(x), gradients++)
      x = x.map((v, i) => v - told.gradient[i] / hinge.smoothness)
    expect(session.counts.search).toBeLessThanOrEqual(gradients / 4)
  }
})

/** The error of a gradient against central differences. */
function mistake(sum: Sum, x: Float64Array, batch?: readonly number[]): number {
  const { gradient } = sum.at(x, batch)
  const h = 1e-5
  const errors = x.map((_, i) => {
    const at = (by: number) =>
      sum.at(
        x.map((v, j) => (j === i ? v + by : v)),
        batch,
      ).value
    return Math.abs((at(h) - at(-h)) / (2 * h) - gradient[i])
  })
  return Math.max(...errors)
}

test('[qasvrg] learning a linear system, with whole sums and with a snapshot', () => {
  const system = linearSystem(rngStream(3, 'system'))
  expect(system.at(system.solution).value).toBe(0)
  const start = system.solution.map((v) => 0.5 * v)
  expect(mistake(system, start)).toBeLessThan(1e-7)
  expect(mistake(system, start, [3, 5])).toBeLessThan(1e-7)
  const end = (config: object) => {
    const session = new Turns(qasvrg, vectors([...start]), {
      config: { gamma: 0.8, smoothness: 40, examples: system.examples, ...config },
    })
    session.steps(
      400,
      clientOf(system, () => session.metrics.batchSize ?? 10),
    )
    return { value: system.at(session.answer.x).value, metrics: session.metrics }
  }
  const before = system.at(start).value
  const reduced = end({ variant: 'qasvrg', stageSteps: 50 })
  expect(reduced.value).toBeLessThan(1e-6 * before)
  expect(reduced.metrics.stages).toBe(8)
  expect(end({ variant: 'qagd' }).value).toBeLessThan(1e-6 * before)
  expect(end({ form: 'strong', mu: 0.2 }).value).toBeLessThan(1e-6 * before)
})

test('qasvrg: the sizes of batches and stages; refusals; restarts', () => {
  const client = clientOf(bent)
  const session = new Turns(qasvrg, vectors([1, 2]), {
    config: { gamma: 0.5, smoothness: 4, examples: 100, optimum: 1, radius: 9 },
  })
  session.tell(client)
  expect(session.metrics.batchSize).toBe(Math.ceil((0.5 * 100 * 5) / ((0.5 * 99) / 8 + 0.5 * 5)))
  const length = Math.ceil(Math.sqrt(((0.25 / 16 + 1) * 0.5 * 9) / ((0.25 / 64) * 0.25 * (bent.at([1, 2]).value - 1))))
  session.steps(length - 2, client)
  expect(session.counts.snapshot).toBe(1)
  session.steps(1, client)
  expect(session.query!.purpose).toBe('snapshot')
  const strong = new Turns(qasvrg, vectors([1, 2]), { config: { form: 'strong', gamma: 0.5, smoothness: 4, mu: 1 } })
  strong.steps(Math.ceil(Math.log(16) / Math.log(1 + 0.5 / Math.sqrt(32))), client)
  expect(strong.query!.purpose).toBe('snapshot')
  const wrong = { config: { form: 'sgc' } }
  expect(() => new Turns(qasvrg, vectors([1, 2]), wrong)).toThrow('config.form')

  const options = { config: { gamma: 0.5, smoothness: 20, stageSteps: 5 } }
  const plain = new Turns(qasvrg, vectors([1, 2]), options)
  const restarted = new Turns(qasvrg, vectors([1, 2]), options)
  for (let k = 0; k < 60; k++) {
    plain.tell(client)
    restarted.tell(client)
    restarted.restart()
  }
  expect(restarted.state).toEqual(plain.state)
})
