/**
 * `npm run bench:quality -- [--quick] [--only bbob,tuning] ...`: how good suggestions are per evaluation, against peers on the
 * same problems with the same seeds. Tables, and bench/results/<date>-quality*.json with every run and its seed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Command } from 'commander'
import { facts } from '../lib/facts.js'
import { atEnd, Child, output, python, ROOT, source } from '../lib/process.js'
import { notes, table } from '../lib/report.js'
import { startAsktell } from '../lib/server.js'
import { type BbobRun, bbobLines, groups, shareTable, type TuningRun, tuningLines } from './summary.js'

const FAST = ['random', 'optuna-tpe', 'optuna-cma-es', 'pycma-bipop', 'nevergrad-ngopt']
const SLOW = ['optuna-gp', 'botorch-logei']
const numbers = (text: string): number[] =>
  text.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
const words = (text: string) => text.split(',')

type Options = {
  quick: boolean
  only: string[]
  methods?: string[]
  peers?: string[]
  dims?: number[]
  budget: number
  functions: number[]
  instances?: number[]
  seeds?: number[]
  rounds: number
  batch: number
  table?: string
  reuse?: string
}
const options = new Command('bench:quality')
  .description('Quality per evaluation beside peers.')
  .option(
    '--quick',
    'one instance or seed, small tables, and only peers that suggest within a tenth of a second',
    false,
  )
  .option('--only <benchmarks>', 'bbob, tuning', words, ['bbob', 'tuning'])
  .option('--methods <ids>', 'methods of asktell, the first of which the ratios are of; auto,gp', words)
  .option('--peers <names>', `some of ${[...FAST, ...SLOW].join(',')}`, words)
  .option('--dims <list>', 'bbob: dimensions; 2,5', numbers)
  .option('--budget <number>', 'bbob: evaluations per coordinate', Number, 20)
  .option('--functions <list>', 'bbob: functions', numbers, numbers('1-24'))
  .option('--instances <list>', 'bbob: instances; 1-15, quick 1', numbers)
  .option('--seeds <list>', 'tuning: seeds; 1-5, quick 1', numbers)
  .option('--rounds <number>', 'tuning: rounds', Number, 16)
  .option('--batch <number>', 'tuning: evaluations of a round', Number, 8)
  .option('--table <file>', 'tuning: made by tuning_table.py; the one beside it, quick a smaller one made at once')
  .option(
    '--reuse <file>',
    "results of an earlier run: its peers' runs of the same problems and seeds are not done again",
  )
  .parse()
  .opts<Options>()

const { quick, only, budget, functions, rounds, batch } = options
const methods = (options.methods ?? (quick ? ['auto'] : ['auto', 'gp'])).map((id) => `asktell:${id}`)
const subjects = [...methods, ...(options.peers ?? (quick ? FAST : [...FAST, ...SLOW]))]
const dimensions = options.dims ?? [2, 5]
const instances = options.instances ?? (quick ? [1] : numbers('1-15'))
const seeds = options.seeds ?? (quick ? [1] : numbers('1-5'))
const say = (text: string) => process.stderr.write(`${text}\n`)

const interpreter = await python('quality/requirements-quality.txt', 'ASKTELL_BENCH_QUALITY_PYTHON')
const server = await startAsktell()
const env = {
  ...process.env,
  ASKTELL_TARGET: `127.0.0.1:${server.port}`,
  PYTHONPATH: [join(ROOT, 'clients', 'python', 'src'), process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  OMP_NUM_THREADS: '1',
}
let versions: { [peer: string]: string } = {}

/** Runs a script of this folder and collects its lines. */
async function collect<T extends object>(script: string, task: object): Promise<T[]> {
  const child = new Child(interpreter, [source(`quality/${script}`), JSON.stringify(task)], env)
  const runs: T[] = []
  try {
    versions = (await child.read<{ versions: typeof versions }>()).versions
    for (;;) {
      const line = await child.read<T & { done?: true }>()
      if (line.done) return runs
      say(Object.values(line).slice(0, 5).join(' '))
      runs.push(line)
    }
  } finally {
    await child.close()
  }
}

type Results = { bbob?: BbobRun[]; tuning?: TuningRun[]; task?: { budget: number; rounds: number; batch: number } }
const earlier: Results = options.reuse ? JSON.parse(readFileSync(options.reuse, 'utf8')) : {}
const same = earlier.task?.budget === budget && earlier.task.rounds === rounds && earlier.task.batch === batch
const peersOf = <T extends { subject: string }>(runs: readonly T[] = []) =>
  same ? runs.filter(({ subject }) => !subject.startsWith('asktell:') && subjects.includes(subject)) : []

const begun = performance.now()
const results: Results = { task: { budget, rounds, batch } }
if (only.includes('bbob')) {
  const kept = peersOf(earlier.bbob).filter(
    (r) => dimensions.includes(r.dimension) && instances.includes(r.instance) && functions.includes(r.function),
  )
  const fresh = subjects.filter((name) => !kept.some(({ subject }) => subject === name))
  const task = { subjects: fresh, dimensions, functions, instances, budget }
  results.bbob = [...kept, ...(await collect<BbobRun>('bbob.py', task))]
}
if (only.includes('tuning')) {
  let file = options.table ?? source('quality/tuning-table.json.gz')
  if (quick && !options.table) {
    file = join(ROOT, 'dist', 'bench', `tuning-table-quick-${process.pid}.json.gz`)
    const small = file
    atEnd.push(() => rmSync(small, { force: true }))
    say('evaluating a small table')
    await output('env', [
      `PYTHONPATH=${env.PYTHONPATH}`,
      interpreter,
      source('quality/tuning_table.py'),
      '--quick',
      file,
    ])
  }
  const kept = peersOf(earlier.tuning).filter((r) => seeds.includes(r.seed))
  const fresh = subjects.filter((name) => !kept.some(({ subject }) => subject === name))
  results.tuning = [
    ...kept,
    ...(await collect<TuningRun>('tuning.py', { subjects: fresh, table: file, seeds, rounds, batch })),
  ]
}
await server.close()

const lines = []
for (const dimension of results.bbob ? dimensions : []) {
  const runs = results.bbob?.filter((run) => run.dimension === dimension) ?? []
  console.log(`BBOB, ${dimension}-D, ${budget * dimension} evaluations: share of the targets reached, in percent`)
  console.log(`${shareTable(runs, subjects, groups(functions))}\n`)
  lines.push(...bbobLines(runs, subjects, `${dimension}-D, ${budget * dimension} evaluations`))
}
if (results.tuning) lines.push(...tuningLines(results.tuning, subjects, `${rounds} rounds of ${batch}`))
console.log(table(lines))
console.log()
for (const note of notes(lines)) console.log(note)
if (options.reuse) console.log(`peers' runs of the same problems and seeds from ${options.reuse}`)
const machine = await facts()
const seconds = Math.round((performance.now() - begun) / 1000)
console.log(
  `${Object.entries(versions)
    .map((pair) => pair.join(' '))
    .join(', ')}; ${seconds} s`,
)

const folder = join(ROOT, 'bench', 'results')
mkdirSync(folder, { recursive: true })
const file = join(
  folder,
  `${machine.date}-quality${quick ? '-quick' : ''}${only.length === 1 ? `-${only[0]}` : ''}.json`,
)
writeFileSync(file, `${JSON.stringify({ options, machine, versions, seconds, lines, ...results })}\n`)
say(file)
process.exit(0)
