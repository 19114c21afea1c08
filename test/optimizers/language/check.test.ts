import { describe, expect, test } from 'vitest'
import { AsktellError, type Issue } from '../../../src/core/errors.js'
import { compileRule } from '../../../src/optimizers/language/check.js'
import { LIMITS } from '../../../src/optimizers/language/parse.js'
import type { RuleSource } from '../../../src/optimizers/language/program.js'

const DECLARED: Omit<RuleSource, 'text'> = {
  slots: {
    m: { kind: 'tensor' },
    s: { kind: 'scalar' },
    d: { kind: 'global' },
    r: { kind: 'row' },
    c: { kind: 'column' },
  },
  hyperparameters: ['lr', 'beta1'],
  inputs: ['h'],
}

function issuesOf(source: RuleSource): readonly Issue[] {
  try {
    compileRule(source)
  } catch (error) {
    if (!(error instanceof AsktellError)) throw error
    expect(error.reason).toBe('RULE_INVALID')
    return error.issues
  }
  return []
}

/** Text, line:column, and a part of the message. */
const WRONG: [string, string, string][] = [
  ['x = y', '1:5', 'unknown name "y"'],
  ['x = x - lrr*g', '1:9', 'unknown name "lrr"; did you mean "lr"?'],
  ['x = x - Beta1*g', '1:9', 'did you mean "beta1"?'],
  ['m = g\n\n# a comment\n   x = foo(g)', '4:8', 'unknown function "foo"'],
  ['x = nrm(g)', '1:5', 'did you mean "norm"?'],
  ['x = x - lr(g)', '1:9', '"lr" is not a function; write * to multiply'],
  ['x = sqrt', '1:5', '"sqrt" is a function; call it'],
  ['x = all', '1:5', 'last argument of a reduction'],
  ['g = 1\nx = g', '1:1', '"g" is an input and cannot be assigned'],
  ['h = 1\nx = g', '1:1', '"h" is an input and cannot be assigned'],
  ['t = 1\nx = g', '1:1', 'step number'],
  ['lr = 1\nx = g', '1:1', '"lr" is a hyperparameter and cannot be assigned'],
  ['matrix = 1\nx = g', '1:1', 'word of the language'],
  ['norm = 1\nx = g', '1:1', 'word of the language'],
  ['s = g\nx = g', '1:5', '"s" holds one number per tensor, but this is a tensor; reduce it over the tensor'],
  ['d = norm(g)\nx = g', '1:5', '"d" holds one number for all tensors, but this is one number per tensor'],
  ['r = colMean(g)\nx = g', '1:5', '"r" holds one number per row, but this is one number per column'],
  ['c = g\nx = g', '1:5', 'as in colMean(g^2)'],
  ['x = sqrt(g, g)', '1:5', '"sqrt" takes 1 argument, found 2'],
  ['x = normal(1)', '1:5', '"normal" takes 0 arguments, found 1'],
  ['x = select(g > 0, 1)', '1:5', '"select" takes 3 arguments, found 2'],
  ['x = max(g, g, g)', '1:5', '"max" takes 1 argument to reduce or 2, found 3'],
  ['x = norm(g, all, all)', '1:5', 'may have "all" after, found 2'],
  ['x = abs(g, all)', '1:5', '"abs" cannot go over all tensors'],
  ['r = rowMean(g, all)\nx = g', '1:5', '"rowMean" cannot go over all tensors'],
  ['x = max(lr)', '1:9', 'this is one number for all tensors'],
  ['x = sum(s)', '1:9', 'write sum(..., all)'],
  ['r = rowMean(s)\nx = g', '1:13', '"rowMean" reduces a tensor'],
  ['x = matmul(g, g)', '1:5', 'not offered'],
  ['report n = g\nx = g', '1:12', 'a report is one number for all tensors, but this is a tensor'],
  ['report n = 1\nreport n = 2\nx = g', '2:8', 'reported twice'],
  ['x = 1 +', '1:8', 'expected a number, a name or "(" after "+", found the end of the line'],
  ['x = 1 + # more', '1:8', 'found the end of the line'],
  ['x = (g + )', '1:10', 'expected a number, a name or "(" after "+", found ")"'],
  ['x = g * / 2', '1:9', 'expected a number, a name or "(" after "*", found "/"'],
  ['x = g and and g', '1:11', 'after "and", found "and"'],
  ['x = norm(g,)', '1:12', 'after ",", found ")"'],
  ['x = ()', '1:6', 'after "(", found ")"'],
  ['x = g)', '1:6', 'expected an operator or the end of the line, found ")"'],
  ['x = (g, g)', '1:7', 'only arguments of a call'],
  ['x = (g ? 1)', '1:11', 'expected ":" and the value'],
  ['x = g + 1e999', '1:9', 'expected a number of at most 1.7976931348623157e+308, found "1e999"'],
  ['x = (1', '1:7', 'expected ")" for the "(" in column 5, found the end of the line'],
  ['x = )', '1:5', 'expected a number, a name or "(" after "=", found ")"'],
  ['x = g ? 1', '1:10', 'expected ":" and the value where the condition does not hold, found the end of the line'],
  ['x = 2 g', '1:7', 'expected an operator between "2" and "g"'],
  ['x = (g)(g)', '1:8', 'expected an operator'],
  ['x = norm(g)(3)', '1:12', 'expected an operator'],
  ['x = 0x10', '1:6', 'expected an operator'],
  ['x = g, g', '1:6', 'expected an operator, found ","; only arguments'],
  ['x = -g < g < 1', '1:6', 'expected one comparison'],
  ['x = 1:3', '1:6', 'expected an operator, found ":"'],
  ['x = g mod 2', '1:7', '"mod" is not part of the language'],
  ["x = g'", '1:6', `unexpected character "'"`],
  ['x = g[1]', '1:6', 'unexpected character "["'],
  ['x = g.y', '1:6', 'unexpected character "."'],
  ['x = "a"', '1:5', 'unexpected character "\\""'],
  ['x = g; m = 1', '1:6', 'unexpected character ";"'],
  ['x = g!', '1:6', 'unexpected character "!"'],
  ['x = y = 3', '1:7', 'one assignment per line; compare with "=="'],
  ['x = true', '1:5', 'expected a number, found "true"'],
  ['3 = x', '1:1', 'expected a name to assign to, found "3"'],
  ['x 3', '1:3', 'expected "=" after "x"'],
  ['x', '1:2', 'expected "=" after "x"'],
  ['x =', '1:4', 'expected a number, a name or "(" after "="'],
  ['f(x) = 2', '1:2', 'expected "=" after "f"'],
  ['x = __proto__', '1:5', 'unexpected character "_"'],
  ['x = constructor', '1:5', 'unknown name "constructor"'],
  ['x = toString(g)', '1:5', 'unknown function "toString"'],
  ['x = hasOwnProperty', '1:5', 'unknown name'],
  [`x = ${'('.repeat(150)}g${')'.repeat(150)}`, `1:${5 + LIMITS.depth}`, 'nested deeper'],
  [`x = ${'-'.repeat(150)}g`, '1:155', 'nested deeper'],
  [`x = ${'1 ? 1 : '.repeat(120)}g`, '1:805', 'nested deeper'],
  [`x = ${'g+'.repeat(600)}g`, `1:${LIMITS.line + 1}`, 'characters a line'],
]

