import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { type Client, credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath as healthProto } from 'grpc-health-check'
import { describe, expect, it } from 'vitest'
import { Asktell, StepRequestSchema, StepResponseSchema } from '../../src/core/gen/asktell/v1/service_pb.js'
import { harness, json, SEARCH, searchSession } from './clients.js'

const h = harness()
const get = async (path: string) => {
  const response = await fetch(h.url + path)
  return { status: response.status, type: response.headers.get('content-type') ?? '', text: await response.text() }
}

describe('pages', () => {
  it.each([
    ['/', 'text/html', 'asktell'],
    ['/healthz', 'application/json', '"ok"'],
    ['/readyz', 'application/json', '"ready":true'],
    ['/version', 'application/json', '"api":"asktell.v1"'],
    ['/docs', 'text/html', 'swagger-ui-bundle.js'],
    ['/docs/swagger-ui-bundle.js', 'javascript', 'SwaggerUIBundle'],
    ['/docs/swagger-ui.css', 'text/css', '.swagger-ui'],
    ['/docs/start.js', 'javascript', '/openapi.json'],
  ])('%s', async (path, type, text) => {
    const page = await get(path)
    expect(page.status).toBe(200)
    expect(page.type).toContain(type)
    expect(page.text).toContain(text)
  })

  it('/readyz gives the reasons why not', async () => {
    h.sessions.notReady = 'the disk is full'
    const page = await get('/readyz')
    h.sessions.notReady = undefined
    expect(page.status).toBe(503)
    expect(JSON.parse(page.text)).toEqual({ ready: false, reasons: ['the disk is full'] })
  })

  it('/metrics counts calls of both transports, asks and tells, without ids of sessions', async () => {
    await json(`${h.url}/v1/sessions`, 'POST', { session: SEARCH, sessionId: 'metered' })
    const { queries } = await h.grpc.unary('ask', { name: 'sessions/metered', count: 2 })
    await h.grpc.unary('tell', {
      name: 'sessions/metered',
      observations: [{ queryId: queries[0].id, values: [{ values: [1] }] }],
    })
    await h.grpc.unary('getSession', { name: 'sessions/none' }).catch(() => {})
    const { text } = await get('/metrics')
    expect(text).toContain('asktell_calls_total{rpc="CreateSession",transport="http",code="OK"} 1')
    expect(text).toContain('asktell_calls_total{rpc="GetSession",transport="grpc",code="SESSION_NOT_FOUND"} 1')
    expect(text).toContain('asktell_asks_total 2')
    expect(text).toContain('asktell_tells_total{status="ok"} 1')
    expect(text).toContain('asktell_event_loop_lag_seconds')
    expect(text).toContain('asktell_journal_flush_seconds')
    expect(text).not.toContain('metered')
  })
})

// biome-ignore lint/suspicious/noExplicitAny: a document of JSON.
type Json = any

