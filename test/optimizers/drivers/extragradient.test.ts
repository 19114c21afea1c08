import { expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { method as extragradient } from '../../../src/optimizers/presets/extragradient.js'
import { method as sgd } from '../../../src/optimizers/presets/sgd.js'
import { of, Session, vectors } from '../session.js'

type Variant = 'eg' | 'peg' | 'rg' | 'og'
const SINGLE = ['peg', 'rg', 'og'] as const
const game = of((z) => [z[1], -z[0]])
const play = (variant: Variant | 'gda', config: object = {}, start: readonly number[] = [1, 1], box = {}) =>
  new Session(sgd, vectors(start, box), {
    config: {
      learningRate: 0.3,
      driver: variant === 'gda' ? { id: 'step' } : { id: 'extragradient', variant },
      ...config,
    },
  })
const near = (x: ArrayLike<number>, expected: readonly number[], tolerance = 1e-12) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(x[i] - e)).toBeLessThan(tolerance)
}

test('[single-call-eg] the first steps on the bilinear game', () => {
  for (const variant of ['peg', 'og'] as const) {
    const session = play(variant)
    session.tell([1, -1]) // V at the start: the memory.
    near(session.asked.x, [0.7, 1.3])
    session.steps(1, game)
    near(session.x, [0.61, 1.21])
  }
  const rg = play('rg').steps(1, game)
  near(rg.x, [0.7, 1.3])
  near(rg.asked.x, [0.4, 1.6])
  near(rg.steps(1, game).x, [0.22, 1.42])
  // Zero memory saves the first call and makes the first step plain.
  const zero = play('peg', { driver: { id: 'extragradient', variant: 'peg', start: 'zero' } })
  near(zero.steps(1, game).x, [0.7, 1.3])
  expect(zero.metrics.gradients).toBe(1)
})

test('[single-call-eg] 500 steps: plain descent leaves, the others arrive, single-call ones with half the calls', () => {
  const averaging = { id: 'ergodic' }
  expect(Math.hypot(...play('gda').steps(500, game).x)).toBeGreaterThan(1e6)
  for (const variant of ['eg', ...SINGLE] as const) {
    const session = play(variant, { averaging }).steps(500, game)
    expect(Math.hypot(...session.x)).toBeLessThan(1e-9)
    expect(session.estimate.kind).toBe('average')
    expect(Math.hypot(...session.answer.x)).toBeLessThanOrEqual(0.02)
    expect(session.metrics.gradients).toBeGreaterThanOrEqual(variant === 'eg' ? 1000 : 500)
    expect(session.metrics.gradients).toBeLessThanOrEqual(variant === 'eg' ? 1000 : 501)
  }
})

test('[single-call-eg] noisy strongly monotone: errors fall like 1/t, single-call ones as well as eg', () => {
  const config = { learningRate: 4, schedule: { id: 'inverse-time', offset: 20 }, reportNorm: false }
  const horizon = [1000, 16000] as const
  // 30 seeds are 30 games in one session: the rule is elementwise.
  const seeds = 30
  const error = (variant: Variant) => {
    const rng = new Rng(rngStream(7, variant))
    const noisy = of((z) =>
      Array.from(z, (zi, i) => {
        const even = i % 2 === 0
        return 0.5 * zi + (even ? z[i + 1] : -z[i - 1]) + 0.5 * rng.normal()
      }),
    )
    const session = play(variant, config, Array(2 * seeds).fill(1))
    return horizon.map((t) => {
      session.steps(t - session.state.t, noisy)
      return session.x.reduce((sum, x) => sum + x * x, 0) / seeds
    })
  }
  const eg = error('eg')
  for (const variant of SINGLE) {
    const [early, late] = error(variant)
    expect(early / late).toBeGreaterThanOrEqual(8)
    expect(late).toBeLessThanOrEqual(1.25 * eg[1])
  }
})

test('[single-call-eg] constraint sets: every variant by its own projection', () => {
  const box = { low: -0.5, high: 0.8 }
  const P = (z: number[]) => z.map((zi) => Math.min(0.8, Math.max(-0.5, zi)))
  const V = (z: readonly number[]) => [z[1] + 0.3, -z[0] - 0.4]
  const minus = (z: readonly number[], v: readonly number[]) => z.map((zi, i) => zi - 0.3 * v[i])
  const reference: Record<Variant, () => () => number[]> = {
    eg: () => {
      let x = [0.5, 0.5]
      return () => (x = P(minus(x, V(P(minus(x, V(x)))))))
    },
    peg: () => {
      let x = [0.5, 0.5]
      let memory = V(x)
      return () => {
        memory = V(P(minus(x, memory)))
        return (x = P(minus(x, memory)))
      }
    },
    rg: () => {
      let x = [0.5, 0.5]
      let past = x
      return () => {
        const z = x.map((xi, i) => xi - (past[i] - xi))
        past = x
        return (x = P(minus(x, V(z))))
      }
    },
    og: () => {
      let x = [0.5, 0.5]
      let memory = V(x)
      return () => {
        const z = P(minus(x, memory))
        const v = V(z)
        x = z.map((zi, i) => zi + 0.3 * memory[i] - 0.3 * v[i])
        memory = v
        return x
      }
    },
  }
  for (const variant of ['eg', ...SINGLE] as const) {
    const session = play(variant, {}, [0.5, 0.5], box)
    const next = reference[variant]()
    for (let t = 0; t < 40; t++) {
      session.steps(
        1,
        of((z) => V(Array.from(z))),
      )
      near(session.x, next())
    }
  }
})

test('extragradient around any rule: the rule runs twice from one state, which moves once', () => {
  const config = { learningRate: 0.1, driver: { id: 'extragradient' } }
  const session = new Session(adam, vectors([1, 1]), { config })
  session.tell([1, -1])
  near(session.asked.x, [0.9, 1.1], 1e-8)
  expect(session.state.slots.m.x).toEqual(Float64Array.of(0, 0))
  session.tell([1.1, -0.9])
  near(session.x, [0.9, 1.1], 1e-8)
  near(session.state.slots.m.x, [0.11, -0.09])
  expect(session.state.t).toBe(1)
})

test('extragradient: a restart between the queries changes nothing', () => {
  for (const variant of ['eg', ...SINGLE] as const) {
    const config = { driver: { id: 'extragradient', variant }, learningRate: 0.3, averaging: { id: 'ergodic' } }
    const [plain, restarted] = [0, 1].map(() => new Session(extragradient, vectors([1, 1]), { config }))
    for (let k = 0; k < 15; k++) {
      plain.tell([plain.asked.x[1], -plain.asked.x[0]])
      restarted.tell([restarted.asked.x[1], -restarted.asked.x[0]])
      restarted.restart()
    }
    expect(restarted.state).toEqual(plain.state)
  }
})
