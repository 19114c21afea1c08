import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { SENTENCES } from '../../examples/local-endpoint/script.js'
import { startLocalEndpoint } from '../../examples/local-endpoint/server.js'
import type { Problem } from '../../src/core/space.js'
import { configSchema, type LlmEndpoint } from '../../src/server/config.js'
import { Resolver } from '../../src/server/resolver.js'
import type { SessionSpec, Sessions } from '../../src/sessions/api.js'
import { createSessions } from '../../src/sessions/index.js'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const endpoint = (baseUrl: string, more: Partial<LlmEndpoint> = {}): LlmEndpoint =>
  configSchema.parse({ llmEndpoints: { local: { baseUrl, model: 'local-script', ...more } } }).llmEndpoints.local

/** A chat-completions server whose replies a test decides. */
async function serve(
  reply: (body: { n: number; model: string; max_tokens?: number }, call: number, headers: IncomingMessage) => unknown,
) {
  const calls: { n: number; model: string; authorization?: string; body: Record<string, unknown> }[] = []
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = JSON.parse(Buffer.concat(chunks).toString())
    calls.push({ n: body.n, model: body.model, authorization: request.headers.authorization, body })
    const result = await reply(body, calls.length, request)
    if (result === undefined) return
    const status = typeof result === 'number' ? result : 200
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status === 200 ? result : { error: { message: `no luck (${status})` } }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, calls }
}
const choices = (texts: string[], usage = { prompt_tokens: 10, completion_tokens: 5 }) => ({
  choices: texts.map((content, index) => ({ index, message: { role: 'assistant', content }, finish_reason: 'stop' })),
  usage,
})

const problem: Problem = {
  space: { kind: 'text', components: [{ name: 'instruction', initial: 'Start.' }] },
  objectives: [{ name: 'accuracy', direction: 'maximize' }],
}
const spec = (more: Partial<SessionSpec> = {}): SessionSpec => ({
  method: 'opro',
  config: { maxSteps: 1, completions: 3 },
  problem,
  resolver: { endpoint: 'local' },
  seed: 1,
  ...more,
})

async function setUp(endpoints: Record<string, LlmEndpoint>) {
  const sessions = await createSessions({ store: { kind: 'memory' }, threads: 0 })
  const warnings: Record<string, unknown>[] = []
  const resolver = new Resolver(sessions, endpoints, { warn: (_, fields) => warnings.push(fields) })
  closing.push(
    () => sessions.close(),
    () => resolver.close(),
  )
  return { sessions, resolver, warnings }
}

/** Scores texts by their length until the session is done or `most` are scored; returns the texts. */
async function score(sessions: Sessions, id: string, most = Infinity, of = (text: string) => text.length / 1000) {
  const texts: string[] = []
  while (texts.length < most) {
    const { queries, state, statusMessage } = await sessions.step(id, { count: 8, wait: 5000, worker: 'scorer' })
    const observations = queries.map((query) => {
      expect(query.wants[0].kind).toBe('score')
      const [point] = query.points
      const text = point.kind === 'text' ? point.text.instruction : ''
      texts.push(text)
      return { queryId: query.id, status: 'ok' as const, scores: [{ score: of(text) }] }
    })
    if (observations.length > 0) await sessions.step(id, { observations, count: 0, worker: 'scorer' })
    if (state === 'done') return { texts, statusMessage }
  }
  return { texts, statusMessage: '' }
}

/** Scores nothing as right until the session is done. */
async function scoreExamples(sessions: Sessions, id: string) {
  for (;;) {
    const { queries, state } = await sessions.step(id, { count: 8, wait: 2000, worker: 'scorer' })
    if (state === 'done') return
    const observations = queries.map(({ id, wants: [want] }) => {
      const asked = want.kind === 'score' && want.examples ? want.examples : []
      const score = { score: 0, examples: asked.map(() => 0), outputs: asked.map(() => 'y') }
      return { queryId: id, status: 'ok' as const, scores: [score] }
    })
    await sessions.step(id, { observations, count: 0, worker: 'scorer' })
  }
}

