/** Puts the parametrization of a config between a gradient method and the tensors of its space. */
import type { Issue } from '../core/errors.js'
import type { Method, Run } from '../core/method.js'
import type { Event, Observation } from '../core/query.js'
import { Rng, rngStream } from '../core/rng.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import { elements, type Tensors } from '../core/tensor.js'
import { averagings } from './averaging.js'
import { drivers } from './drivers/index.js'
import type { GradientState } from './machine.js'
import { parametrizations } from './parametrizations/index.js'
import type { Kept, Mapping, Place } from './parametrizations/parametrization.js'
import type { Choice } from './parts.js'
import { schedules } from './schedules/index.js'
import type { Common } from './step-program.js'

type State = GradientState & { parametrization?: Kept }

const mappingOf = ({ parametrization }: Common): Mapping<Choice> | undefined =>
  parametrizations.of(parametrization).mapping
const spaceOf = (problem: Problem) => problem.space as TensorsSpace

/** Where a parametrization is in a session. */
const placeOf = ({ problem }: Run<Common>, { parametrization = {}, t }: State): Place => ({
  space: spaceOf(problem),
  kept: parametrization,
  t,
})

/** The same problem over the tensors that the rule moves. */
function within<C extends Common>(mapping: Mapping<Choice>, config: C, problem: Problem, initial?: Tensors): Problem {
  const tensors = mapping.tensors(config.parametrization, spaceOf(problem))
  return { ...problem, space: { kind: 'tensors', tensors, initial } }
}

const negated = (tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, array]) => [name, array.map((value) => -value)]))

/** The same observation as the rule sees it: gradients by the tensors that it moves. */
function inward<C extends Common>(
  method: Method<C, State>,
  mapping: Mapping<Choice>,
  run: Run<C>,
  inner: Run<C>,
  state: State,
  { observation, query }: Extract<Event, { type: 'observation' }>,
): { observation: Observation; told?: Tensors } {
  if (!observation.gradients) return { observation }
  const place = placeOf(run, state)
  const maximize = run.problem.objectives[0].direction === 'maximize'
  const whole = (gradient: Tensors): Tensors => {
    const all = place.space.tensors.map(({ name, shape }) => [
      name,
      gradient[name] ?? new Float64Array(elements(shape)),
    ])
    return maximize ? negated(Object.fromEntries(all)) : Object.fromEntries(all)
  }
  const told = observation.gradients.map(whole)
  const gradients = told.map((gradient, i) => {
    const point = query.points[i]
    const x = method.view!(inner, state, point.kind === 'view' ? point.name : 'x')
    const own = mapping.inward(run.config.parametrization, place, x, gradient)
    return maximize ? negated(own) : own
  })
  return { observation: { ...observation, gradients }, told: told[0] }
}

/** What does not go together with a parametrization. */
function conflicts(mapping: Mapping<Choice>, config: Common, { space }: Problem): Issue[] {
  const { low, high } = space as TensorsSpace
  const { averaging, ball, driver, parametrization, schedule } = config
  const issues: Issue[] = []
  const refuse = (path: string, message: string) => issues.push({ path, message })
  if (low !== undefined || high !== undefined)
    refuse(`space.${low === undefined ? 'high' : 'low'}`, `"${parametrization.id}" keeps to no bounds`)
  if (ball !== undefined) refuse('config.ball', `"${parametrization.id}" keeps to no ball`)
  const kinds = drivers.of(driver).wants?.(driver) ?? []
  if (kinds.some((kind) => kind === 'hvp' || kind === 'quantities'))
    refuse('config.driver', `"${parametrization.id}" needs a driver that asks for gradients and values alone`)
  if (!mapping.moving) return issues
  if (averagings.of(averaging).weight)
    refuse('config.averaging', `"${parametrization.id}" begins anew with each step: there is nothing to average`)
  if (schedules.of(schedule).cycle) refuse('config.schedule', `"${parametrization.id}" takes no schedule of cycles`)
  if ((config as { weightDecay?: number }).weightDecay)
    refuse('config.weightDecay', 'has nothing to act on; set config.parametrization.weightDecay')
  return issues
}

/** The method, with the parametrization that a config names; with none, the method itself. */
export function parametrized<C extends Common>(method: Method<C, GradientState>): Method<C, GradientState> {
  const open = (run: Run<C>) => {
    const mapping = mappingOf(run.config)
    return mapping && { mapping, inner: { ...run, problem: within(mapping, run.config, run.problem) } }
  }
  return {
    ...method,
    equations: (config) => [
      ...(mappingOf(config)?.equations(config.parametrization) ?? []),
      ...(method.equations?.(config) ?? []),
    ],
    check(config, problem) {
      const mapping = mappingOf(config)
      if (!mapping || problem.space.kind !== 'tensors') return method.check?.(config, problem) ?? []
      const own = mapping.check?.(config.parametrization, problem.space) ?? []
      const issues = [
        ...conflicts(mapping, config, problem),
        ...own.map(({ field, message }) => ({ path: `config.parametrization.${field}`, message })),
      ]
      return issues.length > 0 ? issues : (method.check?.(config, within(mapping, config, problem)) ?? [])
    },
    init(run, seed) {
      const mapping = mappingOf(run.config)
      if (!mapping) return method.init(run, seed)
      const rng = new Rng(rngStream(seed, 'parametrization'))
      const { initial, kept } = mapping.begin(run.config.parametrization, spaceOf(run.problem), rng)
      const problem = within(mapping, run.config, run.problem, initial)
      return Object.assign(method.init({ ...run, problem }, seed), { parametrization: kept })
    },
    step(run, state: State, events) {
      const at = open(run)
      if (!at) return method.step(run, state, events)
      let gradient: Tensors = {}
      const { t } = state
      const seen = events.map((event): Event => {
        if (event.type !== 'observation' || event.query.id !== state.open) return event
        const { observation, told } = inward(method, at.mapping, run, at.inner, state, event)
        if (told) gradient = told
        return { ...event, observation }
      })
      const outcome = method.step(at.inner, state, seen)
      const next = outcome.state as State
      if (next.t > t)
        at.mapping.after?.(run.config.parametrization, placeOf(run, next), next.x, gradient, next.metrics.learningRate)
      return outcome
    },
    estimate(run, state) {
      const at = open(run)
      const estimate = method.estimate(at?.inner ?? run, state)
      const numbers = at?.mapping.metrics?.(run.config.parametrization, placeOf(run, state), state.x)
      return numbers ? { ...estimate, metrics: { ...estimate.metrics, ...numbers } } : estimate
    },
    view(run, state, name) {
      const at = open(run)
      const x = method.view!(at?.inner ?? run, state, name)
      return at ? at.mapping.outward(run.config.parametrization, placeOf(run, state), x) : x
    },
  }
}
