/** Messages that must be refused, made by the thousand. Each is bad by construction, whatever the draws are. */
import { create, type DescMethod, type JsonObject, toBinary, toJson } from '@bufbuild/protobuf'
import { Asktell } from '../../src/core/gen/asktell/v1/service_pb.js'
import type { draws } from '../server-process.js'

type Draws = ReturnType<typeof draws>
export type Rpc = keyof (typeof Asktell)['method']

/** `located`: the refusal must name a field. */
type Bad = { what: string; located: boolean }
/** A bad message for both transports; without its JSON where it has none. */
export type BadMessage = Bad & { rpc: Rpc; bytes: Uint8Array; json?: JsonObject }
export type HttpRequest = { verb: string; path: string; body?: Buffer; headers: Record<string, string> }
export type BadRequest = Bad & HttpRequest

/** Sessions that the messages are about: a search space with trials, tensors, rankings of texts, completions. */
export type Targets = { search: string; tensors: string; ranking: string; text: string }
/** Ids of open queries, one of each session. */
export type Queries = Targets

const float = (low: number, high: number, more: object = {}) => ({ case: 'float', value: { low, high, ...more } })
const space = (...types: unknown[]) => ({
  kind: { case: 'search', value: { parameters: types.map((type, i) => ({ name: `x${i}`, type })) } },
})
const tensorSpace = (tensors: unknown[], more: object = {}) => ({
  kind: { case: 'tensors', value: { tensors, ...more } },
})
const numbers = (...rows: number[][]) => rows.map((values) => ({ values }))
const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer)
const text = (string: string) => ({ kind: { case: 'stringValue', value: string } })

