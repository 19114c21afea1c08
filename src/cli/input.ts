/** What the commands read: JSON or YAML, inline, from a file or from standard input. */
import { readFileSync } from 'node:fs'
import { fromJson, type JsonObject, type JsonValue } from '@bufbuild/protobuf'
import { InvalidArgumentError } from 'commander'
import { parse } from 'yaml'
import { type Space, SpaceSchema } from '../../clients/typescript/src/gen/asktell/v1/space_pb.js'
import { type Constraint, type Observation, type SearchSpace, search } from '../../clients/typescript/src/index.js'

/** `@file`, a path that ends in .json, .yaml or .yml, `-` for standard input, or the text itself. */
export function readData(source: string): JsonValue {
  let text = source
  if (source === '-') text = readFileSync(0, 'utf8')
  else if (source.startsWith('@')) text = readFileSync(source.slice(1), 'utf8')
  else if (/\.(json|ya?ml)$/.test(source)) text = readFileSync(source, 'utf8')
  return parse(text) as JsonValue
}

export const readObject = (source: string | undefined): JsonObject | undefined => {
  if (source === undefined) return undefined
  const data = readData(source)
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    throw new Error(`expected an object, got ${JSON.stringify(data)}`)
  return data
}

/**
 * A space as the protocol's JSON ({"search": …}, {"tensors": …}, …), or parameters by name; or {"parameters": …, "constraints":
 * …} with both as the TypeScript client takes them.
 */
export function readSpace(source: string): Space | SearchSpace {
  const data = readObject(source) as JsonObject
  const [kind, ...more] = Object.keys(data)
  if (
    more.length === 0 &&
    ['search', 'tensors', 'text', 'items'].includes(kind) &&
    !('type' in (data[kind] as JsonObject))
  )
    return fromJson(SpaceSchema, data)
  const { parameters, constraints } = data as { parameters?: JsonObject; constraints?: JsonValue }
  if (parameters && Array.isArray(constraints) && !('type' in parameters))
    return search(parameters as unknown as SearchSpace, constraints as unknown as Constraint[])
  return data as unknown as SearchSpace
}

/** One observation or a list of them. */
export function readObservations(source: string): Observation[] {
  const data = readData(source)
  return (Array.isArray(data) ? data : [data]) as unknown as Observation[]
}

/** A number of the command line; commander says which flag it is of. */
export function readNumber(text: string): number {
  const number = Number(text)
  if (text.trim() === '' || (Number.isNaN(number) && text !== 'NaN'))
    throw new InvalidArgumentError('Expected a number.')
  return number
}

/** Numbers after one flag, one after the other. */
export const readNumbers = (text: string, before: readonly number[] = []): number[] => [...before, readNumber(text)]

export const readInteger =
  (least: number) =>
  (text: string): number => {
    const number = readNumber(text)
    if (!Number.isSafeInteger(number) || number < least)
      throw new InvalidArgumentError(`Expected an integer >= ${least}.`)
    return number
  }

/** "2,0,1": places from the best on. */
export const readRanking = (text: string): number[] => text.split(',').map(readInteger(0))
