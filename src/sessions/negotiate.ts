/** Everything that is decided when a session is created: what can't work is refused now, located, not at the first ask. */
import { randomInt } from 'node:crypto'
import { checkFeasible } from '../blackbox/space/feasible.js'
import { isLossy, LOSSY } from '../core/encodings/index.js'
import { AsktellError, type Issue, refuse } from '../core/errors.js'
import { type AnyMethod, checkSuitable, type EarlierSession, type Run } from '../core/method.js'
import type { AnyPruner } from '../core/pruner.js'
import { WANT_KINDS } from '../core/query.js'
import { parseConfig } from '../core/schema.js'
import { checkSpace, type Problem, type SearchSpace } from '../core/space.js'
import { elements } from '../core/tensor.js'
import type { Budget, Durability, Encodings, SessionSpec } from './api.js'
import { checkBudget } from './budget.js'
import type { Context, Limits } from './context.js'
import { illFormed } from './validate.js'
import { checkWarmStart } from './warm-start.js'

const MOST_PREFETCHED = 1000

/** What never changes in the life of a session. */
export type Spec = {
  method: string
  methodVersion: number
  problem: Problem
  pruner?: { method: string; config: unknown }
  durability: Durability
  resolver?: { endpoint: string; model?: string }
  seed: number
  /** Seconds. */
  lease: number
  engine: Run<unknown>['engine']
  offers?: readonly string[]
  encodings?: Encodings
  prefetch?: number
  /** The trials themselves, so that the session goes on without those that they came from. */
  earlier?: readonly EarlierSession[]
  createTime: number
  forkedFrom?: { id: string; revision: number }
}
/** What an update can change. */
export type Settings = {
  displayName: string
  labels: Record<string, string>
  budget: Budget
  config: Record<string, unknown>
  /** The search space, once it has been edited. */
  space?: SearchSpace
}

export class Catalogue {
  readonly methods: ReadonlyMap<string, AnyMethod>
  readonly pruners: ReadonlyMap<string, AnyPruner>

  constructor(methods: readonly AnyMethod[], pruners: readonly AnyPruner[]) {
    this.methods = new Map(methods.map((method) => [method.id, method]))
    this.pruners = new Map(pruners.map((pruner) => [pruner.id, pruner]))
  }
  method(id: string): AnyMethod {
    return this.methods.get(id) ?? missing('method', id, this.methods.keys(), 'method')
  }
  pruner(id: string): AnyPruner {
    return this.pruners.get(id) ?? missing('pruner', id, this.pruners.keys(), 'pruner.method')
  }
}

