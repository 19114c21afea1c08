import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { AsktellError, ERRORS, refuse } from '../../src/core/errors.js'
import { field, jsonSchema, mutableFields, parseConfig } from '../../src/core/schema.js'

const thrown = (f: () => unknown): AsktellError => {
  try {
    f()
  } catch (error) {
    if (error instanceof AsktellError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('the table of errors', () => {
  it('every reason has a gRPC code, an HTTP error status and a title', () => {
    for (const [reason, row] of Object.entries(ERRORS)) {
      expect(row.grpc, reason).toBeGreaterThan(0)
      expect(row.grpc, reason).toBeLessThanOrEqual(16)
      expect(row.http, reason).toBeGreaterThanOrEqual(400)
      expect(row.http, reason).toBeLessThan(600)
      expect(row.title, reason).toMatch(/^[A-Z]/)
    }
  })

  it('the two statuses of a row tell the caller the same: its fault, or the server’s', () => {
    const serverSide = new Set([4, 12, 13, 14, 15, 8])
    for (const [reason, row] of Object.entries(ERRORS))
      if (row.http >= 500) expect(serverSide.has(row.grpc), reason).toBe(true)
  })

  it('an error carries its reason, issues, delay and cause', () => {
    const cause = new Error('disk')
    const error = new AsktellError('STORAGE_FULL', 'no room', { retryAfter: 5, cause, metadata: { path: 'x' } })
    expect(error).toMatchObject({ name: 'AsktellError', reason: 'STORAGE_FULL', retryAfter: 5, issues: [], cause })
    expect(error.metadata).toEqual({ path: 'x' })
  })

  it('refuse: silent without issues, one error for all of them', () => {
    refuse('SPACE_INVALID', [])
    const issues = [
      { path: 'space.low', message: 'too high' },
      { path: 'space.high', message: 'too low' },
    ]
    const error = thrown(() => refuse('SPACE_INVALID', issues))
    expect(error.message).toBe('space.low: too high (and 1 more)')
    expect(error.issues).toEqual(issues)
  })
})

describe('config schemas', () => {
  const schema = z.strictObject({
    learningRate: field(z.number().positive().default(0.1), 'Step size.', { source: 'ours', mutable: true, log: true }),
    inner: z.strictObject({ beta1: field(z.number().min(0).lt(1).default(0.9), 'Decay.') }).prefault({}),
  })

  it('fills in defaults, also of nothing', () => {
    expect(parseConfig(schema, undefined)).toEqual({ learningRate: 0.1, inner: { beta1: 0.9 } })
    expect(parseConfig(schema, { inner: { beta1: 0.5 } })).toEqual({ learningRate: 0.1, inner: { beta1: 0.5 } })
  })

  it('lists every wrong field by its path', () => {
    const error = thrown(() => parseConfig(schema, { learningRate: -1, inner: { beta1: 'x' } }))
    expect(error.reason).toBe('CONFIG_INVALID')
    expect(error.issues.map(({ path }) => path)).toEqual(['config.learningRate', 'config.inner.beta1'])
  })

  it('places in lists are in brackets, and fields that there are not are named', () => {
    const lists = z.strictObject({ parts: z.array(z.strictObject({ rate: z.number() })) })
    const error = thrown(() => parseConfig(lists, { parts: [{ rate: 1 }, { rate: 'x', beta: 1 }], extra: 1, more: 2 }))
    const paths = ['config.parts[1].rate', 'config.parts[1].beta', 'config.extra', 'config.more']
    expect(error.issues.map(({ path }) => path)).toEqual(paths)
    expect(error.issues[2].message).toBe('there is no such field')
  })

  it('refuses unknown fields, NaN and infinity', () => {
    expect(thrown(() => parseConfig(schema, { momentum: 1 })).reason).toBe('CONFIG_INVALID')
    expect(thrown(() => parseConfig(schema, { learningRate: Number.NaN })).reason).toBe('CONFIG_INVALID')
    expect(thrown(() => parseConfig(schema, { learningRate: Infinity })).reason).toBe('CONFIG_INVALID')
  })

  it('descriptions, sources and flags reach the JSON Schema', () => {
    expect(jsonSchema(schema)).toMatchObject({
      properties: {
        learningRate: { description: 'Step size.', source: 'ours', mutable: true, log: true, default: 0.1 },
      },
    })
    expect(mutableFields(schema)).toEqual(['learningRate'])
  })
})
