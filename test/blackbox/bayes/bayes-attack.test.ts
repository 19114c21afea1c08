import { describe, expect, it } from 'vitest'
import { perturbation } from '../../../src/blackbox/bayes/attack.js'
import { method } from '../../../src/blackbox/bayes/bayes-attack.js'
import { BASES, functionAt, layoutOf, patternOf } from '../../../src/blackbox/bayes/patterns.js'
import type { Observation, Query } from '../../../src/core/query.js'
import { Rng, rngStream } from '../../../src/core/rng.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import { Driver } from '../drive.js'
import digits from './digits.json' with { type: 'json' }

type Config = Parameters<typeof perturbation>[0]
type Image = ArrayLike<number>

/** Log probabilities by the network of digits.json (generate_digits.py). */
function logProbabilities(x: Image): Float64Array {
  const [w, v] = digits.weights
  const [a, b] = digits.biases
  const hidden = a.map((bias, j) => {
    let sum = bias
    for (let i = 0; i < 64; i++) sum += x[i] * w[i * 64 + j]
    return Math.max(0, sum)
  })
  const logits = b.map((bias, k) => hidden.reduce((sum, h, j) => sum + h * v[j * 10 + k], bias))
  const top = Math.max(...logits)
  const log = top + Math.log(logits.reduce((sum, l) => sum + Math.exp(l - top), 0))
  return Float64Array.from(logits, (l) => l - log)
}
const labelOf = (x: Image) => {
  const logs = logProbabilities(x)
  return logs.indexOf(Math.max(...logs))
}
const IMAGES = digits.images.map((image) => Float64Array.from(image, (v) => v / 16))
const QUERIES = 100

const imageProblem = (image: Image): Problem => ({
  space: {
    kind: 'tensors',
    tensors: [{ name: 'image', shape: [8, 8], dtype: 'f64' }],
    initial: { image: Float64Array.from(image) },
    low: 0,
    high: 1,
  },
  objectives: [{ name: 'decision', direction: 'maximize' }],
})
const imageOf = ({ points: [point] }: Query): Float64Array =>
  point.kind === 'tensors' ? Float64Array.from(point.tensors.image) : new Float64Array(0)

/** Runs an attack; `told` is what the model says of an input. */
function attack(
  image: Image,
  config: object,
  told: (x: Image) => NonNullable<Observation['quantities']>[number],
  seed = 1,
) {
  const driver = new Driver(method, imageProblem(image), { eps: 0.2, maxQueries: QUERIES, ...config }, seed)
  while (driver.outcome?.status.phase !== 'done') {
    const [query] = driver.ask()
    if (!query) break
    const x = imageOf(query)
    expect(Math.max(...x.map((v, i) => Math.abs(v - image[i])))).toBeLessThanOrEqual(0.2 + 1e-12)
    driver.step({ type: 'observation', query, observation: { queryId: query.id, status: 'ok', quantities: [told(x)] } })
  }
  const { metrics, points } = driver.estimate()
  return { success: metrics?.success === 1, queries: metrics?.queries as number, point: points[0]?.point, driver }
}
const hard = (x: Image) => ({ label: Float64Array.of(labelOf(x)) })
const soft = (x: Image) => ({ logProbabilities: logProbabilities(x) })
const mean = (list: readonly number[]) => list.reduce((sum, v) => sum + v, 0) / list.length

