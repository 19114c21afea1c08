/** Random rules that check, between them with all kinds of slots and values. */
import fc from 'fast-check'
import { AsktellError } from '../../../src/core/errors.js'
import type { TensorSpec } from '../../../src/core/tensor.js'
import { checkManifest } from '../../../src/optimizers/engines/shapes.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { Program, RuleSource } from '../../../src/optimizers/language/program.js'
import { spec } from './compare.js'

const SLOTS: RuleSource['slots'] = {
  m: { kind: 'tensor', initial: 0.5 },
  v: { kind: 'tensor' },
  s: { kind: 'scalar', initial: 1 },
  d: { kind: 'global', initial: 0.25 },
  r: { kind: 'row', initial: 1 },
  c: { kind: 'column', initial: 2 },
}
const MANIFEST: TensorSpec[] = [spec('a', 3, 5), spec('b', 2, 2, 3), spec('c', 1, 9)]

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
      template('(matrix ? ', ' : ', ')'),
      template('(not matrix ? ', ' : ', ')'),
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
export const texts = fc
  .tuple(fc.constantFrom('u = g', 'u = m', 'u = x'), fc.array(statement, { minLength: 1, maxLength: 7 }))
  .map(([first, lines]) => [first, 'w = x - g', ...lines])

/** The lines of a rule that check; those that do not are left out. */
export function wellFormed(lines: readonly string[]) {
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

/** With tensors that have no rows and columns, and one without elements. */
export const MIXED: TensorSpec[] = [...MANIFEST, spec('d', 7), spec('e', 0), spec('f')]

function suits(program: Program, manifest: readonly TensorSpec[]): boolean {
  try {
    checkManifest(program, manifest)
    return true
  } catch (error) {
    if (error instanceof AsktellError) return false
    throw error
  }
}

/** Tensors that the rule suits, of every rank where it can. */
export const manifestFor = (program: Program): TensorSpec[] => (suits(program, MIXED) ? MIXED : MANIFEST)
