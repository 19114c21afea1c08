/** Joins pieces of rule text (transforms, the rule, projection, averaging) into one program that engines can fuse. */
import type { TensorSpec } from '../core/tensor.js'
import type { RuleSource } from './language/program.js'

/** What the scalars of a step may depend on. All of it is float64. */
export type At = {
  /** The step, from 1. */
  t: number
  /** Learning rate of this step, after the schedule. */
  learningRate: number
  /** Sum of the learning rates of all steps up to this one. */
  rateSum: number
  /** Whether the schedule begins a new cycle with this step. */
  restart: boolean
  /** A uniform number in (0, 1), one per step for all tensors. */
  uniform: number
  /** What was told beside the gradient, of a loss to minimize. */
  told: Told
  /** What the driver reports, by name; empty where only the names of scalars are asked. */
  reports: { readonly [name: string]: number | undefined }
}

/** Function values that came with a gradient; what was not asked for is NaN and empty. */
export type Told = { value: number; examples: readonly number[] }
export const NOTHING_TOLD: Told = { value: Number.NaN, examples: [] }

/**
 * A piece of a program. `x`, `g`, `t`, `lr`, its inputs and `metric` (the diagonal metric that a rule may assign for
 * projections) mean the same in all pieces; every other name is its own, and two pieces may use the same.
 */
export type Piece = {
  text: string
  slots?: RuleSource['slots']
  /** Values of the hyperparameters that the text uses. The names must not depend on the step. */
  scalars?: (at: At) => Record<string, number>
  inputs?: readonly string[]
  /** The shape that a tensor has to its text, of as many elements; the same for all pieces of a program. */
  shape?: (tensor: TensorSpec) => readonly number[]
  /** The `tensor` slot that is served as the estimate, where that is not x. */
  answer?: string
  /** Runs with the names of another piece, which comes earlier. */
  of?: Piece
  /** Its names stay as they are, of its reports too: the caller reserves the others. */
  verbatim?: boolean
  /** Runs before all other pieces, whatever its place; its text must not use `g`. */
  ahead?: boolean
  /** Start values of `scalar` slots that differ between tensors. */
  fill?: { readonly [slot: string]: (tensor: TensorSpec) => number }
}

export type Composition = {
  source: RuleSource
  scalars(at: At): Record<string, number>
  fill: NonNullable<Piece['fill']>
  shape: Piece['shape']
  answer: string | null
}

/** A first step, for what must not depend on the step. */
export const FIRST: At = {
  t: 1,
  learningRate: 1,
  rateSum: 1,
  restart: false,
  uniform: 0.5,
  told: NOTHING_TOLD,
  reports: {},
}
const REWRITTEN = 'g_1'
const NAME = /(?<!\w)(report\s+)?([A-Za-z_]\w*)/g

/** Names that a piece owns: its slots, its hyperparameters and what its lines assign. */
function ownNames(piece: Piece, shared: ReadonlySet<string>): string[] {
  const assigned = [...piece.text.matchAll(/^\s*([A-Za-z_]\w*)\s*=(?!=)/gm)].map((match) => match[1])
  const names = [...Object.keys(piece.slots ?? {}), ...Object.keys(piece.scalars?.(FIRST) ?? {}), ...assigned]
  return [...new Set(names)].filter((name) => !shared.has(name))
}

/** The lines of a piece that make x of x and numbers alone: weight decay that bypasses the direction of its step. */
export function decayOf({ text, scalars }: Piece): string {
  const known = new Set(['x', 'lr', 't', ...Object.keys(scalars?.(FIRST) ?? {})])
  const names = (line: string) => [...line.matchAll(NAME)].map((match) => match[2])
  return text
    .split('\n')
    .filter((line) => /^\s*x\s*=/.test(line) && names(line).every((name) => known.has(name)))
    .join('\n')
}

const reportsOf = (text: string): string[] => [...text.matchAll(/^\s*report\s+(\w+)/gm)].map((match) => match[1])

/** Takes a name, or where it is taken the name with the first free number. */
function take(name: string, taken: Set<string>): string {
  let free = name
  for (let n = 2; taken.has(free); n++) free = `${name}_${n}`
  taken.add(free)
  return free
}

/** One program from pieces in the order in which they run; a name that is reserved or taken gets a number. */
export function compose(pieces: readonly Piece[], reserved: readonly string[] = []): Composition {
  // The language does not let a rule assign its input: from the first piece that rewrites it, the gradient is a local.
  let gradient = 'g'
  const reports = new Set(pieces.flatMap(({ verbatim, text }) => (verbatim ? reportsOf(text) : [])))
  const rename = (line: string, names: ReadonlyMap<string, string>, verbatim = false): string => {
    const rewrites = /^\s*g\s*=(?!=)/.test(line)
    const renamed = line.replace(NAME, (_, report, name) => {
      // What follows `report` is a name for people: the piece's own where no other piece reports it too.
      if (report) return `${report}${verbatim ? name : take(name, reports)}`
      return name === 'g' ? gradient : (names.get(name) ?? name)
    })
    if (!rewrites) return renamed
    gradient = REWRITTEN
    return renamed.replace(/g\w*/, REWRITTEN)
  }
  const inputs = [...new Set(pieces.flatMap((piece) => piece.inputs ?? []))]
  const shared = ['x', 'g', 't', 'lr', 'metric']
  const taken = new Set([...shared, REWRITTEN, ...inputs, ...reserved])
  const namesOf = new Map<Piece, ReadonlyMap<string, string>>()
  let answer: string | null = null
  const parts = pieces.map((piece) => {
    const names = new Map(piece.of && namesOf.get(piece.of))
    const own = piece.verbatim ? [] : ownNames(piece, new Set([...shared, ...(piece.inputs ?? []), ...names.keys()]))
    for (const name of own) names.set(name, take(name, taken))
    namesOf.set(piece, names)
    if (piece.answer) answer = names.get(piece.answer) ?? piece.answer
    const renamed = <T>(record: { readonly [name: string]: T }): { [name: string]: T } =>
      Object.fromEntries(Object.entries(record).map(([name, value]) => [names.get(name) ?? name, value]))
    return {
      ahead: piece.ahead ?? false,
      text: piece.text
        .trim()
        .split('\n')
        .map((line) => rename(line, names, piece.verbatim))
        .join('\n'),
      slots: renamed(piece.slots ?? {}),
      fill: renamed(piece.fill ?? {}),
      scalars: (at: At) => renamed(piece.scalars?.(at) ?? {}),
    }
  })
  const merged = <T>(records: { [name: string]: T }[]): { [name: string]: T } => Object.assign({}, ...records)
  const scalars = (at: At) => ({ lr: at.learningRate, ...merged(parts.map((part) => part.scalars(at))) })
  const ordered = [...parts.filter((part) => part.ahead), ...parts.filter((part) => !part.ahead)]
  return {
    source: {
      text: ordered.map((part) => part.text).join('\n'),
      slots: merged(parts.map((part) => part.slots)),
      hyperparameters: Object.keys(scalars(FIRST)),
      inputs,
    },
    scalars,
    fill: merged(parts.map((part) => part.fill)),
    shape: pieces.find((piece) => piece.shape)?.shape,
    answer,
  }
}
