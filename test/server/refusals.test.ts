/** The same bad request is refused with the same reason, at the same field, on both transports. */
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import { beforeAll, describe, expect, it } from 'vitest'
import { ERRORS, type Reason } from '../../src/core/errors.js'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import { harness, json, refused, searchSession, tensorSession } from './clients.js'

const h = harness({ maxMessageBytes: 100_000 })

beforeAll(async () => {
  await h.grpc.unary('createSession', { session: searchSession, sessionId: 'search' })
  await h.grpc.unary('createSession', { session: tensorSession([2, 2]), sessionId: 'tensors' })
  await h.grpc.unary('ask', { name: 'sessions/search' })
  await h.grpc.unary('ask', { name: 'sessions/tensors' })
})

const parameter = (type: unknown) => ({
  session: {
    method: 'random',
    space: { kind: { case: 'search', value: { parameters: [{ name: 'x', type }] } } },
  },
})
const gradient = (...tensors: unknown[]) => ({
  name: 'sessions/tensors',
  observations: [{ queryId: 'q0', gradients: [{ tensors }] }],
})
const tell = (observation: unknown) => ({ name: 'sessions/search', observations: [observation] })

type Case = [rpc: keyof (typeof Asktell)['method'], request: unknown, reason: Reason, path?: string]
const CASES: { [what: string]: Case } = {
  'no session': ['createSession', {}, 'INVALID_ARGUMENT', 'session'],
  'no method': ['createSession', { session: { ...searchSession, method: '' } }, 'INVALID_ARGUMENT', 'session.method'],
  'no space': ['createSession', { session: { method: 'random' } }, 'SPACE_INVALID', 'session.space'],
  'low above high': [
    'createSession',
    parameter({ case: 'float', value: { low: 2, high: 1 } }),
    'SPACE_INVALID',
    'session.space.search.parameters[0].float.low',
  ],
  'a parameter without a type': [
    'createSession',
    parameter({ case: undefined }),
    'SPACE_INVALID',
    'session.space.search.parameters[0]',
  ],
  'an integer beyond 2^53': [
    'createSession',
    parameter({ case: 'int', value: { low: 0n, high: 2n ** 60n } }),
    'INVALID_ARGUMENT',
    'session.space.search.parameters[0].int.high',
  ],
  'a bad session id': ['createSession', { session: searchSession, sessionId: 'a b' }, 'INVALID_ARGUMENT', 'session_id'],
  'a session that exists': ['createSession', { session: searchSession, sessionId: 'search' }, 'SESSION_EXISTS'],
  'a direction left out': [
    'createSession',
    { session: { ...searchSession, objectives: [{ name: 'loss' }] } },
    'INVALID_ARGUMENT',
    'session.objectives[0].direction',
  ],
  'a negative seed': [
    'createSession',
    { session: { ...searchSession, seed: -1n } },
    'INVALID_ARGUMENT',
    'session.seed',
  ],
  'an unknown session': ['getSession', { name: 'sessions/none' }, 'SESSION_NOT_FOUND'],
  'an unknown session in a stream': ['watch', { name: 'sessions/none' }, 'SESSION_NOT_FOUND'],
  'a field that is not mutable': [
    'updateSession',
    { session: { name: 'sessions/search' }, updateMask: { paths: ['space'] } },
    'NOT_MUTABLE',
    'update_mask.paths[0]',
  ],
  'an unknown query': [
    'tell',
    tell({ queryId: 'zz', values: [{ values: [1] }] }),
    'QUERY_NOT_FOUND',
    'observations[0].query_id',
  ],
  'neither query nor point': ['tell', tell({}), 'INVALID_ARGUMENT', 'observations[0].query_id'],
  'no observations': ['tell', { name: 'sessions/search' }, 'INVALID_ARGUMENT', 'observations'],
  'a point of no kind': ['tell', tell({ point: {} }), 'INVALID_ARGUMENT', 'observations[0].point'],
  'an unknown tensor': [
    'step',
    gradient({ name: 'v', data: new Uint8Array(16) }),
    'OBSERVATION_INVALID',
    'observations[0].gradients[0].tensors[0].name',
  ],
  'too few elements': [
    'step',
    gradient({ name: 'w', data: new Uint8Array(12) }),
    'OBSERVATION_INVALID',
    'observations[0].gradients[0]',
  ],
  'too many elements': [
    'step',
    gradient({ name: 'w', data: new Uint8Array(20) }),
    'OBSERVATION_INVALID',
    'observations[0].gradients[0].tensors[0].data',
  ],
  'a cut element': [
    'step',
    gradient({ name: 'w', data: new Uint8Array(15) }),
    'OBSERVATION_INVALID',
    'observations[0].gradients[0].tensors[0].data',
  ],
  'chunks that overlap': [
    'step',
    gradient({ name: 'w', data: new Uint8Array(12) }, { name: 'w', data: new Uint8Array(8), offset: 2n }),
    'OBSERVATION_INVALID',
    'observations[0].gradients[0].tensors[1].offset',
  ],
  'a product without its tensor': [
    'step',
    { name: 'sessions/tensors', observations: [{ queryId: 'q0', products: [{}] }] },
    'OBSERVATION_INVALID',
    'observations[0].products[0]',
  ],
  'a quantity in pieces': [
    'step',
    {
      name: 'sessions/tensors',
      observations: [
        { queryId: 'q0', quantities: [{ tensors: [{ name: 'J', data: new Uint8Array(8), offset: 1n }] }] },
      ],
    },
    'OBSERVATION_INVALID',
    'observations[0].quantities[0].tensors[0].offset',
  ],
  'a tensor in a search space': [
    'step',
    { name: 'sessions/search', observations: [{ queryId: 'q0', gradients: [{ tensors: [{ name: 'w' }] }] }] },
    'OBSERVATION_INVALID',
    'observations[0].gradients[0].tensors[0].name',
  ],
  'negative usage': [
    'tell',
    tell({ queryId: 'q0', usage: { calls: -1n } }),
    'INVALID_ARGUMENT',
    'observations[0].usage.calls',
  ],
  'a wait below zero': ['ask', { name: 'sessions/search', wait: { seconds: -1n } }, 'INVALID_ARGUMENT', 'wait'],
  'too many queries': ['ask', { name: 'sessions/search', count: 1_000_000 }, 'INVALID_ARGUMENT', 'count'],
  'another revision': ['step', { name: 'sessions/search', expectedRevision: 999n }, 'REVISION_MISMATCH'],
  'a page of less than nothing': ['listSessions', { pageSize: -1 }, 'INVALID_ARGUMENT', 'page_size'],
  'a filter that is none': ['listMethods', { filter: 'colour = "red"' }, 'INVALID_ARGUMENT', 'filter'],
  'an unknown method': ['getMethod', { name: 'methods/none' }, 'METHOD_NOT_FOUND'],
  'a fork of nothing': ['forkSession', { name: 'sessions/none' }, 'SESSION_NOT_FOUND'],
}

