/**
 * `npm run bench:quality -- [--quick] [--only bbob,tuning] ...`: how good suggestions are per evaluation, against peers on the
 * same problems with the same seeds. Tables, and bench/results/<date>-quality*.json with every run and its seed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { Command } from 'commander'
import { facts } from '../lib/facts.js'
import { atEnd, Child, output, python, ROOT, source } from '../lib/process.js'
import { type Line, notes, table, unavailable } from '../lib/report.js'
import { startAsktell } from '../lib/server.js'
import {
  BBOB_GROUPS,
  type BbobRun,
  bbobLines,
  fidelityLines,
  markTable,
  type ObjectivesRun,
  objectivesLines,
  PBO_GROUPS,
  regretTable,
  shareTable,
  type TuningRun,
  tuningLines,
} from './summary.js'

type Results = {
  bbob?: BbobRun[]
  tuning?: TuningRun[]
  objectives?: ObjectivesRun[]
  integers?: BbobRun[]
  fidelity?: TuningRun[]
  task?: { [setting: string]: number }
}
type Name = Exclude<keyof Results, 'task'>

/** What takes part: with --quick the first of each pair alone, else both. */
const PLAIN = ['random', 'optuna-tpe', 'optuna-cma-es', 'pycma-bipop', 'nevergrad-ngopt']
const SLOW = ['optuna-gp', 'botorch-logei', 'smac3', 'hebo']
const PEERS: { [name in Name]: [quick: string[], more: string[]] } = {
  bbob: [PLAIN, ['pycma-ipop', ...SLOW]],
  tuning: [PLAIN, SLOW],
  objectives: [['pymoo-nsga2', 'optuna-tpe', 'random'], ['optuna-nsga2']],
  integers: [['nevergrad-ngopt', 'nevergrad-discrete', 'optuna-tpe', 'random'], ['optuna-cma-es']],
  fidelity: [
    [
      'optuna-tpe+hyperband',
      'optuna-tpe+median',
      'optuna-random+asha',
      'optuna-random+hyperband',
      'syne-tune-asha',
      'syne-tune-bohb',
      'optuna-random',
    ],
    ['optuna-tpe', 'optuna-tpe+asha', 'syne-tune-bore'],
  ],
}
const METHODS: { [name in Name]: [quick: string[], more: string[]] } = {
  bbob: [['auto'], ['gp']],
  tuning: [['auto'], ['gp']],
  objectives: [['ehvi', 'tpe', 'nsga2', 'moead'], ['auto']],
  integers: [
    ['auto', 'genetic'],
    ['cma-es', 'tpe'],
  ],
  fidelity: [
    ['bohb+hyperband', 'tpe+asha', 'random+asha', 'random+hyperband'],
    ['tpe+hyperband', 'tpe+median', 'tpe'],
  ],
}
const PROBLEMS = 'zdt1 zdt2 zdt3 zdt4 zdt6 dtlz1 dtlz2 dtlz7 wfg4 wfg9 digits'.split(' ')
const QUICK_PROBLEMS = ['zdt1', 'zdt2', 'zdt6', 'dtlz7', 'digits']
/** One with an order of bits, one of a W-model, one of sequences and one of graphs. */
const QUICK_FUNCTIONS = [2, 7, 18, 22]
const NAMES = Object.keys(PEERS) as Name[]
const numbers = (text: string): number[] =>
  text.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })
const words = (text: string) => text.split(',')

