/** Changes of a session's settings. */
import { type Issue, refuse } from '../core/errors.js'
import { mutableFields, parseConfig } from '../core/schema.js'
import type { Patch } from './api.js'
import { checkBudget } from './budget.js'
import type { Settings } from './negotiate.js'
import type { Op } from './operations.js'
import type { Session } from './session.js'
import { illFormed } from './validate.js'

type UpdateOp = Op & { op: 'update' }

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The operation of a patch, or undefined when it changes nothing. */
export function updateOf(session: Session, patch: Patch): UpdateOp | undefined {
  const { settings, method } = session
  const next: Partial<Settings> = {}
  const changed: string[] = []
  refuse('INVALID_ARGUMENT', illFormed(patch, '', []))
  if (patch.displayName !== undefined) next.displayName = patch.displayName
  if (patch.labels) next.labels = { ...patch.labels }
  if (patch.budget) next.budget = checkBudget(patch.budget)
  if (patch.config) {
    const config = parseConfig(method.config, { ...settings.config, ...patch.config }) as Settings['config']
    for (const name of new Set([...Object.keys(settings.config), ...Object.keys(config)]))
      if (!same(config[name], settings.config[name])) changed.push(name)
    const fixed = changed.filter((name) => !mutableFields(method.config).includes(name))
    const message = 'cannot change while the session runs'
    refuse(
      'NOT_MUTABLE',
      fixed.map((name): Issue => ({ path: `config.${name}`, message })),
    )
    refuse('CONFIG_INVALID', method.check?.(config, session.problem) ?? [])
    if (changed.length > 0) next.config = config
  }
  const state = patch.state !== session.phase.state ? patch.state : undefined
  if (state) session.checkState()
  const fields = (Object.keys(next) as (keyof Settings)[]).filter((name) => !same(next[name], settings[name]))
  if (fields.length === 0 && !state) return undefined
  return { op: 'update', settings: Object.fromEntries(fields.map((name) => [name, next[name]])), changed, state }
}
