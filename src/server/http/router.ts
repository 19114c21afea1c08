/** Every rpc with a google.api.http annotation as an HTTP route; none is written out by hand. */
import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
  type Message,
  mergeFromJson,
  toJson,
} from '@bufbuild/protobuf'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { AsktellError } from '../../core/errors.js'
import { http } from '../../core/gen/google/api/annotations_pb.js'
import type { HttpRule } from '../../core/gen/google/api/http_pb.js'
import type { Authorizer } from '../auth.js'
import { type Dispatcher, isStream, type Origin, type Output } from '../call.js'
import { fail, quote } from '../codec/basics.js'
import { Encoded } from '../codec/encoded.js'
import { GONE, pump } from '../pump.js'
import { readBody } from './body.js'
import { jsonFromQuery, messageFromJson, parseJson, setField } from './json.js'
import { EVENTS, sendEvents } from './sse.js'
import { compile, type Template } from './template.js'
import { otherVerb, routedVerb } from './verbs.js'

export type Route = { method: DescMethod; verb: string; template: Template; rule: HttpRule }

/** The routes of a service, in the order of its declaration. */
export function routesOf(service: DescService): Route[] {
  return service.methods.flatMap((method) => {
    if (!hasOption(method, http)) return []
    const rule = getOption(method, http)
    const { case: verb, value } = rule.pattern
    if (!verb || verb === 'custom') throw new Error(`${method.toString()}: a custom verb has no route`)
    if (rule.body !== '' && rule.body !== '*') throw new Error(`${method.toString()}: only body "*" is known`)
    return [{ method, verb: verb.toUpperCase(), template: compile(value), rule }]
  })
}

const PROTOBUF = ['application/x-protobuf', 'application/protobuf']
const OCTETS = 'application/octet-stream'

/** A message that is nothing but bytes travels as them. */
const isBytes = (method: DescMethod): boolean =>
  method.output.fields.length === 1 && method.output.fields[0].scalar === 12 && method.methodKind === 'server_streaming'

export function router(
  service: DescService,
  dispatcher: Dispatcher,
  authorizer: Authorizer,
  maxBytes: number,
): RequestHandler {
  const routes = routesOf(service)
  return async (req: Request, res: Response, next: NextFunction) => {
    const path = decodePath(req.path)
    const verbs: string[] = []
    for (const { method, verb, template, rule } of routes) {
      const variables = template.match(path)
      if (!variables) continue
      verbs.push(verb)
      if (verb !== routedVerb(req)) continue
      const principal = authorizer.check(`${service.typeName}/${method.name}`, {
        authorization: req.get('authorization'),
        apiKey: req.get('x-api-key'),
      })
      const gone = new AbortController()
      res.on('close', () => {
        if (!res.writableFinished) gone.abort(GONE)
      })
      const origin: Origin = {
        transport: 'http',
        requestId: res.locals.requestId,
        principal,
        traceparent: req.get('traceparent'),
        signal: gone.signal,
      }
      const read = () =>
        method.methodKind === 'client_streaming'
          ? octets(method, req)
          : readRequest(method, rule, variables, req, maxBytes)
      const answer = await dispatcher.run(method, read, origin)
      if (req.method === 'HEAD' && isStream(answer)) {
        gone.abort(GONE)
        await drop(answer)
        return void res.type(isBytes(method) ? OCTETS : EVENTS).end()
      }
      return send(method, answer, req, res, gone.signal)
    }
    if (verbs.length > 0) otherVerb(verbs, req, res)
    else next()
  }
}

/** Ends a stream that nobody reads. It has to begin for that. */
async function drop(stream: AsyncIterable<Output>): Promise<void> {
  try {
    for await (const _ of stream) break
  } catch {}
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

const searchParams = (req: Request) => new URL(req.originalUrl, 'http://localhost').searchParams

async function readRequest(
  method: DescMethod,
  rule: HttpRule,
  variables: Record<string, string>,
  req: Request,
  maxBytes: number,
): Promise<Message> {
  const { input } = method
  const type = contentType(req)
  let json: JsonObject
  if (rule.body === '*') {
    const query = [...searchParams(req).keys()]
    if (query.length > 0) fail(query[0], 'this call takes its fields in the body, not in the query')
    const body = await readBody(req, maxBytes)
    if (PROTOBUF.includes(type)) {
      const fixed: JsonObject = {}
      completeJson(method, fixed, variables, req)
      return mergeFromJson(input, parseBinary(method, body), fixed)
    }
    if (type !== 'application/json' && (body.length > 0 || type !== ''))
      throw new AsktellError(
        'MALFORMED',
        `expected content-type application/json or ${PROTOBUF[0]}, got ${quote(type)}`,
      )
    json = asObject(body.length === 0 ? {} : parseJson(body.toString('utf8')))
  } else json = jsonFromQuery(input, searchParams(req))
  completeJson(method, json, variables, req)
  return messageFromJson(input, json)
}

function asObject(json: JsonValue): JsonObject {
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    throw new AsktellError('MALFORMED', 'the body is JSON, but not an object')
  return json
}

const hasField = (method: DescMethod, name: string): boolean => method.input.fields.some((field) => field.name === name)

/** Path variables; Idempotency-Key as request_id, Last-Event-ID as after_revision, where the request has them. */
function completeJson(method: DescMethod, json: JsonObject, variables: Record<string, string>, req: Request): void {
  for (const [path, value] of Object.entries(variables)) setField(method.input, json, path, value, 'path')
  const key = req.get('idempotency-key')
  if (key && hasField(method, 'request_id')) setField(method.input, json, 'request_id', key, 'header idempotency-key')
  const last = req.get('last-event-id')
  if (last && hasField(method, 'after_revision')) {
    // What the stream has delivered since outdates the address it was opened with.
    delete json.afterRevision
    json.after_revision = last
  }
}

function parseBinary(method: DescMethod, body: Buffer): Message {
  try {
    return fromBinary(method.input, body)
  } catch (error) {
    throw new AsktellError('MALFORMED', `the bytes are not a ${method.input.typeName}: ${(error as Error).message}`)
  }
}

const contentType = (req: Request): string => (req.get('content-type') ?? '').split(';')[0].trim().toLowerCase()

/** An octet-stream body as the requests of a client stream: the query's fields in the first, bytes in each. */
async function* octets(method: DescMethod, req: Request): AsyncGenerator<Message> {
  const type = contentType(req)
  if (type !== OCTETS) throw new AsktellError('MALFORMED', `expected content-type ${OCTETS}, got ${quote(type)}`)
  const json = jsonFromQuery(method.input, searchParams(req))
  completeJson(method, json, {}, req)
  const first = messageFromJson(method.input, json)
  yield first
  for await (const data of req.iterator({ destroyOnReturn: false })) yield { ...first, data } as Message
}

async function send(
  method: DescMethod,
  answer: Output | AsyncIterable<Output>,
  req: Request,
  res: Response,
  gone: AbortSignal,
): Promise<void> {
  if (isStream(answer)) {
    if (!isBytes(method)) return sendEvents(method, answer, res, gone)
    res.type(OCTETS)
    const field = method.output.fields[0].localName
    await pump(
      (async function* () {
        for await (const message of answer) yield (message as Record<string, Uint8Array>)[field]
      })(),
      res,
      gone,
    )
    res.end()
    return
  }
  const accepted = req.accepts(['application/json', ...PROTOBUF])
  if (accepted && accepted !== 'application/json') {
    res.type(accepted).end(Encoded.of(method.output, answer).toBuffer())
  } else res.json(toJson(method.output, create(method.output, answer), { alwaysEmitImplicit: true }))
}