/** Requests with one wrong field each, by rpc; all but those marked must say where. */
function wrongFields(
  t: Targets,
  q: Queries,
  d: Draws,
): [what: string, rpc: Rpc, request: Record<string, unknown>, anywhere?: true][] {
  const name = `sessions/${t.search}`
  const id = (): string =>
    Array.from({ length: 1 + d.integer(30) }, () => 'abcdefghij-_0123456789'[d.integer(22)]).join('')
  const unknown = `unknown-${id()}`
  const negative = -1 - d.integer(1e6)
  const big = BigInt(2 ** 40) * BigInt(1 + d.integer(1e6))
  const odd = d.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
  const session = (fields: object) => ({ session: { method: 'random', space: space(float(0, 1)), ...fields } })
  const tell = (observation: object) => ({ name, observations: [observation] })
  const gradient = (...tensors: object[]) => ({
    name: `sessions/${t.tensors}`,
    observations: [{ queryId: q.tensors, gradients: [{ tensors }] }],
  })
  const a = { name: 'a', data: f32(1, 2, 3) }
  const b = { name: 'b', data: f32(1, 2, 3, 4) }
  const ranking = (...ties: number[][]) => ({
    name: `sessions/${t.ranking}`,
    observations: [{ queryId: q.ranking, ranking: { ties: ties.map((points) => ({ points })) } }],
  })
  const told = { queryId: q.search, values: numbers([d.uniform(-1, 1)]) }
  const enqueue = (params: JsonObject) => ({ name, enqueue: [{ kind: { case: 'params', value: params } }] })
  const values = Array.from({ length: 2 + d.integer(50) }, () => d.uniform(-9, 9))

  return [
    ['an unknown query', 'tell', tell({ ...told, queryId: unknown })],
    ['no query and no point', 'tell', tell({ values: numbers([1]) })],
    ['a query and a point', 'tell', tell({ ...told, point: { kind: { case: 'item', value: 'a' } } })],
    ['a point of no kind', 'tell', tell({ point: {}, values: numbers([1]) })],
    [
      'a point of another kind',
      'tell',
      tell({ point: { kind: { case: 'item', value: unknown } }, values: numbers([1]) }),
    ],
    ['no observations', 'tell', { name }],
    ['no values', 'tell', tell({ queryId: q.search })],
    ['too many values', 'tell', tell({ queryId: q.search, values: numbers(values) })],
    ['values of too many points', 'tell', tell({ queryId: q.search, values: numbers(...values.map((x) => [x])) })],
    ['an empty list of values', 'tell', tell({ queryId: q.search, values: numbers([]) })],
    ['noise below zero', 'tell', tell({ ...told, noise: numbers([negative]) })],
    ['constraints that the session has not', 'tell', tell({ ...told, constraints: numbers(values) })],
    ['a gradient of parameters', 'tell', tell({ ...told, gradients: [{ tensors: [a] }] })],
    ['a ranking where values are asked', 'tell', tell({ ...told, ranking: { ties: [{ points: [0] }] } })],
    ['completions where values are asked', 'tell', tell({ ...told, completions: [unknown] })],
    ['scores where values are asked', 'tell', tell({ ...told, scores: [{ score: 1 }] })],
    ['products where values are asked', 'tell', tell({ ...told, products: [{ tensors: [] }] })],
    ['quantities where values are asked', 'tell', tell({ ...told, quantities: [{ tensors: [a] }] })],
    [
      'a quantity in pieces',
      'tell',
      tell({ ...told, quantities: [{ tensors: [{ ...a, dtype: 1, offset: BigInt(1 + d.integer(9)) }] }] }),
    ],
    ['an unknown status', 'tell', tell({ ...told, status: 6 + d.integer(1000) })],
    ['usage below zero', 'tell', tell({ ...told, usage: { calls: BigInt(negative) } })],
    ['usage beyond all integers', 'tell', tell({ ...told, usage: { promptTokens: big + 2n ** 53n } })],
    ['money that is no amount', 'tell', tell({ ...told, usage: { money: d.pick([odd, negative]) } })],
    ['one query twice', 'tell', { name, observations: [told, told] }],
    ['a good observation and a bad one', 'tell', { name, observations: [told, { queryId: unknown }] }],
    ['another revision', 'tell', { ...tell(told), expectedRevision: big }, true],
    ['a revision below zero', 'tell', { ...tell(told), expectedRevision: BigInt(negative) }],
    ['a request id without end', 'tell', { ...tell(told), requestId: 'r'.repeat(129 + d.integer(1000)) }],

    ['gradients with an unknown tensor', 'step', gradient(a, b, { name: unknown, data: f32(1) })],
    ['gradients with a tensor missing', 'step', gradient(d.pick([a, b]))],
    ['a tensor cut short', 'step', gradient(a, { ...b, data: b.data.slice(0, 1 + d.integer(15)) })],
    ['a tensor too long', 'step', gradient(a, { ...b, data: f32(...values, ...values, 1) })],
    ['an unknown dtype', 'step', gradient({ ...a, dtype: 5 + d.integer(100) }, b)],
    ['a dtype that does not fit the bytes', 'step', gradient({ ...a, dtype: d.pick([2, 3, 4]) }, b)],
    ['an offset below zero', 'step', gradient({ ...a, offset: BigInt(negative) }, b)],
    ['an offset past the end', 'step', gradient({ ...a, offset: big }, b)],
    ['chunks that overlap', 'step', gradient(a, b, { name: 'b', data: f32(1), offset: BigInt(d.integer(4)) })],
    ['a gradient that is not finite', 'step', gradient({ ...a, data: f32(1, odd, 2) }, b)],
    ['no gradient', 'step', { name: `sessions/${t.tensors}`, observations: [{ queryId: q.tensors }] }],
    [
      'values for a gradient',
      'step',
      { name: `sessions/${t.tensors}`, observations: [{ ...told, queryId: q.tensors }] },
    ],
    [
      'gradients of several points',
      'step',
      {
        name: `sessions/${t.tensors}`,
        observations: [{ queryId: q.tensors, gradients: [{ tensors: [a, b] }, { tensors: [a, b] }] }],
      },
    ],

    ['a rank that is no point', 'tell', ranking([100 + d.integer(1e6)])],
    ['a rank below zero', 'tell', ranking([negative])],
    ['a point ranked twice', 'tell', ranking([0], [0])],
    ['an empty group', 'tell', ranking([])],
    [
      'too many completions',
      'tell',
      {
        name: `sessions/${t.text}`,
        observations: [{ queryId: q.text, completions: Array.from({ length: 100 }, () => unknown) }],
      },
    ],

    ['too many queries', 'ask', { name, count: 10_001 + d.integer(2e9) }],
    ['a wait below zero', 'ask', { name, wait: { seconds: BigInt(negative), nanos: 0 } }],
    ['an unknown encoding', 'ask', { name: `sessions/${t.tensors}`, encoding: 5 + d.integer(1000) }],
    ['a point without its parameter', 'ask', enqueue({})],
    ['a point with another parameter', 'ask', enqueue({ x0: 0.5, [unknown]: 1 })],
    ['a parameter out of bounds', 'ask', enqueue({ x0: 2 + d.uniform(0, 1e9) })],
    ['a parameter of another type', 'ask', enqueue({ x0: d.pick<string | boolean | null>([unknown, true, null]) })],
    ['a parameter that is a list', 'ask', enqueue({ x0: [1] })],

    ['no session', 'createSession', {}],
    ['an unknown method', 'createSession', session({ method: unknown })],
    ['no method', 'createSession', session({ method: '' })],
    ['no space', 'createSession', { session: { method: 'random' } }],
    ['no parameters', 'createSession', session({ space: space() })],
    ['low above high', 'createSession', session({ space: space(float(d.uniform(1, 9), d.uniform(-9, 0))) })],
    ['a bound that is no number', 'createSession', session({ space: space(float(odd, 1)) })],
    ['a log scale from zero', 'createSession', session({ space: space(float(d.uniform(-9, 0), 1, { log: true })) })],
    ['a step below zero', 'createSession', session({ space: space(float(0, 1, { step: negative })) })],
    [
      'integers beyond all integers',
      'createSession',
      session({
        space: space({ case: 'int', value: { low: 0n, high: big + 2n ** 53n } }),
      }),
    ],
    ['no choices', 'createSession', session({ space: space({ case: 'categorical', value: { choices: [] } }) })],
    [
      'one choice twice',
      'createSession',
      session({
        space: space({ case: 'categorical', value: { choices: [text(unknown), text(unknown)] } }),
      }),
    ],
    [
      'a choice that is a list',
      'createSession',
      session({
        space: space({ case: 'ordinal', value: { choices: [{ kind: { case: 'listValue', value: { values: [] } } }] } }),
      }),
    ],
    ['a parameter of no type', 'createSession', session({ space: space(undefined) })],
    [
      'one name twice',
      'createSession',
      session({
        space: {
          kind: {
            case: 'search',
            value: { parameters: [unknown, unknown].map((name) => ({ name, type: float(0, 1) })) },
          },
        },
      }),
    ],
    [
      'a name that every object has',
      'createSession',
      session({
        space: {
          kind: {
            case: 'search',
            value: { parameters: [{ name: d.pick(['__proto__', 'constructor', 'toString']), type: float(0, 1) }] },
          },
        },
      }),
    ],
    [
      'a condition on nothing',
      'createSession',
      session({
        space: {
          kind: {
            case: 'search',
            value: {
              parameters: [{ name: 'x', type: float(0, 1), condition: { parent: unknown, values: [text('a')] } }],
            },
          },
        },
      }),
    ],
    ['a method for another space', 'createSession', session({ method: d.pick(['adam', 'apo']) })],
    ['an unknown setting', 'createSession', session({ config: { [unknown]: 1 } })],
    [
      'a setting of another type',
      'createSession',
      session({
        method: 'adam',
        space: tensorSpace([{ name: 'w', shape: [2n], dtype: 1 }]),
        config: { learningRate: d.pick<string | boolean | null>([unknown, true, null]) },
      }),
    ],
    [
      'a rule that is none',
      'createSession',
      session({
        method: 'rule',
        space: tensorSpace([{ name: 'w', shape: [2n], dtype: 1 }]),
        config: { text: `x = x - ${d.pick(['lr*', '(', 'g[0]', 'foo(g)', '"a"', unknown])}`, learningRate: 0.1 },
      }),
    ],
    ['no tensors', 'createSession', session({ method: 'adam', space: tensorSpace([]) })],
    [
      'a dimension below one',
      'createSession',
      session({
        method: 'adam',
        space: tensorSpace([{ name: 'w', shape: [BigInt(d.pick([0, negative]))], dtype: 1 }]),
      }),
    ],
    [
      'more elements than any memory',
      'createSession',
      session({
        method: d.pick(['adam', 'cma-es', 'zo-rank-sgd']),
        space: tensorSpace([{ name: 'w', shape: [2n ** 31n, 2n ** BigInt(8 + d.integer(13))], dtype: 1 }]),
      }),
    ],
    [
      'a tensor of no dtype',
      'createSession',
      session({
        method: 'adam',
        space: tensorSpace([{ name: 'w', shape: [2n] }]),
      }),
    ],
    [
      'a start of the wrong length',
      'createSession',
      session({
        method: 'adam',
        space: tensorSpace([{ name: 'w', shape: [2n], dtype: 1 }], {
          initial: { tensors: [{ name: 'w', data: f32(1) }] },
        }),
      }),
    ],
    [
      'a start that is not finite',
      'createSession',
      session({
        method: 'adam',
        space: tensorSpace([{ name: 'w', shape: [2n], dtype: 1 }], {
          initial: { tensors: [{ name: 'w', data: f32(1, odd) }] },
        }),
      }),
    ],
    ['an objective without direction', 'createSession', session({ objectives: [{ name: 'loss' }] })],
    [
      'an unknown direction',
      'createSession',
      session({ objectives: [{ name: 'loss', direction: 3 + d.integer(99) }] }),
    ],
    [
      'too many objectives',
      'createSession',
      session({
        method: 'cma-es',
        objectives: ['a', 'b'].map((name) => ({ name, direction: 1 })),
      }),
    ],
    ['an unknown pruner', 'createSession', session({ pruner: { method: unknown } })],
    ['an unknown resolver', 'createSession', session({ resolver: { endpoint: unknown } })],
    ['a budget below zero', 'createSession', session({ budget: { maxEvaluations: BigInt(negative) } })],
    ['a budget that is no number', 'createSession', session({ budget: { maxMoney: odd } })],
    ['a seed below zero', 'createSession', session({ seed: BigInt(negative) })],
    ['a lease of nothing', 'createSession', session({ lease: { seconds: BigInt(d.pick([0, negative])), nanos: 0 } })],
    ['an unknown durability', 'createSession', session({ durability: 3 + d.integer(99) })],
    ['snapshots of parameters', 'createSession', session({ durability: 2 })],
    ['offers that are too few', 'createSession', session({ offers: [unknown] })],
    [
      'an id that is none',
      'createSession',
      { ...session({}), sessionId: d.pick(['a b', '../x', 'é', 'x'.repeat(65), '/']) },
    ],
    ['an id that is taken', 'createSession', { ...session({}), sessionId: t.search }, true],

    [
      'a field that never changes',
      'updateSession',
      { session: { name }, updateMask: { paths: [d.pick(['space', 'seed', 'colour'])] } },
    ],
    ['an unknown state', 'updateSession', { session: { name, state: 4 + d.integer(99) } }],
    ['a setting that never changes', 'updateSession', { session: { name, config: { [unknown]: 1 } } }],
    [
      'an update of another revision',
      'updateSession',
      { session: { name, displayName: 'x' }, expectedRevision: big },
      true,
    ],
    ['a report on an unknown query', 'report', { name, queryId: unknown, step: 1n, value: 1 }],
    ['a report before the first step', 'report', { name, queryId: q.search, step: BigInt(negative), value: 1 }],
    ['a report on no trial', 'report', { name: `sessions/${t.tensors}`, queryId: q.tensors, step: 1n, value: 1 }],
    ['a fork of the future', 'forkSession', { name, revision: big }],
    ['a fork of before', 'forkSession', { name, revision: BigInt(negative) }],
    ['a fork with an id that is none', 'forkSession', { name, sessionId: 'a b' }],
    ['a fork with another setting', 'forkSession', { name, config: { [unknown]: 1 } }],
    ['an estimate in no encoding', 'getEstimate', { name: `sessions/${t.tensors}`, encoding: 5 + d.integer(99) }],
    ['an analysis of no trials', 'analyzeSession', { name: `sessions/${t.tensors}` }],
    ['an analysis of no kind', 'analyzeSession', { name, kinds: [11 + d.integer(99)] }],
    ['an analysis of no parameter', 'analyzeSession', { name, parameters: [unknown] }],
    ['an analysis of no objective', 'analyzeSession', { name, objective: unknown }],
    ['an analysis with a share that is none', 'analyzeSession', { name, quantile: d.pick([-1, 1, Number.NaN]) }],
    ['an analysis at fewer points than two', 'analyzeSession', { name, resolution: d.pick([1, -1, 1000]) }],
    ['a prediction at no point of the space', 'analyzeSession', { name, points: [{ [unknown]: 1 }] }],
    ['a prediction nowhere', 'analyzeSession', { name, kinds: [10] }],
    ['a page of less than nothing', 'listSessions', { pageSize: negative }],
    ['a token of no list', 'listSessions', { pageToken: unknown }],
    [
      'a filter that is none',
      'listSessions',
      { filter: d.pick(['(', 'a', 'colour = red', 'state =', 'state = RUNNING OR', unknown]) },
    ],
    ['a page of less than no trials', 'listTrials', { parent: name, pageSize: negative }],
    ['a token of no trials', 'listTrials', { parent: name, pageToken: unknown }],
    ['a filter of no trials', 'listTrials', { parent: name, filter: 'value = 1' }],
    ['a filter of no methods', 'listMethods', { filter: `${unknown} = 1` }],
    ['a token of no methods', 'listMethods', { pageToken: unknown }],

    [
      'an unknown session',
      d.pick<Rpc>(['getSession', 'ask', 'report', 'deleteSession', 'forkSession', 'getEstimate']),
      { name: `sessions/${unknown}` },
      true,
    ],
    [
      'a name that is none',
      d.pick<Rpc>(['getSession', 'ask', 'step', 'tell', 'deleteSession', 'getEstimate']),
      { name: d.pick(['', 'sessions/', 'methods/a', unknown, 'sessions/a/b', 'sessions/é']) },
    ],
    ['an unknown method by name', 'getMethod', { name: `methods/${unknown}` }, true],
  ]
}

