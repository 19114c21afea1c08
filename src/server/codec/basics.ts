/** What every part of the codec needs: located refusals, checked integers, resource names, times. */
import type { JsonObject } from '@bufbuild/protobuf'
import {
  type Duration,
  durationFromMs,
  durationMs,
  type Timestamp,
  timestampFromMs,
  type Value,
} from '@bufbuild/protobuf/wkt'
import { AsktellError, type Reason } from '../../core/errors.js'
import type { Params, Scalar } from '../../core/space.js'

/** Refuses a request at one field. */
export function fail(path: string, message: string, reason: Reason = 'INVALID_ARGUMENT'): never {
  throw new AsktellError(reason, `${path}: ${message}`, { issues: [{ path, message }] })
}

/** int64 to number; beyond 2^53 a number would be another one. */
export function integer(value: bigint, path: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) fail(path, `expected an integer within ±(2^53 - 1), got ${value}`)
  return number
}

export function count(value: bigint | number, path: string): number {
  const number = typeof value === 'bigint' ? integer(value, path) : value
  if (number < 0) fail(path, `expected an integer >= 0, got ${value}`)
  return number
}

/** A number that the server computed, as int64. */
export const int64 = (value: number): bigint => BigInt(Math.trunc(value))

const ID = /^[A-Za-z0-9_-]{1,64}$/

/** The id in "sessions/{id}" or "methods/{id}". */
export function idOf(kind: 'sessions' | 'methods', name: string, path = 'name'): string {
  const [head, id, ...rest] = name.split('/')
  if (head !== kind || rest.length > 0 || !ID.test(id ?? ''))
    fail(path, `expected "${kind}/{id}", the id of letters, digits, "-" and "_", at most 64, got ${quote(name)}`)
  return id
}

export function newId(id: string, path: string): string | undefined {
  if (id !== '' && !ID.test(id))
    fail(path, `expected letters, digits, "-" and "_", at most 64 characters, got ${quote(id)}`)
  return id || undefined
}

/** A value for a message: JSON, cut short. */
export const quote = (value: string): string => JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)

export const timestamp = (ms: number): Timestamp => timestampFromMs(ms)
export const duration = (seconds: number): Duration => durationFromMs(Math.round(seconds * 1000))

/** Seconds of a duration. */
export function seconds(value: Duration, path: string): number {
  const ms = durationMs(value)
  if (!(ms >= 0 && ms <= Number.MAX_SAFE_INTEGER)) fail(path, 'expected a duration >= 0')
  return ms / 1000
}

/** Absent rather than empty: the domain types tell "nothing said" by undefined. */
export const unlessEmpty = <T>(list: readonly T[]): readonly T[] | undefined => (list.length > 0 ? list : undefined)

/** A scalar of a search space. */
export function paramValue(value: Value, path: string): Scalar {
  const { kind } = value
  if (kind.case === 'stringValue' || kind.case === 'numberValue' || kind.case === 'boolValue') return kind.value
  return fail(path, 'expected a string, a number or a boolean', 'SPACE_INVALID')
}

export function params(json: JsonObject, path: string): Params {
  const isScalar = (value: unknown) => value !== null && typeof value !== 'object'
  for (const [name, value] of Object.entries(json))
    if (!isScalar(value) && !(Array.isArray(value) && value.every(isScalar)))
      fail(`${path}.${name}`, 'expected a string, a number, a boolean, or a list of such')
  return json as Params
}

/** The two directions of an enum of the protocol and its word in the domain. Number 0 is "unspecified" and has none. */
export function enumTable<E extends number, W extends string>(words: readonly (readonly [E, W])[]) {
  const byNumber = new Map<number, W>(words)
  const byWord = new Map<W, E>(words.map(([number, word]) => [word, number]))
  return {
    entries: words,
    /** Undefined when unspecified. */
    read(number: E, path: string): W | undefined {
      if (number === 0) return undefined
      return byNumber.get(number) ?? fail(path, `expected one of ${[...byWord.keys()].join(', ')}, got ${number}`)
    },
    write: (word: W): E => byWord.get(word) as E,
  }
}
