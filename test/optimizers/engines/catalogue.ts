/** The rules of all gradient methods of the catalogue, as their sessions compile them. */
import { type AnyMethod, checkSuitable } from '../../../src/core/method.js'
import { parseConfig } from '../../../src/core/schema.js'
import type { Problem } from '../../../src/core/space.js'
import type { TensorSpec } from '../../../src/core/tensor.js'
import { averagings } from '../../../src/optimizers/averaging.js'
import { methods } from '../../../src/optimizers/catalogue.gen.js'
import type { At, Composition } from '../../../src/optimizers/compose.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import type { Program } from '../../../src/optimizers/language/program.js'
import { transforms } from '../../../src/optimizers/transforms/index.js'

export type CatalogueRule = {
  title: string
  program: Program
  scalars: (t: number) => Record<string, number>
  /** The shape that a tensor has to the rule. */
  shape: Composition['shape']
}

const TENSORS: TensorSpec[] = [
  { name: 'a', shape: [4, 3], dtype: 'f32' },
  { name: 'b', shape: [3, 5], dtype: 'f32' },
]

/** A step as a session would have it, with a number for whatever is told or reported. */
const at = (t: number): At => ({
  t,
  learningRate: 0.01,
  rateSum: 0.01 * t,
  restart: false,
  uniform: 0.3,
  told: { value: 0.75, examples: [0.5, 1, 0.75] },
  reports: new Proxy({}, { get: () => 0.5 }),
})

/** What a session of the method compiles when it is created; nothing where it computes without rules or needs another space. */
function compositions(method: AnyMethod, config: object, box: { low?: number; high?: number }): Composition[] {
  const problem: Problem = {
    space: { kind: 'tensors', tensors: TENSORS, ...box },
    objectives: [{ name: 'loss', direction: 'minimize' }],
  }
  const parsed = parseConfig(method.config, config)
  if (checkSuitable(method, problem).length > 0 || (method.check?.(parsed, problem) ?? []).length > 0) return []
  const memo = new Map<string, unknown>()
  method.init({ config: parsed, problem, engine: 'interpreter', memo }, 1)
  return [...memo.values()].flatMap((kept) => {
    const { composition } = (kept ?? {}) as { composition?: Composition }
    return composition ? [composition] : []
  })
}

/** Each rule once: of each method with its defaults and the configs of its recipes, and around one rule all that wraps rules. */
export function catalogueRules(): CatalogueRule[] {
  const rules = new Map<string, CatalogueRule>()
  const add = (title: string, method: AnyMethod, config: object, box = {}) => {
    for (const { source, scalars, shape } of compositions(method, config, box)) {
      const program = compileRule(source)
      if (!rules.has(program.hash)) rules.set(program.hash, { title, program, scalars: (t) => scalars(at(t)), shape })
    }
  }
  for (const method of methods)
    for (const config of [{}, ...method.recipes.map((recipe) => recipe.config ?? {})])
      add(`${method.id} ${JSON.stringify(config)}`, method, config)
  const adamw = methods.find(({ id }) => id === 'adamw') as AnyMethod
  for (const id of transforms.ids) add(`adamw under ${id}`, adamw, { transforms: [{ id }] })
  for (const id of averagings.ids) add(`adamw, averaging ${id}`, adamw, { averaging: { id } })
  add('adamw in a ball', adamw, { ball: 0.5 })
  for (const method of methods)
    if (['adagrad', 'adafactor', 'adam', 'lion'].includes(method.id))
      add(`${method.id} in a box`, method, {}, { low: -0.25, high: 0.5 })
  return [...rules.values()]
}
