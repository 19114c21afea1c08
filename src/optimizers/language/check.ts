/** Names, shapes and arguments of a rule: source in, checked program out. */
import { createHash } from 'node:crypto'
import { type Issue, refuse } from '../../core/errors.js'
import { broadcasts, FUNCTIONS, join, OPERATOR_FUNCTIONS, RESERVED } from './functions.js'
import { SyntaxProblem } from './lex.js'
import { nearest } from './nearest.js'
import { LIMITS, type Line, latexOf, parseRule, type Syntax } from './parse.js'
import type { Domain, ElementFunction, Expression, Program, Reduction, RuleSource, Statement } from './program.js'

const DOMAIN_TEXT: Readonly<Record<Domain, string>> = {
  global: 'one number for all tensors',
  scalar: 'one number per tensor',
  row: 'one number per row',
  column: 'one number per column',
  tensor: 'a tensor',
}
const KINDS = Object.keys(DOMAIN_TEXT)

type Meaning =
  | { role: 'x' | 'slot' | 'input' | 'local' | 'scalar'; domain: Domain }
  | { role: 'shape'; property: 'matrix' | 'size' | 'sizeAll' }
  | { role: 'constant'; value: number }
  /** A local whose own line is wrong: reported there, not at each use. */
  | { role: 'broken' }

/**
 * Compiles the source of a rule to its checked program.
 *
 * @throws AsktellError RULE_INVALID with one issue per wrong line, at `rule.text:LINE:COLUMN`, or at
 *   `rule.slots.NAME`, `rule.hyperparameters[i]` and `rule.inputs[i]` for wrong declarations.
 */
export function compileRule(source: RuleSource): Program {
  const issues: Issue[] = []
  const names = declare(source, issues)
  const lines = parseRule(source.text, issues)
  const checker = new Checker(names, issues)
  const statements = lines.map((line) => checker.statement(line)).filter((statement) => statement !== undefined)
  if (issues.length === 0 && !statements.some(({ target }) => target.role === 'x'))
    issues.push({ path: 'rule.text', message: 'expected an assignment to "x", found none' })
  refuse('RULE_INVALID', issues.slice(0, LIMITS.issues))
  const meaning = [statements.map(({ target, value }) => [target, value]), slotEntries(source), source.inputs ?? []]
  // JSON has no NaN and no Infinity, which a rule may well name.
  const canonical = JSON.stringify([meaning, source.hyperparameters], (_, value) =>
    typeof value === 'number' ? String(value) : value,
  )
  return {
    source,
    statements,
    get latex() {
      return latexOf(source.text)
    },
    hash: createHash('sha256').update(canonical).digest('hex'),
  }
}

const slotEntries = (source: RuleSource) => Object.entries(source.slots)

/** The names a rule starts with. */
function declare(source: RuleSource, issues: Issue[]): Map<string, Meaning> {
  const names = new Map<string, Meaning>([
    ['x', { role: 'x', domain: 'tensor' }],
    ['g', { role: 'input', domain: 'tensor' }],
    ['t', { role: 'scalar', domain: 'global' }],
    ['matrix', { role: 'shape', property: 'matrix' }],
    ['size', { role: 'shape', property: 'size' }],
    ['sizeAll', { role: 'shape', property: 'sizeAll' }],
    ['pi', { role: 'constant', value: Math.PI }],
  ])
  const add = (path: string, name: string, meaning: Meaning) => {
    const complain = (message: string) => issues.push({ path, message })
    if (!/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(name))
      return complain(`expected a name of at most 64 letters, digits and "_" that starts with a letter`)
    if (RESERVED.has(name)) return complain(`"${name}" is a word of the language; choose another name`)
    if (names.has(name)) return complain(`"${name}" is declared twice`)
    names.set(name, meaning)
  }
  const slots = slotEntries(source)
  if (slots.length > LIMITS.slots)
    issues.push({ path: 'rule.slots', message: `expected at most ${LIMITS.slots} slots, found ${slots.length}` })
  for (const [name, { kind, initial }] of slots) {
    if (!KINDS.includes(kind))
      issues.push({ path: `rule.slots.${name}.kind`, message: `expected one of ${KINDS.join(', ')}` })
    if (initial !== undefined && typeof initial !== 'number')
      issues.push({ path: `rule.slots.${name}.initial`, message: 'expected a number' })
    add(`rule.slots.${name}`, name, { role: 'slot', domain: kind })
  }
  source.hyperparameters.forEach((name, i) => {
    add(`rule.hyperparameters[${i}]`, name, { role: 'scalar', domain: 'global' })
  })
  source.inputs?.forEach((name, i) => {
    add(`rule.inputs[${i}]`, name, { role: 'input', domain: 'tensor' })
  })
  if (names.size > LIMITS.names) issues.push({ path: 'rule', message: `expected at most ${LIMITS.names} names` })
  return names
}

