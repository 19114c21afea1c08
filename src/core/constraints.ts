/**
 * Constraints on the parameters of a search space, as data: linear ones, expressions, forbidden combinations. One holds
 * as well where a parameter that it names is not active. Expressions are parsed by mathjs and walked here: nothing in
 * them is executed but arithmetic, comparisons and a fixed list of functions.
 */
import type { MathNode } from 'mathjs/number'
import { parseExpression } from './expressions.js'
import type { Parameter, Params, ParamValue, Scalar, SearchSpace } from './space.js'

export type SpaceConstraint =
  /** The sum of coefficient times value is at most `bound`. */
  | { type: 'linear'; coefficients: { readonly [parameter: string]: number }; bound: number }
  /** Text such as `momentum < 1 - lr and (optimizer != "sgd" or nesterov)`. */
  | { type: 'expression'; expression: string }
  /** Not all of these parameters have one of their listed values. */
  | { type: 'forbidden'; when: { readonly [parameter: string]: readonly Scalar[] } }

type Bad = (path: string, message: string) => void
type Kind = 'number' | 'boolean' | 'string' | 'any'
type Evaluate = (params: Params) => ParamValue
type Term = { kind: Kind; at: Evaluate }
type Compiled = { names: readonly string[]; holds: (params: Params) => boolean; text: string }

const LONGEST = 2_000
const DEEPEST = 50
/** Rounding that a sum of coefficient times value may be above its bound by, relative to the sum of the sizes. */
const SLACK = 8 * Number.EPSILON

const FUNCTIONS: { readonly [name: string]: { from: number; to: number; at: (...x: number[]) => number } } = {
  abs: { from: 1, to: 1, at: Math.abs },
  ceil: { from: 1, to: 1, at: Math.ceil },
  cos: { from: 1, to: 1, at: Math.cos },
  exp: { from: 1, to: 1, at: Math.exp },
  floor: { from: 1, to: 1, at: Math.floor },
  log: { from: 1, to: 1, at: Math.log },
  log10: { from: 1, to: 1, at: Math.log10 },
  log2: { from: 1, to: 1, at: Math.log2 },
  max: { from: 1, to: 20, at: Math.max },
  min: { from: 1, to: 20, at: Math.min },
  round: { from: 1, to: 1, at: Math.round },
  sign: { from: 1, to: 1, at: Math.sign },
  sin: { from: 1, to: 1, at: Math.sin },
  sqrt: { from: 1, to: 1, at: Math.sqrt },
  tan: { from: 1, to: 1, at: Math.tan },
  tanh: { from: 1, to: 1, at: Math.tanh },
}
const ARITHMETIC: { readonly [fn: string]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  pow: (a, b) => a ** b,
  mod: (a, b) => a - b * Math.floor(a / b),
}
const ORDER: { readonly [fn: string]: (a: number, b: number) => boolean } = {
  smaller: (a, b) => a < b,
  smallerEq: (a, b) => a <= b,
  larger: (a, b) => a > b,
  largerEq: (a, b) => a >= b,
}
const CONSTANTS: { readonly [name: string]: number } = { pi: Math.PI, e: Math.E }

class Wrong extends Error {}
const wrong = (message: string): never => {
  throw new Wrong(message)
}

/** The type that all values of a parameter share. */
function kindOf(p: Parameter): Kind {
  if (p.type === 'float' || p.type === 'int') return 'number'
  if (p.type === 'permutation') return wrong(`"${p.name}" is a permutation, which expressions don't take`)
  const kinds = new Set(p.choices.map((choice) => typeof choice as Kind))
  return kinds.size === 1 ? [...kinds][0] : 'any'
}

/** Parsing gives nodes of plain data; what is read of them here is checked by their type. */
// biome-ignore lint/suspicious/noExplicitAny: mathjs exports no union of its node types.
type Node = any

