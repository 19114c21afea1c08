/** Families of interchangeable parts: schedules, transforms, drivers. A part is one file; a config picks it by `id`. */
import { z } from 'zod'
import { field } from '../core/schema.js'

/** A part has an id, a line for the reference, and the fields of its config. */
export type Part = { id: string; summary: string; fields: z.ZodRawShape }

/** The config of a part: its id and its fields. */
export type PartConfig<F extends z.ZodRawShape> = { id: string } & z.output<z.ZodObject<F>>

/** A parsed config of some part of a family. */
export type Choice = { id: string; [field: string]: unknown }

/** One schema for all parts of a family (a union told apart by `id`) and the part that a config names. */
export function family<P extends Part>(parts: readonly P[]) {
  const options = parts.map((part) =>
    z.strictObject({ id: z.literal(part.id), ...part.fields }).meta({ title: part.id, description: part.summary }),
  )
  const byId = new Map(parts.map((part) => [part.id, part]))
  return {
    ids: [...byId.keys()],
    schema: z.discriminatedUnion('id', options as [(typeof options)[0], ...typeof options]) as unknown as z.ZodType<
      Choice,
      Choice
    >,
    /** The part that a parsed config names. */
    of(config: Choice): P {
      return byId.get(config.id) as P
    },
  }
}

/** A numeric field with its default, bounds included, and where the default comes from. */
export function real(
  description: string,
  info: { default: number; min?: number; above?: number; max?: number; below?: number } & Omit<
    NonNullable<Parameters<typeof field>[2]>,
    'title'
  >,
) {
  const { default: initial, min, above, max, below, ...rest } = info
  let schema = z.number()
  if (min !== undefined) schema = schema.min(min)
  if (above !== undefined) schema = schema.gt(above)
  if (max !== undefined) schema = schema.max(max)
  if (below !== undefined) schema = schema.lt(below)
  return field(schema.default(initial), description, rest)
}
