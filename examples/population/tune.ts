/**
 * Tunes the learning rate of remote gradient sessions with a population: every member trains the digits network through a
 * session of its own on the server, and a member that gives up its run goes on in a fork of a better one's session, with
 * its weights and its moments.
 */
import { type Client, float, type Params, type Session, tensors } from '../../clients/typescript/src/index.js'
import { type Digits, loadDigits, PIXELS } from '../digits/data.js'
import {
  accuracy,
  batchAt,
  initialWeights,
  lossAndGradient,
  shapes,
  type Weights,
  zerosLike,
} from '../digits/network.js'

const WIDTH = 16
const BATCH = 64
const VALIDATION = 800

const slice = (digits: Digits, from: number, to: number): Digits => ({
  count: to - from,
  pixels: digits.pixels.subarray(from * PIXELS, to * PIXELS),
  labels: digits.labels.subarray(from, to),
})

/** The session in which a trial trains: a new one, or a fork of its parent's. */
async function sessionOf(client: Client, checkpoints: Map<number, Session>, params: Params, parent?: number) {
  const config = { learningRate: params.learningRate as number }
  if (parent !== undefined) return checkpoints.get(parent)!.fork({ config })
  const shape = shapes(WIDTH)
  const start = Object.entries(initialWeights(WIDTH))
  const space = tensors(
    Object.fromEntries(start.map(([name, values]) => [name, { values, shape: shape[name as keyof Weights] }])),
  )
  return client.createSession({ method: 'adam', space, config, durability: 'snapshot', offers: ['gradient'] })
}

/** Trains `steps` further; returns the weights. */
async function train(session: Session, digits: Digits, from: number, steps: number): Promise<Weights> {
  let { queries } = await session.step({ count: 1 })
  const gradient = zerosLike(queries[0].points[0].tensors as unknown as Weights)
  for (let step = from; step < from + steps; step++) {
    const weights = queries[0].points[0].tensors as unknown as Weights
    lossAndGradient(weights, digits, batchAt(step, BATCH, digits.count), gradient)
    ;({ queries } = await session.step({
      observations: [{ queryId: queries[0].id, gradients: [gradient] }],
      count: 1,
    }))
  }
  return queries[0].points[0].tensors as unknown as Weights
}

export type Interval = {
  trial: number
  parent?: number
  purpose: string
  /** The gradient session that holds the checkpoint after it. */
  session: string
  learningRate: number
  accuracy: number
  steps: number
}
export type Result = { intervals: Interval[]; best: Interval; test: number; schedule: number[] }

export async function tune(
  client: Client,
  { method = 'pbt', populationSize = 4, intervals = 5, steps = 20, seed = 1 },
  onInterval: (interval: Interval) => void = () => {},
): Promise<Result> {
  const { train: all, test } = loadDigits()
  const training = slice(all, 0, all.count - VALIDATION)
  const validation = slice(all, all.count - VALIDATION, all.count)
  const population = await client.createSession({
    method,
    space: { learningRate: float(1e-4, 0.1, { log: true }) },
    config: { populationSize, quantile: 0.25, synchronous: true },
    direction: 'maximize',
    budget: { maxEvaluations: populationSize * intervals },
    seed,
    displayName: `a learning rate by ${method}`,
  })
  const checkpoints = new Map<number, Session>()
  const weightsAfter = new Map<number, Weights>()
  const done: Interval[] = []
  for (;;) {
    const { queries } = await population.ask(1)
    if (queries.length === 0) break
    const [{ id, trial, parent, purpose, points }] = queries
    const params = points[0].params as Params
    const session = await sessionOf(client, checkpoints, params, parent)
    const from = done.find((interval) => interval.trial === parent)?.steps ?? 0
    const weights = await train(session, training, from, steps)
    const value = accuracy(weights, validation)
    checkpoints.set(trial!, session)
    weightsAfter.set(trial!, weights)
    const { learningRate } = params as { learningRate: number }
    const { name } = session
    done.push({ trial: trial!, parent, purpose, session: name, learningRate, accuracy: value, steps: from + steps })
    await population.tell([{ queryId: id, values: [value] }])
    onInterval(done.at(-1)!)
  }
  const [{ trial }] = (await population.estimate()).points
  const best = done.find((interval) => interval.trial === trial)!
  const schedule: number[] = []
  for (let at: Interval | undefined = best; at; at = done.find((interval) => interval.trial === at?.parent))
    schedule.unshift(at.learningRate)
  return { intervals: done, best, test: accuracy(weightsAfter.get(best.trial)!, test), schedule }
}