describe('the resolver', () => {
  it('answers completions through the endpoint, with key, model, count and temperature, and tells their cost', async () => {
    const { baseUrl, calls } = await serve(() => choices(['[one]', '[two]', '[three]']))
    const { sessions, resolver } = await setUp({
      local: endpoint(baseUrl, { apiKey: 'secret', promptTokenPrice: 0.001, completionTokenPrice: 0.01 }),
    })
    const info = await sessions.create(
      spec({ config: { maxSteps: 1, completions: 3, temperature: 0.5, maxTokens: 77 } }),
    )
    resolver.check(info)
    resolver.attach(info)
    const { texts, statusMessage } = await score(sessions, info.id)
    expect(texts).toEqual(['Start.', 'one', 'two', 'three'])
    expect(statusMessage).toContain('steps are taken')
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({
      n: 3,
      model: 'local-script',
      authorization: 'Bearer secret',
      body: { temperature: 0.5, max_tokens: 77 },
    })
    const { usage } = await sessions.get(info.id)
    expect(usage).toMatchObject({ calls: 1, promptTokens: 10, completionTokens: 5 })
    expect(usage.money).toBeCloseTo(0.06, 12)
  })

  it('asks again for the rest when a server gives one choice per call', async () => {
    const { baseUrl, calls } = await serve((_, call) => choices([`[${call}]`]))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec())
    resolver.attach(info)
    expect((await score(sessions, info.id)).texts).toEqual(['Start.', '1', '2', '3'])
    expect(calls.map(({ n }) => n)).toEqual([3, 2, 1])
    expect((await sessions.get(info.id)).usage).toMatchObject({ calls: 3, promptTokens: 30 })
  })

  it('tells a failure with its message; the session asks again and goes on', async () => {
    const { baseUrl, calls } = await serve((_, call) => (call === 1 ? 400 : choices(['[a]', '[b]', '[c]'])))
    const { sessions, resolver, warnings } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec())
    resolver.attach(info)
    expect((await score(sessions, info.id)).texts).toEqual(['Start.', 'a', 'b', 'c'])
    expect(calls).toHaveLength(2)
    expect(warnings[0]).toMatchObject({ session: info.id, error: expect.stringContaining('no luck (400)') })
    const { counts } = await sessions.get(info.id)
    expect(counts.failed).toBe(1)
  })

  it('tells no one the key, and nothing of the environment goes out', async () => {
    process.env.OPENAI_ORG_ID = 'private'
    const headers: IncomingMessage['headers'][] = []
    const { baseUrl } = await serve((_, call, request) => {
      headers.push(request.headers)
      return call === 1 ? 401 : choices(['[a]', '[\ud800]', '[c]'])
    })
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl, { apiKey: 'luck' }) })
    delete process.env.OPENAI_ORG_ID
    const info = await sessions.create(spec())
    resolver.attach(info)
    expect((await score(sessions, info.id)).texts).toEqual(['Start.', 'a', '\ufffd', 'c'])
    expect(headers[0]['openai-organization']).toBeUndefined()
    const stop = new AbortController()
    const messages: string[] = []
    for await (const event of sessions.watch(info.id, 0, stop.signal)) {
      if (event.message) messages.push(event.message)
      if (event.type === 'done') break
    }
    expect(messages).toContainEqual(expect.stringContaining('401 no *** (401)'))
  })

  it('stops at the cap on calls, and the session says so', async () => {
    const { baseUrl, calls } = await serve((_, call) => choices([`[${call}a]`, `[${call}b]`, `[${call}c]`]))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec({ config: { maxSteps: 50, completions: 3 }, budget: { maxCalls: 2 } }))
    resolver.attach(info)
    const { statusMessage } = await score(sessions, info.id)
    expect(calls).toHaveLength(2)
    expect(statusMessage).toContain('2 model calls')
  })

  it('a cap on calls holds with many calls in flight', async () => {
    const { baseUrl, calls } = await serve(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return choices(['<START>x<END>'])
    })
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const examples = Array.from({ length: 8 }, (_, i) => ({ input: `${i}`, expected: 'x' }))
    const info = await sessions.create(
      spec({
        method: 'apo',
        config: { nGradients: 20 },
        problem: { ...problem, task: { description: 'x', examples } },
        budget: { maxCalls: 11 },
      }),
    )
    resolver.attach(info)
    await scoreExamples(sessions, info.id)
    expect(calls).toHaveLength(11)
  })

  it.each([
    ['tokens', { maxTokens: 40 }, 3],
    ['money', { maxMoney: 0.04 }, 2],
  ])('stops at the cap on %s', async (_, budget, expected) => {
    const { baseUrl, calls } = await serve((_, call) => choices([`[${call}a]`, `[${call}b]`, `[${call}c]`]))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl, { promptTokenPrice: 0.002 }) })
    const info = await sessions.create(spec({ config: { maxSteps: 50, completions: 3 }, budget }))
    resolver.attach(info)
    expect((await score(sessions, info.id)).statusMessage).not.toBe('')
    expect(calls).toHaveLength(expected)
  })

  /** Some endpoints give one choice per call, whatever `n` says. */
  const stingy = () =>
    serve(({ max_tokens }, call) => choices([`[${call}]`], { prompt_tokens: 10, completion_tokens: max_tokens ?? 5 }))

  it.each([
    ['opro', { maxCalls: 3 }, { calls: 3 }],
    // 40 / 8 choices, then 25 / 7, then 12 / 6.
    ['opro', { maxTokens: 40 }, { calls: 3, promptTokens: 30, completionTokens: 5 + 3 + 2 }],
  ])('an endpoint that ignores n does not overrun the caps of %s: %o', async (method, budget, expected) => {
    const { baseUrl, calls } = await stingy()
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec({ method, config: { maxSteps: 50, completions: 8 }, budget }))
    resolver.attach(info)
    const { texts, statusMessage } = await score(sessions, info.id)
    const { usage, counts } = await sessions.get(info.id)
    expect(usage).toMatchObject(expected)
    expect(calls).toHaveLength(expected.calls)
    expect(statusMessage).toContain('is used up')
    expect(counts.failed).toBe(0)
    expect(texts[0]).toBe('Start.')
  })

  it('bounds replies by what is left of the tokens and of the money', async () => {
    const { baseUrl, calls } = await stingy()
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl, { completionTokenPrice: 0.5 }) })
    const config = { maxSteps: 1, completions: 2, maxTokens: 30 }
    const budgets = [{ maxTokens: 1000 }, { maxTokens: 50 }, { maxMoney: 10 }]
    for (const budget of budgets) {
      const info = await sessions.create(spec({ config, budget }))
      resolver.attach(info)
      await score(sessions, info.id)
    }
    expect(calls.map(({ body }) => body.max_tokens)).toEqual([30, 30, 25, 15, 10, 10])
  })

  it.each([1, 2])('counts every try of a request as a call: cap %i', async (maxCalls) => {
    const { baseUrl, calls } = await serve(() => 503)
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec({ budget: { maxCalls } }))
    resolver.attach(info)
    const { statusMessage } = await score(sessions, info.id)
    expect(statusMessage).toContain('model calls is used up')
    expect(calls).toHaveLength(maxCalls)
    expect((await sessions.get(info.id)).usage.calls).toBe(maxCalls)
  })

  it('tries again what may pass, when the endpoint says so, within one query', async () => {
    const { baseUrl, calls } = await serve((_, call) => (call < 3 ? 429 : choices(['[a]', '[b]', '[c]'])))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec())
    resolver.attach(info)
    expect((await score(sessions, info.id)).texts).toEqual(['Start.', 'a', 'b', 'c'])
    expect(calls).toHaveLength(3)
    expect(await sessions.get(info.id)).toMatchObject({ usage: { calls: 3 }, counts: { failed: 0 } })
  })

  it('with many queries at once, tokens overrun their cap by no more than one reply', async () => {
    const { baseUrl } = await serve(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      return choices(['<START>x<END>'], { prompt_tokens: 100, completion_tokens: 100 })
    })
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const examples = Array.from({ length: 8 }, (_, i) => ({ input: `${i}`, expected: 'x' }))
    const info = await sessions.create(
      spec({
        method: 'apo',
        config: { nGradients: 20, maxTokens: 100 },
        problem: { ...problem, task: { description: 'x', examples } },
        budget: { maxTokens: 1100 },
      }),
    )
    resolver.attach(info)
    await scoreExamples(sessions, info.id)
    const { usage } = await sessions.get(info.id)
    expect(usage.promptTokens + usage.completionTokens).toBe(1200)
  })

  it('start serves the sessions that are there, and those alone that name an endpoint', async () => {
    const { baseUrl, calls } = await serve(() => choices(['[a]', '[b]', '[c]']))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const named = await sessions.create(spec())
    const own = await sessions.create(spec({ resolver: undefined }))
    await resolver.start()
    expect((await score(sessions, named.id)).texts).toHaveLength(4)
    expect(calls).toHaveLength(1)
    const { queries } = await sessions.step(own.id, { count: 1 })
    expect(queries[0].wants[0].kind).toBe('score')
  })

  it('close gives up what is in flight and ends', async () => {
    let called = () => {}
    const inFlight = new Promise<void>((resolve) => {
      called = resolve
    })
    const { baseUrl } = await serve(() => called())
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec())
    resolver.attach(info)
    await score(sessions, info.id, 1)
    await inFlight
    await resolver.close()
    expect((await sessions.get(info.id)).counts.failed).toBe(0)
  })

  it('a session that is deleted is let go', async () => {
    const { baseUrl } = await serve(() => choices(['[a]']))
    const { sessions, resolver } = await setUp({ local: endpoint(baseUrl) })
    const info = await sessions.create(spec())
    resolver.attach(info)
    await sessions.delete(info.id)
    await resolver.close()
  })

  it('refuses endpoints that the operator did not configure, and endpoints without a model', async () => {
    const { resolver } = await setUp({ local: endpoint('http://127.0.0.1:9/v1', { model: undefined }) })
    expect(() => resolver.check(spec({ resolver: { endpoint: 'http://evil.example' } }))).toThrow(
      'resolver.endpoint: there is no endpoint "http://evil.example"; the operator configured: local',
    )
    expect(() => resolver.check(spec())).toThrow('resolver.model')
    resolver.check(spec({ resolver: { endpoint: 'local', model: 'm' } }))
    resolver.check({})
  })
})