/** An integer power becomes up to so many products, one after another. */
const POWER_DEPTH = 12

/** Raised where a name is used whose own line is wrong. */
class Broken extends Error {}

class Checker {
  private readonly reports = new Set<string>()
  private readonly depths = new Map<string, number>()
  private randomSites = 0

  constructor(
    private readonly names: Map<string, Meaning>,
    private readonly issues: Issue[],
  ) {}

  statement(line: Line): Statement | undefined {
    const { target, report } = line
    try {
      if (!report) this.checkTarget(target)
      const value = this.expression(line.value)
      this.checkDepth(line, value)
      const { column } = line.value
      return { target: report ? this.report(line, value) : this.assign(line, value), value, line: line.line, column }
    } catch (error) {
      if (!report && !this.names.has(target.name)) this.names.set(target.name, { role: 'broken' })
      if (error instanceof SyntaxProblem)
        this.issues.push({ path: `rule.text:${line.line}:${error.column}`, message: error.message })
      else if (!(error instanceof Broken)) throw error
      return undefined
    }
  }

  /** Bounds how deep a value's computation is, through all lines before it, for code that follows it recursively. */
  private checkDepth({ target, report, value: { column } }: Line, value: Expression): void {
    const depthOf = (e: Expression): number => {
      if (e.kind === 'name') return this.depths.get(e.name) ?? 0
      if (e.kind !== 'call' && e.kind !== 'reduce') return 0
      return (e.fn === '^' ? POWER_DEPTH : 1) + Math.max(...e.args.map(depthOf))
    }
    const depth = depthOf(value)
    if (depth > LIMITS.chain)
      throw new SyntaxProblem(column, `expected at most ${LIMITS.chain} operations after one another, found ${depth}`)
    if (!report) this.depths.set(target.name, depth)
  }

  private checkTarget({ name, column }: Line['target']): void {
    const meaning = this.names.get(name)
    if (name === 'g' || (meaning?.role === 'input' && name !== 'x'))
      throw new SyntaxProblem(column, `"${name}" is an input and cannot be assigned; assign to a name of your own`)
    if (name === 't') throw new SyntaxProblem(column, '"t" is the step number and cannot be assigned')
    if (meaning?.role === 'scalar')
      throw new SyntaxProblem(
        column,
        `"${name}" is a hyperparameter and cannot be assigned; declare a slot for what changes`,
      )
    if (name !== 'x' && RESERVED.has(name))
      throw new SyntaxProblem(column, `"${name}" is a word of the language and cannot be assigned`)
  }

  private assign(line: Line, value: Expression): Statement['target'] {
    const { name, column } = line.target
    const meaning = this.names.get(name)
    if (meaning?.role === 'x' || meaning?.role === 'slot') {
      const { role, domain } = meaning
      if (!broadcasts(value.domain, domain))
        throw new SyntaxProblem(
          line.value.column,
          `"${name}" holds ${DOMAIN_TEXT[domain]}, but this is ${DOMAIN_TEXT[value.domain]}${reductionHint(domain)}`,
        )
      return { role, name, domain }
    }
    if (name.length > 64) throw new SyntaxProblem(column, 'expected a name of at most 64 characters')
    this.names.set(name, { role: 'local', domain: value.domain })
    if (this.names.size > LIMITS.names) throw new SyntaxProblem(column, `expected at most ${LIMITS.names} names`)
    return { role: 'local', name, domain: value.domain }
  }

  private report(line: Line, value: Expression): Statement['target'] {
    const { name, column } = line.target
    if (this.reports.has(name)) throw new SyntaxProblem(column, `"${name}" is reported twice`)
    if (value.domain !== 'global')
      throw new SyntaxProblem(
        line.value.column,
        `a report is one number for all tensors, but this is ${DOMAIN_TEXT[value.domain]}${reductionHint('global')}`,
      )
    this.reports.add(name)
    return { role: 'report', name, domain: 'global' }
  }

  private expression(syntax: Syntax): Expression {
    if (syntax.kind === 'number') return { kind: 'number', domain: 'global', value: syntax.value }
    if (syntax.kind === 'name') return this.name(syntax)
    const operator = OPERATOR_FUNCTIONS.get(syntax.fn)
    if (operator) return call(operator, this.all(syntax.args))
    return this.call(syntax)
  }

  private all(args: readonly Syntax[]): Expression[] {
    return args.map((arg) => this.expression(arg))
  }

