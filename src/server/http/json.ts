/** JSON bodies and query strings as messages, with refusals that name the place. */
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
} from '@bufbuild/protobuf'
import { AsktellError, type Issue } from '../../core/errors.js'
import { fail, quote } from '../codec/basics.js'

export function parseJson(text: string): JsonValue {
  try {
    return JSON.parse(text)
  } catch (error) {
    const at = errorPosition(text, error as Error)
    const before = text.slice(0, at)
    const line = before.split('\n').length
    const column = at - before.lastIndexOf('\n')
    throw new AsktellError('MALFORMED', `the body is not JSON: ${(error as Error).message}`, {
      issues: [{ path: `line ${line}, column ${column}`, message: 'expected JSON here' }],
      metadata: { position: String(at) },
    })
  }
}

const UNFINISHED = /end of JSON input|Unterminated|No number after|Exponent part/

/** Index of the first character that no JSON text can have there: what V8 says, or found by halving. */
function errorPosition(text: string, error: Error): number {
  const said = /at position (\d+)/.exec(error.message)
  if (said) return Number(said[1])
  if (UNFINISHED.test(error.message) || text.length > 1 << 20) return text.length
  let [good, bad] = [0, text.length]
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (canContinue(text.slice(0, middle))) good = middle
    else bad = middle
  }
  return bad - 1
}

function canContinue(prefix: string): boolean {
  try {
    JSON.parse(prefix)
    return true
  } catch (error) {
    return UNFINISHED.test((error as Error).message)
  }
}

/** A message from JSON, or INVALID_ARGUMENT at the first field that does not fit. */
export function messageFromJson(desc: DescMessage, json: JsonValue): Message {
  try {
    return fromJson(desc, json)
  } catch (error) {
    const issue = locate(desc, json, '') ?? { path: '', message: (error as Error).message }
    const message = issue.path ? `${issue.path}: ${issue.message}` : issue.message
    throw new AsktellError(issue.path ? 'INVALID_ARGUMENT' : 'MALFORMED', message, {
      issues: issue.path ? [issue] : [],
    })
  }
}

const findField = (desc: DescMessage, key: string): DescField | undefined =>
  desc.fields.find((field) => field.jsonName === key || field.name === key)

/** Follows the refusal down to the innermost field: a message is at fault when it cannot be read by itself. */
function locate(desc: DescMessage, json: JsonValue, path: string): Issue | undefined {
  if (desc.file.name.startsWith('google/protobuf/'))
    return { path, message: `expected ${KNOWN[desc.typeName] ?? desc.typeName}, got ${shown(json)}` }
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    return { path, message: `expected an object (${desc.typeName}), got ${shown(json)}` }
  for (const [key, value] of Object.entries(json)) {
    const field = findField(desc, key)
    const at = path ? `${path}.${field?.name ?? key}` : (field?.name ?? key)
    if (!field) return { path: at, message: `${desc.typeName} has no such field` }
    if (readable(desc, { [key]: value })) continue
    if (field.message && field.fieldKind === 'message') return locate(field.message, value, at)
    if (field.fieldKind === 'list' && Array.isArray(value))
      for (const [i, item] of value.entries()) {
        if (readable(desc, { [key]: [item] })) continue
        return field.message
          ? locate(field.message, item, `${at}[${i}]`)
          : { path: `${at}[${i}]`, message: expected(field, item, true) }
      }
    if (field.fieldKind === 'map' && value !== null && typeof value === 'object' && !Array.isArray(value))
      for (const [name, item] of Object.entries(value))
        if (!readable(desc, { [key]: { [name]: item } }))
          return { path: `${at}.${name}`, message: expected(field, item, true) }
    return { path: at, message: expected(field, value) }
  }
  return {
    path: path || Object.keys(json)[0],
    message: `fields of ${desc.typeName} exclude each other or are set twice`,
  }
}

function readable(desc: DescMessage, json: JsonObject): boolean {
  try {
    fromJson(desc, json)
    return true
  } catch {
    return false
  }
}

