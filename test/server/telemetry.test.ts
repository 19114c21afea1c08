import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { SpanStatusCode } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { pino } from 'pino'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { remoteContext } from '../../src/server/call.js'
import { createTracer } from '../../src/server/telemetry.js'
import { harness, json, searchSession } from './clients.js'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const lines: string[] = []
const log = pino(
  { level: 'debug' },
  new Writable({
    write(line, _encoding, done) {
      lines.push(String(line))
      done()
    },
  }),
)
const h = harness({}, { tracer: provider.getTracer('test'), log })

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const traceparent = `00-${TRACE}-${PARENT}-01`

describe('traces', () => {
  beforeEach(() => exporter.reset())

  const expectTrace = (rpc: string) => {
    const spans = exporter.getFinishedSpans()
    const server = spans.find(({ name }) => name === `asktell.v1.Asktell/${rpc}`)
    const inner = spans.find(({ name }) => name === 'session.step')
    expect(server?.spanContext().traceId).toBe(TRACE)
    expect(server?.parentSpanContext?.spanId).toBe(PARENT)
    expect(inner?.spanContext().traceId).toBe(TRACE)
    expect(inner?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId)
  }

  it('go on from the caller into the session, over both transports', async () => {
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 't' })
    exporter.reset()
    await h.grpc.unary('ask', { name: 'sessions/t' }, { traceparent })
    expectTrace('Ask')
    exporter.reset()
    await json(`${h.url}/v1/sessions/t:step`, 'POST', {}, { traceparent })
    expectTrace('Step')
  })

  it('have a span of every change of a session, which says when it failed', async () => {
    const name = 'sessions/t2'
    await h.grpc.unary('createSession', { session: searchSession, sessionId: 't2' })
    await h.grpc.unary('ask', { name })
    await h.grpc.unary('report', { name, queryId: 'q0', step: 1n, value: 0.5 })
    await h.grpc.unary('updateSession', {
      session: { name, displayName: 'x' },
      updateMask: { paths: ['display_name'] },
    })
    await h.grpc.unary('forkSession', { name, sessionId: 't3' })
    await h.grpc
      .clientStream('importSession', [{ sessionId: 't4', data: Buffer.from(JSON.stringify({ problem: {} })) }])
      .catch(() => {})
    await h.grpc.unary('deleteSession', { name })
    await h.grpc.unary('tell', { name, observations: [{ queryId: 'q9' }] }).catch(() => {})
    const spans = exporter.getFinishedSpans().filter((span) => span.name.startsWith('session.'))
    expect(spans.map((span) => [span.name, span.status.code])).toEqual([
      ['session.create', SpanStatusCode.UNSET],
      ['session.step', SpanStatusCode.UNSET],
      ['session.report', SpanStatusCode.UNSET],
      ['session.update', SpanStatusCode.UNSET],
      ['session.fork', SpanStatusCode.UNSET],
      ['session.import', SpanStatusCode.ERROR],
      ['session.delete', SpanStatusCode.UNSET],
      ['session.step', SpanStatusCode.ERROR],
    ])
    expect(spans.every((span) => span.parentSpanContext)).toBe(true)
    expect(spans.at(-1)).toMatchObject({ status: { message: 'SESSION_NOT_FOUND' }, events: [{ name: 'exception' }] })
  })

  it('begin anew when the header is no trace context', () => {
    for (const bad of [undefined, '', 'nonsense', `00-${TRACE}-${PARENT}`, `ff-${TRACE}-${PARENT}-01`])
      expect(remoteContext(bad)).toBe(remoteContext(undefined))
  })

  it('mark calls that fail', async () => {
    await h.grpc.unary('getSession', { name: 'sessions/none' }).catch(() => {})
    expect(exporter.getFinishedSpans()[0].status).toEqual({ code: 2, message: 'SESSION_NOT_FOUND' })
  })
})

describe('the service of traces', () => {
  const exported = async () => {
    const bodies: string[] = []
    const collector = createServer(async (request, response) => {
      bodies.push(await text(request))
      response.end('{}')
    })
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    const { tracer, close } = await createTracer(`http://127.0.0.1:${(collector.address() as AddressInfo).port}`)
    tracer.startSpan('one').end()
    await close()
    await new Promise((resolve) => collector.close(resolve))
    const [{ resource }] = JSON.parse(bodies[0]).resourceSpans
    const found = resource.attributes.find(({ key }: { key: string }) => key === 'service.name')
    return found.value.stringValue
  }

  it('is asktell, or what the environment says', async () => {
    expect(await exported()).toBe('asktell')
    vi.stubEnv('OTEL_SERVICE_NAME', 'tuner')
    expect(await exported()).toBe('tuner')
    vi.unstubAllEnvs()
  })
})

describe('logs', () => {
  it('have a line per call with its outcome and request id', async () => {
    lines.length = 0
    await h.grpc.unary('getSession', { name: 'sessions/none' }, { 'x-request-id': 'find-me' }).catch(() => {})
    const line = lines.map((text) => JSON.parse(text)).find(({ requestId }) => requestId === 'find-me')
    expect(line).toMatchObject({ rpc: 'GetSession', transport: 'grpc', code: 'SESSION_NOT_FOUND' })
  })

  it('say what was not foreseen, which the caller is not told', async () => {
    lines.length = 0
    h.sessions.override = async () => {
      throw new TypeError('a secret of the inside')
    }
    const response = await json(`${h.url}/v1/sessions/t:step`, 'POST', {})
    h.sessions.override = undefined
    const problem = await response.json()
    expect(problem.code).toBe('INTERNAL')
    expect(JSON.stringify(problem)).not.toContain('secret')
    expect(lines.join('')).toContain('a secret of the inside')
  })
})