const VERBS: { readonly [K in Rpc]?: [verb: string, suffix: string] } = {
  ask: ['POST', ':ask'],
  tell: ['POST', ':tell'],
  step: ['POST', ':step'],
  report: ['POST', ':report'],
  forkSession: ['POST', ':fork'],
  deleteSession: ['DELETE', ''],
  getSession: ['GET', ''],
  getMethod: ['GET', ''],
  getEstimate: ['GET', '/estimate'],
  analyzeSession: ['POST', ':analyze'],
}

/** The HTTP request that carries a message, or undefined where its name can't stand in an address. */
export function toHttp(rpc: Rpc, json: JsonObject): { verb: string; path: string; body?: JsonObject } | undefined {
  const query = (fields: JsonObject) => new URLSearchParams(fields as Record<string, string>).toString()
  const { name, parent, ...rest } = json as JsonObject & { name?: string; parent?: string }
  if (rpc === 'createSession') return { verb: 'POST', path: '/v1/sessions', body: json }
  if (rpc === 'updateSession') {
    const { name: inner } = json.session as { name: string }
    return { verb: 'PATCH', path: `/v1/${inner}`, body: json }
  }
  if (rpc === 'listSessions' || rpc === 'listMethods')
    return { verb: 'GET', path: `/v1/${rpc === 'listSessions' ? 'sessions' : 'methods'}?${query(json)}` }
  if (rpc === 'listTrials') return { verb: 'GET', path: `/v1/${parent}/trials?${query(rest)}` }
  const route = VERBS[rpc]
  if (
    !route ||
    !/^(sessions|methods)\/[\w-]+$/.test(name ?? '') ||
    (rpc !== 'getMethod' && name?.startsWith('methods/'))
  )
    return undefined
  const [verb, suffix] = route
  if (verb === 'GET') return { verb, path: `/v1/${name}${suffix}?${query(rest)}` }
  return { verb, path: `/v1/${name}${suffix}`, body: verb === 'POST' ? rest : undefined }
}

