/**
 * A picture improved by rankings alone: the session proposes variants, a stand-in for a person puts the best of them in
 * order by looking at them, and no number is ever told.
 */
import { type Client, type Tensors, tensors } from '../../clients/typescript/src/index.js'
import type { PartResult, Report } from './part.js'

const SIZE = 20
const BLOBS = 4
const ROUNDS = 150

/** A picture of soft blobs; each is (x, y, brightness) in the latent vector. */
export function render(latent: ArrayLike<number>): Float64Array {
  const picture = new Float64Array(SIZE * SIZE)
  for (let b = 0; b < BLOBS; b++) {
    const [x, y, brightness] = [latent[3 * b] * SIZE, latent[3 * b + 1] * SIZE, latent[3 * b + 2]]
    for (let i = 0; i < SIZE; i++)
      for (let j = 0; j < SIZE; j++) picture[i * SIZE + j] += brightness * Math.exp(-((j - x) ** 2 + (i - y) ** 2) / 18)
  }
  return picture
}

const TARGET = render([0.3, 0.3, 0.9, 0.7, 0.3, 0.9, 0.35, 0.7, 0.6, 0.65, 0.7, 0.6])
const START = Float64Array.from([0.45, 0.4, 0.5, 0.55, 0.4, 0.5, 0.45, 0.6, 0.5, 0.55, 0.6, 0.5])

const difference = (picture: Float64Array) =>
  Math.sqrt(picture.reduce((sum, p, i) => sum + (p - TARGET[i]) ** 2, 0) / picture.length)

/** The stand-in judge: shown pictures, it answers with the best `top` in order, and nothing else. */
const judge = (pictures: readonly Float64Array[], top: number): number[] =>
  pictures
    .map((picture, index) => ({ index, distance: difference(picture) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, top)
    .map(({ index }) => index)

const shades = ' .:-=+*#%@'
export const draw = (picture: Float64Array): string[] =>
  Array.from({ length: SIZE / 2 }, (_, row) =>
    Array.from({ length: SIZE }, (_, column) => {
      const value = (picture[2 * row * SIZE + column] + picture[(2 * row + 1) * SIZE + column]) / 2
      return shades[Math.max(0, Math.min(shades.length - 1, Math.floor(value * shades.length)))]
    }).join(''),
  )

export async function run(client: Client, report: Report): Promise<PartResult> {
  const session = await client.createSession({
    method: 'zo-rank-sgd',
    space: tensors({ latent: START }),
    config: { m: 8, k: 3, mu: 0.05, learningRate: 0.1, lineSearch: true },
    budget: { maxEvaluations: 2 * ROUNDS },
    offers: ['ranking'],
    seed: 3,
    displayName: 'a picture, ranked by a stand-in judge',
  })
  const curve = {
    name: 'distance of the picture from what the judge likes (never told)',
    x: [] as number[],
    y: [] as number[],
  }
  let answers = 0
  let { queries, state } = await session.ask()
  while (queries.length > 0 && state === 'running') {
    const observations = queries.map((query) => {
      const pictures = query.points.map((point) => render((point.tensors as Tensors).latent))
      const [want] = query.wants
      return { queryId: query.id, ranking: judge(pictures, want.kind === 'ranking' ? want.top : 1) }
    })
    answers += observations.length
    ;({ queries, state } = await session.step({ observations }))
    if (answers % 10 === 0) {
      const [{ point }] = (await session.estimate()).points
      curve.x.push(answers)
      curve.y.push(difference(render((point.tensors as Tensors).latent)))
      report({ done: answers, total: 2 * ROUNDS, note: `${answers} rankings given` })
    }
  }
  const [{ point }] = (await session.estimate()).points
  const best = render((point.tensors as Tensors).latent)
  const [before, after, target] = [draw(render(START)), draw(best), draw(TARGET)]
  const pad = (text: string) => text.padEnd(SIZE + 3)
  const picture = [
    pad('before') + pad('after') + "in the judge's mind",
    ...before.map((line, i) => pad(line) + pad(after[i]) + target[i]),
  ].join('\n')
  return {
    session: session.name,
    curve,
    picture,
    rows: [
      ['rankings given', String(answers)],
      ['picture error, before and after', `${difference(render(START)).toFixed(3)}, ${difference(best).toFixed(3)}`],
    ],
  }
}