describe('/openapi.json', () => {
  const document = async () => JSON.parse((await get('/openapi.json')).text) as Json

  it('has an operation for every rpc but those of gRPC alone', async () => {
    const { paths, openapi } = await document()
    expect(openapi).toBe('3.1.0')
    const ids = (Object.values(paths) as Json[])
      .flatMap((verbs) => Object.values(verbs) as Json[])
      .map((operation) => operation.operationId)
    const alone = ['Optimize', 'ShareMemory']
    const rpcs = Asktell.methods.map(({ name }) => name).filter((name) => !alone.includes(name))
    expect(ids.sort()).toEqual(rpcs.sort())
  })

  it('is whole: references resolve, path parameters are declared, the comments are there', async () => {
    const whole = await document()
    const walk = (node: unknown) => {
      if (node === null || typeof node !== 'object') return
      const { $ref } = node as Json
      if (typeof $ref === 'string') {
        const found = $ref
          .slice(2)
          .split('/')
          .reduce((at: Json | undefined, step) => at?.[step], whole)
        expect(found, $ref).toBeTypeOf('object')
      }
      for (const value of Object.values(node)) walk(value)
    }
    walk(whole)
    for (const [path, verbs] of Object.entries<Json>(whole.paths))
      for (const operation of Object.values<Json>(verbs)) {
        const declared = (operation.parameters as unknown as { in: string; name: string }[]).filter(
          (p) => p.in === 'path',
        )
        expect(declared.map(({ name }: Json) => name)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name))
        expect(operation.responses[200]).toBeTypeOf('object')
      }
    expect(whole.paths['/v1/sessions/{session}:step'].post.description).toMatch(/^Tell and ask in one round trip/)
    expect(whole.components.schemas.Session.properties.leaseUntil).toBeUndefined()
    expect(whole.components.schemas.Query.properties.leaseUntil.description).toMatch(/^When the lease ends/)
  })

  it('describes what the server answers', async () => {
    const { components } = await document()
    const session = await (
      await json(`${h.url}/v1/sessions`, 'POST', { session: SEARCH, sessionId: 'described' })
    ).json()
    const known = Object.keys(components.schemas.Session.properties)
    for (const key of Object.keys(session)) expect(known).toContain(key)
  })
})

describe('protobuf bodies over HTTP', () => {
  it('carry any unary call', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 'binary' })
    const response = await fetch(`${h.url}/v1/sessions/binary:step`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', accept: 'application/x-protobuf' },
      body: toBinary(StepRequestSchema, create(StepRequestSchema, { count: 2 })),
    })
    expect(response.headers.get('content-type')).toContain('application/x-protobuf')
    const answer = fromBinary(StepResponseSchema, new Uint8Array(await response.arrayBuffer()))
    expect(answer.queries).toHaveLength(2)
  })
})

type Dynamic = Client & {
  check(request: object, callback: (error: unknown, value: { status: string }) => void): void
  serverReflectionInfo(): NodeJS.ReadWriteStream & { write(request: object): void }
}
const dynamic = (path: string, name: string): Dynamic => {
  let found: unknown = loadPackageDefinition(loadSync(path, { enums: String, oneofs: true }))
  for (const step of name.split('.')) found = (found as Record<string, unknown>)[step]
  const Service = found as ServiceClientConstructor
  return new Service(`127.0.0.1:${h.server.grpcPort}`, credentials.createInsecure()) as unknown as Dynamic
}

describe('services beside the API', () => {
  it('health answers for the server and for the service', async () => {
    const client = dynamic(healthProto, 'grpc.health.v1.Health')
    for (const service of ['', 'asktell.v1.Asktell']) {
      const status = await new Promise((resolve, reject) =>
        client.check({ service }, (error, value) => (error ? reject(error) : resolve(value.status))),
      )
      expect(status).toBe('SERVING')
    }
    client.close()
  })

  it('reflection lists the service and hands out its descriptors', async () => {
    const folder = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'))
    const client = dynamic(
      join(folder, 'build/proto/grpc/reflection/v1/reflection.proto'),
      'grpc.reflection.v1.ServerReflection',
    )
    const call = client.serverReflectionInfo()
    const ask = (request: object) =>
      new Promise<{ listServicesResponse: never; fileDescriptorResponse: { fileDescriptorProto: Buffer[] } }>(
        (resolve) => {
          call.once('data', resolve)
          call.write(request)
        },
      )
    expect((await ask({ listServices: '*' })).listServicesResponse).toEqual({
      service: [{ name: 'asktell.v1.Asktell' }],
    })
    const { fileDescriptorResponse } = await ask({ fileContainingSymbol: 'asktell.v1.Asktell.Step' })
    const files = fileDescriptorResponse.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    )
    expect(files[0].name).toBe('asktell/v1/service.proto')
    expect(files[0].service[0].method).toHaveLength(Asktell.methods.length)
    expect(files.map(({ name }) => name)).toContain('asktell/v1/tensor.proto')
    call.end()
    const [{ code }] = await once(call as never, 'status')
    expect(code).toBe(0)
    client.close()
  })
})
