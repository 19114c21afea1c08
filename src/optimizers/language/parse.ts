/** Rule text to located syntax trees. mathjs gives the tree and the LaTeX; it never evaluates anything. */
import { createRequire } from 'node:module'
import type { MathNode } from 'mathjs/number'
import type { Issue } from '../../core/errors.js'
import { texName, toLatex } from './latex.js'
import { SyntaxProblem, type Token, tokenize } from './lex.js'

const require = createRequire(import.meta.url)
let mathjs: typeof import('mathjs/number') | undefined
/** mathjs is loaded with the first rule: it takes as long to load as the rest of a server together. */
const parseMath = (text: string): MathNode => {
  mathjs ??= require('mathjs/number') as typeof import('mathjs/number')
  return mathjs.parse(text)
}

/** Limits that keep any text cheap to check, its program small, and the list of what is wrong with it readable. */
export const LIMITS = {
  text: 16_384,
  line: 1_024,
  statements: 256,
  depth: 100,
  chain: 500,
  slots: 64,
  names: 256,
  fields: 16,
  issues: 20,
} as const

/** An expression with the column of its first token. Operators are calls by their symbol, which no name can spell. */
export type Syntax = { column: number } & (
  | { kind: 'number'; value: number }
  | { kind: 'name'; name: string }
  | { kind: 'call'; fn: string; args: Syntax[] }
)

export type Line = {
  line: number
  report: boolean
  target: { name: string; column: number }
  value: Syntax
  latex: string
}

const OPERATORS: ReadonlyMap<string, string> = new Map([
  ['add', '+'],
  ['subtract', '-'],
  ['multiply', '*'],
  ['divide', '/'],
  ['pow', '^'],
  ['smaller', '<'],
  ['smallerEq', '<='],
  ['larger', '>'],
  ['largerEq', '>='],
  ['equal', '=='],
  ['unequal', '!='],
  ['and', 'and'],
  ['or', 'or'],
  ['not', 'not'],
  ['unaryMinus', 'negate'],
])
const WORD_OPERATORS = new Set(['and', 'or', 'not'])
const FOREIGN_WORDS = new Set(['xor', 'mod', 'to', 'in'])

/** All assignments of a text. What is wrong is added to `issues` by line and column; such lines are left out. */
export function parseRule(text: string, issues: Issue[]): Line[] {
  if (text.length > LIMITS.text) {
    issues.push({ path: 'rule.text', message: `expected at most ${LIMITS.text} characters, found ${text.length}` })
    return []
  }
  const lines: Line[] = []
  for (const [index, code] of text.split(/\r?\n/).entries()) {
    try {
      const line = parseLine(code, index + 1)
      if (line) lines.push(line)
    } catch (error) {
      if (!(error instanceof SyntaxProblem)) throw error
      issues.push({ path: `rule.text:${index + 1}:${error.column}`, message: error.message })
    }
  }
  if (lines.length > LIMITS.statements)
    issues.push({
      path: 'rule.text',
      message: `expected at most ${LIMITS.statements} assignments, found ${lines.length}`,
    })
  return lines
}