describe('[bayes-attack]', () => {
  const played = new Map<string, ReturnType<typeof attack>[]>()
  const runsOf = (answer: 'hard' | 'soft') => {
    const told = answer === 'hard' ? hard : soft
    const runs = played.get(answer) ?? IMAGES.map((image, i) => attack(image, { answer }, told, i))
    played.set(answer, runs)
    return runs
  }
  const used = (answer: 'hard' | 'soft') =>
    mean(runsOf(answer).map(({ success, queries }) => (success ? queries : QUERIES)))

  it('changes labels of digits in fewer queries than noise does', () => {
    expect(IMAGES).toHaveLength(60)
    IMAGES.forEach((image, i) => {
      expect(labelOf(image)).toBe(digits.labels[i])
    })
    const runs = runsOf('hard')
    for (const [i, { success, point }] of runs.entries())
      if (success && point.kind === 'tensors') expect(labelOf(point.tensors.image)).not.toBe(digits.labels[i])
    const rng = new Rng(rngStream(1, 'noise'))
    const noise = IMAGES.map((image, i) => {
      for (let q = 1; q <= QUERIES; q++) {
        const x = image.map((v) => Math.min(1, Math.max(0, v + 0.2 * (2 * rng.uniform() - 1))))
        if (labelOf(x) !== digits.labels[i]) return q
      }
      return Number.POSITIVE_INFINITY
    })
    const rate = mean(runs.map(({ success }) => (success ? 1 : 0)))
    const noiseRate = mean(noise.map((q) => (q <= QUERIES ? 1 : 0)))
    const noiseUsed = mean(noise.map((q) => Math.min(q, QUERIES)))
    expect(rate).toBeGreaterThanOrEqual(0.5)
    expect(rate).toBeGreaterThanOrEqual(2.5 * noiseRate)
    expect(used('hard')).toBeLessThanOrEqual(0.7 * noiseUsed)
  })

  it('needs no more queries with soft labels than with hard ones', () => {
    expect(used('soft')).toBeLessThanOrEqual(used('hard'))
  })

  it.each(['cosine', 'fourier'] as const)(
    '%s functions are orthonormal, and so are the patterns of single numbers',
    (basis) => {
      const n = 8
      const pattern = (k: number) =>
        patternOf(
          basis,
          layoutOf([n, n], false),
          [n, n],
          Float64Array.from({ length: n * n }, (_, i) => (i === k ? 1 : 0)),
        )
      const patterns = Array.from({ length: n * n }, (_, k) => pattern(k))
      patterns.forEach((a, k) => {
        patterns.forEach((b, l) => {
          const inner = a.reduce((sum, v, i) => sum + v * b[i], 0)
          expect(Math.abs(inner - (k === l ? 1 : 0))).toBeLessThan(1e-12)
        })
        if (basis === 'cosine')
          a.forEach((v, e) => {
            const at = (p: number, i: number) =>
              (p === 0 ? Math.sqrt(1 / n) : Math.sqrt(2 / n)) * Math.cos((Math.PI * (2 * i + 1) * p) / (2 * n))
            expect(v).toBeCloseTo(at(Math.floor(k / n), Math.floor(e / n)) * at(k % n, e % n), 12)
          })
      })
    },
  )

  it('a model of constant output is never reported as attacked', () => {
    const label = () => ({ label: Float64Array.of(3) })
    const uniform = () => ({ logProbabilities: new Float64Array(10).fill(-Math.log(10)) })
    for (const [config, told] of [
      [{}, label],
      [{ answer: 'soft' }, uniform],
      [{ answer: 'soft', target: 4 }, uniform],
      [{ target: 5 }, label],
    ] as const) {
      const { success, driver } = attack(IMAGES[0], { maxQueries: 30, ...config }, told)
      expect(success).toBe(false)
      expect(driver.outcome?.status).toMatchObject({ reason: 'the decision did not change in 30 queries' })
    }
  })
})

describe('bayes-attack', () => {
  const configOf = (more: object) => parseConfig(method.config, more) as Config

  it('perturbations are within their norm', () => {
    const rng = new Rng(rngStream(2, 'latent'))
    for (const basis of BASES)
      for (const more of [{ norm: 'l2', eps: 0.5 }, { discrete: false, eps: 0.1 }, { eps: 0.1 }]) {
        const u = perturbation(
          configOf({ basis, ...more }),
          [3, 8, 8],
          Float64Array.from({ length: 48 }, () => 2 * rng.uniform() - 1),
        )
        expect(u).toHaveLength(192)
        if ('norm' in more) expect(Math.hypot(...u)).toBeLessThanOrEqual(0.5 + 1e-12)
        else expect(Math.max(...u.map(Math.abs))).toBeLessThanOrEqual(0.1)
      }
    const signs = perturbation(
      configOf({ eps: 0.1 }),
      [8, 8],
      Float64Array.from({ length: 16 }, () => rng.normal()),
    )
    expect(new Set(signs)).toEqual(new Set([0.1, -0.1]))
  })

  it('lays channels out first or last', () => {
    const z = Float64Array.of(1, 2)
    expect([...patternOf('nearest', layoutOf([2, 1, 2], false), [1, 1], z)]).toEqual([1, 1, 2, 2])
    expect([...patternOf('nearest', layoutOf([1, 2, 2], true), [1, 1], z)]).toEqual([1, 2, 1, 2])
    expect([0, 1, 2, 3].map((i) => functionAt('nearest', 1, 2, i, 4))).toEqual([0, 0, 1, 1])
  })

  it('reaches a target label, with several queries open', () => {
    const image = IMAGES[1]
    const order = [...logProbabilities(image)].map((l, k) => [l, k]).sort((a, b) => b[0] - a[0])
    const target = order[1][1]
    const driver = new Driver(method, imageProblem(image), { eps: 0.4, target, answer: 'soft', maxQueries: 200 }, 3)
    driver.step({ type: 'capacity', count: 3 })
    expect(driver.outcome).toMatchObject({ queries: [{ purpose: 'clean' }], short: { until: 'tell' } })
    const answer = (query: Query) =>
      driver.step({
        type: 'observation',
        query,
        observation: { queryId: query.id, status: 'ok', quantities: [soft(imageOf(query))] },
      })
    answer(driver.outcome!.queries[0])
    while (driver.outcome?.status.phase !== 'done') for (const query of [...driver.ask(3)].reverse()) answer(query)
    const { metrics, points } = driver.estimate()
    expect(metrics?.success).toBe(1)
    const [{ point }] = points
    expect(point.kind === 'tensors' && labelOf(point.tensors.image)).toBe(target)
  })

  it('refuses what does not fit the image', () => {
    const paths = (more: object, problem = imageProblem(IMAGES[0])) =>
      method.check?.(configOf(more), problem).map(({ path }) => path)
    expect(paths({ latent: [9, 4] })).toEqual(['config.latent[0]'])
    expect(paths({ tensor: 'x' })).toEqual(['config.tensor'])
    expect(paths({ answer: 'value', target: 1 })).toEqual(['config.target'])
    expect(paths({})).toEqual([])
  })
})