describe('opro through the resolver and the local endpoint', () => {
  it('finds an instruction that the script follows to the right slugs', async () => {
    const local = await startLocalEndpoint()
    closing.push(() => local.close())
    const { sessions, resolver } = await setUp({ local: endpoint(local.baseUrl) })
    const wanted = ['Use lower case.', 'Remove punctuation.', 'Join the words with hyphens.']
    const titles = ['Hello, World', 'plain words', 'UPPER', 'one', "It's Me", 'a, b', 'Two Words', 'x!']
    const run = (sentences: string[], text: string) => sentences.reduce((t, s) => SENTENCES[s](t), text)
    const right = titles.map((title) => run(wanted, title))
    const accuracy = (instruction: string) => {
      const said = Object.keys(SENTENCES)
        .filter((s) => instruction.includes(s))
        .sort((a, b) => instruction.indexOf(a) - instruction.indexOf(b))
      return titles.filter((title, i) => run(said, title) === right[i]).length / titles.length
    }
    const info = await sessions.create(spec({ config: { maxSteps: 30 }, budget: { maxCalls: 30 } }))
    resolver.attach(info)
    await score(sessions, info.id, Infinity, accuracy)
    const { points } = await sessions.estimate(info.id)
    expect(points[0].values).toEqual([1])
  })
})
