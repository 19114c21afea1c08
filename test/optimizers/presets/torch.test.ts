import { expect, test } from 'vitest'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import { elementsOf, problems, spaceOf } from '../../golden/problems.js'
import golden from '../../golden/torch-optim.json' with { type: 'json' }
import { Session } from '../session.js'

test.each(golden.cases)('50 steps of torch.optim.$torch on $problem', ({ method, config, problem, trajectory }) => {
  const found = methods.find(({ id }) => id === method)!
  const session = new Session(found, spaceOf(problems[problem]), { config })
  for (const [t, point] of Object.entries(trajectory)) {
    session.steps(Number(t) - session.state.t, problems[problem].gradient)
    for (const [i, x] of elementsOf(session.state.x).entries())
      expect(Math.abs(x - point[i]), `step ${t}, element ${i}`).toBeLessThan(1e-10 * Math.max(1, Math.abs(x)))
  }
})
