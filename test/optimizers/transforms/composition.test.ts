import { beforeAll, expect, test } from 'vitest'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../../src/optimizers/engines/index.js'
import { method as adam } from '../../../src/optimizers/presets/adam.js'
import { Session, vectors } from '../session.js'

beforeAll(loadEngines)

const transforms = [{ id: 'median-clip', mu: 0.5 }, { id: 'cautious' }, { id: 'lookahead', k: 2, policy: 'reset' }]
const gradient = ({ x }: { readonly [name: string]: ArrayLike<number> }) => ({
  x: Array.from(x, (xi, i) => (i + 1) * xi),
})

test('every rule takes what changes its gradient, its step and its state', () => {
  const rules = methods.filter(({ equations }) => equations !== undefined)
  let composed = 0
  for (const method of rules) {
    const made = method.config.safeParse({ transforms, driver: { id: 'shards', shards: 2 } })
    // Rules that need a driver of their own are not run on this one.
    if (!made.success || method.check?.(made.data, problem).length) continue
    const session = new Session(method, vectors([1, -2, 3]), {
      config: { transforms, driver: { id: 'shards', shards: 2 } },
      value: () => 1,
      examples: () => [1, 2],
    })
    session.steps(4, gradient)
    for (const xi of session.x) expect(Number.isFinite(xi), method.id).toBe(true)
    composed++
  }
  expect(composed).toBeGreaterThan(40)
})

const problem = { space: vectors([1, -2, 3]), objectives: [{ name: 'loss', direction: 'minimize' as const }] }

test('both engines and restarts give the same, for every transform and driver that keeps state', () => {
  for (const more of [
    { transforms },
    {
      transforms: [
        { id: 'lookahead', alpha: 'adaptive', k: 3 },
        { id: 'cautious', scale: 'nnz-plus-one' },
      ],
    },
    { transforms: [{ id: 'vrgd', beta3: 0.9 }], driver: { id: 'shards', shards: 3 } },
    {
      transforms: [{ id: 'median-clip', loss: 'huber', per: 'tensor' }],
      driver: { id: 'examples', count: 4, order: 'grab' },
    },
    { driver: { id: 'batch-size', test: 'augmented' } },
  ]) {
    const make = (engine: 'wasm' | 'interpreter') =>
      new Session(adam, vectors([1, -2, 3]), { config: { learningRate: 0.1, ...more }, engine })
    const [plain, fast, restarted] = [make('interpreter'), make('wasm'), make('wasm')]
    for (let k = 0; k < 60; k++) {
      const g = Array.from({ length: 3 }, (_, i) => Math.sin(k * k + i) + plain.x[i])
      plain.tell(g)
      fast.tell(g)
      restarted.tell(g)
      restarted.restart()
      expect(restarted.x).toEqual(fast.x)
      expect(restarted.query).toEqual(fast.query)
      for (const [i, xi] of plain.x.entries()) expect(fast.x[i]).toBeCloseTo(xi, 10)
    }
  }
})