function parseLine(code: string, line: number): Line | undefined {
  if (code.length > LIMITS.line)
    throw new SyntaxProblem(LIMITS.line + 1, `expected at most ${LIMITS.line} characters a line`)
  const tokens = tokenize(code)
  if (tokens.length === 0) return undefined
  const report = tokens[0].text === 'report' && tokens[1]?.kind === 'name'
  const [target, equals, ...value] = report ? tokens.slice(1) : tokens
  if (target.kind !== 'name')
    throw new SyntaxProblem(target.column, `expected a name to assign to, found "${target.text}"`)
  if (equals?.text !== '=')
    throw new SyntaxProblem(
      equals?.column ?? code.length + 1,
      `expected "=" after "${target.text}", as in ${target.text} = ...`,
    )
  checkTokens(value, equals)
  const tree = mathTree(' '.repeat(equals.column) + code.slice(equals.column, code.search(/#|$/)), equals.column + 1)
  const leaves = value.filter((token) => token.kind !== 'symbol' && !WORD_OPERATORS.has(token.text))
  const syntax = convert(tree, { leaves, next: 0 }, 0)
  return {
    line,
    report,
    target: { name: target.text, column: target.column },
    value: syntax,
    latex: `${report ? '\\text{report}\\; ' : ''}${texName(target.text)} = ${toLatex(tree)}`,
  }
}

/** Refuses what mathjs would read in a way of its own: second assignments, juxtaposition, words of other languages. */
function checkTokens(tokens: readonly Token[], equals: Token): void {
  if (tokens.length === 0) throw new SyntaxProblem(equals.column + 1, 'expected an expression after "="')
  let depth = 0
  for (const [i, token] of tokens.entries()) {
    const { text, column } = token
    if (text === '=') throw new SyntaxProblem(column, 'expected one assignment per line; compare with "=="')
    if (FOREIGN_WORDS.has(text)) throw new SyntaxProblem(column, `"${text}" is not part of the language`)
    if (text === '(' && ++depth > LIMITS.depth) throw new SyntaxProblem(column, `nested deeper than ${LIMITS.depth}`)
    if (text === ')') depth--
    const before = tokens[i - 1]
    const startsOperand = text === '(' || (token.kind !== 'symbol' && (text === 'not' || !WORD_OPERATORS.has(text)))
    const endsOperand =
      before && (before.text === ')' || (before.kind !== 'symbol' && !WORD_OPERATORS.has(before.text)))
    if (endsOperand && startsOperand && !(before.kind === 'name' && text === '('))
      throw new SyntaxProblem(column, `expected an operator between "${before.text}" and "${text}"`)
  }
}

function mathTree(code: string, column: number): MathNode {
  try {
    return parseMath(code)
  } catch (error) {
    if (error instanceof RangeError) throw new SyntaxProblem(column, 'nested too deeply')
    const { char, message } = error as { char?: number; message: string }
    throw new SyntaxProblem(char ?? column, message.replace(/ \(char \d+\)$/, ''))
  }
}

/** Leaves of a tree come in the order of their tokens, which gives each node its column. */
function convert(node: MathNode, source: { leaves: readonly Token[]; next: number }, depth: number): Syntax {
  const column = source.leaves[Math.min(source.next, source.leaves.length - 1)]?.column ?? 1
  if (depth > LIMITS.depth) throw new SyntaxProblem(column, `nested deeper than ${LIMITS.depth}`)
  const convertAll = (nodes: readonly MathNode[]) => nodes.map((child) => convert(child, source, depth + 1))
  // The node classes overlap structurally, so they are told apart by `type` alone.
  const { type } = node
  const any = node as unknown as {
    value: unknown
    name: string
    content: MathNode
    fn: string & { type: string; name: string }
    args: MathNode[]
    condition: MathNode
    trueExpr: MathNode
    falseExpr: MathNode
  }
  if (type === 'ParenthesisNode') return convert(any.content, source, depth + 1)
  if (type === 'ConstantNode') {
    source.next++
    if (typeof any.value !== 'number') throw new SyntaxProblem(column, `expected a number, found "${any.value}"`)
    return { kind: 'number', column, value: any.value }
  }
  if (type === 'SymbolNode') {
    source.next++
    return { kind: 'name', column, name: any.name }
  }
  if (type === 'OperatorNode' && any.fn === ('unaryPlus' as string)) return convert(any.args[0], source, depth + 1)
  if (type === 'OperatorNode' && OPERATORS.has(any.fn))
    return { kind: 'call', column, fn: OPERATORS.get(any.fn) as string, args: convertAll(any.args) }
  if (type === 'ConditionalNode')
    return { kind: 'call', column, fn: '?:', args: convertAll([any.condition, any.trueExpr, any.falseExpr]) }
  if (type === 'FunctionNode' && any.fn.type === 'SymbolNode') {
    source.next++
    return { kind: 'call', column, fn: any.fn.name, args: convertAll(any.args) }
  }
  if (type === 'RelationalNode')
    throw new SyntaxProblem(column, 'expected one comparison; join two with "and", as in a < b and b < c')
  throw new SyntaxProblem(column, `expected numbers, names, operators and calls; this is not part of the language`)
}