type Options = {
  quick: boolean
  only: Name[]
  methods?: string[]
  peers?: string[]
  dims?: number[]
  budget: number
  functions?: number[]
  instances?: number[]
  seeds?: number[]
  rounds: number
  batch: number
  problems?: string[]
  evaluations?: number
  models?: number
  trainings: number
  workers: number
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
  .option('--only <benchmarks>', NAMES.join(','), words, NAMES)
  .option('--methods <ids>', 'methods of asktell, the first of which the ratios are of, such as auto,gp', words)
  .option('--peers <names>', `some of ${[...new Set(Object.values(PEERS).flat(2))].join(',')}`, words)
  .option('--dims <list>', 'bbob: dimensions; 2,5. integers: 64, quick 16', numbers)
  .option('--budget <number>', 'bbob, integers: evaluations per coordinate', Number, 20)
  .option('--functions <list>', 'bbob, integers: functions; all, of integers some when quick', numbers)
  .option('--instances <list>', 'bbob: instances; 1-15, quick 1. integers: 1-5, quick 1', numbers)
  .option('--seeds <list>', 'tuning, objectives, fidelity: seeds; 1-5, quick 1; fidelity 1-20, quick 1-3', numbers)
  .option('--rounds <number>', 'tuning: rounds', Number, 16)
  .option('--batch <number>', 'tuning: evaluations of a round', Number, 8)
  .option('--problems <names>', `objectives: of ${PROBLEMS.join(',')}`, words)
  .option('--evaluations <number>', 'objectives: of NSGA-II, which set the mark; 25000, quick 2000', Number)
  .option('--models <number>', 'objectives: of methods with models; a tenth of them', Number)
  .option('--trainings <number>', "fidelity: full trainings' worth of epochs", Number, 24)
  .option('--workers <number>', 'fidelity: trainings at a time', Number, 4)
  .option('--table <file>', 'tuning: made by tuning_table.py; the one beside it, quick a smaller one made at once')
  .option(
    '--reuse <file>',
    "results of an earlier run: its peers' runs of the same problems and seeds are not done again",
  )
  .parse()
  .opts<Options>()

const { quick, only, budget, rounds, batch, trainings, workers } = options
const evaluations = options.evaluations ?? (quick ? 2000 : 25_000)
const models = options.models ?? Math.ceil(evaluations / 10)
const chosen = ([first, more]: [string[], string[]]) => (quick ? first : [...first, ...more])
const subjectsOf = (name: Name) => [
  ...(options.methods ?? chosen(METHODS[name])).map((id) => `asktell:${id}`),
  ...(options.peers ?? chosen(PEERS[name])),
]
const seedsOr = (full: string, short: string) => options.seeds ?? numbers(quick ? short : full)
const say = (text: string) => process.stderr.write(`${text}\n`)

const interpreter = await python('quality/requirements-quality.txt', 'ASKTELL_BENCH_QUALITY_PYTHON')
const hebo = only.some((name) => subjectsOf(name).includes('hebo'))
  ? await python('quality/requirements-hebo.txt', 'ASKTELL_BENCH_HEBO_PYTHON').catch(({ message }) => void say(message))
  : undefined
const server = await startAsktell()
const env = {
  ...process.env,
  ASKTELL_TARGET: `127.0.0.1:${server.port}`,
  PYTHONPATH: [join(ROOT, 'clients', 'python', 'src'), process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  OMP_NUM_THREADS: '1',
  ...(hebo && { ASKTELL_BENCH_HEBO: hebo }),
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
      say(
        Object.values(line)
          .filter((value) => typeof value !== 'object')
          .slice(0, 5)
          .join(' '),
      )
      runs.push(line)
    }
  } finally {
    await child.close()
  }
}

const earlier: Results = options.reuse ? JSON.parse(readFileSync(options.reuse, 'utf8')) : {}
const lines: Line[] = []
const results: Results = { task: { budget, rounds, batch, evaluations, models, trainings, workers } }

