/** One zod schema per config gives types, validation, defaults, JSON Schema, reference docs and forms. */
import { z } from 'zod'
import { AsktellError, type Issue } from './errors.js'

export type FieldInfo = {
  title?: string
  /** Where the default comes from: a paper's section, a library, or "ours". */
  source?: string
  unit?: string
  /** May change while the session runs. */
  mutable?: boolean
  /** Best shown on a log scale. */
  log?: boolean
  advanced?: boolean
}
/** Attach with `.meta({ title, source, mutable })`; ends up in the JSON Schema as it is. */
export const field = <T extends z.ZodType>(schema: T, description: string, info: FieldInfo = {}): T =>
  schema.meta({ description, ...info }) as T

/** A config with its defaults, or CONFIG_INVALID that lists every wrong field below `at`. */
export function parseConfig<C>(schema: z.ZodType<C>, input: unknown, at = 'config'): C {
  const result = schema.safeParse(input ?? {})
  if (result.success) return result.data
  const issues = result.error.issues.flatMap((issue) => located(issue, at))
  const [first] = issues
  throw new AsktellError('CONFIG_INVALID', `${first.path}: ${first.message}`, { issues })
}

/** "config.transforms[0].name": fields after a dot, places in a list in brackets. */
export const fieldPath = (keys: readonly PropertyKey[], at = ''): string =>
  keys.reduce<string>((path, key) => {
    if (typeof key === 'number') return `${path}[${key}]`
    return path ? `${path}.${String(key)}` : String(key)
  }, at)

/** Where a config is wrong. Of the options of a union, those that fit furthest say what is expected. */
function located(issue: z.core.$ZodIssue, at: string): Issue[] {
  const path = fieldPath(issue.path, at)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: fieldPath([key], path), message: 'there is no such field' }))
  const options = issue.code === 'invalid_union' ? issue.errors : []
  const depth = (option: z.core.$ZodIssue[]) => Math.max(...option.map(({ path }) => path.length))
  const furthest = Math.max(...options.map(depth))
  if (options.length === 0) return [{ path, message: issue.message }]
  if (furthest > 0)
    return options
      .filter((option) => depth(option) === furthest)
      .flatMap((option) => option.flatMap((i) => located(i, path)))
  const messages = options.flat().map(({ message }) => message.replace(/^Invalid input: expected /, ''))
  return [{ path, message: `Invalid input: expected ${[...new Set(messages)].join(' or ')}` }]
}

export const jsonSchema = (schema: z.ZodType): Record<string, unknown> =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'throw' }) as Record<string, unknown>

/** Names of the top-level fields that may change while a session runs. */
export function mutableFields(schema: z.ZodType): string[] {
  const properties = (jsonSchema(schema).properties ?? {}) as Record<string, { mutable?: boolean }>
  return Object.keys(properties).filter((name) => properties[name].mutable)
}
