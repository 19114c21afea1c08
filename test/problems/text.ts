/** Problems over text, with scripted stand-ins for a language model: deterministic functions of the request's text. */
import type { Point, Want } from '../../src/core/query.js'
import type { Definition, ProblemOptions } from './oracle.js'

/** A prompt is right on the examples of rule j when it contains keyword j. */
export const KEYWORDS = ['units', 'dates', 'sources', 'rounding'] as const
const DISTRACTORS = ['colours', 'weather', 'music', 'animals', 'rivers', 'planets', 'letters', 'recipes'] as const
const VOCABULARY = [...KEYWORDS, ...DISTRACTORS]

const EXAMPLES = Array.from({ length: 20 }, (_, i) => ({
  input: `record ${i}`,
  expected: `record ${i} with ${KEYWORDS[i % KEYWORDS.length]}`,
}))

const hash = (text: string): number => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0
  return h
}
const between = (text: string, open: string, close: string): string => {
  const from = text.lastIndexOf(open)
  const to = text.indexOf(close, from)
  return from < 0 || to < 0 ? '' : text.slice(from + open.length, to).trim()
}
const append = (prompt: string, word: string) => `${prompt} Mention ${word}.`.trim()

/** Replies to opro's meta-prompt: the last listed text with one more word of the vocabulary. */
function propose(text: string, count: number): string[] {
  const listed = [...text.matchAll(/^text:\n([\s\S]*?)\nscore:$/gm)].map((match) => match[1])
  const best = listed.at(-1) ?? ''
  const first = hash(text)
  return Array.from({ length: count }, (_, k) => {
    const word = VOCABULARY[(first + k) % VOCABULARY.length]
    return `<INS>${append(best, word)}</INS>`
  })
}

/** Replies to apo's critique: the first word that an expected answer has and the prompt has not. */
function critique(text: string): string {
  const prompt = between(text, '<PROMPT>', '</PROMPT>')
  const wanted = [...text.matchAll(/^Expected: .* with (\w+)$/gm)].map((match) => match[1])
  const missing = wanted.find((word) => !prompt.includes(word))
  return missing ? `<START>The prompt does not ask for ${missing}<END>` : 'Nothing is wrong.'
}

/** The same of a text whose examples are not shown. */
function missingWord(text: string): string {
  const missing = KEYWORDS.find((word) => !between(text, '<TEXT>', '</TEXT>').includes(word))
  return missing ? `The text does not ask for ${missing}.` : 'Nothing is wrong.'
}

/** Replies to apo's edit: the prompt with the word that the critique names. */
function edit(text: string): string {
  const word = /does not ask for (\w+)/.exec(text)?.[1] ?? ''
  return `<START>${append(between(text, '<PROMPT>', '</PROMPT>'), word)}<END>`
}

/** Replies to a request for a revision: the text with one more keyword, the one that a critique names. */
function revise(text: string): string {
  const now = between(text, '<TEXT>', '</TEXT>')
  const named = /does not ask for (\w+)/.exec(text)?.[1]
  const missing = named ?? KEYWORDS.find((word) => !now.includes(word))
  return missing ? append(now, missing) : now
}

/** Replies to scattered-forest: lists words as directions, one of them right, and takes the one that a direction names. */
function explore(purpose: string, text: string): string {
  const now = between(text, '<TEXT>', '</TEXT>')
  if (purpose === 'insight') return `Compare: ${now}`
  if (purpose === 'seed') return now
  if (purpose === 'improve') return append(now, /Direction: Mention (\w+)/.exec(text)?.[1] ?? 'nothing')
  const [first, second] = DISTRACTORS.slice(hash(now) % (DISTRACTORS.length - 1))
  const missing = KEYWORDS.find((word) => !now.includes(word)) ?? first
  return [first, missing, second].map((word, k) => `${k + 1}. Mention ${word}.`).join('\n')
}

function complete(want: Extract<Want, { kind: 'completion' }>): string[] {
  const text = want.messages.map(({ content }) => content).join('\n')
  if (want.purpose === 'propose') return propose(text, want.count)
  return Array.from({ length: want.count }, (_, k) => {
    if (want.purpose === 'critique') return text.includes('<TEXT>') ? missingWord(text) : critique(text)
    if (want.purpose === 'revise') return revise(text)
    if (want.purpose === 'edit') return edit(text)
    if (['seed', 'improve', 'directions', 'insight'].includes(want.purpose)) return explore(want.purpose, text)
    return between(text, '<PROMPT>', '</PROMPT>').replaceAll(' ', ' '.repeat(k + 2))
  })
}

const words = (point: Point) => (point.kind === 'text' ? point.text.instruction.split(/\s+/).length : Number.NaN)

/** Find the four hidden keywords in a text component `instruction`; the score is the share of examples answered right. */
export function keywords(_: ProblemOptions): Definition {
  const outcome = (point: Point, examples: readonly number[] = EXAMPLES.map((_, i) => i)) => {
    if (point.kind !== 'text') throw new Error(`expected text, got a ${point.kind} point`)
    const right = examples.map((i) => point.text.instruction.includes(KEYWORDS[i % KEYWORDS.length]))
    const scores = right.map(Number)
    return {
      score: scores.reduce((sum, x) => sum + x, 0) / scores.length,
      examples: scores,
      outputs: right.map((ok, k) => (ok ? EXAMPLES[examples[k]].expected : EXAMPLES[examples[k]].input)),
    }
  }
  return {
    problem: {
      space: { kind: 'text', components: [{ name: 'instruction', initial: 'Describe the record.', maxLength: 2000 }] },
      objectives: [{ name: 'accuracy', direction: 'maximize' }],
      task: { description: 'Describe a record the way its readers expect.', examples: EXAMPLES },
    },
    optimum: 1,
    offers: ['score', 'completion', 'value', 'ranking', 'quantities'],
    objective: (point) => outcome(point).score,
    score: outcome,
    complete,
    // Words by which a text is longer or shorter than the first of the query.
    quantities: { distance: (point, _, { points: [first] }) => Float64Array.of(Math.abs(words(point) - words(first))) },
  }
}
