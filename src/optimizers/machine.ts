/** What a gradient session computes with: the program of a step, compiled, and the state it runs on. */
import type { Run } from '../core/method.js'
import { Rng, type RngState, rngStream } from '../core/rng.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import type { FloatArray, TensorSpec, Tensors } from '../core/tensor.js'
import { averagings } from './averaging.js'
import { type At, type Composition, compose, NOTHING_TOLD, type Piece } from './compose.js'
import type { Ask, Drive, DriverState } from './drivers/driver.js'
import { drivers } from './drivers/index.js'
import type { Kernel, Slots } from './engines/engine.js'
import { engineFor } from './engines/index.js'
import { compileRule } from './language/check.js'
import type { Choice } from './parts.js'
import { type Projector, projection, projector } from './projection.js'
import { schedules } from './schedules/index.js'
import { transforms } from './transforms/index.js'

/** The config that all gradient methods share, parsed. */
export type Common = {
  learningRate: number
  driver: Choice
  transforms: Choice[]
  schedule: Choice
  averaging: Choice
  ball?: number
  precision: 'auto' | 'f32' | 'f64'
  reportNorm: boolean
}

type Arrays = { [tensor: string]: FloatArray }

export type GradientState = {
  x: Arrays
  slots: Slots
  /** Steps taken. */
  t: number
  /** Sum of the learning rates of all steps. */
  rateSum: number
  /** Queries made and gradients received so far. */
  asked: number
  received: number
  /** What is wanted next, and the id of the open query for it. */
  ask: Ask
  open: string | null
  driver: DriverState
  rng: RngState
  /** Seed of the random fields of the step under way. */
  fieldSeed: number
  metrics: { [name: string]: number }
  /** The iterate at the last end of a cycle of the schedule. */
  snapshot: Arrays | null
  /** The slot that is served as the estimate, where that is not x. */
  answer: string | null
  /** Why no more steps are taken. */
  finished: string | null
  /** What the host part of a method keeps. */
  kept: Slots
}

/** Inputs of rules by name, beside the gradient. */
export type Inputs = { readonly [input: string]: Tensors }

/**
 * Writes the rule of a method for a config and the tensors of a space. x is projected behind the rule; `project` does it
 * for other tensors that have to stay in the set.
 */
export type RuleOf<C> = (config: C, tensors: readonly TensorSpec[], project: Projector) => Piece

export const copyOf = (tensors: Tensors): Arrays =>
  Object.fromEntries(Object.entries(tensors).map(([name, array]) => [name, array.slice()]))

const NORM: Piece = { text: 'report gradientNorm = norm(g, all)' }

/** The average of iterates as text, behind the rule or, of the points where gradients are taken, ahead of it. */
function averagePiece(config: Common): Piece[] {
  const { weight, leading } = averagings.of(config.averaging)
  if (!weight) return []
  const given = leading && drivers.of(config.driver).leading
  return [
    {
      text: `average = (1 - averageWeight)*average + averageWeight*${given ? 'z' : 'x'}`,
      slots: { average: { kind: 'tensor' } },
      scalars: (at) => ({ averageWeight: weight(config.averaging, at) }),
      inputs: given ? ['z'] : [],
      verbatim: true,
      ahead: leading,
    },
  ]
}

/** The one program of a step: transforms, rule, projection and average. */
export function program<C extends Common>(
  rule: RuleOf<C>,
  config: C,
  space: TensorsSpace,
  { average = true, project = true } = {},
): Composition {
  const { low, high } = space
  const set = { low, high, ball: config.ball }
  const written = rule(config, space.tensors, projector(set))
  const scaled = /^\s*metric\s*=/m.test(written.text)
  const before = config.transforms.map((part) => transforms.of(part).piece(part, space.tensors))
  const after = config.transforms
    .flatMap((part, i): Piece[] => {
      const transform = transforms.of(part)
      const behind = transform.after?.(part, projector(set))
      const state = transform.state?.(part, written)
      return [...(state ? [{ ...state, of: written }] : []), ...(behind ? [{ ...behind, of: before[i] }] : [])]
    })
    .reverse()
  const pieces = [
    ...(config.reportNorm ? [NORM] : []),
    ...before,
    written,
    ...after,
    ...(project ? projection(set, scaled) : []),
    ...(average ? averagePiece(config) : []),
  ]
  // Reserved whether used or not: slots must have the same names in all programs of a session.
  return compose(pieces, ['average', 'averageWeight', 'z'])
}

