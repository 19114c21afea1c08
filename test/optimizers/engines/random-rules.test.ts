import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { AsktellError } from '../../../src/core/errors.js'
import { elements, type TensorSpec } from '../../../src/core/tensor.js'
import { engineFor, loadEngines } from '../../../src/optimizers/engines/index.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { RuleSource } from '../../../src/optimizers/language/program.js'

beforeAll(loadEngines)

const SLOTS: RuleSource['slots'] = {
  m: { kind: 'tensor', initial: 0.5 },
  v: { kind: 'tensor' },
  s: { kind: 'scalar', initial: 1 },
  d: { kind: 'global', initial: 0.25 },
  r: { kind: 'row', initial: 1 },
  c: { kind: 'column', initial: 2 },
}
const MANIFEST: TensorSpec[] = [
  { name: 'a', shape: [3, 5], dtype: 'f32' },
  { name: 'b', shape: [2, 2, 3], dtype: 'f32' },
  { name: 'c', shape: [1, 9], dtype: 'f32' },
]

/** Well-behaved functions: a property test of code paths, not of overflow. Discontinuous ones would amplify rounding. */
const { expression } = fc.letrec<{ expression: string }>((tie) => {
  const e = tie('expression')
  const template = (...parts: string[]) =>
    fc
      .tuple(...parts.slice(1).map(() => e))
      .map((args) => parts.reduce((text, part, i) => `${text}${args[i - 1]}${part}`))
  return {
    expression: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('x', 'g', 'm', 'v', 's', 'd', 'r', 'c', 'lr', 't', '2', '0.5', 'size', 'matrix', 'u', 'w'),
      fc.constantFrom('normal()', 'uniform()', 'rademacher()', 'exponential()'),
      template('(', ' + ', ')'),
      template('(', ' - ', ')'),
      template('(', ' * ', ')'),
      template('(', ' / (1 + abs(', ')))'),
      template('tanh(', ')'),
      template('sqrt(abs(', '))'),
      template('clip(', ', -2, 2)^2'),
      template('(-', ')'),
      template('min(', ', ', ')'),
      template('max(', ', ', ')'),
      template('((', ') > 0.31831 ? ', ' : 1)'),
      template('sin(', ')'),
      template('norm(', ')'),
      template('mean(', ')'),
      template('max(', ')'),
      template('dot(', ', ', ', all)'),
      template('norm(', ', all)'),
      template('sum(', ', all)/100'),
      template('rowMean(', ')'),
      template('colMean(', ')'),
      template('rowMax(', ')'),
      template('colSum(', ')'),
    ),
  }
})
const statement = fc
  .tuple(fc.constantFrom('u', 'w', 'x', 'm', 'v', 's', 'd', 'r', 'c'), expression)
  .map((pair) => pair.join(' = '))
const texts = fc
  .tuple(fc.constantFrom('u = g', 'u = m', 'u = x'), fc.array(statement, { minLength: 1, maxLength: 7 }))
  .map(([first, lines]) => [first, 'w = x - g', ...lines])

/** The lines of a rule that check; those that do not are left out. */
function wellFormed(lines: readonly string[]) {
  const kept: string[] = []
  for (const line of lines) {
    try {
      compileRule({ text: [...kept, line, 'x = x'].join('\n'), slots: SLOTS, hyperparameters: ['lr'] })
      kept.push(line)
    } catch (error) {
      if (!(error instanceof AsktellError)) throw error
    }
  }
  kept.push('x = tanh(x)', 'report d = d')
  return compileRule({ text: kept.join('\n'), slots: SLOTS, hyperparameters: ['lr'] })
}

test('random rules: the engines agree', () => {
  fc.assert(
    fc.property(texts, (lines) => {
      const program = wellFormed(lines)
      const [expected, actual] = (['interpreter', 'wasm'] as const).map((engine) => {
        const kernel = engineFor(engine).compile(program, MANIFEST, 'f64')
        const { x, slots } = kernel.allocate()
        const g = Object.fromEntries(
          MANIFEST.map(({ name, shape }) => [
            name,
            Float64Array.from({ length: elements(shape) }, (_, i) => Math.sin(3 * i + 1)),
          ]),
        )
        for (let t = 1; t <= 2; t++) kernel.run({ x, slots, inputs: { g }, scalars: { lr: 0.1, t }, seed: t })
        const numbers = [x, ...Object.values(slots)].flatMap((arrays) =>
          Object.values(arrays).flatMap((array) => [...array]),
        )
        return [...numbers, ...Object.values(kernel.reports())]
      })
      const wrong = expected.flatMap((value, i) => {
        const close = Math.abs(value - actual[i]) <= 1e-7 * Math.max(1, Math.abs(value))
        return Object.is(value, actual[i]) || close ? [] : [[i, value, actual[i]]]
      })
      expect(wrong, program.source.text).toEqual([])
    }),
    { seed: 20_261_125, numRuns: 300 },
  )
})
