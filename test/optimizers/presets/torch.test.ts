import { expect, test } from 'vitest'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import golden from '../../golden/torch-optim.json' with { type: 'json' }
import { of, Session, vectors } from '../session.js'

const gradients: Record<string, (x: ArrayLike<number>) => number[]> = {
  rosenbrock: (x) => [-2 * (1 - x[0]) - 400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)],
  quadratic: (x) => [1, 3, 10].map((c, i) => c * (x[i] - 0.5)),
}

test.each(golden.cases)(
  '50 steps of torch.optim.$torch on $problem',
  ({ method, config, problem, start, trajectory }) => {
    const found = methods.find(({ id }) => id === method)!
    const session = new Session(found, vectors(start), { config })
    for (const [t, point] of trajectory.entries()) {
      session.steps(1, of(gradients[problem]))
      for (const [i, x] of point.entries())
        expect(Math.abs(session.x[i] - x), `step ${t + 1}, element ${i}`).toBeLessThan(1e-10 * Math.max(1, Math.abs(x)))
    }
  },
)