function compileNode(node: Node, space: SearchSpace, names: Set<string>, depth: number): Term {
  if (depth > DEEPEST) return wrong(`expected at most ${DEEPEST} levels of nesting`)
  const sub = (n: Node) => compileNode(n, space, names, depth + 1)
  const number = (n: Node): ((params: Params) => number) => {
    const { kind, at } = sub(n)
    if (kind !== 'number') wrong(`expected a number, got "${n}"`)
    return at as (params: Params) => number
  }
  const boolean = (n: Node): ((params: Params) => boolean) => {
    const { kind, at } = sub(n)
    if (kind !== 'boolean') wrong(`expected true or false, got "${n}"`)
    return at as (params: Params) => boolean
  }
  const compare = (fn: string, left: Node, right: Node): Term => {
    if (fn in ORDER) {
      const [a, b] = [number(left), number(right)]
      return { kind: 'boolean', at: (p) => ORDER[fn](a(p), b(p)) }
    }
    const [a, b] = [sub(left), sub(right)]
    if (a.kind !== b.kind && a.kind !== 'any' && b.kind !== 'any')
      wrong(`"${left}" is a ${a.kind} and "${right}" a ${b.kind}: they are never equal`)
    const equal = fn === 'equal'
    return { kind: 'boolean', at: (p) => (a.at(p) === b.at(p)) === equal }
  }
  switch (node.type) {
    case 'ParenthesisNode':
      return sub(node.content)
    case 'ConstantNode': {
      const { value } = node
      if (!['number', 'string', 'boolean'].includes(typeof value)) return wrong(`"${node}" is no value`)
      return { kind: typeof value as Kind, at: () => value }
    }
    case 'SymbolNode': {
      const { name } = node
      const parameter = space.parameters.find((p) => p.name === name)
      if (parameter) {
        names.add(name)
        return { kind: kindOf(parameter), at: (p) => p[name] }
      }
      if (!Object.hasOwn(CONSTANTS, name)) return wrong(`"${name}" is neither a parameter nor pi or e`)
      return { kind: 'number', at: () => CONSTANTS[name] }
    }
    case 'OperatorNode': {
      const { fn, args } = node
      if (fn === 'not') {
        const a = boolean(args[0])
        return { kind: 'boolean', at: (p) => !a(p) }
      }
      if (fn === 'and' || fn === 'or') {
        const [a, b] = args.map(boolean)
        return { kind: 'boolean', at: fn === 'and' ? (p) => a(p) && b(p) : (p) => a(p) || b(p) }
      }
      if (fn === 'unaryMinus' || fn === 'unaryPlus') {
        const a = number(args[0])
        return { kind: 'number', at: fn === 'unaryMinus' ? (p) => -a(p) : a }
      }
      if (fn in ORDER || fn === 'equal' || fn === 'unequal') return compare(fn, args[0], args[1])
      if (!Object.hasOwn(ARITHMETIC, fn)) return wrong(`the operator "${node.op}" is not known here`)
      const [a, b] = args.map(number)
      return { kind: 'number', at: (p) => ARITHMETIC[fn](a(p), b(p)) }
    }
    case 'RelationalNode': {
      const parts = (node.conditionals as string[]).map((fn, i) => compare(fn, node.params[i], node.params[i + 1]).at)
      return { kind: 'boolean', at: (p) => parts.every((part) => part(p)) }
    }
    case 'FunctionNode': {
      const name = node.fn.name
      const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
      if (!known) return wrong(`"${name}" is not one of ${Object.keys(FUNCTIONS).join(', ')}`)
      const { from, to, at } = known
      const count = node.args.length
      if (count < from || count > to)
        return wrong(`${name} takes ${from === to ? from : `${from} to ${to}`}, got ${count}`)
      const args = (node.args as Node[]).map(number)
      return { kind: 'number', at: (p) => at(...args.map((arg) => arg(p))) }
    }
    default:
      return wrong(`"${node}" is not part of the language of constraints`)
  }
}

