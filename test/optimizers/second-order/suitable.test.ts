import { expect, test } from 'vitest'
import type { AnyMethod } from '../../../src/core/method.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem, TensorsSpace } from '../../../src/core/space.js'
import { method as accelerated } from '../../../src/optimizers/second-order/accel-cubic-inexact.js'
import { method as aicn } from '../../../src/optimizers/second-order/aicn.js'
import { method as dbfNewton } from '../../../src/optimizers/second-order/dbf-newton.js'
import { method as egn } from '../../../src/optimizers/second-order/egn.js'
import { method as greedyNewton } from '../../../src/optimizers/second-order/greedy-newton.js'
import { method as lazyNewton } from '../../../src/optimizers/second-order/lazy-newton.js'
import { method as rootNewton } from '../../../src/optimizers/second-order/root-newton.js'
import { method as trpo } from '../../../src/optimizers/second-order/trpo.js'
import { method as universalNewton } from '../../../src/optimizers/second-order/universal-newton.js'
import { Newton, type Smooth } from './smooth.js'

const whole: AnyMethod[] = [accelerated, aicn, dbfNewton, greedyNewton, lazyNewton, rootNewton, universalNewton]

const issues = (method: AnyMethod, config: object, size: number, more: Partial<TensorsSpace> = {}) => {
  const space: TensorsSpace = { kind: 'tensors', tensors: [{ name: 'x', shape: [size], dtype: 'f64' }], ...more }
  const problem: Problem = { space, objectives: [{ name: 'loss', direction: 'minimize' }] }
  return (method.check?.(parseConfig(method.config, config), problem) ?? []).map(({ path }) => path)
}

test.each([...whole, egn, trpo])('$id keeps to no bounds, and says so', (method) => {
  expect(issues(method, {}, 3)).toEqual([])
  expect(issues(method, {}, 3, { low: 0 })).toEqual(['space.low'])
  expect(issues(method, {}, 3, { high: 1 })).toEqual(['space.high'])
})

test.each(whole)('$id refuses a matrix that is too large', (method) => {
  expect(issues(method, {}, 1024)).toEqual([])
  expect(issues(method, {}, 1025)).toEqual(['space.tensors'])
})

test('products one by one take any number of parameters', () => {
  for (const method of [aicn, rootNewton, universalNewton])
    expect(issues(method, { hessian: 'cg' }, 10_000)).toEqual([])
  expect(issues(accelerated, { subsolver: 'krylov' }, 10_000)).toEqual([])
  expect(issues(egn, { jacobian: 'products' }, 10_000)).toEqual([])
})

test.each<[AnyMethod, object]>([
  [egn, { learningRate: 1e300, lambda: 1e-9 }],
  [dbfNewton, { lineSearch: false, learningRate: 1e300 }],
])('$id ends where a step leads beyond all numbers', (method, config) => {
  const steep: Smooth = {
    value: () => 0,
    gradient: (x) => [x[0] + 1],
    hessian: () => [1e-9],
    quantities: { outputs: (x) => [x[0]], targets: () => [1], jacobian: () => [1] },
  }
  const session = new Newton(method, [1e200], config, steep).steps(10)
  expect(session.done).toContain('beyond all numbers')
  expect(Number.isFinite(session.x[0])).toBe(true)
})
