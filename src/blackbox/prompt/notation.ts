/**
 * How opro writes solutions into its meta-prompt and reads them from replies: instructions (text spaces), numbers
 * (search spaces) and permutations (items). The layout of the blocks is that of the paper's prompts, appendix C.
 */
import type { Point } from '../../core/query.js'
import { Rng, rngStream } from '../../core/rng.js'
import { contains, type Parameter, type Params, type Problem } from '../../core/space.js'
import { encodingOf } from '../space/encoding.js'

export type Solution = string | Params | readonly number[]
export type Mode = 'instruction' | 'numeric' | 'permutation'
/** What a notation needs of opro's config. */
export type Style = { decimals: number; maxLength: number; exemplars: number }

export interface Notation {
  mode: Mode
  /** The kind of want that evaluates a solution. */
  want: 'score' | 'value'
  /** Solutions to begin with where the config lists none. */
  starts(rng: Rng, count: number): Solution[]
  /** The solution as the space has it, or undefined when it is none. */
  accept(candidate: unknown): Solution | undefined
  parse(reply: string): Solution | undefined
  key(solution: Solution): string
  point(solution: Solution): Point
  /** The task, before the history. */
  task(maximize: boolean): string
  /** One entry of the history. `values` are all that are shown. */
  entry(solution: Solution, value: number, values: readonly number[]): string
  /** What may stand between the history and the request. */
  interlude(step: number): string
  request(maximize: boolean): string
}

/** Where an instruction goes in an exemplar; replies that contain it copied the prompt. */
const PLACEHOLDER = '<INS>'

const rounded = (x: number, decimals: number) => Number(x.toFixed(decimals)) + 0
const better = (maximize: boolean) => (maximize ? 'higher' : 'lower')
const sorted = (maximize: boolean) => (maximize ? 'ascending' : 'descending')

function instruction({ space, task }: Problem, style: Style): Notation {
  if (space.kind !== 'text') throw new TypeError(`no instructions in a space of ${space.kind}`)
  const [component] = space.components
  const limit = Math.min(style.maxLength, component.maxLength ?? Infinity)
  const accept = (candidate: unknown) =>
    typeof candidate === 'string' && candidate.length <= limit && !candidate.includes(PLACEHOLDER)
      ? candidate
      : undefined
  return {
    mode: 'instruction',
    want: 'score',
    starts: () => [component.initial],
    accept,
    parse(reply) {
      const match = /<INS>([\s\S]*)<\/INS>/.exec(reply) ?? /\[([\s\S]*?)\]/.exec(reply)
      return accept(match?.[1].trim() || undefined)
    },
    key: (solution) => solution as string,
    point: (solution) => ({ kind: 'text', text: { [component.name]: solution as string } }),
    task: (maximize) =>
      `${task?.description ?? 'Find the best text.'}\n\n` +
      `Here are texts with their scores, in ${sorted(maximize)} order: the best comes last, ${better(maximize)} is better.`,
    entry(solution, value, values) {
      const share = values.every((v) => v >= 0 && v <= 1)
      return `text:\n${solution}\nscore:\n${share ? Math.round(100 * value) : rounded(value, style.decimals)}`
    },
    interlude(step) {
      const examples = task?.examples ?? []
      if (examples.length === 0 || style.exemplars === 0) return ''
      const drawn = new Rng(rngStream(step, 'exemplars')).shuffle(examples).slice(0, style.exemplars)
      const shown = drawn.map(({ input, expected }) => `input:\n${PLACEHOLDER}\n${input}\noutput:\n${expected}`)
      return `The text takes the place of ${PLACEHOLDER} in every input; the output should then be as shown:\n\n${shown.join('\n\n')}`
    },
    request: (maximize) =>
      `Write one new text that differs from all texts above and whose score is ${better(maximize)} than all of theirs. ` +
      'Write it between <INS> and </INS>.',
  }
}

