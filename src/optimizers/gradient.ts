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
import type { Problem, TensorsSpace } from '../core/space.js'
import type { TensorSpec, Tensors } from '../core/tensor.js'
import { treeBytes } from '../core/tree.js'
import { answerOf, asksGradient, besides, wantsOf } from './answers.js'
import { averagings } from './averaging.js'
import { besideOf, checkConfig, kindsOf } from './check-config.js'
import { NOTHING_TOLD, type Told } from './compose.js'
import { type CommonInput, composition } from './composition.js'
import type { Answer } from './drivers/driver.js'
import { drivers } from './drivers/index.js'
import { gathered } from './gathered.js'
import { grouped } from './groups.js'
import { compileRule } from './language/check.js'
import {
  type Beside,
  type GradientState,
  type Host,
  landingOf,
  Machine,
  NOTHING_BESIDE,
  slotElements,
  spaceOf,
} from './machine.js'
import { packedElements } from './packing.js'
import { parametrized } from './parametrized.js'
import { noDiagnostics } from './step-diagnostics.js'
import { type Common, program, type RuleOf } from './step-program.js'
import type { Asked } from './transforms/transform.js'

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
  const needs = (config: PresetConfig<F>): WantKind[] => [...new Set([...kindsOf(config), ...besideOf(preset, config)])]
  const shape: Record<string, z.ZodType> = { ...composition, ...(preset.fields as object) }
  for (const [name, value] of Object.entries(preset.defaults ?? {})) {
    shape[name] = withDefault(shape[name], value, references[0].title)
  }

  /** What the rule gets with an answer, and its gradient; undefined where no step is to be taken. */
  function take(run: Run<PresetConfig<F>>, state: GradientState, observation: Observation, answer: Answer) {
    const [gradient = {}] = answer.gradients
    state.received += answer.gradients.length
    if (!asksGradient(state.ask)) return { g: gradient, beside: state.beside ?? NOTHING_BESIDE }
    const told = besideOf(preset, run.config).length > 0 ? besides(observation, run.problem) : NOTHING_TOLD
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
    check: (config, problem) => (problem.space.kind === 'tensors' ? checkConfig(preset, config, problem) : []),

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
        ...(run.config.diagnostics && { diagnostics: noDiagnostics() }),
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
          const machine = new Machine(rule, run, state, taken.beside, inside)
          const { others = [] } = state.ask
          answer.products.forEach((product, i) => {
            machine.measure(state.driver.points[others[i]], product)
          })
          state.ask = drivers.of(driver).advance(driver, machine, taken.g, answer)
          if (asksGradient(state.ask)) delete state.beside
          else state.beside = taken.beside
        }
      }
      if (state.finished) return { state, queries: [], status: { phase: 'done', reason: state.finished } }
      const queries = state.open === null ? [query(state, besideOf(preset, run.config))] : []
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
          ...(state.diagnostics && { ...state.diagnostics.figures, steps: state.t }),
          ...state.driver.reports,
          ...host?.reports?.(run.config, state.kept),
          gradients: state.received,
          slotElements:
            slotElements(state.slots) +
            (state.packed ? packedElements(state.packed, spaceOf(run.problem).tensors) : 0) +
            slotElements(state.kept),
          slotBytes: treeBytes(state.slots) + treeBytes(state.packed) + treeBytes(state.kept),
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

    landing(run, state, queryId) {
      const { driver, gathering, parametrization } = run.config
      // Others run programs on several gradients in a step, or compute with the one that was told.
      const plain = driver.id === 'step' && gathering.id === 'none' && parametrization.id === 'none' && !host
      return plain && queryId === state.open && asksGradient(state.ask) ? landingOf(run) : undefined
    },
  })
  return gathered(parametrized(method))
}

/** Tensors of every rank, for the equations. */
const EXAMPLE: TensorsSpace = {
  kind: 'tensors',
  tensors: [{ name: 'w', shape: [2, 2], dtype: 'f64' }],
}

/** The next query; what was not answered is asked again under a new id and the same sample. */
function query(state: GradientState, beside: readonly Asked[]): Query {
  const { point, others = [], purpose, sample = '', example, note } = state.ask
  const wants = wantsOf(state.ask)
  const more = asksGradient(state.ask) ? beside.filter((kind) => wants.every((want) => want.kind !== kind)) : []
  state.open = `g${++state.asked}`
  return {
    id: state.open,
    points: [
      ...[point, ...others].map((name) => ({ kind: 'view', name }) as const),
      ...(note ? [{ kind: 'text', text: note } as const] : []),
    ],
    wants: [...wants, ...more.map((kind) => ({ kind }))],
    sampleKey: example === undefined ? `s${state.t + 1}${sample}` : `e${example}`,
    purpose,
  }
}
