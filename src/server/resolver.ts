/**
 * Answers the completion queries of sessions that name an endpoint, with whatever OpenAI-compatible service the operator
 * configured under that name. A worker like any other: it asks with `step`, under the name that the session layer keeps
 * for it, and tells what it got and what that cost. Budgets are the session's; so is every retry of a failed query.
 */
import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import OpenAI from 'openai'
import { wellFormed } from '../blackbox/prompt/dialogue.js'
import { AsktellError, refuse } from '../core/errors.js'
import type { Observation, Usage, Want } from '../core/query.js'
import type { LeasedQuery, SessionInfo, SessionSpec, Sessions, StepResult } from '../sessions/api.js'
import { RESOLVER } from '../sessions/index.js'
import type { LlmEndpoint } from './config.js'
import { backOff, delay, PAUSE, passing, pause, RETRIES } from './retry.js'
import { Spending } from './spending.js'

/** Milliseconds that one ask waits for a query. */
const WAIT = 20_000
const LONGEST_MESSAGE = 500
/** Timers take no more milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1

type Completion = Extract<Want, { kind: 'completion' }>
type Used = Required<Usage>
type Endpoint = LlmEndpoint & { client: OpenAI; secret?: string }
/** `warn` gets what an operator should see: an endpoint that fails, a session that cannot be served. */
export type ResolverHooks = { warn?: (message: string, fields: Record<string, unknown>) => void }

export class Resolver {
  private readonly endpoints = new Map<string, Endpoint>()
  private readonly serving = new Map<string, Promise<void>>()
  private readonly closed = new AbortController()

  constructor(
    private readonly sessions: Sessions,
    endpoints: Readonly<Record<string, LlmEndpoint>>,
    private readonly hooks: ResolverHooks = {},
  ) {
    // Every session and every call in flight listens to this signal.
    setMaxListeners(0, this.closed.signal)
    for (const [name, endpoint] of Object.entries(endpoints)) {
      const { baseUrl: baseURL, apiKeyFile, timeoutSeconds } = endpoint
      const secret = endpoint.apiKey ?? (apiKeyFile ? readFileSync(apiKeyFile, 'utf8').trim() : undefined)
      const client = new OpenAI({
        baseURL,
        // Local servers want no key, but the client library insists on one.
        apiKey: secret ?? 'none',
        timeout: 1000 * timeoutSeconds,
        maxRetries: 0,
        logLevel: 'off',
        // Else the library takes these from the environment, and sends them to every endpoint.
        organization: null,
        project: null,
      })
      this.endpoints.set(name, { ...endpoint, client, secret })
    }
  }

  /** Refuses a session that names an endpoint or needs a model that the operator did not configure. */
  check({ resolver }: Pick<SessionSpec, 'resolver'>): void {
    if (!resolver) return
    const endpoint = this.endpoints.get(resolver.endpoint)
    const known = [...this.endpoints.keys()].join(', ') || 'none'
    if (!endpoint) {
      const message = `there is no endpoint "${resolver.endpoint}"; the operator configured: ${known}`
      refuse('INVALID_ARGUMENT', [{ path: 'resolver.endpoint', message }])
    } else if (!resolver.model && !endpoint.model)
      refuse('INVALID_ARGUMENT', [
        { path: 'resolver.model', message: `endpoint "${resolver.endpoint}" has no model of its own` },
      ])
  }