export const spaceOf = (problem: Problem): TensorsSpace => problem.space as TensorsSpace

/** A composition compiled for a session's engine, tensors and precision. */
type Compiled = { kernel: Kernel; composition: Composition }

/** A session's state with all that is derived from it: what the driver acts through during one call of `step`. */
export class Machine<C extends Common> implements Drive {
  private readonly space: TensorsSpace
  readonly constrained: boolean

  constructor(
    private readonly rule: RuleOf<C>,
    private readonly session: Run<C>,
    private readonly data: GradientState,
    private readonly told = NOTHING_TOLD,
    private readonly given: Inputs = {},
  ) {
    this.space = spaceOf(session.problem)
    this.constrained =
      this.space.low !== undefined || this.space.high !== undefined || session.config.ball !== undefined
  }

  get x() {
    return this.data.x
  }
  get state() {
    return this.data.driver
  }
  get rng() {
    return new Rng(this.data.rng)
  }

  /** Allocates x at its start, the slots of the rule, and the points of the driver. */
  static allocate<C extends Common>(
    rule: RuleOf<C>,
    session: Run<C>,
  ): Pick<GradientState, 'x' | 'slots' | 'driver' | 'answer'> {
    const space = spaceOf(session.problem)
    const { kernel, composition } = compiled(session, 'step', () => program(rule, session.config, space))
    const { x, slots } = kernel.allocate()
    for (const [name, values] of Object.entries(space.initial ?? {})) x[name].set(values)
    for (const [slot, fill] of Object.entries(composition.fill))
      for (const tensor of space.tensors) slots[slot][tensor.name].fill(fill(tensor))
    const names = drivers.of(session.config.driver).points(session.config.driver)
    const zeros = (): Arrays =>
      Object.fromEntries(Object.entries(x).map(([name, array]) => [name, array.slice().fill(0)]))
    const points = Object.fromEntries(names.map((name) => [name, zeros()]))
    return { x, slots, driver: { phase: '', shard: 0, points }, answer: composition.answer }
  }

  /** The step under way. */
  private at(): At {
    const { schedule, learningRate: peak } = this.session.config
    const { rate, cycle } = schedules.of(schedule)
    const t = this.data.t + 1
    const learningRate = rate(schedule, peak, t)
    const restart = cycle !== undefined && t > 1 && cycle(schedule, t) !== cycle(schedule, t - 1)
    const seed = this.data.fieldSeed
    return {
      t,
      learningRate,
      rateSum: this.data.rateSum + learningRate,
      restart,
      told: this.told,
      get uniform() {
        return new Rng(rngStream(seed, 'step')).uniform()
      },
    }
  }

  /** The program of a step. A fresh kernel takes the state's arrays to where it computes best. */
  private stepper(): Compiled {
    const fresh = !this.session.memo.has('step')
    const stepper = compiled(this.session, 'step', () => program(this.rule, this.session.config, this.space))
    if (fresh) Object.assign(this.data, stepper.kernel.adopt(this.data))
    return stepper
  }