describe('a wrong rule is located', () => {
  test.each(WRONG)('%j', (text, where, message) => {
    const [first] = issuesOf({ ...DECLARED, text })
    expect(first.path).toBe(`rule.text:${where}`)
    expect(first.message).toContain(message)
  })
  test('every wrong line is listed, uses of its name are not', () => {
    const issues = issuesOf({ ...DECLARED, text: 'u = nope\nw = u + 1\nx = w + u\nx = g*lrr' })
    expect(issues.map(({ path }) => path)).toEqual(['rule.text:1:5', 'rule.text:4:7'])
  })
  test('a rule that never assigns x', () => {
    expect(issuesOf({ ...DECLARED, text: 'm = g # x = g' })).toEqual([
      { path: 'rule.text', message: 'expected an assignment to "x", found none' },
    ])
  })
  test('declarations', () => {
    const issues = issuesOf({
      text: 'x = g',
      slots: { x: { kind: 'tensor' }, '1a': { kind: 'tensor' }, a: { kind: 'matrix' as 'tensor' } },
      hyperparameters: ['a', 'norm', 'constructor'],
      inputs: ['__proto__'],
    })
    expect(issues.map(({ path }) => path)).toEqual([
      'rule.slots.x',
      'rule.slots.1a',
      'rule.slots.a.kind',
      'rule.hyperparameters[0]',
      'rule.hyperparameters[1]',
      'rule.inputs[0]',
    ])
  })
  test('limits', () => {
    expect(issuesOf({ ...DECLARED, text: '#'.repeat(LIMITS.text + 1) })[0].message).toContain('characters')
    expect(issuesOf({ ...DECLARED, text: 'x = g\n'.repeat(LIMITS.statements + 1) })[0].message).toContain('assignments')
    expect(issuesOf({ ...DECLARED, text: '?\n'.repeat(1000) })).toHaveLength(LIMITS.issues)
    const fields = `x = ${Array(LIMITS.fields + 1)
      .fill('normal()')
      .join(' + ')}`
    expect(issuesOf({ ...DECLARED, text: fields })[0].message).toContain('random fields')
    const chain = `m = m${'+1'.repeat(60)}\n`.repeat(9)
    expect(issuesOf({ ...DECLARED, text: `${chain}x = m` })[0]).toMatchObject({ path: 'rule.text:9:5' })
  })
})