function numeric({ space, task }: Problem, { decimals }: Style): Notation {
  if (space.kind !== 'search') throw new TypeError(`no numbers in a space of ${space.kind}`)
  const { parameters } = space
  const names = parameters.map(({ name }) => name)
  const round = (p: Parameter, x: number) => rounded(x, p.type === 'int' ? 0 : decimals)
  const accept = (candidate: unknown) => {
    if (typeof candidate !== 'object' || candidate === null) return undefined
    if (Object.keys(candidate).length !== parameters.length) return undefined
    const params: Record<string, number> = {}
    for (const p of parameters) {
      const value = (candidate as Params)[p.name]
      if (typeof value !== 'number') return undefined
      params[p.name] = round(p, value)
      if (!contains(p, params[p.name])) return undefined
    }
    return params
  }
  const list = (params: Params) => names.map((name) => `${name}=${params[name]}`).join(', ')
  return {
    mode: 'numeric',
    want: 'value',
    starts(rng, count) {
      const { axes, decode } = encodingOf(space)
      // A rounded draw may leave a narrow range: draw again, a bounded number of times.
      const draws = Array.from({ length: 20 * count }, () => accept(decode(axes.map(() => rng.uniform()))))
      return draws.filter((params) => params !== undefined).slice(0, count)
    },
    accept,
    parse(reply) {
      const last = [...reply.matchAll(/\[([^[\]]*)\]/g)].at(-1)
      const parts = last?.[1].split(',').map((part) => /[-+]?\d*\.?\d+(?:e[-+]?\d+)?\s*$/i.exec(part)?.[0]) ?? []
      if (parts.length !== names.length || parts.includes(undefined)) return undefined
      return accept(Object.fromEntries(names.map((name, i) => [name, Number(parts[i])])))
    },
    key: (solution) => list(solution as Params),
    point: (solution) => ({ kind: 'params', params: solution as Params }),
    task: (maximize) =>
      `${task?.description ?? `${maximize ? 'Maximize' : 'Minimize'} a function of ${names.join(', ')}.`}\n\n` +
      `Here are inputs with their function values, in ${sorted(maximize)} order: the best comes last, ${better(maximize)} is better.`,
    entry: (solution, value) => `input:\n${list(solution as Params)}\nvalue:\n${rounded(value, decimals)}`,
    interlude: () => '',
    request: (maximize) =>
      `Give one new input that differs from all inputs above and whose value is ${better(maximize)} than all of theirs. ` +
      `Write no code. End with the numbers as [${names.join(', ')}].`,
  }
}

function permutation({ space, task }: Problem, { decimals }: Style): Notation {
  if (space.kind !== 'items') throw new TypeError(`no permutations in a space of ${space.kind}`)
  const { items } = space
  const accept = (candidate: unknown) => {
    if (!Array.isArray(candidate) || candidate.length !== items.length) return undefined
    const known = new Set(candidate.filter((i) => Number.isInteger(i) && i >= 0 && i < items.length))
    return known.size === items.length ? (candidate as number[]) : undefined
  }
  const trace = (solution: Solution) => (solution as readonly number[]).join(',')
  const described = items.map(({ id, label, features }, i) => {
    const at = features ? ` at (${features.map((x) => Number(x.toPrecision(6))).join(', ')})` : ''
    return `(${i}) ${label ?? id}${at}`
  })
  return {
    mode: 'permutation',
    want: 'value',
    starts: (rng, count) => Array.from({ length: count }, () => rng.shuffle(items.map((_, i) => i))),
    accept,
    parse(reply) {
      const match = /<trace>([\d,\s]*)<\/trace>/.exec(reply)
      return match ? accept(match[1].split(',').map((part) => (part.trim() ? Number(part) : Number.NaN))) : undefined
    },
    key: trace,
    point: (solution) => ({ kind: 'text', text: { order: trace(solution) } }),
    task: (maximize) =>
      `${task?.description ?? 'Find the best order in which to visit all points.'}\n\n` +
      `The points are:\n${described.join('\n')}\n\n` +
      `Here are traces with their lengths, in ${sorted(maximize)} order: the best comes last, ${better(maximize)} is better.`,
    entry: (solution, value) => `<trace> ${trace(solution)} </trace>\nlength:\n${rounded(value, decimals)}`,
    interlude: () => '',
    request: (maximize) =>
      `Give one new trace that differs from all traces above and whose length is ${better(maximize)} than all of theirs. ` +
      'It must visit every point exactly once. Write it between <trace> and </trace>.',
  }
}

/** The notation of a problem, by the kind of its space. */
export function notationOf(problem: Problem, style: Style): Notation {
  if (problem.space.kind === 'text') return instruction(problem, style)
  return problem.space.kind === 'search' ? numeric(problem, style) : permutation(problem, style)
}
