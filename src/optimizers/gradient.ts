/**
 * Makes a method of a preset: a rule as text, around which a config puts transforms, a schedule, a driver, a projection
 * and an average. All rule text of a step is one program; the driver decides where gradients are asked.
 */
import { z } from 'zod'
import { AsktellError, type Issue } from '../core/errors.js'
import {
  defineMethod,
  type Facts,
  type Method,
  type Outcome,
  type Recipe,
  type Reference,
  type Run,
} from '../core/method.js'
import type { Observation, Query, WantKind } from '../core/query.js'
import { Rng, rngStream } from '../core/rng.js'
import { field } from '../core/schema.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import type { TensorSpec, Tensors } from '../core/tensor.js'
import { answerOf, asksGradient, besides, wantsOf } from './answers.js'
import { averagings } from './averaging.js'
import { NOTHING_TOLD, type Told } from './compose.js'
import type { Answer } from './drivers/driver.js'
import { drivers } from './drivers/index.js'
import { checkGroups, grouped } from './groups.js'
import { compileRule } from './language/check.js'
import {
  type Beside,
  type GradientState,
  type Host,
  Machine,
  NOTHING_BESIDE,
  slotElements,
  spaceOf,
} from './machine.js'
import { parametrizations } from './parametrizations/index.js'
import { parametrized } from './parametrized.js'
import { schedules } from './schedules/index.js'
import { type Common, kernelOf, program, type RuleOf } from './step-program.js'
import { transforms } from './transforms/index.js'
import type { Asked } from './transforms/transform.js'

/** What every gradient method can be composed with. */
const composition = {
  driver: field(drivers.schema.prefault({ id: 'step' }), 'What is asked per step, and where.'),
  transforms: field(z.array(transforms.schema).default([]), 'What is done to the gradient before the rule, in order.'),
  schedule: field(schedules.schema.prefault({ id: 'constant' }), 'The learning rate over the steps.', {
    mutable: true,
  }),
  averaging: field(
    averagings.schema.prefault({ id: 'none' }),
    'The average of iterates that is served as the estimate.',
  ),
  parametrization: field(
    parametrizations.schema.prefault({ id: 'none' }),
    'What the tensors of the space are made of: the rule moves that.',
  ),
  groups: field(
    z.record(z.string(), z.record(z.string(), z.number())).default({}),
    'Numbers of the rule that differ, by group of the space: { "bias": { "weightDecay": 0 } }. Schedules scale the ' +
      'learning rates of all groups alike.',
  ),
  ball: field(
    z.number().positive().optional(),
    'Keeps x within this distance of the origin, all tensors as one vector.',
  ),
  precision: field(
    z.enum(['auto', 'f32', 'f64']).default('auto'),
    'Of x and the slots. auto: f64 when a tensor of the space is f64, else f32. The interpreter always uses f64. In ' +
      'f32 the squares of gradients overflow from 1.8e19.',
  ),
  reportNorm: field(
    z.boolean().default(true),
    'Reports the norm of every gradient that the rule is given, at the cost of a reduction over it.',
  ),
}
type CommonInput = z.input<z.ZodObject<typeof composition>>

export type PresetConfig<F extends z.ZodRawShape> = z.output<z.ZodObject<F>> & Common

export type { Host } from './machine.js'

/** A gradient method as data. */
export type Preset<F extends z.ZodRawShape = z.ZodRawShape> = {
  id: string
  version?: number
  title: string
  summary: string
  references: readonly Reference[]
  /** The rule's own hyperparameters, `learningRate` among them. */
  fields: F
  /** Defaults that differ: of the common fields, or of the fields of a preset that this one is made from. */
  defaults?: { [K in keyof CommonInput]?: CommonInput[K] } & { [K in keyof F]?: z.input<F[K]> }
  /** The rule. `lr` is the learning rate after the schedule. Slots must not depend on mutable fields. */
  rule: RuleOf<PresetConfig<F>>
  /**
   * What is asked with every gradient, beside it: `value` gives `told.value`, and `score` gives the objective of each
   * example as `told.examples`.
   */
  beside?(config: PresetConfig<F>): readonly Asked[]
  /** What rules cannot say, ahead of the rule: products and inverses of matrices. */
  host?: Host<PresetConfig<F>>
  /** What the host part computes, as LaTeX. */
  equations?(config: PresetConfig<F>): readonly string[]
  /** Draws a start value of a tensor for which the space has none; without it, they are zero. */
  initial?(config: PresetConfig<F>, tensor: TensorSpec): ((rng: Rng) => number) | undefined
  /** Why no step is to be taken from the point of which this was told. */
  finished?(config: PresetConfig<F>, told: Told): string | undefined
  check?(config: PresetConfig<F>, problem: Problem): Issue[]
  invariances?: Facts['invariances']
  /** Its host part may take milliseconds. */
  heavy?: boolean
  recipes: readonly Recipe<PresetConfig<F>>[]
}

