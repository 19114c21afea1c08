import { describe, expect, test } from 'vitest'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { method } from '../../../src/optimizers/online/o2nc.js'
import { Game, players } from '../saddle/game.js'

type State = { own: { x: Float64Array; delta: Float64Array } }
const own = (game: Game) => (game.state as unknown as State).own
const F = ([x, y]: ArrayLike<number> & Iterable<number>) => (x * x + 4 * y * y) / 2
const start = (config: object, at = [1, 1], seed = 1) => new Game(method, players({ x: at }), config, seed)
const quadratic = ({ x }: { readonly [name: string]: ArrayLike<number> }) => ({ x: [x[0], 4 * x[1]] })

describe('[o2nc] the charges add up to the change of a quadratic', () => {
  test.each([
    [{}],
    [{ epochSteps: 7, delta: 0.5 }],
    [{ epochSteps: 50, delta: 2, learningRate: 0.03, reset: false }],
    [{ learner: 'optimistic-ogd', epochSteps: 20, delta: 1 }],
  ])('%o', (config) => {
    const game = start({ ...config, sampling: 'midpoint' })
    let charged = 0
    for (let n = 0; n < 200; n++) {
      const { delta } = own(game)
      const [gx, gy] = quadratic(game.asked).x
      charged += gx * delta[0] + gy * delta[1]
      game.tell(quadratic)
    }
    expect(Math.abs(F(own(game).x) - F([1, 1]) - charged)).toBeLessThan(1e-12)
  })
})

test('[o2nc] the noise floor of the certificate falls like 1/sqrt(T)', () => {
  // |x1| + |x2| with a gradient noise of 1, at its minimum: what is left of the mean of T gradients is noise.
  const certificate = (epochSteps: number) => {
    const noise = new Rng(rngStream(3, 'noise'))
    const game = start({ epochSteps, delta: 0.1, output: 'random' }, [0, 0])
    let sum = 0
    for (let epoch = 0; epoch < 10; epoch++) {
      game.steps(epochSteps, ({ x }) => ({ x: [...x].map((v) => Math.sign(v) + noise.normal()) }))
      sum += game.metrics.certificate / 10
    }
    return sum
  }
  const [short, long] = [certificate(50), certificate(800)]
  expect(short).toBeGreaterThan(2 * long)
  expect(short).toBeGreaterThan(0.1)
  expect(short).toBeLessThan(0.4)
})

test.each(['ogd', 'optimistic-ogd'])('[o2nc] no move is longer than delta/T, whatever is told (%s)', (learner) => {
  const game = start({ learner, epochSteps: 40, delta: 0.2, gradientBound: 1, reset: false })
  const rng = new Rng(rngStream(5, 'huge'))
  for (let n = 0; n < 200; n++) {
    const before = own(game).x
    const angle = rng.uniform()
    game.tell(() => ({ x: [1e6 * Math.cos(angle), 1e6 * Math.sin(angle)] }))
    const { x } = own(game)
    expect(Math.hypot(x[0] - before[0], x[1] - before[1])).toBeLessThanOrEqual((0.2 / 40) * (1 + 1e-12))
  }
  // Points of an epoch are within delta of their mean.
  expect(game.metrics.radius).toBeGreaterThan(0)
  expect(game.metrics.radius).toBeLessThanOrEqual(0.2)
})

test('o2nc: the answer is the mean of the best epoch, and the certificate the norm of its mean gradient', () => {
  const game = start({ epochSteps: 20, delta: 0.5 })
  let best = { certificate: Number.POSITIVE_INFINITY, x: [0, 0] }
  for (let epoch = 0; epoch < 12; epoch++) {
    const [points, gradients]: [number[][], number[][]] = [[], []]
    for (let n = 0; n < 20; n++) {
      points.push([...game.asked.x])
      gradients.push([...quadratic(game.asked).x])
      game.tell(quadratic)
    }
    const mean = (rows: number[][]) => [0, 1].map((i) => rows.reduce((sum, row) => sum + row[i] / 20, 0))
    const certificate = Math.hypot(...mean(gradients))
    expect(game.metrics.certificate).toBeCloseTo(certificate, 12)
    const center = mean(points)
    const radius = Math.max(...points.map(([a, b]) => Math.hypot(a - center[0], b - center[1])))
    expect(game.metrics.radius).toBeCloseTo(radius, 12)
    if (certificate < best.certificate) best = { certificate, x: center }
    expect(game.metrics.chosenCertificate).toBeCloseTo(best.certificate, 12)
    expect(game.x).toEqual(best.x.map((x) => expect.closeTo(x, 12)))
  }
  expect(best.certificate).toBeLessThan(0.2)
})

test('o2nc: refuses bounds', () => {
  expect(() => new Game(method, players({ x: [0] }, { low: -1, high: 1 }))).toThrow('keeps to no bounds')
})