/** Makes messages with one wrong field each. */
export function wrongFieldMaker(t: Targets, q: Queries, d: Draws): () => BadMessage {
  let left = 0
  let table: ReturnType<typeof wrongFields> = []
  return () => {
    // New draws for all of them cost more than a message.
    if (left-- === 0) {
      table = wrongFields(t, q, d)
      left = 15
    }
    const [what, rpc, request, anywhere] = d.pick(table)
    const { input } = Asktell.method[rpc] as DescMethod
    const message = create(input, request)
    return {
      what,
      located: !anywhere,
      rpc,
      bytes: toBinary(input, message),
      json: toJson(input, message) as JsonObject,
    }
  }
}

/**
 * Bytes that are no message, or one about nothing that exists: every request below names an unknown query, method or
 * session by a text that no change of a few bytes turns into a known one, so each stays bad when it is mutated.
 */
export function brokenBytes(t: Targets, d: Draws): BadMessage {
  const unknown = `nothing-of-this-name-${d.integer(1e9)}`
  const gone = `sessions/${unknown}`
  const observations = [
    { queryId: unknown, values: numbers([1, 2], [3]), gradients: [{ tensors: [{ name: 'a', data: f32(1, 2) }] }] },
  ]
  const bases: [Rpc, Record<string, unknown>][] = [
    ['tell', { name: `sessions/${t.search}`, observations, requestId: unknown }],
    ['tell', { name: `sessions/${t.tensors}`, observations }],
    ['report', { name: `sessions/${t.search}`, queryId: unknown, step: 5n, value: 0.5 }],
    ['step', { name: gone, observations, count: 3 }],
    ['ask', { name: gone, count: 3, enqueue: [{ kind: { case: 'params', value: { x0: 0.5 } } }] }],
    ['createSession', { session: { method: unknown, space: space(float(2, 1)), config: { a: [1, { b: 'c' }] } } }],
    [
      'updateSession',
      { session: { name: gone, displayName: 'x', labels: { a: 'b' } }, updateMask: { paths: ['state'] } },
    ],
    ['forkSession', { name: gone, revision: 3n, config: { learningRate: 1 } }],
    ['deleteSession', { name: gone }],
    ['getSession', { name: gone }],
    ['getEstimate', { name: gone, encoding: 1 }],
    ['listTrials', { parent: gone, pageSize: 10 }],
    ['getMethod', { name: `methods/${unknown}` }],
  ]
  const [rpc, request] = d.pick(bases)
  const { input } = Asktell.method[rpc] as DescMethod
  let bytes = toBinary(input, create(input, request))
  const kind = d.pick(['flipped', 'cut', 'random', 'doubled', 'spliced'])
  if (kind === 'cut') bytes = bytes.slice(0, d.integer(bytes.length))
  if (kind === 'random') bytes = Uint8Array.from({ length: d.integer(200) }, () => d.integer(256))
  if (kind === 'doubled') bytes = Uint8Array.of(...bytes, ...bytes)
  if (kind === 'flipped') for (let i = 0; i <= d.integer(4); i++) bytes[d.integer(bytes.length)] ^= 1 << d.integer(8)
  if (kind === 'spliced') {
    const at = d.integer(bytes.length)
    const inserted = Uint8Array.from({ length: 1 + d.integer(20) }, () => d.integer(256))
    bytes = Uint8Array.of(...bytes.slice(0, at), ...inserted, ...bytes.slice(at))
  }
  return { what: `${kind} bytes`, located: false, rpc, bytes }
}

