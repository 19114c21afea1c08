/** What a gradient session computes with: the programs of its steps, compiled, and the state they run on. */
import type { Run } from '../core/method.js'
import { Rng, type RngState, rngStream } from '../core/rng.js'
import type { Problem, TensorsSpace } from '../core/space.js'
import type { FloatArray, Tensors } from '../core/tensor.js'
import { cloneTree, type Tree } from '../core/tree.js'
import { type At, type Composition, compose, decayOf, NOTHING_TOLD, type Piece, type Told } from './compose.js'
import type { Ask, Drive, DriverState } from './drivers/driver.js'
import { drivers } from './drivers/index.js'
import type { Kernel, KernelRun, Packing, Packs, Slots } from './engines/engine.js'
import { packingIn, packingOf } from './packing.js'
import { projection, projector } from './projection.js'
import { schedules } from './schedules/index.js'
import { type Diagnostics, defined, takeCurvature, takePart, takeStep } from './step-diagnostics.js'
import { type Common, kernelOf, NORM, program, type RuleOf, transforming } from './step-program.js'
import { transforms } from './transforms/index.js'

type Arrays = { [tensor: string]: FloatArray }

export type GradientState = {
  x: Arrays
  slots: Slots
  /** Slots in fewer bytes, where the config has some packed; they are not among the others. */
  packed?: Packs
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
  /** Where the config has them. */
  diagnostics?: Diagnostics
  /** The iterate at the last end of a cycle of the schedule. */
  snapshot: Arrays | null
  /** The slot that is served as the estimate, where that is not x. */
  answer: string | null
  /** Why no more steps are taken. */
  finished: string | null
  /** What the host part of a method keeps. */
  kept: Slots
  /** What came with the last gradient, while the driver asks for other things. */
  beside?: Beside
}

/** Inputs of rules by name, beside the gradient. */
export type Inputs = { readonly [input: string]: Tensors }
/** A gradient and where it was told, what is kept, the step from 1, and a seed of the step's own. */
export type HostStep = { gradient: Tensors; point: Tensors; kept: Slots; t: number; seed: number }

/** The part of a method that computes in the host language, what rules cannot say: products and roots of matrices. */
export interface Host<C> {
  /**
   * Whether it runs between the transforms and the rule, on the gradient of every step; without it, on every gradient told,
   * ahead of the driver and the transforms.
   */
  inside?: boolean
  /** Names of the inputs that it makes for the rule; ahead of the driver, `g` rewrites the gradient. */
  provides(config: C): readonly string[]
  /** What it keeps between gradients, by name and tensor. */
  begin?(config: C, space: TensorsSpace): Slots
  /** The inputs. Changes `kept` in place. */
  inputs(config: C, space: TensorsSpace, from: HostStep): Inputs
  /** Numbers for people, of what it keeps. */
  reports?(config: C, kept: Slots): { readonly [name: string]: number }
}

/** What a rule gets with a gradient: what was told, and the inputs that the host part of the method made. */
export type Beside = { told: Told; inputs: Inputs }
export const NOTHING_BESIDE: Beside = { told: NOTHING_TOLD, inputs: {} }

const keptCopy = (kept: Slots): Slots =>
  Object.fromEntries(Object.entries(kept).map(([name, of]) => [name, copyOf(of)]))

export const copyOf = (tensors: Tensors): Arrays =>
  Object.fromEntries(Object.entries(tensors).map(([name, array]) => [name, array.slice()]))

export const spaceOf = (problem: Problem): TensorsSpace => problem.space as TensorsSpace

/** A composition compiled for a session's engine, tensors and precision. */
type Compiled = { kernel: Kernel; composition: Composition }

/** A session's state with all that is derived from it: what the driver acts through during one call of `step`. */
export class Machine<C extends Common> implements Drive {
  readonly space: TensorsSpace
  readonly constrained: boolean

