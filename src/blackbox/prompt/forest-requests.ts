/** What scattered-forest says to a language model, and how it reads the replies. */
import type { Observation } from '../../core/query.js'
import type { Problem, TextSpace } from '../../core/space.js'
import { wellFormed } from './dialogue.js'
import type { Attempt, Node } from './forest.js'

/** What a completion is for: the text of a new solution, or what comes of one that is there. */
export type Request =
  | { kind: 'seed'; attempt: Attempt }
  | { kind: 'improve'; attempt: Attempt }
  | { kind: 'directions'; node: number }
  | { kind: 'insight'; node: number }

/** Characters of feedback that are kept, and of an insight. */
export const FEEDBACK = 2000

const shown = ({ text, score, feedback }: Node): string =>
  `<TEXT>\n${text}\n</TEXT>\n\nIts score is ${Number(score.toPrecision(4))} of at most 1.` +
  (feedback && `\n\nFeedback:\n${feedback}`)

/** The request of a completion: the task, the solution in question, what is known, and what to do. */
export function requestOf(
  problem: Problem,
  { nodes, insights }: { nodes: readonly Node[]; insights: readonly string[] },
  directions: number,
  request: Request,
): string {
  const [{ initial }] = (problem.space as TextSpace).components
  const learned = insights.length > 0 && `What earlier attempts taught:\n${insights.map((i) => `- ${i}`).join('\n')}`
  const alone = 'Answer with the whole solution and nothing else.'
  const parts = (): (string | false)[] => {
    if (request.kind === 'directions') {
      const list = `List ${directions} different directions in which this solution could be improved: numbered, one per line, each a sentence or two.`
      return [shown(nodes[request.node]), learned, list]
    }
    if (request.kind === 'insight') {
      const after = nodes[request.node]
      const before = nodes[after.origin!.node]
      const tried = before.directions[after.origin!.direction].text
      const lesson = 'In one sentence, what does this attempt teach for others at the same task?'
      return [shown(before), `It was changed in this direction: ${tried}`, shown(after), lesson]
    }
    const { node, direction } = request.attempt
    const { text } = nodes[node].directions[direction]
    if (request.kind === 'seed')
      return [initial !== '' && `<TEXT>\n${initial}\n</TEXT>`, learned, `Theme: ${text}`, `Write a solution. ${alone}`]
    return [shown(nodes[node]), learned, `Direction: ${text}`, `Improve this solution in this direction. ${alone}`]
  }
  const task = problem.task?.description
  return [task !== undefined && `Task: ${task}`, ...parts()].filter(Boolean).join('\n\n')
}

/** The entries of a numbered list, without repeats. Lines without a number belong to the entry before. */
export function numbered(reply: string): string[] {
  const entries: string[] = []
  for (const line of reply.split('\n')) {
    const [, entry] = /^\s*\d+\s*[.):]\s*(.*)$/.exec(line) ?? []
    if (entry !== undefined) entries.push(entry.trim())
    else if (entries.length > 0) entries.push(`${entries.pop()} ${line.trim()}`.trim())
  }
  return [...new Set(entries.filter(Boolean))]
}

/** A solution as it is written, without the fence that models put around code. */
export const unfenced = (reply: string): string =>
  /^```[^\n]*\n([\s\S]*?)\n?```$/.exec(reply.trim())?.[1] ?? reply.trim()

/** What a score says in words: the message that came with it, or the examples that are not entirely right. */
export function feedbackOf({ task }: Problem, { message, scores }: Observation): string {
  const { examples = [], outputs = [] } = scores?.[0] ?? {}
  const wrong = examples.flatMap((score, i) => {
    if (score >= 1) return []
    const { input, expected } = task?.examples?.[i] ?? {}
    const known = input === undefined ? '' : `Input: ${input}\nExpected: ${expected}\n`
    return [`Test ${i + 1} failed.\n${known}${outputs[i] === undefined ? '' : `Output: ${outputs[i]}`}`.trim()]
  })
  return wellFormed([message, ...wrong].filter(Boolean).join('\n\n').slice(0, FEEDBACK))
}
