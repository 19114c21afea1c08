import { expect, test } from 'vitest'
import type { Tensors } from '../../../src/core/tensor.js'
import { sharpness } from '../../../src/optimizers/diagnostics/sharpness.js'

/** (a^2 + 9 b^2)/2 over two tensors. */
const bowl = {
  value: ({ a, b }: Tensors) => (a[0] ** 2 + 9 * b[0] ** 2) / 2,
  gradient: ({ a, b }: Tensors) => ({ a: Float64Array.of(a[0]), b: Float64Array.of(9 * b[0]) }),
}
const at = (a: number, b: number) => ({ a: Float64Array.of(a), b: Float64Array.of(b) })

test('[sam] sharpness is rho*|g| to first order, and more steps come closer to the maximum', () => {
  expect(sharpness(bowl, at(3, 4 / 9), { rho: 1e-5 }) / 1e-5).toBeCloseTo(5, 3)
  const rho = 0.5
  let most = 0
  for (let angle = 0; angle < 2 * Math.PI; angle += 1e-3)
    most = Math.max(
      most,
      bowl.value(at(3 + rho * Math.cos(angle), 0.1 + rho * Math.sin(angle))) - bowl.value(at(3, 0.1)),
    )
  const [one, many] = [1, 50].map((steps) => sharpness(bowl, at(3, 0.1), { rho, steps }))
  expect(many).toBeGreaterThan(one)
  expect(many).toBeLessThanOrEqual(most + 1e-9)
  expect(many).toBeGreaterThan(0.9 * most)
  expect(sharpness(bowl, at(0, 0))).toBe(0)
})