/** HTTP requests that go wrong before there is a message, or on the way to it. */
export function brokenHttp(t: Targets, d: Draws): BadRequest {
  const JSON_TYPE = { 'content-type': 'application/json' }
  const path = `/v1/sessions/${t.search}:tell`
  const good = JSON.stringify({ observations: [{ queryId: 'nothing-of-this-name', values: [{ values: [1] }] }] })
  const post = (what: string, located: boolean, body: Buffer | string, more: object = {}): BadRequest => ({
    what,
    located,
    verb: 'POST',
    path,
    body: Buffer.from(body as string),
    headers: JSON_TYPE,
    ...more,
  })
  const deep = 10 + d.integer(5000)
  const junk = d.pick<unknown>([true, 'x', 17, [], [[]], {}, { a: 1 }, [1], 1e308, -0])
  const malformed = () => {
    const at = 1 + d.integer(good.length - 1)
    const extra = d.pick(['', '}', '"', ',', '\\', '{', '\u0001'])
    const text = good.slice(0, at) + extra
    try {
      JSON.parse(text)
      return '{'
    } catch {
      return text
    }
  }
  const makers: (() => BadRequest)[] = [
    () => post('malformed JSON', true, malformed()),
    () => post('JSON that is no object', false, d.pick(['[]', '1', 'null', '"x"', 'true'])),
    () => post('an unknown field', true, JSON.stringify({ [`f${d.integer(1e9)}`]: junk })),
    () => post('a field of another type', true, JSON.stringify({ observations: d.pick([true, 'x', 17, { a: 1 }]) })),
    () =>
      post('an inner field of another type', true, JSON.stringify({ observations: [{ values: [{ values: ['x'] }] }] })),
    () => post('an observation that is none', true, JSON.stringify({ observations: [d.pick([true, 'x', 17, [1]])] })),
    () => post('a number beyond all numbers', true, `{"observations": [{"usage": {"money": 1e999}, "queryId": "q"}]}`),
    () => post('an integer beyond all integers', true, `{"expectedRevision": ${'9'.repeat(20 + d.integer(300))}}`),
    () => post('base64 that is none', true, '{"observations": [{"gradients": [{"tensors": [{"data": "%%%"}]}]}]}'),
    () =>
      post(
        'text that is no UTF-8',
        false,
        Buffer.concat([
          Buffer.from('{"observations": [{"queryId": "'),
          Buffer.from([0xff, 0xc0, 0x80 + d.integer(64)]),
          Buffer.from('"}]}'),
        ]),
      ),
    () => post('half a surrogate pair', false, '{"observations": [{"queryId": "\\ud800"}]}'),
    () => post('nesting', false, `${'['.repeat(deep)}${']'.repeat(deep)}`),
    () =>
      post(
        'nested settings',
        false,
        `{"session": {"method": "nothing-of-this-name", "config": ${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}}}`,
        { path: '/v1/sessions' },
      ),
    () =>
      post('a nested point', false, `{"enqueue": [{"params": {"x0": ${'['.repeat(deep)}${']'.repeat(deep)}}}]}`, {
        path: `/v1/sessions/${t.search}:ask`,
      }),
    () =>
      post('another content type', false, good, {
        headers: {
          'content-type': d.pick([
            'text/plain',
            'application/xml',
            'multipart/form-data; boundary=x',
            'x',
            'application/x-www-form-urlencoded',
          ]),
        },
      }),
    () =>
      post('an encoding that is not read', false, good, {
        headers: { ...JSON_TYPE, 'content-encoding': d.pick(['gzip', 'br', 'x']) },
      }),
    () =>
      post('a key without end', true, good, {
        headers: { ...JSON_TYPE, 'idempotency-key': 'k'.repeat(129 + d.integer(2000)) },
      }),
    () =>
      post('a key and another id', true, JSON.stringify({ requestId: 'a' }), {
        headers: { ...JSON_TYPE, 'idempotency-key': 'b' },
      }),
    () => post('fields in the address', true, good, { path: `${path}?count=${d.integer(9)}` }),
    () => post('another name in the body', true, '{"name": "sessions/other"}'),
    () => post('a page of another site', false, good, { headers: { ...JSON_TYPE, origin: 'https://example.org' } }),
    () => post('no body', true, ''),
    () => ({
      what: 'another host',
      located: false,
      verb: 'GET',
      path: '/v1/sessions',
      headers: { host: 'example.org' },
    }),
    () => ({
      what: 'an unknown parameter',
      located: true,
      verb: 'GET',
      path: `/v1/sessions?p${d.integer(1e6)}=1`,
      headers: {},
    }),
    () => ({
      what: 'a parameter of another type',
      located: true,
      verb: 'GET',
      path: '/v1/sessions?page_size=many',
      headers: {},
    }),
    () => ({
      what: 'a parameter twice',
      located: true,
      verb: 'GET',
      path: '/v1/sessions?page_size=1&page_size=2',
      headers: {},
    }),
    () => ({
      what: 'no such route',
      located: false,
      verb: d.pick(['GET', 'POST', 'PUT', 'DELETE', 'PATCH']),
      path: `/v1/nothing/${d.integer(1e6)}`,
      headers: {},
    }),
    () => ({
      what: 'an address that is broken',
      located: false,
      verb: 'GET',
      path: `/v1/sessions/${d.pick(['%', '%zz', '%00', '..%2f..', '%ff%fe', 'a%20b'])}`,
      headers: {},
    }),
    () => ({
      what: 'a verb that the route has not',
      located: false,
      verb: d.pick(['PUT', 'PATCH']),
      path: '/v1/sessions',
      headers: JSON_TYPE,
      body: Buffer.from(good),
    }),
  ]
  return d.pick(makers)()
}
