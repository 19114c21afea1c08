/** Rule text to located syntax trees. mathjs gives the tree and the LaTeX; it never evaluates anything. */
import type { MathNode } from 'mathjs/number'
import type { Issue } from '../../core/errors.js'
import { parseExpression } from '../../core/expressions.js'
import { speller, toLatex } from './latex.js'
import { SyntaxProblem, type Token, tokenize } from './lex.js'

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

/** LaTeX of the assignments of a right text; what it reports is no equation. */
export function latexOf(text: string): string[] {
  const lines = text.split(/\r?\n/).map(splitLine)
  const equations = lines.filter((line) => line !== undefined).filter(({ report }) => !report)
  const spell = speller(lines.flatMap((line) => line?.tokens ?? []).map((token) => token.text))
  return equations.map(({ target, math }) => `${spell(target.text)} = ${toLatex(parseExpression(math), spell)}`)
}

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
  const split = splitLine(code)
  if (!split) return undefined
  const { report, target, value, math } = split
  const tree = mathTree(math, value[0].column)
  const leaves = value.filter((token) => token.kind !== 'symbol' && !WORD_OPERATORS.has(token.text))
  const syntax = convert(tree, { leaves, next: 0 }, 0)
  return { line, report, target: { name: target.text, column: target.column }, value: syntax }
}

/** The parts of a line, and its expression as mathjs is to read it, with the columns of the line. */
function splitLine(code: string) {
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
  const math = ' '.repeat(equals.column) + code.slice(equals.column, code.search(/#|$/))
  return { tokens, report, target, value, math }
}

/** An open parenthesis of an expression, or the expression itself. */
type Group = { column: number; call: boolean; choices: number }

/**
 * Checks the order of tokens, so that a mistake is told as what was expected in its place, and so that nothing is left
 * that mathjs would read in a way of its own: second assignments, juxtaposition, words of other languages.
 */
function checkTokens(tokens: readonly Token[], equals: Token): void {
  const groups: Group[] = [{ column: equals.column, call: false, choices: 0 }]
  let before = equals
  let operand = false
  for (const token of tokens) {
    const { text, column } = token
    const group = groups[groups.length - 1]
    const expected = (what: string, hint = '') => new SyntaxProblem(column, `expected ${what}, found "${text}"${hint}`)
    if (text === '=') throw new SyntaxProblem(column, 'expected one assignment per line; compare with "=="')
    if (FOREIGN_WORDS.has(text)) throw new SyntaxProblem(column, `"${text}" is not part of the language`)
    const call = text === '(' && operand && before.kind === 'name'
    if (text === '(') {
      if (groups.length > LIMITS.depth) throw new SyntaxProblem(column, `nested deeper than ${LIMITS.depth}`)
      groups.push({ column, call, choices: 0 })
    }
    if (!operand || call) {
      if (text === ')' && group.call && before.text === '(') groups.pop()
      else if (!call && token.kind === 'symbol' && !PREFIXES.has(text)) throw expected(operandAfter(before))
      else if (text === 'and' || text === 'or') throw expected(operandAfter(before))
      operand = text === ')' || (token.kind !== 'symbol' && text !== 'not')
    } else {
      if (text === '(' || text === 'not' || (token.kind !== 'symbol' && !WORD_OPERATORS.has(text)))
        throw new SyntaxProblem(column, `expected an operator between "${before.text}" and "${text}"`)
      if (CLOSING.has(text) && group.choices > 0) throw expected(OTHERWISE)
      if (text === ')' && groups.length === 1) throw expected('an operator or the end of the line', '; no "(" is open')
      if (text === ',' && !group.call) throw expected('an operator', '; only arguments of a call are separated by ","')
      if (text === ':' && group.choices-- === 0)
        throw expected('an operator', '; ":" belongs to condition ? value : value')
      if (text === '?') group.choices++
      if (text === ')') groups.pop()
      operand = text === ')'
    }
    before = token
  }
  const { column, choices } = groups[groups.length - 1]
  const end = before.column + before.text.length
  const unfinished = (what: string) => new SyntaxProblem(end, `expected ${what}, found the end of the line`)
  if (!operand) throw unfinished(operandAfter(before))
  if (choices > 0) throw unfinished(OTHERWISE)
  if (groups.length > 1) throw unfinished(`")" for the "(" in column ${column}`)
}
const PREFIXES = new Set(['(', '-', '+'])
const CLOSING = new Set([')', ','])
const OTHERWISE = '":" and the value where the condition does not hold'
const operandAfter = ({ text }: Token) => `a number, a name or "(" after "${text}"`

function mathTree(code: string, column: number): MathNode {
  try {
    return parseExpression(code)
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