  constructor(
    private readonly rule: RuleOf<C>,
    private readonly session: Run<C>,
    private readonly data: GradientState,
    private readonly beside = NOTHING_BESIDE,
    private readonly inside?: Host<C>,
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
  /** What is packed in the state, whatever the config has become. */
  private get packing(): Packing | undefined {
    return packingIn(this.session.config, this.data.packed)
  }
  get learningRate() {
    return this.at().learningRate
  }

  /** Allocates x at its start, the slots of the rule, and the points of the driver. */
  static allocate<C extends Common>(
    rule: RuleOf<C>,
    session: Run<C>,
  ): Pick<GradientState, 'x' | 'slots' | 'packed' | 'driver' | 'answer'> {
    const space = spaceOf(session.problem)
    const { kernel, composition } = compiled(session, 'step', packingOf(rule, session.config, space), () =>
      program(rule, session.config, space),
    )
    const { x, slots, packed } = kernel.allocate()
    for (const [name, values] of Object.entries(space.initial ?? {})) x[name].set(values)
    for (const [slot, fill] of Object.entries(composition.fill))
      for (const tensor of space.tensors) slots[slot][tensor.name].fill(fill(tensor))
    const names = drivers.of(session.config.driver).points(session.config.driver)
    const zeros = (): Arrays =>
      Object.fromEntries(Object.entries(x).map(([name, array]) => [name, array.slice().fill(0)]))
    const points = Object.fromEntries(names.map((name) => [name, zeros()]))
    const driver = { phase: '', shard: 0, points }
    return { x, slots, ...(packed ? { packed } : {}), driver, answer: composition.answer }
  }

  /** The step under way. */
  private at(factor = 1): At {
    const { schedule, learningRate: peak } = this.session.config
    const { rate, cycle } = schedules.of(schedule)
    const t = this.data.t + 1
    const learningRate = factor * rate(schedule, peak, t)
    const restart = cycle !== undefined && t > 1 && cycle(schedule, t) !== cycle(schedule, t - 1)
    const seed = this.data.fieldSeed
    return {
      t,
      learningRate,
      rateSum: this.data.rateSum + learningRate,
      restart,
      told: this.beside.told,
      reports: this.data.driver.reports ?? {},
      get uniform() {
        return new Rng(rngStream(seed, 'step')).uniform()
      },
    }
  }

  /** The program of a step. A fresh kernel takes the state's arrays to where it computes best. */
  private stepper(): Compiled {
    const fresh = !this.session.memo.has('step')
    const stepper = compiled(this.session, 'step', this.packing, () =>
      program(this.rule, this.session.config, this.space),
    )
    if (fresh) Object.assign(this.data, stepper.kernel.adopt(this.data))
    return stepper
  }

  update(
    gradient: Tensors,
    { at: z = this.data.x, project = true, rate = 1 }: { at?: Tensors; project?: boolean; rate?: number } = {},
  ) {
    const { data, session } = this
    const at = this.at(rate)
    const projected = this.stepper()
    const { kernel, composition } =
      project || !this.constrained
        ? projected
        : compiled(session, 'free step', this.packing, () =>
            program(this.rule, session.config, this.space, { project }),
          )
    kernel.run({
      x: data.x,
      slots: data.slots,
      packed: data.packed,
      inputs: { ...data.driver.points, ...this.beside.inputs, ...this.made(gradient, z, data.kept), g: gradient, z },
      scalars: { ...composition.scalars(at), t: at.t },
      seed: data.fieldSeed,
    })
    data.t = at.t
    data.rateSum = at.rateSum
    data.fieldSeed = new Rng(data.rng).word()
    const { diagnostics } = data
    const reports = kernel.reports()
    data.metrics = { learningRate: at.learningRate, ...(diagnostics ? defined(reports, data.x) : reports) }
    if (diagnostics) takeStep(diagnostics, reports.gradientNorm)
    const { schedule } = session.config
    const { cycle } = schedules.of(schedule)
    if (!cycle) return
    data.metrics.cycle = cycle(schedule, at.t)
    if (cycle(schedule, at.t + 1) !== data.metrics.cycle) data.snapshot = copyOf(data.x)
  }

  /** The inputs that the host part makes of the gradient that the rule will see. Changes `kept` in place. */
  private made(gradient: Tensors, point: Tensors, kept: Slots): Inputs {
    if (!this.inside) return {}
    const { session, space, data } = this
    const from = { gradient: this.transformed(gradient), point, kept, t: data.t + 1, seed: data.fieldSeed }
    return this.inside.inputs(session.config, space, from)
  }

  /** What the transforms make of a gradient in this step. State and x stay as they are. */
  private transformed(gradient: Tensors): Tensors {
    const { data, session, space } = this
    const { config } = session
    if (config.transforms.length === 0 && !drivers.of(config.driver).around?.(config.driver)) return gradient
    const { kernel, composition } = compiled(session, 'transforms', this.packing, () =>
      transforming(this.rule, config, space),
    )
    const x = copyOf(data.x)
    kernel.run({
      x,
      ...this.slotCopies(composition),
      inputs: { ...data.driver.points, g: gradient },
      scalars: { ...composition.scalars(this.at()), t: data.t + 1 },
      seed: data.fieldSeed,
    })
    return x
  }

  probe(gradient: Tensors, point: string, { project = true }: { project?: boolean } = {}) {
    const { data, session } = this
    const at = this.at()
    const { kernel, composition } = compiled(session, project ? 'probe' : 'free probe', this.packing, () =>
      program(this.rule, session.config, this.space, { average: false, project }),
    )
    this.copy(data.x, point)
    kernel.run({
      x: data.driver.points[point],
      ...this.slotCopies(composition),
      inputs: {
        ...data.driver.points,
        ...this.beside.inputs,
        ...this.made(gradient, data.x, keptCopy(data.kept)),
        g: gradient,
      },
      scalars: { ...composition.scalars(at), t: at.t },
      seed: data.fieldSeed,
    })
  }

  /** Copies of the slots of a composition, for runs that leave the state as it is. */
  private slotCopies({ source }: Composition): Pick<KernelRun, 'slots' | 'packed'> {
    const { slots, packed } = this.data
    const names = Object.keys(source.slots)
    return {
      slots: Object.fromEntries(names.map((slot) => [slot, copyOf(slots[slot])])),
      packed:
        packed && Object.fromEntries(names.flatMap((slot) => (packed[slot] ? [[slot, cloneTree(packed[slot])]] : []))),
    }
  }

  run(
    piece: Piece,
    point: string,
    inputs: { readonly [name: string]: Tensors },
    { project = false, seed = this.data.fieldSeed, share }: { project?: boolean; seed?: number; share?: number } = {},
  ) {
    const { low, high } = this.space
    const set = { low, high, ball: this.session.config.ball }
    const measured = share !== undefined && this.measuresParts
    const { kernel, composition } = compiled(this.session, piece.text, undefined, () =>
      compose([...(measured ? [NORM] : []), piece, ...(project ? projection(set, false) : [])]),
    )
    const at = this.at()
    kernel.run({
      x: this.data.driver.points[point],
      slots: {},
      inputs: { g: this.data.x, ...inputs },
      // The names are the piece's own: it comes first. Its values are those of today.
      scalars: { ...composition.scalars(at), ...piece.scalars?.(at), t: at.t },
      seed,
    })
    if (measured) takePart(this.data.diagnostics!, kernel.reports().gradientNorm ** 2, share)
  }

  /** Of several clients, the gradients are measured where they are gathered. */
  private get measuresParts() {
    return this.data.diagnostics !== undefined && this.session.config.gathering.id !== 'barrier'
  }

  measure(direction: Tensors, product: Tensors) {
    if (this.data.diagnostics) takeCurvature(this.data.diagnostics, direction, product)
  }

  decay(point: string) {
    const { config } = this.session
    const { low, high, tensors } = this.space
    const before = config.transforms.map((part) => transforms.of(part).piece(part, tensors))
    const written = this.rule(config, tensors, projector({ low, high, ball: config.ball }))
    for (const piece of [...before, written]) {
      const text = decayOf(piece)
      if (text) this.run({ text, scalars: piece.scalars }, point, {})
    }
  }

  forecast(points: readonly string[], gradientAt: (x: Tensors) => Tensors) {
    this.stepper()
    const { x, slots, packed, kept, t, rateSum, rng, fieldSeed, metrics, snapshot } = this.data
    this.data.kept = keptCopy(kept)
    const saved = cloneTree({ x, slots, packed, rng } as Tree) as Pick<GradientState, 'x' | 'slots' | 'packed' | 'rng'>
    for (const point of points) {
      this.update(gradientAt(this.x))
      this.copy(this.x, point)
    }
    for (const [name, array] of Object.entries(x)) array.set(saved.x[name])
    for (const [slot, tensors] of Object.entries(slots))
      for (const [name, array] of Object.entries(tensors)) array.set(saved.slots[slot][name])
    for (const [slot, tensors] of Object.entries(packed ?? {}))
      for (const [name, bytes] of Object.entries(tensors)) bytes.set(saved.packed![slot][name])
    Object.assign(this.data, { kept, t, rateSum, rng: saved.rng, fieldSeed, metrics, snapshot })
  }

  copy(from: Tensors, point: string) {
    const to = point === 'x' ? this.data.x : this.data.driver.points[point]
    for (const [name, array] of Object.entries(to)) array.set(from[name])
  }
}

/** Compiles once per session and key; `run.memo` is empty after a restart and after a change of the config. */
function compiled<C extends Common>(
  run: Run<C>,
  key: string,
  packing: Packing | undefined,
  make: () => Composition,
): Compiled {
  const { memo, engine, config, problem } = run
  let found = memo.get(key) as Compiled | undefined
  if (!found) {
    const composition = make()
    const { tensors } = spaceOf(problem)
    const wide = tensors.some(({ dtype }) => dtype === 'f64')
    const precision = config.precision === 'auto' ? (wide ? 'f64' : 'f32') : config.precision
    found = { composition, kernel: kernelOf(composition, tensors, engine, precision, packing) }
    memo.set(key, found)
  }
  return found
}

/** Where the program of a step reads the gradient, once it is compiled. */
export const landingOf = <C extends Common>({ memo }: Run<C>): Tensors | undefined =>
  (memo.get('step') as Compiled | undefined)?.kernel.inputBuffer('g')

/** Numbers that the slots of a rule hold. */
export const slotElements = (slots: Slots): number =>
  Object.values(slots).reduce(
    (sum, tensors) => sum + Object.values(tensors).reduce((n, array) => n + array.length, 0),
    0,
  )
