/** Problems over update rules in the rule language. */
import { Rng, rngStream } from '../../src/core/rng.js'
import { interpreter } from '../../src/optimizers/engines/interpreter.js'
import { compileRule } from '../../src/optimizers/language/check.js'
import { selfDeclared } from '../../src/optimizers/self-declared.js'
import type { Definition } from './oracle.js'

const CURVATURE = Float64Array.of(0.1, 1, 10, 100)
const STEPS = 50
const STARTS = 4

/**
 * Loss 1/2 sum c_i (x_i - s_i)^2 after 50 steps of a rule with lr 0.01, condition 1000, the mean over 4 starts, each with
 * its own solution s; NaN if the rule fails.
 */
export function ruleFitness(text: string): number {
  const program = compileRule(selfDeclared(text))
  const kernel = interpreter.compile(program, [{ name: 'x', shape: [CURVATURE.length], dtype: 'f64' }], 'f64')
  const rng = new Rng(rngStream(0, 'starts'))
  let sum = 0
  for (let start = 0; start < STARTS; start++) {
    const { x, slots } = kernel.allocate()
    const array = x.x
    const solution = CURVATURE.map(() => rng.normal())
    array.set(CURVATURE.map(() => rng.normal()))
    for (let t = 1; t <= STEPS; t++) {
      const g = { x: CURVATURE.map((c, i) => c * (array[i] - solution[i])) }
      kernel.run({ x, slots, inputs: { g }, scalars: { lr: 0.01, t }, seed: t })
    }
    sum += CURVATURE.reduce((loss, c, i) => loss + 0.5 * c * (array[i] - solution[i]) ** 2, 0)
  }
  return Number.isFinite(sum) ? sum / STARTS : Number.NaN
}

/** The search for a rule of the least `ruleFitness`, from an empty text. */
export function ruleFitnessProblem(): Definition {
  return {
    problem: {
      space: { kind: 'text', components: [{ name: 'rule', initial: '' }] },
      objectives: [{ name: 'loss', direction: 'minimize' }],
    },
    optimum: 0,
    offers: ['value'],
    objective(point) {
      if (point.kind !== 'text') throw new Error(`expected text, got a ${point.kind} point`)
      return ruleFitness(point.text.rule)
    },
  }
}
