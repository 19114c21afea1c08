/** Logs, metrics and traces of one server. Nothing here is global, and nothing here makes a call wait. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Attributes, type Context, type Span, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { type Logger, pino } from 'pino'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { AsktellError } from '../core/errors.js'
import { StepMetrics } from './step-metrics.js'

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60]

export class Telemetry {
  readonly registry = new Registry()
  readonly steps = new StepMetrics(this.registry)
  private readonly calls = new Counter({
    name: 'asktell_calls_total',
    help: 'Calls by method, transport and outcome (OK or the reason of the error).',
    labelNames: ['rpc', 'transport', 'code'],
    registers: [this.registry],
  })
  private readonly duration = new Histogram({
    name: 'asktell_call_seconds',
    help: 'From the arrival of a call to its end; of a stream, its whole life.',
    labelNames: ['rpc', 'transport'],
    buckets: SECONDS,
    registers: [this.registry],
  })
  /** Counted by hand, and given to a counter when it is read: a labelled increment per step costs more than the step's ask. */
  private asks = 0
  private readonly tells = new Map<string, number>()
  private readonly refusals = new Counter({
    name: 'asktell_refused_callers_total',
    help: 'Calls that the policy let nobody make, by reason.',
    labelNames: ['reason'],
    registers: [this.registry],
  })
  private readonly flush = new Histogram({
    name: 'asktell_journal_flush_seconds',
    help: 'From the append of a journal record to the disk that has it.',
    buckets: SECONDS,
    registers: [this.registry],
  })
  private readonly delay = monitorEventLoopDelay({ resolution: 10 })

  constructor(
    readonly log: Logger,
    readonly tracer: Tracer,
    activeCalls: () => number,
  ) {
    this.delay.enable()
    const { registry, delay } = this
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers: [registry],
        collect() {
          this.set(read())
        },
      })
    const { tells } = this
    const counted = (name: string, help: string, label: string | undefined, read: () => Iterable<[string, number]>) =>
      new Counter({
        name,
        help,
        labelNames: label ? [label] : [],
        registers: [registry],
        collect() {
          this.reset()
          for (const [key, count] of read()) this.inc(label ? { [label]: key } : {}, count)
        },
      })
    counted('asktell_asks_total', 'Queries handed out.', undefined, () => [['', this.asks]])
    counted('asktell_tells_total', 'Observations taken, by status.', 'status', () => tells)
    gauge('asktell_active_calls', 'Calls and streams that have not ended.', activeCalls)
    gauge(
      'asktell_event_loop_lag_seconds',
      '99th percentile of the delay of the event loop since the last scrape.',
      () => {
        const p99 = delay.percentile(99) / 1e9
        delay.reset()
        return p99
      },
    )
    gauge('asktell_resident_memory_bytes', 'Resident memory of the process.', () => process.memoryUsage.rss())
    gauge('asktell_uptime_seconds', 'Age of the process.', () => process.uptime())
  }

  /** Runs what a call does to a session in a span of its own, below that of the call. */
  span<T>(name: string, attributes: Attributes, call: { trace: Context }, work: () => Promise<T>): Promise<T> {
    const span = this.tracer.startSpan(name, { attributes }, call.trace)
    return span.isRecording() ? recorded(span, work) : work()
  }

  call(rpc: string, transport: string, code: string, seconds: number): void {
    this.calls.inc({ rpc, transport, code })
    this.duration.observe({ rpc, transport }, seconds)
  }

  asked(count: number): void {
    this.asks += count
  }

  told(status: string): void {
    this.tells.set(status, (this.tells.get(status) ?? 0) + 1)
  }

  refused(reason: string): void {
    this.refusals.inc({ reason })
  }

  flushed(seconds: number): void {
    this.flush.observe(seconds)
  }

  close(): void {
    this.delay.disable()
  }
}

/** JSON lines on standard error; standard output belongs to the ready line. Credentials never reach a line. */
export const createLog = (level: string): Logger =>
  pino(
    {
      level,
      base: undefined,
      redact: ['*.authorization', '*["x-api-key"]', 'authorization', '["x-api-key"]', '*.apiKey', 'apiKey'],
    },
    pino.destination({ dest: 2, sync: false }),
  )

/**
 * Spans go to the OTLP endpoint of the environment, when it names one; else to whatever the embedding process has
 * registered with the OpenTelemetry API, which is nothing by default. Exports happen in batches in the background and
 * are dropped when the collector is slow. The service is "asktell" unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES
 * names it.
 */
export async function createTracer(
  endpoint: string | undefined,
): Promise<{ tracer: Tracer; close: () => Promise<void> }> {
  if (!endpoint) return { tracer: trace.getTracer('asktell'), close: async () => {} }
  const { NodeTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-node')
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  const { defaultResource, detectResources, envDetector, resourceFromAttributes } = await import(
    '@opentelemetry/resources'
  )
  const provider = new NodeTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'asktell' }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` })),
    ],
  })
  return { tracer: provider.getTracer('asktell'), close: () => provider.shutdown().catch(() => {}) }
}

async function recorded<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    span.recordException(error as Error)
    const message = error instanceof AsktellError ? error.reason : 'INTERNAL'
    span.setStatus({ code: SpanStatusCode.ERROR, message })
    throw error
  } finally {
    span.end()
  }
}
