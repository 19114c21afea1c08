/**
 * `npm run bench -- [--only kernel,step,...] [--quick] [--markdown]`: asktell beside its peers, interleaved in one run, as a
 * table of ratios and as bench/results/<date>.json. Ratios above 1 mean that asktell is better.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { facts, load } from './lib/facts.js'
import type { Effort } from './lib/measure.js'
import { ROOT, Unavailable } from './lib/process.js'
import { type Line, markdown, notes, table, unavailable } from './lib/report.js'
import type { Options, Row } from './lib/row.js'
import { encodings } from './rows/encodings.js'
import { intake } from './rows/intake.js'
import { kernel } from './rows/kernel.js'
import { memory } from './rows/memory.js'
import { messages } from './rows/messages.js'
import { sessions } from './rows/sessions.js'
import { shared } from './rows/shared.js'
import { start } from './rows/start.js'
import { step } from './rows/step.js'
import { study } from './rows/study.js'
import { suggest } from './rows/suggest.js'

const ROWS: readonly Row[] = [
  kernel,
  step,
  sessions,
  memory,
  shared,
  encodings,
  intake,
  messages,
  start,
  study,
  suggest,
]
const QUICK: Effort = { least: 3, most: 3, seconds: 10 }
const FULL: Effort = { least: 7, most: 41, seconds: 90 }

const names = ROWS.map(({ name }) => name)
const list = (text: string) => {
  const chosen = text.split(',')
  const wrong = chosen.find((name) => !names.includes(name))
  if (wrong !== undefined) throw new InvalidArgumentError(`no row is called "${wrong}"; there are ${names.join(', ')}`)
  return chosen
}
const { only, quick, engine, ...flags } = new Command('bench')
  .description('Measures asktell beside its peers.')
  .option('--only <rows>', `some of ${names.join(',')}`, list, names)
  .option('--quick', 'small sizes and few rounds: shows that all works', false)
  .addOption(new Option('--engine <engine>', 'engine of the row kernel').choices(['wasm', 'webgpu']).default('wasm'))
  .option('--markdown', 'print the table as Markdown too', false)
  .parse()
  .opts<{ only: string[]; quick: boolean; engine: Options['engine']; markdown: boolean }>()

const say = (text: string) => process.stderr.write(`${text}\n`)
const versions = new Map<string, string>()
const options: Options = {
  quick,
  effort: quick ? QUICK : FULL,
  engine,
  say,
  version: (name, v) => void versions.set(name, v),
}

const machine = await facts()
const before = load()
const lines: Line[] = []
for (const row of ROWS.filter(({ name }) => only.includes(name)))
  try {
    lines.push(...(await row.run(options)))
  } catch (error) {
    // One row that cannot run must not cost the others theirs.
    if (!(error instanceof Unavailable)) process.exitCode = 1
    lines.push(unavailable(row.name, row.title, '', (error as Error).message))
  }
const after = load()

const { date, processor, cores, memoryGiB, system, node, gcc, threads } = machine
const peers = [...versions].map(([name, version]) => `${name} ${version}`).join(', ')
console.log(table(lines))
console.log()
for (const note of notes(lines)) console.log(note)
console.log(`\n${date}, ${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}, node ${node}, gcc ${gcc}, ${peers}`)
console.log(`${threads}; load average ${before} before and ${after} after`)
if (flags.markdown) console.log(`\n${markdown(lines)}`)

const folder = join(ROOT, 'bench', 'results')
mkdirSync(folder, { recursive: true })
const file = join(
  folder,
  `${date}${quick ? '-quick' : ''}${only.length < names.length ? `-${only.join('-')}` : ''}${engine === 'wasm' ? '' : `-${engine}`}.json`,
)
const run = { quick, only, machine, versions: Object.fromEntries(versions), load: { before, after }, lines }
writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`)
