/** Update rules as things to evolve: text that declares itself, its variations, and what it does on fixed gradients. */
import { createHash } from 'node:crypto'
import { AsktellError } from '../../core/errors.js'
import { Rng, rngStream } from '../../core/rng.js'
import type { TensorSpec } from '../../core/tensor.js'
import { interpreter } from '../../optimizers/engines/interpreter.js'
import { compileRule } from '../../optimizers/language/check.js'
import type { Expression, Program, Statement } from '../../optimizers/language/program.js'
import { selfDeclared } from '../../optimizers/self-declared.js'

/** Statements of a program that may still grow. */
const MAX_STATEMENTS = 20
/** Steps of a probe, and the tensors that it runs on. */
const PROBE_STEPS = 10
const MANIFEST: readonly TensorSpec[] = [
  { name: 'a', shape: [2, 2], dtype: 'f64' },
  { name: 'b', shape: [3], dtype: 'f64' },
]

export const compile = (text: string): Program => compileRule(selfDeclared(text))

/** The program of a text, or undefined where it is not one. */
function compiles(text: string): Program | undefined {
  try {
    return compile(text)
  } catch (error) {
    if (error instanceof AsktellError) return undefined
    throw error
  }
}

/** Digest of the path that a rule takes on fixed probe gradients, whatever its names; undefined where it leaves the numbers. */
export function functionalHash(text: string): string | undefined {
  const program = compiles(text)
  if (!program) return undefined
  const kernel = interpreter.compile(program, MANIFEST, 'f64')
  const { x, slots } = kernel.allocate()
  const rng = new Rng(rngStream(0, 'probe'))
  const draw = () => Object.fromEntries(MANIFEST.map(({ name }) => [name, x[name].map(() => rng.normal())]))
  for (const [name, start] of Object.entries(draw())) x[name].set(start)
  const hash = createHash('sha256')
  for (let t = 1; t <= PROBE_STEPS; t++) {
    kernel.run({ x, slots, inputs: { g: draw() }, scalars: { lr: 0.01, t }, seed: t })
    for (const { name } of MANIFEST) {
      if (!x[name].every(Number.isFinite)) return undefined
      // + 0 makes -0 and 0 the same.
      hash.update(Float64Array.from(x[name], (v) => v + 0))
    }
  }
  return hash.digest('hex').slice(0, 32)
}

/** The text without every statement whose removal leaves the probe's path as it is, bit for bit. */
export function simplify(text: string): string {
  const hash = functionalHash(text)
  let lines = text.split('\n').filter((line) => line.trim() !== '')
  for (let i = lines.length - 1; i >= 0; i--) {
    const without = lines.filter((_, j) => j !== i)
    if (hash !== undefined && functionalHash(without.join('\n')) === hash) {
      lines = without
      i = lines.length
    }
  }
  return lines.join('\n')
}

const PRECEDENCE: readonly (readonly string[])[] = [
  ['or'],
  ['and'],
  ['<', '<=', '>', '>=', '==', '!='],
  ['+', '-'],
  ['*', '/'],
  ['negate', 'not'],
  ['^'],
]
const ATOM = PRECEDENCE.length
const NAMES: { readonly [fn: string]: string } = { sum: 'Sum', mean: 'Mean', max: 'Max' }

/** Text of an expression, with the parentheses that it needs where it stands. */
export function print(e: Expression, within = 0): string {
  const list = (args: readonly Expression[]) => args.map((arg) => print(arg)).join(', ')
  switch (e.kind) {
    case 'number':
      return e.value < 0 ? `(${e.value})` : `${e.value}`
    case 'name':
      return e.name
    case 'shape':
      return e.property
    case 'random':
      return `${e.distribution}()`
    case 'reduce':
      if (e.domain === 'row' || e.domain === 'column')
        return `${e.domain === 'row' ? 'row' : 'col'}${NAMES[e.fn]}(${list(e.args)})`
      return `${e.fn}(${list(e.args)}${e.domain === 'global' ? ', all' : ''})`
  }
  const level = PRECEDENCE.findIndex((operators) => operators.includes(e.fn))
  if (level < 0) return `${e.fn}(${list(e.args)})`
  const [a, b] = e.args
  let text: string
  if (e.fn === 'negate' || e.fn === 'not') text = `${e.fn === 'negate' ? '-' : 'not '}${print(a, level)}`
  else if (e.fn === '^') text = `${print(a, ATOM)}^${print(b, ATOM)}`
  else {
    const operator = level < 4 ? ` ${e.fn} ` : e.fn
    text = `${print(a, level === 2 ? level + 1 : level)}${operator}${print(b, level + 1)}`
  }
  return level < within ? `(${text})` : text
}

