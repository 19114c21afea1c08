/** From the start of a process until the server takes calls: the command, and the same modules one by one. */
import { join } from 'node:path'
import { interleave, type Subject } from '../lib/measure.js'
import { Child, ROOT } from '../lib/process.js'
import { compare } from '../lib/report.js'
import type { Row } from '../lib/row.js'

const FLAGS = ['serve', '--json', '--store', 'memory', '--grpc-port', '0', '--http-port', '0', '--log-level', 'warn']

const subject = (name: string, ...path: string[]): Subject => ({
  name,
  async run() {
    const begun = performance.now()
    const child = new Child(process.execPath, [join(ROOT, 'dist', ...path), ...FLAGS])
    await child.read<{ grpcPort: number }>()
    const seconds = (performance.now() - begun) / 1000
    await child.terminate()
    return seconds
  },
})

export const start: Row = {
  name: 'start',
  title: 'start of a server',
  async run({ effort, say }) {
    say('start')
    const subjects = [subject('bundle', 'bin', 'asktell.js'), subject('modules', 'src', 'cli', 'main.js')]
    const samples = await interleave(subjects, effort)
    const line = {
      row: 'start',
      what: 'until the server takes calls',
      unit: 'ms',
      figure: (seconds: number) => 1000 * seconds,
    }
    return [compare({ ...line, samples, ours: 'bundle', theirs: 'modules', against: 'the same modules, not bundled' })]
  },
}