  private name({ name, column }: Syntax & { kind: 'name' }): Expression {
    const meaning = this.names.get(name)
    if (!meaning) throw new SyntaxProblem(column, this.unknownName(name))
    switch (meaning.role) {
      case 'broken':
        throw new Broken()
      case 'constant':
        return { kind: 'number', domain: 'global', value: meaning.value }
      case 'shape': {
        const { property } = meaning
        return { kind: 'shape', domain: property === 'sizeAll' ? 'global' : 'scalar', property }
      }
      default:
        return { kind: 'name', domain: meaning.domain, name, role: meaning.role }
    }
  }

  private unknownName(name: string): string {
    if (name === 'all') return '"all" stands only as the last argument of a reduction, as in norm(g, all)'
    if (FUNCTIONS.has(name)) return `"${name}" is a function; call it with arguments`
    const near = nearest(name, [...this.names.keys()])
    return `unknown name "${name}"${near ? `; did you mean "${near}"?` : ''}`
  }

  private call({ fn, args, column }: Syntax & { kind: 'call' }): Expression {
    const spec = FUNCTIONS.get(fn)
    if (!spec) {
      const near = nearest(fn, [...FUNCTIONS.keys()])
      const what = this.names.has(fn) ? `"${fn}" is not a function; write * to multiply` : `unknown function "${fn}"`
      throw new SyntaxProblem(column, near ? `${what}; did you mean "${near}"?` : what)
    }
    const last = args.at(-1)
    const overAll = last?.kind === 'name' && last.name === 'all'
    const operands = overAll ? args.slice(0, -1) : args
    if (spec.kind === 'missing') throw new SyntaxProblem(column, `"${fn}" is not offered by this version's engines`)
    if ((fn === 'min' || fn === 'max') && operands.length === 1) return this.reduce(fn, fn, operands, overAll)
    if (operands.length !== spec.arity || (overAll && (spec.kind !== 'reduction' || spec.axis)))
      throw new SyntaxProblem(column, wrongArguments(fn, operands.length, overAll))
    switch (spec.kind) {
      case 'element':
        return call(spec.fn, this.all(operands))
      case 'clip': {
        const [value, low, high] = this.all(operands)
        return call('min', [call('max', [value, low]), high])
      }
      case 'random':
        // Each field takes the memory of a tensor slot.
        if (this.randomSites === LIMITS.fields)
          throw new SyntaxProblem(column, `expected at most ${LIMITS.fields} random fields`)
        return { kind: 'random', domain: 'tensor', distribution: spec.distribution, site: this.randomSites++ }
      case 'reduction':
        return this.reduce(fn, spec.fn, operands, overAll, spec.axis)
    }
  }

  private reduce(
    name: string,
    fn: Reduction,
    operands: readonly Syntax[],
    overAll: boolean,
    axis?: 'row' | 'column',
  ): Expression {
    const args = this.all(operands)
    const domain = args.map((arg) => arg.domain).reduce(join)
    const enough = axis ? domain === 'tensor' : domain !== 'global' && (overAll || domain !== 'scalar')
    if (!enough)
      throw new SyntaxProblem(
        operands[0].column,
        `"${name}" reduces ${axis ? 'a tensor' : overAll ? 'what tensors hold' : 'what one tensor holds'}, but this is ${DOMAIN_TEXT[domain]}${
          domain === 'scalar' && !axis ? `; write ${name}(..., all) to go over all tensors` : ''
        }`,
      )
    return { kind: 'reduce', domain: axis ?? (overAll ? 'global' : 'scalar'), fn, args }
  }
}

function call(fn: ElementFunction, args: readonly Expression[]): Expression {
  // The square root is exact where a general power is not; so are its special cases.
  if (fn === '^' && args[1].kind === 'number' && args[1].value === 0.5) return call('sqrt', [args[0]])
  return { kind: 'call', domain: args.map((arg) => arg.domain).reduce(join), fn, args }
}

function wrongArguments(fn: string, found: number, overAll: boolean): string {
  const spec = FUNCTIONS.get(fn) as { kind: string; arity: number; axis?: string }
  if (overAll && (spec.kind !== 'reduction' || spec.axis) && found === spec.arity)
    return `"${fn}" cannot go over all tensors`
  const all = spec.kind === 'reduction' && !spec.axis ? ', and may have "all" after' : ''
  const expected =
    fn === 'min' || fn === 'max' ? '1 argument to reduce or 2' : `${spec.arity} argument${spec.arity === 1 ? '' : 's'}`
  return `"${fn}" takes ${expected}${all}, found ${found}`
}

function reductionHint(domain: Domain): string {
  if (domain === 'global') return '; reduce it over all tensors, as in norm(g, all)'
  if (domain === 'scalar') return '; reduce it over the tensor, as in norm(g)'
  if (domain === 'row') return '; reduce it over the last axis, as in rowMean(g^2)'
  if (domain === 'column') return '; reduce it over the axis before last, as in colMean(g^2)'
  return ''
}