const line = ({ target, value }: Statement): string =>
  `${target.role === 'report' ? 'report ' : ''}${target.name} = ${print(value)}`

const name = (text: string): Expression => ({ kind: 'name', domain: 'tensor', name: text, role: 'local' })
const number = (value: number): Expression => ({ kind: 'number', domain: 'global', value })
const call = (fn: string, ...args: Expression[]) => ({ kind: 'call', domain: 'tensor', fn, args }) as Expression

/** Leaves of an expression that a mutation may change: names and numbers. */
function leaves(e: Expression): number {
  if (e.kind === 'name' || e.kind === 'number') return 1
  return e.kind === 'call' || e.kind === 'reduce' ? e.args.reduce((n, arg) => n + leaves(arg), 0) : 0
}

/** The expression with its leaf of that index, in the order of the text, replaced. */
function replaceLeaf(e: Expression, index: number, change: (leaf: Expression) => Expression): Expression {
  if (e.kind === 'name' || e.kind === 'number') return index === 0 ? change(e) : e
  if (e.kind !== 'call' && e.kind !== 'reduce') return e
  let at = index
  const args = e.args.map((arg) => {
    const size = leaves(arg)
    const changed = at >= 0 && at < size ? replaceLeaf(arg, at, change) : arg
    at -= size
    return changed
  })
  return { ...e, args }
}

/**
 * The text of a program varied by one random edit: a statement inserted, a statement deleted, or a name or constant
 * changed. It may not be a program.
 */
export function mutate({ source, statements: parent }: Program, rng: Rng): string {
  const statements = [...parent]
  const pick = <T>(items: readonly T[]): T => items[rng.integer(items.length)]
  const own = [...new Set(statements.map(({ target }) => target.name))]
  const names = [...new Set(['x', 'g', ...Object.keys(source.slots), ...own])]
  // Constants change by their logarithm; shares of 1 by that of what is left.
  const nearby = (value: number): number => {
    const factor = Math.exp(rng.normal())
    if (value > 0.5 && value < 1) return Number(Math.max(0, 1 - (1 - value) * factor).toPrecision(4))
    return Number((value * factor).toPrecision(4))
  }
  const constant = () => number(pick([0.1, 0.5, 0.9, 0.99, 1, 2]))
  const argument = () => (rng.uniform() < 0.8 ? name(pick(names)) : constant())

  const kind = statements.length >= MAX_STATEMENTS ? pick(['delete', 'change']) : pick(['insert', 'delete', 'change'])
  if (kind === 'delete') statements.splice(rng.integer(statements.length), 1)
  else if (kind === 'insert') {
    let free = 1
    while (names.includes(`u${free}`)) free++
    const target = rng.uniform() < 0.3 ? `u${free}` : pick(names.filter((known) => known !== 'g'))
    const [a, b] = [argument(), argument()]
    const value = pick<() => Expression>([
      () => call(pick(['+', '-', '*', '/', 'max', 'min']), a, b),
      () => call(pick(['sign', 'abs', 'tanh', 'negate']), a),
      () => call('sqrt', call('abs', a)),
      () => call('^', a, number(2)),
      // Interpolation, the move that momentum is made of.
      () => {
        const share = pick([0.9, 0.95, 0.99, 0.999])
        return call('+', call('*', number(share), a), call('*', number(Number((1 - share).toPrecision(4))), b))
      },
    ])()
    const role = 'local' as const
    statements.splice(rng.integer(statements.length + 1), 0, {
      target: { role, name: target, domain: 'tensor' },
      value,
      line: 0,
      column: 0,
    })
  } else {
    const index = rng.integer(statements.length)
    const { value } = statements[index]
    const count = leaves(value)
    if (count > 0)
      statements[index] = {
        ...statements[index],
        value: replaceLeaf(value, rng.integer(count), (leaf) =>
          leaf.kind === 'number' && rng.uniform() < 0.8 ? number(nearby(leaf.value)) : argument(),
        ),
      }
  }
  return statements.map(line).join('\n')
}
