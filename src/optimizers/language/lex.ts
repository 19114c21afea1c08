/** Tokens of one line of a rule, with columns from 1. The parser proper is mathjs, whose tree has no positions. */
export type Token = { kind: 'number' | 'name' | 'symbol'; text: string; column: number }

/** What is wrong at one column of a line. */
export class SyntaxProblem extends Error {
  constructor(
    readonly column: number,
    message: string,
  ) {
    super(message)
  }
}

const TOKEN =
  /[ \t]*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z][A-Za-z0-9_]*)|([<>=!]=|[-+*/^()<>=?:,]))/y

/** Splits a line; a comment starts at `#`. Throws SyntaxProblem at the first character that starts no token. */
export function tokenize(line: string): Token[] {
  const end = line.includes('#') ? line.indexOf('#') : line.length
  const code = line.slice(0, end).trimEnd()
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < code.length) {
    const from = TOKEN.lastIndex
    const match = TOKEN.exec(code)
    if (!match) {
      const column = from + code.slice(from).search(/[^ \t]/) + 1
      throw new SyntaxProblem(column, `unexpected character ${JSON.stringify(code[column - 1])}`)
    }
    const text = match[1] ?? match[2] ?? match[3]
    const column = TOKEN.lastIndex - text.length + 1
    if (match[1] !== undefined && !Number.isFinite(Number(text)))
      throw new SyntaxProblem(column, `expected a number of at most ${Number.MAX_VALUE}, found "${text}"`)
    const kind = match[1] !== undefined ? 'number' : match[2] !== undefined ? 'name' : 'symbol'
    tokens.push({ kind, text, column })
  }
  return tokens
}