/** The HTTP call that carries a request: its name goes into the path, the rest into body or query. */
async function overHttp(rpc: keyof (typeof Asktell)['method'], request: Record<string, unknown>) {
  const { input } = Asktell.method[rpc]
  const body = toJson(input as never, create(input as never, request as never)) as Record<string, unknown>
  const name = (request.name ?? (request.session as { name?: string } | undefined)?.name) as string
  const get = (path: string) => fetch(`${h.url}/v1/${path}?${new URLSearchParams(body as Record<string, string>)}`)
  switch (rpc) {
    case 'createSession':
      return json(`${h.url}/v1/sessions`, 'POST', body)
    case 'updateSession':
      return json(`${h.url}/v1/${name}`, 'PATCH', body)
    case 'forkSession':
    case 'ask':
    case 'tell':
    case 'step':
      return json(`${h.url}/v1/${name}:${rpc.replace('Session', '')}`, 'POST', body)
    case 'listSessions':
      return get('sessions')
    case 'listMethods':
      return get('methods')
    case 'watch':
      return fetch(`${h.url}/v1/${name}:watch`)
    default:
      return fetch(`${h.url}/v1/${name}`)
  }
}

describe('refusals', () => {
  for (const [what, [rpc, request, reason, path]] of Object.entries(CASES))
    it(`${what}: ${reason}`, async () => {
      const call = h.grpc.serverStream
      const grpc = await refused(
        Asktell.method[rpc].methodKind === 'server_streaming'
          ? new Promise((_, reject) =>
              call
                .call(h.grpc, rpc, request as never)
                .on('error', reject)
                .resume(),
            )
          : h.grpc.unary(rpc, request as never),
      )
      expect(grpc.reason).toBe(reason)
      expect(grpc.code).toBe(ERRORS[reason].grpc)
      const response = await overHttp(rpc, request as Record<string, unknown>)
      const problem = await response.json()
      expect(response.headers.get('content-type')).toContain('application/problem+json')
      expect(problem).toMatchObject({ code: reason, status: ERRORS[reason].http, title: ERRORS[reason].title })
      expect(response.status).toBe(ERRORS[reason].http)
      expect(problem.detail).toBe(grpc.message)
      if (path === undefined) return
      expect(grpc.paths[0]).toBe(path)
      expect(problem.errors[0].path).toBe(path)
    })

  it('bytes that are no message: MALFORMED on both', async () => {
    const bytes = Uint8Array.of(0xff, 0xff, 0xff)
    expect((await refused(h.grpc.unary('step', bytes))).reason).toBe('MALFORMED')
    const response = await fetch(`${h.url}/v1/sessions/search:step`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: bytes,
    })
    expect(response.status).toBe(400)
    expect((await response.json()).code).toBe('MALFORMED')
  })

  it('too large a message: MESSAGE_TOO_LARGE on both, and the connection goes on', async () => {
    const big = { name: 'sessions/search', requestId: 'x'.repeat(200_000) }
    const grpc = await refused(h.grpc.unary('step', big))
    expect(grpc).toMatchObject({ reason: 'MESSAGE_TOO_LARGE', code: 8 })
    const response = await json(`${h.url}/v1/sessions/search:step`, 'POST', big)
    expect(response.status).toBe(413)
    expect((await response.json()).code).toBe('MESSAGE_TOO_LARGE')
    expect((await h.grpc.unary('getSession', { name: 'sessions/search' })).method).toBe('random')
  })

  it('a chunked body is refused once it has grown past the limit', async () => {
    const response = await fetch(`${h.url}/v1/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(50_000))
          if (++pulled === 4) controller.close()
        },
      }),
      duplex: 'half',
    } as RequestInit)
    expect(response.status).toBe(413)
  })
  let pulled = 0

  it('a stored refusal changes nothing', async () => {
    const before = await h.grpc.unary('getSession', { name: 'sessions/tensors' })
    await refused(h.grpc.unary('step', gradient({ name: 'w', data: new Uint8Array(3) }) as never))
    expect(await h.grpc.unary('getSession', { name: 'sessions/tensors' })).toEqual(before)
  })
})

describe('JSON that does not fit', () => {
  const post = async (body: unknown, path = 'sessions') => (await json(`${h.url}/v1/${path}`, 'POST', body)).json()

  it.each([
    ['{"session": {"method": "tpe",}}', 29],
    ['{"a" 1}', 5],
    ['[1, 2', 5],
    ['{"a": tru}', 9],
    ['nonsense', 1],
    ['{"a": 1}}', 8],
  ])('%s is malformed at %i', async (text, position) => {
    expect(await post(text)).toMatchObject({ code: 'MALFORMED', metadata: { position: String(position) } })
  })

  it.each([
    [{ session: { colour: 'red' } }, 'session.colour'],
    [{ colour: 'red' }, 'colour'],
    [{ session: { seed: 'many' } }, 'session.seed'],
    [{ session: { labels: { a: 1 } } }, 'session.labels.a'],
    [{ session: { durability: 'FOREVER' } }, 'session.durability'],
    [
      { session: { space: { search: { parameters: [{ name: 'x' }, { name: 3 }] } } } },
      'session.space.search.parameters[1].name',
    ],
    [{ session: { space: { search: {}, text: {} } } }, 'session.space'],
    [{ session: { lease: 'soon' } }, 'session.lease'],
    [{ session: 'tpe' }, 'session'],
    [{ session: { offers: 'value' } }, 'session.offers'],
  ])('%j is refused at %s', async (body, path) => {
    const problem = await post(body)
    expect(problem).toMatchObject({ code: 'INVALID_ARGUMENT', errors: [{ path }] })
  })

  it('a path and a body that differ', async () => {
    expect(await post({ name: 'sessions/other' }, 'sessions/search:ask')).toMatchObject({ errors: [{ path: 'name' }] })
  })
  it('says what was expected and what came, in plain words', async () => {
    const observed = (text: string) => `{"observations": [{"queryId": "q0", "values": [${text}]}]}`
    const said = async (body: unknown, path: string) => (await post(body, path)).errors[0].message
    const tell = 'sessions/search:tell'
    expect(await said({ name: 'zz' }, 'sessions/search:ask')).toBe('the path says "sessions/search", the body "zz"')
    expect(await said(observed('{"values": [1e999]}'), tell)).toBe(
      'expected a number, got a number beyond the range of a double',
    )
    expect(await said(observed('{"values": ["x"]}'), tell)).toBe('expected a number, got "x"')
    expect(await said(observed('{"values": 1}'), tell)).toBe('expected a list of numbers, got 1')
    expect(await said({ wait: 5 }, 'sessions/search:ask')).toBe('expected seconds such as "1.5s", got 5')
    const initial = { tensors: [{ name: 'w', data: '###' }] }
    expect(await said({ session: { method: 'sgd', space: { tensors: { initial } } } }, 'sessions')).toBe(
      'expected bytes as base64, got "###"',
    )
  })
  it('a path that takes other verbs says which', async () => {
    const cases = [
      ['PUT', '/v1/sessions/search', 'GET, HEAD, PATCH, DELETE, OPTIONS'],
      ['GET', '/v1/sessions/search:ask', 'POST, OPTIONS'],
      ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
      ['DELETE', '/docs/start.js', 'GET, HEAD, OPTIONS'],
    ]
    for (const [verb, path, allow] of cases) {
      const refused = await fetch(h.url + path, { method: verb })
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, allow])
      expect(refused.headers.get('content-type')).toContain('application/problem+json')
      expect(await refused.json()).toMatchObject({
        code: 'METHOD_NOT_ALLOWED',
        detail: `${path} takes ${allow}, got ${verb}`,
      })
      const options = await fetch(h.url + path, { method: 'OPTIONS' })
      expect([options.status, options.headers.get('allow'), await options.text()]).toEqual([204, allow, ''])
    }
    expect((await fetch(`${h.url}/v1/nothing`, { method: 'OPTIONS' })).status).toBe(404)
  })
  it('HEAD is GET without its body', async () => {
    const paths = [
      '/',
      '/healthz',
      '/docs',
      '/v1/sessions',
      '/v1/sessions/search',
      '/v1/sessions/search:watch',
      '/v1/sessions/search:export',
    ]
    for (const path of paths) {
      const head = await fetch(h.url + path, { method: 'HEAD' })
      expect([path, head.status, await head.text()]).toEqual([path, 200, ''])
    }
    expect((await fetch(`${h.url}/v1/sessions/none`, { method: 'HEAD' })).status).toBe(404)
    const metrics = await (await fetch(`${h.url}/metrics`)).text()
    expect(metrics).toMatch(/^asktell_active_calls 0$/m)
  })
  it('an unknown query parameter', async () => {
    const problem = await (await fetch(`${h.url}/v1/sessions?limit=3`)).json()
    expect(problem).toMatchObject({ code: 'INVALID_ARGUMENT', errors: [{ path: 'limit' }] })
  })
  it('a body that is no object, or not JSON at all', async () => {
    expect(await post('[]')).toMatchObject({ code: 'MALFORMED' })
    const form = await fetch(`${h.url}/v1/sessions`, { method: 'POST', body: new URLSearchParams({ a: '1' }) })
    expect(await form.json()).toMatchObject({ code: 'MALFORMED' })
  })
  it('a route that is none', async () => {
    expect(await (await fetch(`${h.url}/v1/nothing`)).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND', status: 404 })
  })
  it('nesting without end', async () => {
    const depth = 9_000
    const text = `{"session": {"config": ${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}}`
    expect((await post(text)).code).not.toBe('INTERNAL')
  })
})

describe('headers', () => {
  it('Idempotency-Key is request_id, X-Request-Id is echoed', async () => {
    const first = await json(
      `${h.url}/v1/sessions/search:ask`,
      'POST',
      {},
      { 'idempotency-key': 'k1', 'x-request-id': 'trace-me' },
    )
    expect(first.headers.get('x-request-id')).toBe('trace-me')
    const again = await json(`${h.url}/v1/sessions/search:ask`, 'POST', { requestId: 'k1' })
    expect(await again.json()).toMatchObject({ repeatedRequest: true, requestId: 'k1' })
    const clash = await json(
      `${h.url}/v1/sessions/search:ask`,
      'POST',
      { requestId: 'k1' },
      { 'idempotency-key': 'k2' },
    )
    expect(await clash.json()).toMatchObject({ errors: [{ path: 'request_id' }] })
    const binary = await fetch(`${h.url}/v1/sessions/search:ask`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf', accept: 'application/json', 'idempotency-key': 'k1' },
      body: toBinary(Asktell.method.ask.input, create(Asktell.method.ask.input)),
    })
    expect(await binary.json()).toMatchObject({ repeatedRequest: true })
  })
})
