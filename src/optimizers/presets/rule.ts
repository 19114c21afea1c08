/** A rule of the user's own, sent as text: checked, compiled and fused like the rules of this library. */
import { z } from 'zod'
import { AsktellError, type Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'
import type { Problem } from '../../core/space.js'
import { checkManifest } from '../engines/shapes.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'
import { compileRule } from '../language/check.js'
import { spaceOf } from '../machine.js'
import { real } from '../parts.js'
import { selfDeclared } from '../self-declared.js'

const fields = {
  learningRate: real('The name `lr` in the text, after the schedule.', {
    default: 0.001,
    min: 0,
    mutable: true,
    log: true,
    source: 'ours',
  }),
  text: field(
    z.string().default('x = x - lr*g'),
    'Assignments, one per line. `x` is the parameter, `g` its gradient, `t` the step from 1, `lr` the learning rate. ' +
      'A line `metric = ...` gives the diagonal metric in which `ball` projects.',
  ),
  slots: field(
    z
      .union([
        z.record(
          z.string(),
          z.strictObject({
            kind: z.enum(['tensor', 'scalar', 'global', 'row', 'column']),
            initial: z.number().optional(),
          }),
        ),
        z.literal('inferred'),
      ])
      .default({}),
    'State that the text keeps between steps: like each tensor, one number per tensor or for all, row or column means. ' +
      '"inferred": every name that is read before it is assigned is a slot like each tensor, zero at the start.',
  ),
  inputs: field(
    z.array(z.string()).default([]),
    'Points that the driver keeps, to be used by name: `past` of `previous`, `probe` and `along` of `hutchinson`, ' +
      '`direction` of `newton`.',
  ),
  hyperparameters: field(z.record(z.string(), z.number()).default({}), 'Numbers that the text uses by name.', {
    mutable: true,
  }),
}
type Config = PresetConfig<typeof fields>

const slotsOf = ({ text, slots, inputs, hyperparameters }: Config) =>
  slots === 'inferred' ? selfDeclared(text, [...Object.keys(hyperparameters), ...inputs]).slots : slots

const piece = (config: Config) => ({
  text: config.text,
  slots: slotsOf(config),
  inputs: config.inputs,
  scalars: () => config.hyperparameters,
})

/** The text by itself, so that lines and columns are those that its author sees. */
function check(config: Config, problem: Problem): Issue[] {
  const { text, inputs, ball } = config
  const hyperparameters = ['lr', ...Object.keys(config.hyperparameters)]
  try {
    const program = compileRule({ text, slots: slotsOf(config), hyperparameters, inputs })
    checkManifest(program, spaceOf(problem).tensors)
    const metric = program.statements.findLast(({ target }) => target.name === 'metric')
    if (ball === undefined || !metric || metric.target.domain !== 'global') return []
    const message = 'expected a metric with a weight per element or tensor, found one number for all tensors'
    return [{ path: `config.text:${metric.line}:${metric.column}`, message }]
  } catch (error) {
    if (!(error instanceof AsktellError)) throw error
    return error.issues.map(({ path, message }) => ({ path: ownPath(path, hyperparameters), message }))
  }
}

/** Where the config has what the compiler names; the first hyperparameter is `lr`, which a slot may not be called. */
function ownPath(path: string, hyperparameters: readonly string[]): string {
  const [, index] = /^rule\.hyperparameters\[(\d+)\]$/.exec(path) ?? []
  if (index === undefined) return path.replace(/^rule/, 'config')
  return index === '0' ? 'config.slots.lr' : `config.hyperparameters.${hyperparameters[Number(index)]}`
}

export const method = gradientMethod<typeof fields>({
  id: 'rule',
  title: 'Rule as text',
  summary: 'An update rule in the rule language: equations as in a paper, with slots and hyperparameters beside them.',
  references: [],
  fields,
  rule: piece,
  check,
  recipes: [
    {
      problem: 'quadratic',
      config: {
        learningRate: 0.1,
        text: 'v = mu*v + g\nx = x - lr*v',
        slots: { v: { kind: 'tensor' } },
        hyperparameters: { mu: 0.5 },
      },
      maxEvaluations: 100,
      target: 1e-6,
    },
  ],
})