/** Runs a benchmark's script, but for the peers that an earlier run with the same settings has; `fits` tells its runs. */
async function measure<N extends Name>(
  name: N,
  task: object,
  settings: readonly string[],
  fits: (run: NonNullable<Results[N]>[number]) => boolean,
): Promise<void> {
  type R = NonNullable<Results[N]>[number]
  const subjects = subjectsOf(name)
  const same = settings.every((setting) => earlier.task?.[setting] === results.task?.[setting])
  const kept = (same ? ((earlier[name] ?? []) as R[]) : []).filter(
    (run) => !run.subject.startsWith('asktell:') && subjects.includes(run.subject) && fits(run),
  )
  const fresh = subjects.filter((subject) => !kept.some((run) => run.subject === subject))
  try {
    results[name] = [...kept, ...(await collect<R>(`${name}.py`, { ...task, subjects: fresh }))] as Results[N]
  } catch (error) {
    lines.push(unavailable(name, 'not measured', '', (error as Error).message.split('\n').slice(-1)[0]))
  }
}

const begun = performance.now()
for (const name of ['bbob', 'integers'] as const) {
  if (!only.includes(name)) continue
  const bits = name === 'integers'
  const dimensions = options.dims ?? (bits ? [quick ? 16 : 64] : [2, 5])
  const functions = options.functions ?? (bits ? (quick ? QUICK_FUNCTIONS : numbers('1-23')) : numbers('1-24'))
  const instances = options.instances ?? numbers(quick ? '1' : bits ? '1-5' : '1-15')
  await measure(
    name,
    { dimensions, functions, instances, budget },
    ['budget'],
    (run) => dimensions.includes(run.dimension) && instances.includes(run.instance) && functions.includes(run.function),
  )
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
  const seeds = seedsOr('1-5', '1')
  await measure('tuning', { table: file, seeds, rounds, batch }, ['rounds', 'batch'], (run) => seeds.includes(run.seed))
}
if (only.includes('objectives')) {
  const problems = options.problems ?? (quick ? QUICK_PROBLEMS : PROBLEMS)
  const seeds = seedsOr('1-5', '1')
  await measure(
    'objectives',
    { problems, seeds, evaluations, models },
    ['evaluations', 'models'],
    (run) => problems.includes(run.problem) && seeds.includes(run.seed),
  )
}
if (only.includes('fidelity')) {
  const seeds = seedsOr('1-20', '1-3')
  const table = source('quality/curves-table.json.gz')
  await measure('fidelity', { table, seeds, trainings, workers }, ['trainings', 'workers'], (run) =>
    seeds.includes(run.seed),
  )
}
await server.close()

for (const name of ['bbob', 'integers'] as const)
  for (const dimension of new Set(results[name]?.map((run) => run.dimension))) {
    const runs = results[name]?.filter((run) => run.dimension === dimension) ?? []
    const size = `${dimension}${name === 'bbob' ? '-D' : ' bits'}, ${budget * dimension} evaluations`
    console.log(`${name}, ${size}: share of the targets reached, in percent`)
    console.log(`${shareTable(runs, subjectsOf(name), name === 'bbob' ? BBOB_GROUPS : PBO_GROUPS)}\n`)
    lines.push(...bbobLines(runs, subjectsOf(name), size, name))
  }
if (results.tuning) lines.push(...tuningLines(results.tuning, subjectsOf('tuning'), `${rounds} rounds of ${batch}`))
if (results.objectives) {
  const mark = `the hypervolume that NSGA-II ends with after ${evaluations}`
  console.log(`objectives: evaluations to ${mark}, ${models} with models at most; or how much of it was reached`)
  console.log(`${markTable(results.objectives, subjectsOf('objectives'))}\n`)
  const what = `evaluations to the mark, ${evaluations} where it is not reached`
  lines.push(...objectivesLines(results.objectives, subjectsOf('objectives'), evaluations, what))
}
if (results.fidelity) {
  const after = [...new Set([0.1, 0.25, 0.5, 1].map((share) => Math.ceil(share * trainings)))]
  console.log("fidelity: regret after so many full trainings' worth of epochs, and the mean over them, in percent")
  console.log(`${regretTable(results.fidelity, subjectsOf('fidelity'), after)}\n`)
  lines.push(...fidelityLines(results.fidelity, subjectsOf('fidelity'), `${trainings} trainings`))
}
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