/** The same field with another default, from another source. */
function withDefault(schema: z.ZodType, value: unknown, source: string): z.ZodType {
  const inner = schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? schema.unwrap() : schema
  return (inner as z.ZodType).prefault(value).meta({ ...schema.meta(), source })
}

/** Declares the method of a preset. */
export function gradientMethod<F extends z.ZodRawShape>(preset: Preset<F>): Method<PresetConfig<F>, GradientState> {
  const { id, title, summary, references, recipes, host, finished, invariances = [] } = preset
  const rule = grouped(preset.rule)
  const [ahead, inside] = host?.inside ? [undefined, host] : [host, undefined]
  const besideOf = (config: PresetConfig<F>): Asked[] => [
    ...new Set([
      ...(preset.beside?.(config) ?? []),
      ...config.transforms.flatMap((part) => transforms.of(part).beside ?? []),
    ]),
  ]
  const needs = (config: PresetConfig<F>): WantKind[] => [...new Set([...kindsOf(config), ...besideOf(config)])]
  const shape: Record<string, z.ZodType> = { ...composition, ...(preset.fields as object) }
  for (const [name, value] of Object.entries(preset.defaults ?? {})) {
    shape[name] = withDefault(shape[name], value, references[0].title)
  }

  /** What the rule gets with an answer, and its gradient; undefined where no step is to be taken. */
  function take(run: Run<PresetConfig<F>>, state: GradientState, observation: Observation, answer: Answer) {
    const [gradient = {}] = answer.gradients
    state.received += answer.gradients.length
    if (!asksGradient(state.ask)) return { g: gradient, beside: state.beside ?? NOTHING_BESIDE }
    const told = besideOf(run.config).length > 0 ? besides(observation, run.problem) : NOTHING_TOLD
    state.finished = finished?.(run.config, told) ?? null
    if (state.finished) return undefined
    const point = state.driver.points[state.ask.point] ?? state.x
    const from = { gradient, point, kept: state.kept, t: state.t + 1, seed: state.fieldSeed }
    const { g = gradient, ...inputs } = ahead?.inputs(run.config, spaceOf(run.problem), from) ?? {}
    return { g, beside: { told, inputs } satisfies Beside }
  }

  const method = defineMethod<PresetConfig<F>, GradientState>({
    id,
    version: preset.version ?? 1,
    stateVersion: 1,
    family: 'gradient',
    title,
    summary,
    references,
    recipes,
    config: z.strictObject(shape) as unknown as z.ZodType<PresetConfig<F>>,
    facts: {
      spaces: ['tensors'],
      objectives: 'one',
      constraints: false,
      parallel: false,
      unsolicited: 'reject',
      invariances,
      heavy: preset.heavy,
      transient: true,
    },
    equations: (config) => [
      ...(drivers.of(config.driver).equations?.(config.driver) ?? []),
      ...(preset.equations?.(config) ?? []),
      ...compileRule(program(rule, config, EXAMPLE).source).latex,
    ],
    needs,
    check: (config, problem) => (problem.space.kind === 'tensors' ? check(preset, config, problem) : []),

    init(run, seed) {
      const rng = rngStream(seed, 'rule')
      const state: GradientState = {
        ...Machine.allocate(rule, run),
        t: 0,
        rateSum: 0,
        asked: 0,
        received: 0,
        ask: { point: 'x', purpose: 'step' },
        open: null,
        fieldSeed: new Rng(rng).word(),
        rng,
        metrics: {},
        snapshot: null,
        finished: null,
        kept: host?.begin?.(run.config, spaceOf(run.problem)) ?? {},
      }
      const { tensors, initial } = spaceOf(run.problem)
      const starts = new Rng(rngStream(seed, 'initial'))
      for (const tensor of tensors) {
        const draw = initial?.[tensor.name] ? undefined : preset.initial?.(run.config, tensor)
        if (draw)
          state.x[tensor.name].forEach((_, i, x) => {
            x[i] = draw(starts)
          })
      }
      const { driver } = run.config
      state.ask = drivers.of(driver).begin(driver, new Machine(rule, run, state, NOTHING_BESIDE, inside))
      return state
    },

    step(run, state, events): Outcome<GradientState> {
      let capacity = 0
      for (const event of events) {
        if (event.type === 'capacity') capacity += event.count
        // Programs hold text that depends on the config.
        if (event.type === 'reconfigure') run.memo.clear()
        if (event.type === 'observation' && event.query.id === state.open) {
          state.open = null
          const answer = answerOf(event.observation, state.ask, run.problem)
          if (!answer) continue // The same is asked again.
          const taken = take(run, state, event.observation, answer)
          if (!taken) break
          const { driver } = run.config
          state.ask = drivers
            .of(driver)
            .advance(driver, new Machine(rule, run, state, taken.beside, inside), taken.g, answer)
          if (asksGradient(state.ask)) delete state.beside
          else state.beside = taken.beside
        }
      }
      if (state.finished) return { state, queries: [], status: { phase: 'done', reason: state.finished } }
      const queries = state.open === null ? [query(state, besideOf(run.config))] : []
      const short = { reason: 'the next step waits for the answer of this one', until: 'tell' as const }
      return {
        state,
        queries,
        status: { phase: 'running' },
        ...(capacity > queries.length ? { short } : {}),
      }
    },

    estimate(run, state) {
      const averaged = averagings.of(run.config.averaging).weight && 'average'
      const answer = (state.t > 0 && (averaged || state.answer)) || 'x'
      const name = state.snapshot ? 'snapshot' : answer
      return {
        kind: name === 'x' || name === 'snapshot' ? 'iterate' : 'average',
        points: [{ point: { kind: 'view', name } }],
        step: state.t,
        metrics: {
          ...state.metrics,
          ...state.driver.reports,
          ...host?.reports?.(run.config, state.kept),
          gradients: state.received,
          slotElements: slotElements(state.slots) + slotElements(state.kept),
        },
      }
    },

    view(run, state, name) {
      const views: { [name: string]: Tensors | undefined } = {
        ...state.driver.points,
        x: state.x,
        snapshot: state.snapshot ?? undefined,
        average: averagings.of(run.config.averaging).weight && state.slots.average,
      }
      const tensors = views[name] ?? (name === state.answer ? state.slots[name] : undefined)
      if (!tensors) throw new AsktellError('INVALID_ARGUMENT', `${id} has no view "${name}"`)
      return tensors
    },
  })
  return parametrized(method)
}

