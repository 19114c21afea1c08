/** Sessions, patches and events between protocol and domain. */
import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf'
import type { FieldMask } from '@bufbuild/protobuf/wkt'
import {
  type AuditEntrySchema,
  Direction as ProtoDirection,
  Durability as ProtoDurability,
  type Session as ProtoSession,
  SessionState as ProtoSessionState,
  type SessionSchema,
  type WatchEventSchema,
} from '../../core/gen/asktell/v1/session_pb.js'
import type { Direction, Objective, Problem } from '../../core/space.js'
import type {
  Budget,
  Durability,
  Encodings,
  Patch,
  SessionInfo,
  SessionSpec,
  SessionState,
  WatchEvent,
} from '../../sessions/api.js'
import type { AuditEntry } from '../../sessions/edits.js'
import { count, duration, enumTable, fail, idOf, int64, quote, seconds, timestamp, unlessEmpty } from './basics.js'
import { statuses } from './query.js'
import { spaceFromProto, spaceToProto } from './space.js'
import { lossies } from './tensors.js'

const directions = enumTable<ProtoDirection, Direction>([
  [ProtoDirection.MINIMIZE, 'minimize'],
  [ProtoDirection.MAXIMIZE, 'maximize'],
])
const durabilities = enumTable<ProtoDurability, Durability>([
  [ProtoDurability.JOURNAL, 'journal'],
  [ProtoDurability.SNAPSHOT, 'snapshot'],
])
export const states = enumTable<ProtoSessionState, SessionState>([
  [ProtoSessionState.RUNNING, 'running'],
  [ProtoSessionState.DONE, 'done'],
  [ProtoSessionState.PAUSED, 'paused'],
])

export function specFromProto(s: ProtoSession | undefined): SessionSpec {
  if (!s) return fail('session', 'is missing')
  if (!s.method) fail('session.method', 'expected the id of a method')
  const problem: Problem = {
    space: spaceFromProto(s.space, 'session.space'),
    objectives: objectivesFromProto(s),
    ...(s.constraints.length > 0 && { constraints: s.constraints }),
    ...(s.task && {
      task: {
        description: s.task.description,
        examples: unlessEmpty(s.task.examples.map(({ input, expected }) => ({ input, expected }))),
      },
    }),
  }
  return {
    displayName: s.displayName || undefined,
    method: s.method,
    config: s.config,
    problem,
    pruner: s.pruner && { method: s.pruner.method, config: s.pruner.config },
    budget: s.budget && budgetFromProto(s.budget, 'session.budget'),
    durability: durabilities.read(s.durability, 'session.durability'),
    resolver: s.resolver && { endpoint: s.resolver.endpoint, model: s.resolver.model || undefined },
    seed: s.seed === undefined ? undefined : count(s.seed, 'session.seed'),
    lease: s.lease && seconds(s.lease, 'session.lease'),
    labels: Object.keys(s.labels).length > 0 ? s.labels : undefined,
    offers: unlessEmpty(s.offers),
    encodings: s.encodings && encodingsFromProto(s.encodings, 'session.encodings'),
    prefetch: s.prefetch,
    warmStartFrom: unlessEmpty(
      s.warmStartFrom.map((name, i) => idOf('sessions', name, `session.warm_start_from[${i}]`)),
    ),
  }
}

function objectivesFromProto(s: ProtoSession): Objective[] {
  if (s.objectives.length === 0) return [{ name: 'objective', direction: 'minimize' }]
  return s.objectives.map(({ name, direction }, i) => ({
    name: name || (s.objectives.length === 1 ? 'value' : fail(`session.objectives[${i}].name`, 'expected a name')),
    direction:
      directions.read(direction, `session.objectives[${i}].direction`) ??
      fail(`session.objectives[${i}].direction`, 'expected MINIMIZE or MAXIMIZE'),
  }))
}

function encodingsFromProto({ density, ...lists }: NonNullable<ProtoSession['encodings']>, path: string): Encodings {
  const read = (field: 'gradients' | 'parameters') =>
    lists[field].map((number, i) => {
      const at = `${path}.${field}[${i}]`
      return lossies.read(number, at) ?? fail(at, 'expected an encoding')
    })
  return { gradients: read('gradients'), parameters: read('parameters'), density }
}

function budgetFromProto(budget: NonNullable<ProtoSession['budget']>, path: string): Budget {
  if (!(budget.maxMoney >= 0)) fail(`${path}.max_money`, `expected a number >= 0, got ${budget.maxMoney}`)
  return {
    maxEvaluations: count(budget.maxEvaluations, `${path}.max_evaluations`),
    maxCalls: count(budget.maxCalls, `${path}.max_calls`),
    maxTokens: count(budget.maxTokens, `${path}.max_tokens`),
    maxMoney: budget.maxMoney,
  }
}