  /** Serves all sessions that wait for a resolver: at the start of a server. */
  async start(): Promise<void> {
    let pageToken: string | undefined
    do {
      const page = await this.sessions.list({ pageToken })
      for (const info of page.items) this.attach(info)
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  /** Serves a session until it is done or gone. Does nothing for one without a resolver, or one that is served already. */
  attach({ id, resolver, state }: Pick<SessionInfo, 'id' | 'resolver' | 'state'>): void {
    if (!resolver || state === 'done' || this.serving.has(id) || this.closed.signal.aborted) return
    const endpoint = this.endpoints.get(resolver.endpoint)
    const model = resolver.model || endpoint?.model
    if (!endpoint || !model) {
      this.hooks.warn?.('a session names an endpoint that is not configured', {
        session: id,
        endpoint: resolver.endpoint,
      })
      return
    }
    const served = new Serving(this.sessions, id, endpoint, model, this.closed.signal, this.hooks)
      .run()
      .finally(() => this.serving.delete(id))
    this.serving.set(id, served)
  }

  /** Gives up what is in flight (leases bring those queries back) and resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.closed.abort()
    await Promise.all(this.serving.values())
  }
}

/** One session being served. */
class Serving {
  private readonly inFlight = new Set<Promise<void>>()
  /** Failures of the endpoint in a row: a session's tries must not burn while an endpoint is down. */
  private failures = 0
  private readonly spending: Spending

  constructor(
    private readonly sessions: Sessions,
    private readonly id: string,
    private readonly endpoint: Endpoint,
    private readonly model: string,
    private readonly closed: AbortSignal,
    private readonly hooks: ResolverHooks,
  ) {
    this.spending = new Spending(sessions, id, endpoint)
  }

  async run(): Promise<void> {
    let trouble = 0
    while (!this.closed.aborted) {
      const room = this.failures > 0 ? 1 : this.endpoint.maxConcurrent
      if (this.inFlight.size >= room) {
        await Promise.race(this.inFlight)
        continue
      }
      if (this.failures > 0) await pause(backOff(this.failures), this.closed)
      const result = await this.ask(room - this.inFlight.size)
      if (result === 'gone') break
      if (result === 'later') {
        await pause(backOff(++trouble), this.closed)
        continue
      }
      trouble = 0
      this.take(result)
      if (result.state === 'done') break
      if (result.queries.length === 0) await pause(result.state === 'paused' ? WAIT / 4 : PAUSE, this.closed)
    }
    await Promise.all(this.inFlight)
  }

  private take({ queries }: StepResult): void {
    for (const query of queries) {
      const job = this.answer(query).finally(() => this.inFlight.delete(job))
      this.inFlight.add(job)
    }
  }

  private async ask(count: number): Promise<StepResult | 'gone' | 'later'> {
    try {
      const { calls, tokens, money } = await this.spending.left()
      // Every query in flight may make one more call.
      const left = tokens > 0 && money > 0 ? calls - this.inFlight.size : 0
      if (left <= 0 && this.inFlight.size > 0) await Promise.race(this.inFlight)
      const step = { count: Math.max(0, Math.min(count, left)), wait: WAIT, worker: RESOLVER, signal: this.closed }
      return await this.sessions.step(this.id, step)
    } catch (error) {
      return this.later(error) ? 'later' : 'gone'
    }
  }

  /** Whether a refused step may go through later. */
  private later(error: unknown): boolean {
    const reason = error instanceof AsktellError ? error.reason : 'INTERNAL'
    if (reason === 'SESSION_NOT_FOUND' || reason === 'SESSION_CLOSED' || this.closed.aborted) return false
    this.hooks.warn?.('a session could not be served', { session: this.id, reason, error: String(error) })
    return true
  }

  private async answer(query: LeasedQuery): Promise<void> {
    const [want] = query.wants
    if (want?.kind !== 'completion') return
    const { observation, usage } = await this.complete(query, want)
    await this.spending.settle(usage, () => this.tell(query, { ...observation, usage }))
  }

  private async tell(query: LeasedQuery, observation: Observation): Promise<void> {
    for (let failures = 1; !this.closed.aborted; failures++) {
      try {
        const requestId = `${RESOLVER}-${query.id}-${query.attempt}`
        await this.sessions.step(this.id, { observations: [observation], count: 0, worker: RESOLVER, requestId })
        return
      } catch (error) {
        // Answered by an earlier try, or closed meanwhile: there is nobody left to tell.
        const reason = error instanceof AsktellError ? error.reason : 'INTERNAL'
        if (reason === 'QUERY_RESOLVED' || reason === 'QUERY_NOT_FOUND' || !this.later(error) || failures > RETRIES)
          return
        await pause(backOff(failures), this.closed)
      }
    }
  }

  private async complete(query: LeasedQuery, want: Completion): Promise<{ observation: Observation; usage: Used }> {
    const completions: string[] = []
    const usage: Used = { calls: 0, promptTokens: 0, completionTokens: 0, money: 0 }
    const failed = (message: string): Observation => ({
      queryId: query.id,
      status: 'failed',
      message: `model endpoint: ${message}`,
    })
    // An answer after the end of its lease would be given for nothing.
    const left = Math.min(Math.max(1, query.leaseUntil - Date.now()), LONGEST_TIMER)
    const signal = AbortSignal.any([this.closed, AbortSignal.timeout(left)])
    let tries = 0
    try {
      // Some servers give one choice per call, whatever `n` says.
      while (completions.length < want.count) {
        signal.throwIfAborted()
        const missing = want.count - completions.length
        let texts: string[] | undefined
        try {
          texts = await this.call(want, missing, usage, signal)
        } catch (error) {
          if (!passing(error) || ++tries > RETRIES) throw error
          await pause(delay(error) ?? backOff(tries), signal)
          continue
        }
        if (!texts) break
        completions.push(...texts.slice(0, missing))
      }
      if (completions.length === 0) return { observation: failed("the session's budget is used up"), usage }
      this.failures = 0
      return { observation: { queryId: query.id, status: 'ok', completions }, usage }
    } catch (error) {
      if (!this.closed.aborted) this.failures++
      const message = this.describe(error)
      this.hooks.warn?.('an endpoint failed', { session: this.id, query: query.id, error: message })
      return { observation: failed(message), usage }
    }
  }

  /** One call, added to `usage` whatever comes of it; undefined when the session's budget has no room for it. */
  private async call(want: Completion, n: number, usage: Used, signal: AbortSignal): Promise<string[] | undefined> {
    const { client, promptTokenPrice, completionTokenPrice } = this.endpoint
    const messages = want.messages.map(({ role, content }) => ({ role, content }))
    const promptBytes = Buffer.byteLength(JSON.stringify(messages))
    const permit = await this.spending.permit({ choices: n, promptBytes, maxTokens: want.maxTokens })
    if (!permit) return undefined
    const used: Used = { calls: 0, promptTokens: 0, completionTokens: 0, money: 0 }
    try {
      signal.throwIfAborted()
      used.calls = 1
      const { model } = this
      const limit = permit.maxTokens === undefined ? {} : { max_tokens: permit.maxTokens }
      const request = { model, messages, n, temperature: want.temperature, ...limit }
      const reply = await client.chat.completions.create(request, { signal })
      used.promptTokens = reply.usage?.prompt_tokens ?? 0
      used.completionTokens = reply.usage?.completion_tokens ?? 0
      used.money = used.promptTokens * promptTokenPrice + used.completionTokens * completionTokenPrice
      const texts = (reply.choices ?? []).map(({ message }) => wellFormed(message?.content ?? ''))
      if (texts.length === 0) throw new Error('the reply has no choices')
      return texts
    } finally {
      permit.end(used)
      for (const key of Object.keys(used) as (keyof Used)[]) usage[key] += used[key]
    }
  }

  /** What went wrong, without the operator's key: clients of the session read it. */
  private describe(error: unknown): string {
    const text = wellFormed(error instanceof Error ? error.message : String(error))
    const { secret } = this.endpoint
    return (secret ? text.replaceAll(secret, '***') : text).slice(0, LONGEST_MESSAGE)
  }
}
