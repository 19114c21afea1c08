/**
 * An instruction improved by an `opro` session. The server's resolver asks the configured endpoint for proposals; this
 * client scores each of them: the endpoint follows the instruction on every example, and what counts is an exact match.
 * The endpoint is a script that speaks the OpenAI protocol (examples/local-endpoint); any other works the same way.
 */
import OpenAI from 'openai'
import { type Client, text } from '../../clients/typescript/src/index.js'
import type { PartResult, Report } from './part.js'

const EXAMPLES = [
  ['Tea', 'tea'],
  ['Green Tea', 'green-tea'],
  ['Salt & Pepper', 'salt-and-pepper'],
  ['The Old Man and the Sea', 'old-man-and-sea'],
  ['Why Me?', 'why-me'],
  ['A Tale of Two Cities', 'tale-of-two-cities'],
  ['Café', 'cafe'],
  ['Crème Brûlée, Twice', 'creme-brulee-twice'],
  ['Dungeons & Dragons', 'dungeons-and-dragons'],
  ['An Ideal Husband', 'ideal-husband'],
  ['War & Peace!', 'war-and-peace'],
  ['The Wind in the Willows', 'wind-in-willows'],
] as const
const SCORED = 300

export async function run(client: Client, report: Report): Promise<PartResult> {
  const { QUICKSTART_ENDPOINT: baseURL } = process.env
  const endpoint = new OpenAI({ baseURL, apiKey: 'none' })
  const session = await client.createSession({
    method: 'opro',
    space: text({ instruction: 'Keep the first word.' }),
    direction: 'maximize',
    task: {
      description: 'Turn a title into a short name for a web address.',
      examples: EXAMPLES.map(([input, expected]) => ({ input, expected })),
    },
    resolver: { endpoint: 'local' },
    budget: { maxEvaluations: SCORED, maxCalls: 600 },
    offers: ['score'],
    seed: 1,
    displayName: 'an instruction for short names',
  })

  const score = async (instruction: string, examples: readonly number[]) => {
    const outputs = await Promise.all(
      examples.map(async (index) => {
        const messages = [
          { role: 'system' as const, content: instruction },
          { role: 'user' as const, content: EXAMPLES[index][0] },
        ]
        const reply = await endpoint.chat.completions.create({ model: 'local-script', messages, temperature: 0 })
        return reply.choices[0].message.content ?? ''
      }),
    )
    const right = outputs.map((output, i) => (output === EXAMPLES[examples[i]][1] ? 1 : 0))
    return { score: right.reduce<number>((sum, r) => sum + r, 0) / right.length, examples: right, outputs }
  }

  const curve = { name: 'best share of exact matches so far', x: [] as number[], y: [] as number[] }
  let scored = 0
  let best = 0
  let first: number | undefined
  let { queries, state } = await session.ask(4, { wait: 20 })
  while (best < 1 && (queries.length > 0 || state === 'running')) {
    const observations = []
    for (const query of queries) {
      const [want] = query.wants
      const all = EXAMPLES.map((_, i) => i)
      const asked = want.kind === 'score' && want.examples.length > 0 ? want.examples : all
      const found = await score(query.points[0].text?.instruction ?? '', asked)
      observations.push({ queryId: query.id, scores: [found] })
      best = Math.max(best, found.score)
      first ??= found.score
      curve.x.push(++scored)
      curve.y.push(best)
    }
    report({ done: scored, total: SCORED, note: `best ${(100 * best).toFixed(0)}% after ${scored} instructions` })
    ;({ queries, state } = await session.step({ observations, count: 4, wait: 20 }))
  }
  const { usage } = await session.update({ state: 'done' })
  const [{ point }] = (await session.estimate()).points
  return {
    session: session.name,
    curve,
    rows: [
      ['instructions scored, calls of the resolver', `${scored}, ${usage?.calls ?? 0}`],
      ['exact matches, before and after', `${(100 * (first ?? 0)).toFixed(0)}%, ${(100 * best).toFixed(0)}%`],
      ['best instruction', point.text?.instruction ?? ''],
    ],
  }
}
