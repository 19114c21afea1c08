/**
 * A whole study: trials that cost nothing, 64 workers in two processes, until all are told. The peer runs first, up to a
 * time limit; asktell then runs exactly as many trials as the peer had finished. Nothing is extrapolated.
 */
import { float } from '../../clients/typescript/src/index.js'
import { ratio } from '../lib/measure.js'
import { built, Child, python, source, Unavailable, vizierPython } from '../lib/process.js'
import { type Line, unavailable } from '../lib/report.js'
import type { Options, Row } from '../lib/row.js'
import { type AsktellServer, startAsktell } from '../lib/server.js'

const WORKERS = 64
const PROCESSES = 2
const SPACE = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`x${i}`, float(0, 1)]))

/** A service under test: starts the two worker processes of a new study, on a server of its own. */
type Peer = {
  name: string
  /** The method that asktell runs against it. */
  method: string
  /** Trials, the time limit of the peer in seconds, and pairs of runs. */
  sizes: readonly Size[]
  mark?: number
  python(): Promise<string>
  script: string
  worker: readonly string[]
}
type Size = { trials: number; seconds: number; pairs: number }

const PEERS: readonly Peer[] = [
  {
    name: 'Optuna TPE behind its gRPC proxy, in memory',
    method: 'tpe',
    sizes: [{ trials: 10_000, seconds: 5400, pairs: 1 }],
    mark: 30,
    python: () => python(),
    script: 'peers/optuna_study.py',
    worker: [],
  },
  {
    name: 'OSS Vizier, RANDOM_SEARCH',
    method: 'random',
    sizes: [{ trials: 10_000, seconds: 300, pairs: 1 }],
    python: vizierPython,
    script: 'peers/vizier_study.py',
    worker: ['RANDOM_SEARCH'],
  },
  {
    name: 'OSS Vizier, DEFAULT (GP bandit)',
    method: 'gp',
    sizes: [{ trials: 10_000, seconds: 300, pairs: 1 }],
    python: vizierPython,
    script: 'peers/vizier_study.py',
    worker: ['DEFAULT'],
  },
]
const QUICK: readonly Size[] = [{ trials: 300, seconds: 30, pairs: 1 }]

export const study: Row = {
  name: 'study',
  title: 'a study with 64 workers, end to end',
  async run(options) {
    const server = await startAsktell()
    try {
      const lines: Line[] = []
      for (const peer of PEERS)
        for (const size of options.quick ? QUICK : peer.sizes) lines.push(await measure(peer, size, server, options))
      return lines
    } finally {
      await server.close()
    }
  },
}

async function measure(peer: Peer, size: Size, server: AsktellServer, options: Options): Promise<Line> {
  options.say(`study: ${size.trials} trials, asktell ${peer.method} and ${peer.name}`)
  const label = (trials: number) => `${trials.toLocaleString('en-US')} trials, ${peer.method}`
  try {
    const theirs: Outcome[] = []
    const ours: Outcome[] = []
    for (let pair = 0; pair < size.pairs; pair++) {
      const outcome = await runPeer(peer, size, `${peer.method}-${size.trials}-${pair}`, options)
      if (outcome.trials === 0) throw new Unavailable(`${peer.name} finished no trial in ${size.seconds} s`)
      theirs.push(outcome)
      ours.push(await runOurs(peer.method, theirs[pair].trials, server))
    }
    const { trials, seconds } = theirs[0]
    const rate = (outcomes: readonly Outcome[]) => outcomes.map((outcome) => outcome.seconds / outcome.trials)
    const cut = trials < size.trials ? `; it was stopped after ${size.seconds} s of the ${size.trials} asked for` : ''
    return {
      row: 'study',
      what: label(trials),
      ours: ours[0].seconds,
      unit: 's',
      against: peer.name,
      theirs: seconds,
      ratio: ratio(rate(theirs), rate(ours)),
      mark: trials >= 10_000 ? peer.mark : undefined,
      note: `${peer.name} finished ${trials} trials in ${seconds.toFixed(1)} s, asktell ${ours[0].trials} in ${ours[0].seconds.toFixed(1)} s, ${WORKERS} workers each, asktell journalled${cut}`,
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    return unavailable('study', label(size.trials), peer.name, error.message)
  }
}

type Outcome = { trials: number; seconds: number }

async function runPeer(peer: Peer, { trials, seconds }: Size, name: string, { version }: Options): Promise<Outcome> {
  const interpreter = await peer.python()
  const server = new Child(interpreter, [source(peer.script), 'server'])
  try {
    const { port, endpoint, ...versions } = await server.read<{ port?: number; endpoint?: string }>()
    for (const [library, number] of Object.entries(versions)) version(library, String(number))
    const args = [source(peer.script), 'worker', String(port ?? endpoint), name, String(WORKERS / PROCESSES)]
    return await timed(() => new Child(interpreter, [...args, ...peer.worker]), trials, seconds)
  } finally {
    await server.close()
  }
}

async function runOurs(method: string, trials: number, { port, client }: AsktellServer): Promise<Outcome> {
  const { name } = await client.createSession({ method, space: SPACE, direction: 'minimize', seed: 1 })
  const args = [built('workers/study.js'), `127.0.0.1:${port}`, name, String(WORKERS / PROCESSES)]
  const outcome = await timed(() => new Child(process.execPath, args), trials, 0)
  const { counts } = await client.session(name).get()
  if (Number(counts?.told) < trials) throw new Error(`asktell holds ${counts?.told} of ${trials} trials`)
  return outcome
}

/** From the word to start until every process has told its last trial. */
async function timed(start: () => Child, trials: number, seconds: number): Promise<Outcome> {
  const workers = Array.from({ length: PROCESSES }, start)
  try {
    await Promise.all(workers.map((worker) => worker.read()))
    const begun = performance.now()
    const done = await Promise.all(workers.map((worker) => worker.ask('run', Math.ceil(trials / PROCESSES), seconds)))
    return { seconds: (performance.now() - begun) / 1000, trials: done.reduce((sum, n) => sum + n, 0) }
  } finally {
    await Promise.all(workers.map((worker) => worker.close()))
  }
}
