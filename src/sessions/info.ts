/** What clients see of a session. */
import { createHash } from 'node:crypto'
import type { SessionInfo, SessionState, TrialState } from './api.js'
import { problemOf } from './edits.js'
import type { Enums } from './filter.js'
import type { Spec } from './negotiate.js'
import type { Head } from './record.js'

/** Without the bulk of start values and earlier trials, which nobody wants back. */
export function withoutInitial(spec: Spec): Spec {
  const { space } = spec.problem
  if (spec.earlier) return { ...spec, earlier: spec.earlier.map(({ session }) => ({ session, trials: [] })) }
  if (space.kind !== 'tensors' || !space.initial) return spec
  return { ...spec, problem: { ...spec.problem, space: { ...space, initial: undefined } } }
}

/** With an empty state hash. */
export function toInfo(id: string, spec: Spec, { settings, journalBytes: _, ...head }: Head): SessionInfo {
  const { method, pruner, durability, resolver, seed, lease, offers, encodings, prefetch } = spec
  const { createTime, forkedFrom, earlier } = spec
  const { space: _space, ...shown } = settings
  return {
    id,
    method,
    problem: problemOf(spec, settings),
    pruner,
    durability,
    resolver,
    seed,
    lease,
    offers,
    encodings,
    prefetch,
    warmStartFrom: earlier?.map(({ session }) => session),
    createTime,
    forkedFrom,
    ...shown,
    ...head,
    configHash: createHash('sha256').update(JSON.stringify(settings.config)).digest('hex'),
    stateHash: '',
  }
}

/** What lists can be filtered by. */
export const FIELDS = ['method', 'state', 'display_name', 'id', 'labels.']
export const ENUMS: Enums = {
  state: { prefix: 'session_state_', values: ['running', 'paused', 'done'] satisfies SessionState[] },
}
export const TRIAL_ENUMS: Enums = {
  state: {
    prefix: 'trial_state_',
    values: [
      'waiting',
      'running',
      'completed',
      'failed',
      'infeasible',
      'pruned',
      'cancelled',
      'deleted',
    ] satisfies TrialState[],
  },
}
export function readField(info: SessionInfo, field: string): string | undefined {
  if (field === 'display_name') return info.displayName
  if (field.startsWith('labels.')) return info.labels?.[field.slice('labels.'.length)]
  return info[field as 'method' | 'state' | 'id']
}
