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
  const issues: Issue[] = result.error.issues.map((issue) => ({
    path: [at, ...issue.path.map(String)].join('.'),
    message: issue.message,
  }))
  const [first] = issues
  throw new AsktellError('CONFIG_INVALID', `${first.path}: ${first.message}`, { issues })
}

export const jsonSchema = (schema: z.ZodType): Record<string, unknown> =>
  z.toJSONSchema(schema, { io: 'input', unrepresentable: 'throw' }) as Record<string, unknown>

/** Names of the top-level fields that may change while a session runs. */
export function mutableFields(schema: z.ZodType): string[] {
  const properties = (jsonSchema(schema).properties ?? {}) as Record<string, { mutable?: boolean }>
  return Object.keys(properties).filter((name) => properties[name].mutable)
}