  update(gradient: Tensors, { at: z = this.data.x, project = true }: { at?: Tensors; project?: boolean } = {}) {
    const { data, session } = this
    const at = this.at()
    const projected = this.stepper()
    const { kernel, composition } =
      project || !this.constrained
        ? projected
        : compiled(session, 'free step', () => program(this.rule, session.config, this.space, { project }))
    kernel.run({
      x: data.x,
      slots: data.slots,
      inputs: { ...data.driver.points, ...this.given, g: gradient, z },
      scalars: { ...composition.scalars(at), t: at.t },
      seed: data.fieldSeed,
    })
    data.t = at.t
    data.rateSum = at.rateSum
    data.fieldSeed = new Rng(data.rng).word()
    data.metrics = { learningRate: at.learningRate, ...kernel.reports() }
    const { schedule } = session.config
    const { cycle } = schedules.of(schedule)
    if (!cycle) return
    data.metrics.cycle = cycle(schedule, at.t)
    if (cycle(schedule, at.t + 1) !== data.metrics.cycle) data.snapshot = copyOf(data.x)
  }

  probe(gradient: Tensors, point: string, { project = true }: { project?: boolean } = {}) {
    const { data, session } = this
    const at = this.at()
    const { kernel, composition } = compiled(session, project ? 'probe' : 'free probe', () =>
      program(this.rule, session.config, this.space, { average: false, project }),
    )
    this.copy(data.x, point)
    kernel.run({
      x: data.driver.points[point],
      slots: Object.fromEntries(Object.keys(composition.source.slots).map((slot) => [slot, copyOf(data.slots[slot])])),
      inputs: { ...data.driver.points, ...this.given, g: gradient },
      scalars: { ...composition.scalars(at), t: at.t },
      seed: data.fieldSeed,
    })
  }

  run(
    piece: Piece,
    point: string,
    inputs: { readonly [name: string]: Tensors },
    { project = false }: { project?: boolean } = {},
  ) {
    const { low, high } = this.space
    const set = { low, high, ball: this.session.config.ball }
    const { kernel, composition } = compiled(this.session, piece.text, () =>
      compose([piece, ...(project ? projection(set, false) : [])]),
    )
    const at = this.at()
    kernel.run({
      x: this.data.driver.points[point],
      slots: {},
      inputs: { g: this.data.x, ...inputs },
      // The names are the piece's own: it comes first. Its values are those of today.
      scalars: { ...composition.scalars(at), ...piece.scalars?.(at), t: at.t },
      seed: this.data.fieldSeed,
    })
  }

  copy(from: Tensors, point: string) {
    const to = point === 'x' ? this.data.x : this.data.driver.points[point]
    for (const [name, array] of Object.entries(to)) array.set(from[name])
  }
}

/** The kernel of a composition for these tensors. Throws AsktellError where the text is wrong or does not suit them. */
export function kernelOf(
  { source, shape }: Composition,
  tensors: readonly TensorSpec[],
  engine: 'wasm' | 'interpreter',
  precision: 'f32' | 'f64',
): Kernel {
  const manifest = shape ? tensors.map((tensor) => ({ ...tensor, shape: shape(tensor) })) : tensors
  return engineFor(engine).compile(compileRule(source), manifest, precision)
}

/** Compiles once per session and key; `run.memo` is empty after a restart and after a change of the config. */
function compiled<C extends Common>({ memo, engine, config, problem }: Run<C>, key: string, make: () => Composition) {
  let found = memo.get(key) as Compiled | undefined
  if (!found) {
    const composition = make()
    const { tensors } = spaceOf(problem)
    const wide = tensors.some(({ dtype }) => dtype === 'f64')
    const precision = config.precision === 'auto' ? (wide ? 'f64' : 'f32') : config.precision
    found = { composition, kernel: kernelOf(composition, tensors, engine, precision) }
    memo.set(key, found)
  }
  return found
}

/** Numbers that the slots of a rule hold. */
export const slotElements = (slots: Slots): number =>
  Object.values(slots).reduce(
    (sum, tensors) => sum + Object.values(tensors).reduce((n, array) => n + array.length, 0),
    0,
  )
