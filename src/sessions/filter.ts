/** Filters of lists, a subset of AIP-160: terms joined by AND, `field = value`, `field != value`, `field : substring`. */
import { AsktellError } from '../core/errors.js'

/** Fields that hold a value of an enumeration: its values, and the prefix that their names have in the protocol. */
export type Enums = { readonly [field: string]: { prefix: string; values: readonly string[] } }

type Term = { field: string; operator: '=' | '!=' | ':'; value: string }

const TERM = /\s*([A-Za-z_][\w.-]*)\s*(!=|=|:)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"()]+))/y
const AND = /\s+AND\s+/y

/**
 * A predicate on items, whose fields are read by `read` ('' for an absent label, undefined for an unknown field).
 * Values compare without regard to case; those of enumerations may have their prefix. Throws INVALID_ARGUMENT that says
 * where the filter is wrong.
 */
export function parseFilter<T>(
  filter: string | undefined,
  read: (item: T, field: string) => string | undefined,
  fields: readonly string[],
  enums: Enums = {},
): (item: T) => boolean {
  const terms = parse(filter ?? '', fields, enums)
  return (item) =>
    terms.every(({ field, operator, value }) => {
      const found = (read(item, field) ?? '').toLowerCase()
      if (operator === ':') return found.includes(value)
      return (found === value) === (operator === '=')
    })
}

function parse(filter: string, fields: readonly string[], enums: Enums): Term[] {
  const terms: Term[] = []
  if (filter.trim() === '') return terms
  let at = 0
  for (;;) {
    TERM.lastIndex = at
    const match = TERM.exec(filter)
    if (!match) throw wrong(at, 'expected a term such as state = RUNNING')
    const [, field, operator, quoted, plain] = match
    if (!fields.some((known) => field === known || (known.endsWith('.') && field.startsWith(known))))
      throw wrong(
        at,
        `"${field}" is not a field; there are ${fields.map((f) => (f.endsWith('.') ? `${f}KEY` : f)).join(', ')}`,
      )
    const wanted = (quoted?.replace(/\\(.)/g, '$1') ?? plain).toLowerCase()
    const { prefix, values } = enums[field] ?? { prefix: '' }
    const value = wanted.startsWith(prefix) ? wanted.slice(prefix.length) : wanted
    if (values && operator !== ':' && !values.includes(value))
      throw wrong(at, `"${wanted}" is no ${field}; there are ${values.join(', ').toUpperCase()}`)
    terms.push({ field, operator: operator as Term['operator'], value })
    at = TERM.lastIndex
    if (filter.slice(at).trim() === '') return terms
    AND.lastIndex = at
    if (!AND.test(filter)) throw wrong(at, 'expected AND')
    at = AND.lastIndex
  }
}

function wrong(at: number, what: string): AsktellError {
  const message = `${what}, at character ${at + 1}`
  return new AsktellError('INVALID_ARGUMENT', `filter: ${message}`, { issues: [{ path: 'filter', message }] })
}

/** Page tokens hold where to go on; opaque to clients. */
export const pageToken = (after: string): string => Buffer.from(`p1:${after}`).toString('base64url')
export function readPageToken(token: string | undefined): string {
  if (!token) return ''
  const text = Buffer.from(token, 'base64url').toString()
  if (text.startsWith('p1:')) return text.slice(3)
  throw wrongToken()
}
export function wrongToken(): AsktellError {
  const message = 'is not a token of this list'
  return new AsktellError('INVALID_ARGUMENT', `pageToken: ${message}`, { issues: [{ path: 'pageToken', message }] })
}

export function pageSize(size: number | undefined, normal: number, most: number): number {
  if (!size) return normal
  if (Number.isInteger(size) && size > 0) return Math.min(size, most)
  const message = `expected a positive integer, got ${size}`
  throw new AsktellError('INVALID_ARGUMENT', `pageSize: ${message}`, { issues: [{ path: 'pageSize', message }] })
}