function compileExpression(text: string, space: SearchSpace): Compiled {
  if (text.length > LONGEST) return wrong(`expected at most ${LONGEST} characters, got ${text.length}`)
  let tree: MathNode
  try {
    tree = parseExpression(text)
  } catch (error) {
    return wrong(`is not an expression: ${(error as Error).message}`)
  }
  const names = new Set<string>()
  const { kind, at } = compileNode(tree, space, names, 0)
  if (kind !== 'boolean') return wrong('expected a comparison, which is true or false')
  if (names.size === 0) return wrong('names no parameter')
  return { names: [...names], holds: (p) => at(p) === true, text: `"${text}"` }
}

function compile(constraint: SpaceConstraint, space: SearchSpace): Compiled {
  if (constraint.type === 'expression') return compileExpression(constraint.expression, space)
  if (constraint.type === 'linear') {
    // In the order of the space: that of a map is lost on the wire.
    const { coefficients } = constraint
    const names = space.parameters.map(({ name }) => name).filter((name) => Object.hasOwn(coefficients, name))
    const terms = names.map((name) => [name, coefficients[name]] as const)
    const { bound } = constraint
    const text = `${terms.map(([name, a]) => `${a}*${name}`).join(' + ')} <= ${bound}`
    const holds = (p: Params) => {
      let sum = 0
      let size = Math.abs(bound)
      for (const [name, a] of terms) {
        sum += a * (p[name] as number)
        size += Math.abs(a * (p[name] as number))
      }
      return sum <= bound + SLACK * size
    }
    return { names, holds, text: `"${text}"` }
  }
  const when = Object.entries(constraint.when)
  return {
    names: when.map(([name]) => name),
    holds: (p) => !when.every(([name, values]) => values.includes(p[name] as Scalar)),
    text: `the forbidden combination ${when.map(([name, values]) => `${name} in ${JSON.stringify(values)}`).join(', ')}`,
  }
}

/** Everything wrong with the constraints of a space whose parameters are right. */
export function checkConstraints(space: SearchSpace, bad: Bad): void {
  const parameters = new Map(space.parameters.map((p) => [p.name, p]))
  space.constraints?.forEach((constraint, i) => {
    const at = `constraints[${i}]`
    if (constraint.type === 'expression') {
      try {
        compile(constraint, space)
      } catch (error) {
        if (!(error instanceof Wrong)) throw error
        bad(`${at}.expression`, error.message)
      }
      return
    }
    const field = constraint.type === 'linear' ? 'coefficients' : 'when'
    const named = Object.keys(constraint.type === 'linear' ? constraint.coefficients : constraint.when)
    if (named.length === 0) bad(`${at}.${field}`, 'expected at least one parameter')
    if (constraint.type === 'linear' && !Number.isFinite(constraint.bound))
      bad(`${at}.bound`, `expected a finite number, got ${constraint.bound}`)
    for (const name of named) {
      const path = `${at}.${field}.${name}`
      const p = parameters.get(name)
      if (!p) bad(path, 'is not a parameter of the space')
      else if (constraint.type === 'linear') {
        if (p.type !== 'float' && p.type !== 'int') bad(path, `expected a float or int parameter, got ${p.type}`)
        if (!Number.isFinite(constraint.coefficients[name]))
          bad(path, `expected a finite number, got ${constraint.coefficients[name]}`)
      } else if (p.type === 'permutation') bad(path, 'is a permutation, whose values are no choices')
      else if (constraint.when[name].length === 0) bad(path, 'expected at least one value')
    }
  })
}

const compiled = new WeakMap<SearchSpace, readonly Compiled[]>()

/** The constraints that an otherwise right point violates, as text. */
export function violated(space: SearchSpace, params: Params): string[] {
  if (!space.constraints?.length) return []
  let all = compiled.get(space)
  if (!all) compiled.set(space, (all = space.constraints.map((constraint) => compile(constraint, space))))
  return all
    .filter(({ names, holds }) => names.every((name) => Object.hasOwn(params, name)) && !holds(params))
    .map(({ text }) => text)
}
