import { beforeAll, expect, test } from 'vitest'
import { type Inverse, phaseless } from '../../../examples/workloads/inverse-problems.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import type { Tensors } from '../../../src/core/tensor.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method } from '../../../src/optimizers/presets/amortized-continuation.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

/** z^2/20 + 1 - exp(-4.5 s^2) cos 3z. */
const waves = ({ z: [z], s: [s] }: Tensors & { z: Float64Array; s: Float64Array }) => ({
  z: [z / 10 + 3 * Math.exp(-4.5 * s ** 2) * Math.sin(3 * z)],
  s: [9 * s * Math.exp(-4.5 * s ** 2) * Math.cos(3 * z)],
})
const wave = (driver: object, z: number) =>
  new Session(sgd, vectors({ z: [z], s: [0] }), { config: { learningRate: 0.1, driver } })

test('[amortized-continuation] smoothing that goes away leads past the waves that catch plain descent', () => {
  const direct = wave({ id: 'step' }, 5).steps(800, (x) => ({ ...waves(x as never), s: [0] })).state.x.z[0]
  expect(direct).toBeCloseTo(4.1426, 4)
  expect(direct ** 2 / 20 + 1 - Math.cos(3 * direct)).toBeCloseTo(0.8676, 4)

  const driver = {
    id: 'continuation',
    parameter: 's',
    from: 1.5,
    to: 0,
    schedule: 'linear',
    stages: 16,
    stageSteps: 50,
  }
  for (const z of [5, -4, 7]) {
    const session = wave(driver, z)
    const seen = new Set<string>()
    for (let t = 0; t < 800; t++) {
      if (t === 333) session.restart()
      seen.add(session.asked.s[0].toFixed(12))
      session.steps(1, waves as never)
    }
    expect([...seen].map(Number)).toEqual(Array.from({ length: 16 }, (_, i) => Number((1.5 - i / 10).toFixed(12))))
    expect(Math.abs(session.state.x.z[0])).toBeLessThan(1e-6)
    // The answer is the latent and the difficulty.
    expect(session.answer.s[0]).toBe(0)
    expect(session.metrics).toMatchObject({ lambda: 0, stage: 16 })
  }
})

const STEPS = 1000

test('[amortized-continuation] quadratic measurements: more instances solved than from a random start', () => {
  const run = (problem: Inverse, z: readonly number[], config: object, of = method) => {
    const session = new Session(of, vectors({ z, lambda: [1] }), {
      config: { learningRate: 0.05, reportNorm: false, ...config },
      engine: 'wasm',
    })
    session.steps(STEPS, (x) => ({ z: problem.loss(x.z, x.lambda[0]).gradient, lambda: [0] }))
    return problem.loss(session.state.x.z, 1).value
  }
  let solved = 0
  let baseline = 0
  for (let instance = 0; instance < 60; instance++) {
    const rng = new Rng(rngStream(instance, 'instance'))
    const problem = phaseless(rng)
    const zero = problem.truth.map(() => 0)
    const driver = { id: 'continuation', stages: 20, stageSteps: STEPS / 20 }
    const continued = run(problem, zero, { driver })
    const random = run(
      problem,
      problem.truth.map(() => rng.normal()),
      {},
      adam,
    )
    const best = Math.min(continued, random, run(problem, problem.truth, {}, adam))
    if (continued <= best + 1) solved++
    if (random <= best + 1) baseline++
  }
  expect(solved - baseline).toBeGreaterThanOrEqual(6)
})

test('continuation: tolerance ends a stage early; the adaptive schedule doubles and goes back; bad names', () => {
  // f = (z - lambda)^2/2: a step of rate 1 solves a stage.
  const bowl = ({ z, lambda }: Tensors) => ({ z: [z[0] - lambda[0]], lambda: [0] })
  const session = (driver: object, learningRate = 1) =>
    new Session(sgd, vectors({ z: [0], lambda: [0] }), {
      config: { learningRate, driver: { id: 'continuation', tolerance: 1e-6, ...driver } },
    })
  const stages = (s: Session, most: number, gradient = bowl) => {
    const lambdas: number[] = []
    for (let k = 0; k < most && s.metrics.lambda !== 1; k++) {
      lambdas.push(s.metrics.lambda)
      s.tell(gradient(s.asked))
    }
    return [...new Set([...lambdas, s.metrics.lambda])]
  }
  expect(stages(session({ schedule: 'linear', from: 0, stages: 5 }), 100)).toEqual([0, 0.25, 0.5, 0.75, 1])
  // From 0, steps of 1/8, 1/4 and 1/2 of the way, and the rest.
  const quick = stages(session({ schedule: 'adaptive', from: 0, stages: 9, stageSteps: 50 }), 100)
  expect(quick).toEqual([0, 0.25, 0.75, 1])

  // A rate too slow for the tolerance: stages fail, and the step is halved, to 1/1024 of its first.
  const slow = session({ schedule: 'adaptive', from: 0, stages: 2, stageSteps: 2 }, 1e-9)
  slow.tell(bowl(slow.asked))
  const tried: number[] = []
  for (let k = 0; k < 26; k++) {
    tried.push(slow.metrics.lambda)
    slow.tell(bowl(slow.asked))
    slow.restart()
  }
  expect(tried.slice(0, 22)).toEqual(Array.from({ length: 22 }, (_, k) => 0.5 ** Math.floor(k / 2)))
  expect(tried.slice(22)).toEqual([2, 2, 3, 3].map((k) => k / 1024))

  expect(() => session({ parameter: 'nothing' })).toThrow('config.driver.parameter')
  expect(() => session({ from: 1 })).toThrow('config.driver.from')
  expect(() => session({ from: 0 })).toThrow('config.driver.from')
})