/** Tensors of every rank, for the equations. */
const EXAMPLE: TensorsSpace = {
  kind: 'tensors',
  tensors: [{ name: 'w', shape: [2, 2], dtype: 'f64' }],
}

/** The kinds of want of the driver of a config. */
const kindsOf = ({ driver }: Common): readonly WantKind[] => drivers.of(driver).wants?.(driver) ?? ['gradient']

/** The next query; what was not answered is asked again under a new id and the same sample. */
function query(state: GradientState, beside: readonly Asked[]): Query {
  const { point, others = [], purpose, sample = '', example } = state.ask
  const wants = wantsOf(state.ask)
  const more = asksGradient(state.ask) ? beside.filter((kind) => wants.every((want) => want.kind !== kind)) : []
  state.open = `g${++state.asked}`
  return {
    id: state.open,
    points: [point, ...others].map((name) => ({ kind: 'view', name })),
    wants: [...wants, ...more.map((kind) => ({ kind }))],
    sampleKey: example === undefined ? `s${state.t + 1}${sample}` : `e${example}`,
    purpose,
  }
}

function check<F extends z.ZodRawShape>(preset: Preset<F>, config: PresetConfig<F>, problem: Problem): Issue[] {
  const space = spaceOf(problem)
  const issues: Issue[] = [
    ...(preset.check?.(config, problem) ?? []),
    ...checkGroups(preset.rule, preset.fields, config, space.tensors),
  ]
  config.transforms.forEach((part, i) => {
    for (const { field: name, message } of transforms.of(part).check?.(part, space.tensors) ?? [])
      issues.push({ path: `config.transforms[${i}].${name}`, message })
  })
  for (const { field: name, message } of schedules.of(config.schedule).check?.(config.schedule) ?? [])
    issues.push({ path: `config.schedule.${name}`, message })
  for (const { field: name, message } of drivers.of(config.driver).check?.(config.driver, problem) ?? [])
    issues.push({ path: `config.driver.${name}`, message })
  const kinds = kindsOf(config)
  if (!kinds.includes('gradient') && ((preset.host && !preset.host.inside) || preset.beside)) {
    const message = `${preset.id} needs a driver that asks gradients`
    issues.push({ path: 'config.driver', message })
  }
  const { low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY } = space
  if (config.ball !== undefined && (space.low !== undefined || space.high !== undefined))
    issues.push({ path: 'config.ball', message: 'a space with low or high keeps x in a box; it takes no ball' })
  for (const [name, values] of Object.entries(space.initial ?? {}))
    if (values.some((value) => value < low || value > high))
      issues.push({ path: `space.initial.${name}`, message: `expected values from ${low} to ${high}` })
  if (issues.length > 0) return issues
  try {
    const composition = program(grouped(preset.rule), config, space)
    const made = preset.host?.provides(config) ?? []
    const given = ['z', ...drivers.of(config.driver).points(config.driver), ...made]
    for (const input of composition.source.inputs ?? [])
      if (!given.includes(input))
        issues.push({ path: 'config.driver', message: `${preset.id} needs a driver that keeps "${input}"` })
    kernelOf(composition, space.tensors, 'interpreter', 'f64')
  } catch (error) {
    if (!(error instanceof AsktellError)) throw error
    // What is wrong with the text of a rule, by itself, was told before.
    for (const { message } of error.issues.length > 0 ? error.issues : [error]) issues.push({ path: 'config', message })
  }
  return issues
}