function missing(what: string, id: string, known: Iterable<string>, path: string): never {
  const near = [...known]
    .map((name) => ({ name, distance: editDistance(id.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(2, name.length / 3) || (id && name.startsWith(id)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ name }) => `"${name}"`)
  const hint = near.length ? `; did you mean ${near.join(' or ')}?` : ''
  const message = `there is no ${what} "${id}"${hint}`
  throw new AsktellError('METHOD_NOT_FOUND', message, { issues: [{ path, message }] })
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]
}

export function negotiate(
  request: SessionSpec,
  { catalogue, limits }: Pick<Context, 'catalogue' | 'limits'>,
  defaults: { engine: Run<unknown>['engine']; lease: number },
  time: number,
): { spec: Spec; settings: Settings } {
  const { problem: asked, ...rest } = request
  refuse('INVALID_ARGUMENT', illFormed({ ...rest, ...asked }, '', []))
  const method = catalogue.method(request.method)
  const problem: Problem = {
    ...request.problem,
    objectives: request.problem.objectives.length
      ? request.problem.objectives
      : [{ name: 'objective', direction: 'minimize' }],
  }
  refuse('SPACE_INVALID', [...checkSpace(problem.space), ...checkSize(problem, limits)])
  refuse('INVALID_ARGUMENT', checkFields(request, problem))
  if (problem.space.kind === 'search') refuse('SPACE_INVALID', checkFeasible(problem.space))
  const config = parseConfig(method.config, request.config) as Record<string, unknown>
  refuse('METHOD_UNSUITABLE', checkSuitable(method, problem))
  refuse('CONFIG_INVALID', method.check?.(config, problem) ?? [])
  refuse('METHOD_UNSUITABLE', checkOffers(request, method, config, problem))
  refuse('INVALID_ARGUMENT', checkPrefetch(request.prefetch, method))
  refuse('INVALID_ARGUMENT', checkEncodings(request.encodings, method, config, problem))
  checkWarmStart(request.warmStartFrom, method, problem)

  let pruner: Spec['pruner']
  if (request.pruner) {
    const chosen = catalogue.pruner(request.pruner.method)
    const config = parseConfig(chosen.config, request.pruner.config, 'pruner.config')
    const issues = chosen.check?.(config) ?? []
    refuse(
      'CONFIG_INVALID',
      issues.map(({ field, message }) => ({ path: `pruner.config.${field}`, message })),
    )
    pruner = { method: chosen.id, config }
  }
  return {
    spec: {
      method: method.id,
      methodVersion: method.version,
      problem,
      pruner,
      durability: request.durability ?? 'journal',
      resolver: request.resolver,
      seed: request.seed ?? randomInt(2 ** 48 - 1),
      lease: request.lease ?? defaults.lease,
      engine: defaults.engine,
      offers: request.offers,
      encodings: request.encodings,
      prefetch: request.prefetch || undefined,
      createTime: time,
    },
    settings: {
      displayName: request.displayName ?? '',
      labels: request.labels ?? {},
      budget: checkBudget(request.budget ?? {}),
      config,
    },
  }
}

function checkFields(request: SessionSpec, problem: Problem): Issue[] {
  const issues: Issue[] = []
  const bad = (path: string, message: string) => issues.push({ path, message })
  const names = new Set<string>()
  problem.objectives.forEach(({ name, direction }, i) => {
    if (direction !== 'minimize' && direction !== 'maximize')
      bad(`objectives[${i}].direction`, 'expected minimize or maximize: there is no default')
    if (names.has(name)) bad(`objectives[${i}].name`, `"${name}" is already an objective`)
    names.add(name)
  })
  for (const [i, name] of (problem.constraints ?? []).entries())
    if (!name || problem.constraints?.indexOf(name) !== i) bad(`constraints[${i}]`, 'expected a name of its own')
  const { seed, lease, durability, offers = [] } = request
  for (const [i, kind] of offers.entries())
    if (!WANT_KINDS.includes(kind)) bad(`offers[${i}]`, `expected one of ${WANT_KINDS.join(', ')}, got "${kind}"`)
  if (seed !== undefined && !(Number.isSafeInteger(seed) && seed >= 0))
    bad('seed', `expected an integer from 0 to 2^53 - 1, got ${seed}`)
  if (lease !== undefined && !(lease > 0 && lease <= 30 * 86400))
    bad('lease', `expected seconds, more than 0 and at most 30 days, got ${lease}`)
  if (durability === 'snapshot' && problem.space.kind !== 'tensors')
    bad('durability', 'snapshot durability is for spaces of tensors; use journal')
  if (request.pruner && problem.space.kind !== 'search')
    bad('pruner', `a pruner needs trials, which a ${problem.space.kind} space has not`)
  return issues
}

/** Refuses a space before anything of its size is made. Half floats are held as f32. */
function checkSize({ space }: Problem, { tensorBytes }: Limits): Issue[] {
  if (space.kind !== 'tensors') return []
  let bytes = 0
  for (const [i, { shape, dtype }] of space.tensors.entries()) {
    bytes += elements(shape) * (dtype === 'f64' ? 8 : 4)
    if (bytes > tensorBytes)
      return [
        {
          path: `space.tensors[${i}].shape`,
          message: `expected tensors of at most ${tensorBytes} bytes in all, got ${bytes} up to this one`,
        },
      ]
  }
  return []
}

function checkOffers({ offers, resolver }: SessionSpec, method: AnyMethod, config: unknown, problem: Problem): Issue[] {
  if (!offers?.length) return []
  return method
    .needs(config, problem)
    .filter((kind) => !offers.includes(kind) && !(kind === 'completion' && resolver))
    .map((kind) => ({
      path: 'offers',
      message: `${method.id} asks for a ${kind}, and the client offers ${offers.join(', ')}`,
    }))
}

function checkPrefetch(prefetch: number | undefined, method: AnyMethod): Issue[] {
  if (!prefetch) return []
  const path = 'prefetch'
  if (!(Number.isInteger(prefetch) && prefetch > 0 && prefetch <= MOST_PREFETCHED))
    return [{ path, message: `expected an integer from 0 to ${MOST_PREFETCHED}, got ${prefetch}` }]
  if (method.facts.parallel) return []
  return [{ path, message: `${method.id} asks one thing at a time: there is nothing to make ahead` }]
}

function checkEncodings(
  { gradients = [], parameters = [], density }: Encodings = {},
  method: AnyMethod,
  config: unknown,
  problem: Problem,
): Issue[] {
  const { space } = problem
  const issues: Issue[] = []
  const bad = (path: string, message: string) => issues.push({ path: `encodings.${path}`, message })
  for (const [field, names] of Object.entries({ gradients, parameters }))
    names.forEach((name, i) => {
      if (!isLossy(name)) bad(`${field}[${i}]`, `expected one of ${LOSSY.join(', ')}, got ${JSON.stringify(name)}`)
      else if (space.kind !== 'tensors') bad(`${field}[${i}]`, `a ${space.kind} space has no tensors to encode`)
    })
  if (gradients.length > 0 && space.kind === 'tensors' && !method.needs(config, problem).includes('gradient'))
    bad('gradients', `${method.id} asks for no gradient`)
  if (density !== undefined && !(density > 0 && density <= 1))
    bad('density', `expected a number above 0 and at most 1, got ${density}`)
  return issues
}
