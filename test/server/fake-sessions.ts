/**
 * The `Sessions` interface at its smallest, in memory: enough to exercise a transport. A search space is answered with
 * the middle of each range, a tensor space with its parameters under plain gradient descent.
 */
import { AsktellError, refuse } from '../../src/core/errors.js'
import { checkSpace } from '../../src/core/space.js'
import type { FloatArray } from '../../src/core/tensor.js'
import { elements } from '../../src/core/tensor.js'
import type { LeasedQuery, SessionInfo, Sessions, StepInput, StepResult, WatchEvent } from '../../src/sessions/api.js'
import { Copies } from '../../src/sessions/copies.js'

type Held = {
  copies: Copies
  info: SessionInfo
  open: Map<string, LeasedQuery>
  answered: Map<string, StepResult>
  parameters: Record<string, FloatArray>
  events: WatchEvent[]
  changed: () => void
}

export type FakeSessions = Sessions & {
  /** Inputs of every step, in order. */
  steps: StepInput[]
  /** Replaces what `step` does, for one test. */
  override?: (id: string, input: StepInput) => Promise<StepResult>
  notReady?: string
  closed: boolean
}

export function fakeSessions(): FakeSessions {
  const held = new Map<string, Held>()
  const find = (id: string): Held => {
    const found = held.get(id)
    if (!found) throw new AsktellError('SESSION_NOT_FOUND', `there is no session "${id}"`)
    return found
  }
  const emit = (session: Held, type: WatchEvent['type'], more: Partial<WatchEvent> = {}) => {
    session.info.revision++
    session.events.push({ revision: session.info.revision, time: 1e12, type, ...more })
    session.changed()
  }

  const fake: FakeSessions = {
    steps: [],
    closed: false,
    async create(spec, options = {}) {
      refuse('SPACE_INVALID', checkSpace(spec.problem.space))
      const id = options.id ?? `s${held.size}`
      if (held.has(id)) throw new AsktellError('SESSION_EXISTS', `session "${id}" exists`)
      const { space } = spec.problem
      const info: SessionInfo = {
        ...spec,
        id,
        config: spec.config ?? {},
        seed: spec.seed ?? 1,
        lease: spec.lease ?? 600,
        durability: spec.durability ?? 'journal',
        state: 'running',
        statusMessage: '',
        revision: 0,
        configHash: 'hash',
        createTime: 1e12,
        updateTime: 1e12,
        counts: { asked: 0, told: 0, open: 0, failed: 0, pruned: 0 },
        usage: { calls: 0, promptTokens: 0, completionTokens: 0, money: 0 },
        stateHash: 'state',
      }
      const parameters: Record<string, FloatArray> = {}
      if (space.kind === 'tensors')
        for (const { name, shape, dtype } of space.tensors) {
          const n = elements(shape)
          parameters[name] =
            space.initial?.[name]?.slice() ?? (dtype === 'f64' ? new Float64Array(n) : new Float32Array(n))
        }
      const session: Held = {
        copies: new Copies(),
        info,
        open: new Map(),
        answered: new Map(),
        parameters,
        events: [],
        changed: () => {},
      }
      held.set(id, session)
      emit(session, 'created')
      return { ...info }
    },
    copies: async (id) => find(id).copies,
    get: async (id) => ({ ...find(id).info }),
    list: async () => ({ items: [...held.values()].map(({ info }) => info), nextPageToken: '' }),
    async update(id, patch) {
      const session = find(id)
      Object.assign(session.info, patch, { config: { ...(session.info.config as object), ...patch.config } })
      emit(session, 'reconfigured')
      return { ...session.info }
    },
    async delete(id) {
      find(id)
      held.delete(id)
    },
    async step(id, input) {
      fake.steps.push(input)
      if (fake.override) return fake.override(id, input)
      const session = find(id)
      const { info, open, answered } = session
      const stored = input.requestId && answered.get(input.requestId)
      if (stored) return { ...stored, repeated: true }
      if (input.expectedRevision !== undefined && input.expectedRevision !== info.revision)
        throw new AsktellError('REVISION_MISMATCH', `the session is at revision ${info.revision}`)
      input.observations?.forEach((o, i) => {
        if (!open.has(o.queryId))
          refuse2(`observations[${i}].query_id`, `the session never asked ${JSON.stringify(o.queryId)}`)
      })
      for (const o of input.observations ?? []) {
        open.delete(o.queryId)
        info.counts.told++
        const [gradient] = o.gradients ?? []
        for (const [name, g] of Object.entries(gradient ?? {}))
          session.parameters[name].forEach((x, k) => {
            session.parameters[name][k] = x - 0.1 * g[k]
          })
        emit(session, 'told', { queryId: o.queryId, status: o.status, values: o.values?.[0] })
      }
      const queries: LeasedQuery[] = []
      for (let n = 0; n < input.count; n++) {
        const number = info.counts.asked++
        const { space } = info.problem
        const query: LeasedQuery = {
          id: `q${number}`,
          leaseUntil: 1e12 + 600_000,
          attempt: 1,
          ...(space.kind === 'tensors'
            ? { points: [{ kind: 'view', name: 'x' }], wants: [{ kind: 'gradient' }], purpose: 'step' }
            : {
                points: [{ kind: 'params', params: middle(info) }],
                wants: [{ kind: 'value' }],
                trial: number,
              }),
        }
        open.set(query.id, query)
        queries.push(query)
        emit(session, 'asked', { queryId: query.id })
      }
      const result: StepResult = {
        revision: info.revision,
        queries,
        state: info.state,
        statusMessage: '',
        repeated: false,
        released: false,
        metrics: { told: info.counts.told },
      }
      if (input.requestId) answered.set(input.requestId, result)
      return result
    },
    view: async (id, _name, read) => read(find(id).parameters),
    land: async () => undefined,
    async report(id, { value }) {
      const session = find(id)
      emit(session, 'reported')
      return { prune: value > 10, reason: value > 10 ? 'worse than the median' : '', revision: session.info.revision }
    },
    async estimate(id) {
      const { info } = find(id)
      const point =
        info.problem.space.kind === 'tensors'
          ? ({ kind: 'view', name: 'x' } as const)
          : ({ kind: 'params', params: middle(info) } as const)
      return { kind: 'iterate', points: [{ point }], step: info.counts.told, revision: info.revision }
    },
    async analyze(id) {
      const { info } = find(id)
      const objective = info.problem.objectives[0].name
      return { objective, trials: 0, leftOut: [], charts: [], revision: info.revision }
    },
    async trials(id) {
      const { info } = find(id)
      const items = Array.from({ length: info.counts.asked }, (_, number) => ({
        number,
        queryId: `q${number}`,
        state: 'running' as const,
        params: middle(info),
        intermediates: [],
        createTime: 1e12,
      }))
      return { items, nextPageToken: '' }
    },
    editSpace: unsupported,
    correctTrial: unsupported,
    deleteTrial: unsupported,
    audit: async () => ({ items: [], nextPageToken: '' }),
    async *watch(id, after, signal) {
      const session = find(id)
      for (let at = session.events.findIndex(({ revision }) => revision > after); !signal.aborted; ) {
        if (at < 0) at = session.events.length
        if (at < session.events.length) yield session.events[at++]
        else
          await new Promise<void>((resolve) => {
            session.changed = resolve
            signal.addEventListener('abort', () => resolve(), { once: true })
          })
      }
    },
    async fork(id, options) {
      const { info } = find(id)
      const forked = await fake.create(info, { id: options.id })
      return { ...forked, forkedFrom: { id, revision: options.revision ?? info.revision } }
    },
    async *export(id) {
      yield Buffer.from(JSON.stringify(find(id).info))
      yield new Uint8Array(3_000_000)
    },
    async import(chunks, options) {
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) parts.push(chunk)
      const bytes = Buffer.concat(parts)
      if (bytes[0] !== 0x7b) throw new AsktellError('MALFORMED', 'data: this is no exported session')
      const info = JSON.parse(bytes.subarray(0, bytes.lastIndexOf('}') + 1).toString()) as SessionInfo
      return fake.create(info, { id: options?.id ?? `${info.id}-imported` })
    },
    ready: async () => ({ ready: !fake.notReady, reason: fake.notReady }),
    async close() {
      fake.closed = true
    },
  }
  return fake
}

async function unsupported(): Promise<never> {
  throw new AsktellError('UNSUPPORTED', 'the fake has no such call')
}

function refuse2(path: string, message: string): never {
  throw new AsktellError('QUERY_NOT_FOUND', `${path}: ${message}`, { issues: [{ path, message }] })
}

function middle(info: SessionInfo) {
  const { space } = info.problem
  if (space.kind !== 'search') return {}
  return Object.fromEntries(
    space.parameters.map((p) => {
      if (p.type === 'permutation') return [p.name, p.items]
      return [p.name, 'choices' in p ? p.choices[0] : (p.low + p.high) / 2]
    }),
  )
}