/** Fields of a session that may change; without a mask, those that the request sets (AIP-134). */
export function patchFromProto(s: ProtoSession, mask: FieldMask | undefined): Patch {
  const set: Record<string, boolean> = {
    display_name: s.displayName !== '',
    labels: Object.keys(s.labels).length > 0,
    budget: s.budget !== undefined,
    state: s.state !== 0,
    config: s.config !== undefined,
  }
  const paths = mask && mask.paths.length > 0 ? mask.paths : Object.keys(set).filter((name) => set[name])
  const patch: Patch = {}
  paths.forEach((path, i) => {
    const [name, ...rest] = path.split('.')
    switch (name) {
      case 'display_name':
        patch.displayName = s.displayName
        return
      case 'labels':
        patch.labels = s.labels
        return
      case 'budget':
        patch.budget = s.budget ? budgetFromProto(s.budget, 'session.budget') : {}
        return
      case 'state':
        patch.state = states.read(s.state, 'session.state') ?? fail('session.state', 'expected RUNNING, PAUSED or DONE')
        return
      case 'config':
        // "config.learningRate" changes one field, "config" all that the request holds.
        patch.config =
          rest.length === 0
            ? { ...patch.config, ...s.config }
            : { ...patch.config, [rest.join('.')]: s.config?.[rest.join('.')] }
        return
      default:
        fail(
          `update_mask.paths[${i}]`,
          `${quote(path)} cannot be changed; display_name, labels, budget, state, config can`,
          'NOT_MUTABLE',
        )
    }
  })
  return patch
}

export function sessionToProto(info: SessionInfo): MessageInitShape<typeof SessionSchema> {
  const { problem, budget, counts, usage } = info
  return {
    name: `sessions/${info.id}`,
    displayName: info.displayName,
    method: info.method,
    config: info.config as JsonObject,
    space: spaceToProto(problem.space),
    objectives: problem.objectives.map(({ name, direction }) => ({ name, direction: directions.write(direction) })),
    constraints: [...(problem.constraints ?? [])],
    task: problem.task && {
      description: problem.task.description,
      examples: problem.task.examples?.map(({ input, expected }) => ({ input, expected })),
    },
    pruner: info.pruner && { method: info.pruner.method, config: info.pruner.config as JsonObject },
    budget: budget && {
      maxEvaluations: int64(budget.maxEvaluations ?? 0),
      maxCalls: int64(budget.maxCalls ?? 0),
      maxTokens: int64(budget.maxTokens ?? 0),
      maxMoney: budget.maxMoney,
    },
    durability: durabilities.write(info.durability),
    resolver: info.resolver && { ...info.resolver },
    seed: int64(info.seed),
    lease: duration(info.lease),
    labels: info.labels && { ...info.labels },
    offers: [...(info.offers ?? [])],
    encodings: info.encodings && {
      gradients: info.encodings.gradients?.map(lossies.write),
      parameters: info.encodings.parameters?.map(lossies.write),
      density: info.encodings.density,
    },
    prefetch: info.prefetch,
    warmStartFrom: info.warmStartFrom?.map((id) => `sessions/${id}`),
    state: states.write(info.state),
    statusMessage: info.statusMessage,
    revision: int64(info.revision),
    configHash: info.configHash,
    createTime: timestamp(info.createTime),
    updateTime: timestamp(info.updateTime),
    counts: {
      asked: int64(counts.asked),
      told: int64(counts.told),
      open: int64(counts.open),
      failed: int64(counts.failed),
      pruned: int64(counts.pruned),
    },
    usage: {
      calls: int64(usage.calls),
      promptTokens: int64(usage.promptTokens),
      completionTokens: int64(usage.completionTokens),
      money: usage.money,
    },
    forkedFrom: info.forkedFrom && `sessions/${info.forkedFrom.id}@${info.forkedFrom.revision}`,
    stateHash: info.stateHash,
  }
}

export function auditToProto(entry: AuditEntry): MessageInitShape<typeof AuditEntrySchema> {
  return {
    revision: int64(entry.revision),
    time: timestamp(entry.time),
    principal: entry.by,
    action: entry.action,
    trial: entry.trial === undefined ? undefined : int64(entry.trial),
    reason: entry.reason,
    before: entry.before && plain(entry.before),
    after: entry.after && plain(entry.after),
  }
}
/** As JSON: without what is undefined, numbers that JSON lacks as text. */
const plain = (data: object): JsonObject =>
  JSON.parse(
    JSON.stringify(data, (_, value) => (typeof value === 'number' && !Number.isFinite(value) ? `${value}` : value)),
  )

export function eventToProto(event: WatchEvent): MessageInitShape<typeof WatchEventSchema> {
  return {
    revision: int64(event.revision),
    time: timestamp(event.time),
    type: event.type,
    queryId: event.queryId,
    trial: event.trial === undefined ? undefined : int64(event.trial),
    status:
      event.status === undefined ? undefined : statuses.write(event.status as Parameters<typeof statuses.write>[0]),
    values: [...(event.values ?? [])],
    best: event.best,
    metrics: { ...event.metrics },
    message: event.message,
    more: event.more,
  }
}
