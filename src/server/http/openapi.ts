/** OpenAPI 3.1 from the same descriptors that the router reads, so that the two cannot differ. */
import type { DescEnum, DescField, DescMessage, DescMethod } from '@bufbuild/protobuf'
import { ERRORS } from '../../core/errors.js'
import { Asktell } from '../../core/gen/asktell/v1/service_pb.js'
import { comments } from './comments.gen.js'
import { type Route, routesOf } from './router.js'

type Json = Record<string, unknown>

const commentOf = (name: string): Json => (comments[name] ? { description: comments[name] } : {})

/** JSON forms of the well-known types (protobuf's JSON mapping). */
const WELL_KNOWN: Readonly<Record<string, Json>> = {
  'google.protobuf.Struct': { type: 'object', additionalProperties: true },
  'google.protobuf.Value': {},
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?\\d+(\\.\\d{1,9})?s$', examples: ['1.5s'] },
  'google.protobuf.FieldMask': { type: 'string', examples: ['displayName,labels'] },
  'google.protobuf.Empty': { type: 'object', maxProperties: 0 },
}

const INT64: Json = { type: 'string', format: 'int64', pattern: '^-?\\d+$' }
/** By ScalarType; 64-bit integers are strings in JSON, doubles may be "NaN" or "Infinity". */
const SCALARS: Readonly<Record<number, Json>> = {
  1: { oneOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] },
  3: INT64,
  5: { type: 'integer', format: 'int32' },
  8: { type: 'boolean' },
  9: { type: 'string' },
  12: { type: 'string', contentEncoding: 'base64' },
}

export function openapi(version: string): Json {
  const schemas: Record<string, Json> = {}

  const reference = (type: DescMessage | DescEnum): Json => {
    if (type.kind === 'message' && WELL_KNOWN[type.typeName]) return WELL_KNOWN[type.typeName]
    const name = type.name
    if (!(name in schemas)) {
      schemas[name] = {}
      schemas[name] = type.kind === 'enum' ? enumSchema(type) : messageSchema(type)
    }
    return { $ref: `#/components/schemas/${name}` }
  }

  const enumSchema = (type: DescEnum): Json => ({
    type: 'string',
    enum: type.values.map(({ name }) => name),
    ...commentOf(type.typeName),
  })

  const fieldSchema = (field: DescField): Json => {
    const one = field.message
      ? reference(field.message)
      : field.enum
        ? reference(field.enum)
        : SCALARS[field.scalar as number]
    const type =
      field.fieldKind === 'list'
        ? { type: 'array', items: one }
        : field.fieldKind === 'map'
          ? { type: 'object', additionalProperties: one }
          : one
    return { ...type, ...commentOf(`${field.parent.typeName}.${field.name}`) }
  }

  const messageSchema = (type: DescMessage): Json => ({
    type: 'object',
    properties: Object.fromEntries(type.fields.map((field) => [field.jsonName, fieldSchema(field)])),
    additionalProperties: false,
    ...commentOf(type.typeName),
  })

  const operation = ({ method, template, rule }: Route): Json => {
    const inPath = new Set(template.parameters.map(({ field }) => field))
    const bytesIn = method.methodKind === 'client_streaming'
    const takesQuery = rule.body === '' || bytesIn
    const query = takesQuery
      ? method.input.fields.filter((field) => !inPath.has(field.name) && !field.message && field.scalar !== 12)
      : []
    return {
      operationId: method.name,
      ...commentOf(`${method.parent.typeName}.${method.name}`),
      parameters: [
        ...template.parameters.map(({ name, field, prefix }) => ({
          name,
          in: 'path',
          required: true,
          description: `The id in ${field} = "${prefix}{id}".`,
          schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
        })),
        ...query.map((field) => ({
          name: field.jsonName,
          in: 'query',
          ...commentOf(`${field.parent.typeName}.${field.name}`),
          schema: field.enum ? reference(field.enum) : SCALARS[field.scalar as number],
        })),
        ...(method.input.fields.some(({ name }) => name === 'request_id')
          ? [
              {
                name: 'Idempotency-Key',
                in: 'header',
                description: 'The same as requestId.',
                schema: { type: 'string' },
              },
            ]
          : []),
      ],
      ...(!takesQuery && {
        requestBody: {
          required: true,
          content: {
            'application/json': { schema: reference(method.input) },
            'application/x-protobuf': { schema: BINARY },
          },
        },
      }),
      ...(bytesIn && { requestBody: { required: true, content: { 'application/octet-stream': { schema: BINARY } } } }),
      responses: {
        200: { description: 'OK', content: answer(method) },
        default: {
          description: 'A refusal; `code` is one of the reasons listed with it.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    }
  }

  const answer = (method: DescMethod): Json => {
    if (method.methodKind !== 'server_streaming')
      return { 'application/json': { schema: reference(method.output) }, 'application/x-protobuf': { schema: BINARY } }
    if (method.output.name === 'FileChunk') return { 'application/octet-stream': { schema: BINARY } }
    reference(method.output)
    return {
      'text/event-stream': {
        schema: {
          type: 'string',
          description: `Events whose data is ${method.output.name} as JSON and whose id is its revision.`,
        },
      },
    }
  }

  const paths: Record<string, Json> = {}
  for (const route of routesOf(Asktell))
    (paths[route.template.openapi] ??= {})[route.verb.toLowerCase()] = operation(route)
  schemas.Problem = PROBLEM
  return {
    openapi: '3.1.0',
    info: {
      title: 'asktell',
      version,
      ...commentOf(Asktell.typeName),
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{}, { bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
      },
    },
  }
}

const BINARY: Json = { contentMediaType: 'application/octet-stream' }

const PROBLEM: Json = {
  type: 'object',
  description: 'RFC 9457 problem details.',
  required: ['type', 'title', 'status', 'detail', 'code', 'request_id', 'errors'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', enum: Object.keys(ERRORS) },
    request_id: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
      },
    },
    metadata: { type: 'object', additionalProperties: { type: 'string' } },
  },
}
