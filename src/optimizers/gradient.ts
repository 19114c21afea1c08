/**
 * Makes a method of a preset: a rule as text, around which a config puts transforms, a schedule, a driver, a projection
 * and an average. All rule text of a step is one program; the driver decides where gradients are asked.
 */
import { z } from 'zod'
import { AsktellError, type Issue } from '../core/errors.js'
import { defineMethod, type Facts, type Method, type Outcome, type Recipe, type Reference } from '../core/method.js'
import type { Observation, Query } from '../core/query.js'
import { Rng, rngStream } from '../core/rng.js'
import { field } from '../core/schema.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import { elements, type TensorSpec, type Tensors } from '../core/tensor.js'
import { averagings } from './averaging.js'
import { NOTHING_TOLD, type Told } from './compose.js'
import { drivers } from './drivers/index.js'
import type { Slots } from './engines/engine.js'
import { compileRule } from './language/check.js'
import {
  type Common,
  type GradientState,
  type Inputs,
  kernelOf,
  Machine,
  program,
  type RuleOf,
  slotElements,
  spaceOf,
} from './machine.js'
import { schedules } from './schedules/index.js'
import { transforms } from './transforms/index.js'

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

/** What queries of gradient methods want. */
type Asked = 'gradient' | 'value' | 'score'

/** A gradient and where it was told, what is kept, the step from 1, and a seed of the step's own. */
export type HostStep = { gradient: Tensors; point: Tensors; kept: Slots; t: number; seed: number }

/** The part of a method that computes in the host language, on every gradient told. */
export interface Host<C> {
  /** Names of the inputs that it makes for the rule; `g` rewrites the gradient. */
  provides(config: C): readonly string[]
  /** What it keeps between gradients, by name and tensor. */
  begin?(config: C, space: TensorsSpace): Slots
  /** The inputs. Changes `kept` in place. */
  inputs(config: C, space: TensorsSpace, from: HostStep): Inputs
}

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
  /** Why no step is to be taken from the point of which this was told. */
  finished?(config: PresetConfig<F>, told: Told): string | undefined
  check?(config: PresetConfig<F>, problem: Problem): Issue[]
  invariances?: Facts['invariances']
  recipes: readonly Recipe<PresetConfig<F>>[]
}

/** The same field with another default, from another source. */
function withDefault(schema: z.ZodType, value: unknown, source: string): z.ZodType {
  const inner = schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault ? schema.unwrap() : schema
  return (inner as z.ZodType).prefault(value).meta({ ...schema.meta(), source })
}

/** Declares the method of a preset. */
export function gradientMethod<F extends z.ZodRawShape>(preset: Preset<F>): Method<PresetConfig<F>, GradientState> {
  const { id, title, summary, references, recipes, rule, beside, host, finished, invariances = [] } = preset
  const wants = (config: PresetConfig<F>): Asked[] => ['gradient', ...(beside?.(config) ?? [])]
  const shape: Record<string, z.ZodType> = { ...composition, ...(preset.fields as object) }
  for (const [name, value] of Object.entries(preset.defaults ?? {})) {
    shape[name] = withDefault(shape[name], value, references[0].title)
  }

  return defineMethod<PresetConfig<F>, GradientState>({
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
      transient: true,
    },
    equations: (config) => compileRule(program(rule, config, EXAMPLE).source).latex,
    needs: wants,
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
      const { driver } = run.config
      state.ask = drivers.of(driver).begin(driver, new Machine(rule, run, state))
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
          const gradient = descent(event.observation, run.problem)
          if (!gradient) continue // The same point is asked again.
          state.received++
          const told = beside ? besides(event.observation, run.problem) : NOTHING_TOLD
          state.finished = finished?.(run.config, told) ?? null
          if (state.finished) break
          const { driver } = run.config
          const point = state.driver.points[state.ask.point] ?? state.x
          const from = { gradient, point, kept: state.kept, t: state.t + 1, seed: state.fieldSeed }
          const { g = gradient, ...inputs } = host?.inputs(run.config, spaceOf(run.problem), from) ?? {}
          state.ask = drivers.of(driver).advance(driver, new Machine(rule, run, state, told, inputs), g)
        }
      }
      if (state.finished) return { state, queries: [], status: { phase: 'done', reason: state.finished } }
      const queries = state.open === null ? [query(state, wants(run.config))] : []
      const short = { reason: 'the next step waits for the gradient of this one', until: 'tell' as const }
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
}

/** Tensors of every rank, for the equations. */
const EXAMPLE: TensorsSpace = {
  kind: 'tensors',
  tensors: [{ name: 'w', shape: [2, 2], dtype: 'f64' }],
}

/** The next query; a point that was not answered is asked again under a new id and the same sample. */
function query(state: GradientState, wants: readonly Asked[]): Query {
  const { point, purpose, sample = '', example } = state.ask
  state.open = `g${++state.asked}`
  return {
    id: state.open,
    points: [{ kind: 'view', name: point }],
    wants: wants.map((kind) => ({ kind })),
    sampleKey: example === undefined ? `s${state.t + 1}${sample}` : `e${example}`,
    purpose,
  }
}

/**
 * The gradient of a loss to minimize: what was told, negated where the objective is maximized. A tensor that was not told
 * has a zero gradient; an observation without gradients has none.
 */
function descent({ status, gradients }: Observation, problem: Problem): Tensors | undefined {
  if (status !== 'ok' || !gradients) return undefined
  const maximize = problem.objectives[0].direction === 'maximize'
  const [told] = gradients
  const of = ({ name, shape }: TensorSpec) => {
    const gradient = told[name] ?? new Float32Array(elements(shape))
    return maximize ? gradient.map((value) => -value) : gradient
  }
  return Object.fromEntries(spaceOf(problem).tensors.map((spec) => [spec.name, of(spec)]))
}

/** The values told with a gradient, negated where the objective is maximized. */
function besides({ values, scores }: Observation, problem: Problem): Told {
  const sign = problem.objectives[0].direction === 'maximize' ? -1 : 1
  // Without a number per example, the mean stands for all.
  const examples = scores ? (scores[0].examples ?? [scores[0].score]) : []
  return { value: values ? sign * values[0][0] : Number.NaN, examples: examples.map((value) => sign * value) }
}

function check<F extends z.ZodRawShape>(preset: Preset<F>, config: PresetConfig<F>, problem: Problem): Issue[] {
  const space = spaceOf(problem)
  const issues: Issue[] = [...(preset.check?.(config, problem) ?? [])]
  config.transforms.forEach((part, i) => {
    for (const { field: name, message } of transforms.of(part).check?.(part, space.tensors) ?? [])
      issues.push({ path: `config.transforms[${i}].${name}`, message })
  })
  for (const { field: name, message } of drivers.of(config.driver).check?.(config.driver) ?? [])
    issues.push({ path: `config.driver.${name}`, message })
  const { low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY } = space
  if (config.ball !== undefined && (space.low !== undefined || space.high !== undefined))
    issues.push({ path: 'config.ball', message: 'a space with low or high keeps x in a box; it takes no ball' })
  for (const [name, values] of Object.entries(space.initial ?? {}))
    if (values.some((value) => value < low || value > high))
      issues.push({ path: `space.initial.${name}`, message: `expected values from ${low} to ${high}` })
  if (issues.length > 0) return issues
  try {
    const composition = program(preset.rule, config, space)
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