/** JSON as it came, cut short. Of lists and objects only that: they may be nested deeper than the stack. */
function shown(json: JsonValue): string {
  // JSON.parse reads what no double holds as Infinity.
  if (json === Infinity || json === -Infinity) return 'a number beyond the range of a double'
  if (Array.isArray(json)) return 'a list'
  if (json !== null && typeof json === 'object') return 'an object'
  const text = JSON.stringify(json)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}

/** What a field takes, or one item of it, and what came instead. */
function expected(field: DescField, value: JsonValue, isItem = false): string {
  const [one, many] = kindOf(field)
  const isList = field.fieldKind === 'list' && !isItem
  return `expected ${isList ? `a list of ${many}` : one}, got ${shown(value)}`
}

function kindOf(field: DescField): readonly [one: string, many: string] {
  if (field.enum) {
    const names = field.enum.values.filter(({ number }) => number !== 0).map(({ name }) => name)
    return [`one of ${names.join(', ')}`, names.join(', ')]
  }
  if (field.message) return [field.message.typeName, field.message.typeName]
  return SCALARS[field.scalar as number]
}

/** The types of google/protobuf/ that requests have, as JSON. */
const KNOWN: Readonly<Record<string, string>> = {
  'google.protobuf.Struct': 'an object of finite numbers, not nested too deeply',
  'google.protobuf.Value': 'finite numbers, not nested too deeply',
  'google.protobuf.Duration': 'seconds such as "1.5s"',
  'google.protobuf.FieldMask': 'names of fields such as "state,displayName"',
}

/** By ScalarType. */
const SCALARS: Readonly<Record<number, readonly [one: string, many: string]>> = {
  1: ['a number', 'numbers'],
  3: ['an integer', 'integers'],
  5: ['an integer', 'integers'],
  8: ['true or false', 'true or false'],
  9: ['a string', 'strings'],
  12: ['bytes as base64', 'bytes as base64'],
}

/** Query parameters as JSON of the request: "page_size=5", "pageSize=5", "a.b=c", a list by repetition. */
export function jsonFromQuery(desc: DescMessage, query: URLSearchParams): JsonObject {
  const json: JsonObject = {}
  for (const key of new Set(query.keys())) {
    const { target, name, field } = slot(desc, json, key)
    const values = query.getAll(key).map((text) => (field.scalar === 8 ? (BOOLEANS[text] ?? text) : text))
    if (field.fieldKind === 'list') target[name] = values
    else if (values.length > 1) fail(key, 'is given more than once')
    else target[name] = values[0]
  }
  return json
}
const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false }

/** Sets a field of the request that the path or a header holds; refuses another value in the body. */
export function setField(desc: DescMessage, json: JsonObject, path: string, value: string, source: string): void {
  const { target, name } = slot(desc, json, path)
  const given = target[name]
  if (given !== undefined && given !== '' && given !== value)
    fail(path, `the ${source} says ${quote(value)}, the body ${shown(given)}`)
  target[name] = value
}

/** Where a field lies in JSON, under whichever of its two names the body uses; makes the objects on the way. */
function slot(
  desc: DescMessage,
  json: JsonObject,
  path: string,
): { target: JsonObject; name: string; field: DescField } {
  const steps = path.split('.')
  let target = json
  let message: DescMessage | undefined = desc
  for (const [i, step] of steps.entries()) {
    const field: DescField | undefined = message && findField(message, step)
    if (!field) return fail(path, `${desc.typeName} has no such field`)
    const name = field.name in target ? field.name : field.jsonName
    if (i === steps.length - 1) return { target, name, field }
    const next = (target[name] ??= {})
    if (next === null || typeof next !== 'object' || Array.isArray(next))
      return fail(steps.slice(0, i + 1).join('.'), `expected an object, got ${shown(next)}`)
    target = next
    message = field.message
  }
  return fail(path, 'expected the name of a field')
}