describe('a right rule', () => {
  const compile = (text: string) => compileRule({ ...DECLARED, text })

  test('comments, blank lines, spaces and line ends do not matter', () => {
    const plain = compile('m = beta1*m + g\nx = x - lr*m')
    const spread = compile('# momentum\r\n\r\n  m=beta1 * m+g # first\r\nx = x-lr*m\r\n')
    expect(spread.statements.map(({ target, value }) => [target, value])).toEqual(
      plain.statements.map(({ target, value }) => [target, value]),
    )
    expect(spread.hash).toBe(plain.hash)
    expect(spread.statements.map(({ line }) => line)).toEqual([3, 4])
  })
  test('the hash tells rules apart', () => {
    const texts = ['x = g', 'x = -g', 'x = NaN', 'x = Infinity', 'x = uniform()', 'x = uniform() + 0*uniform()']
    expect(new Set(texts.map((text) => compile(text).hash)).size).toBe(texts.length)
  })
  test('locals may change their shape', () => {
    const { statements } = compile('u = g\nu = norm(u)\nu = max(u, all)\nd = u\nx = u')
    expect(statements.map(({ target }) => target.domain)).toEqual(['tensor', 'scalar', 'global', 'global', 'tensor'])
  })
  test('precedence is that of mathematics', () => {
    const { statements } = compile('x = -g^2*3 + 2^3^2 > 1 and not (g > 0) or g == 1 ? 1 : 2')
    const show = (e: (typeof statements)[number]['value']): string =>
      e.kind === 'call' ? `(${e.fn} ${e.args.map(show).join(' ')})` : e.kind === 'number' ? `${e.value}` : 'g'
    expect(show(statements[0].value)).toBe(
      '(select (or (and (> (+ (* (negate (^ g 2)) 3) (^ 2 (^ 3 2))) 1) (not (> g 0))) (== g 1)) 1 2)',
    )
  })
  test('LaTeX of its equations, which reports are not', () => {
    expect(compile('x = x - lr*m/(sqrt(m) + 1)\n# after\nreport n = norm(g, all)').latex).toEqual([
      'x = x-\\frac{ \\eta\\cdot m}{\\left(\\sqrt{ m}+1\\right)}',
    ])
  })
  test('LaTeX gives no two names one spelling', () => {
    expect(compile('rbar = norm(g, all)\neta = lr*rbar\nx = x - eta*g').latex).toEqual([
      '\\bar{r} = \\left\\lVert g\\right\\rVert_{\\mathrm{all}}',
      '\\eta = \\mathrm{lr}\\cdot \\bar{r}',
      'x = x- \\eta\\cdot g',
    ])
  })
  test('LaTeX is made on demand', () => {
    const program = compile('x = x - lr*g')
    expect(Object.getOwnPropertyDescriptor(program, 'latex')?.get).toBeTypeOf('function')
    expect(program.latex).toHaveLength(1)
  })
})
