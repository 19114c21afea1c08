/** One process per data directory: a lock file that names its owner, and is void when the owner is gone. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AsktellError } from '../../core/errors.js'

/** Takes the lock; returns what gives it back. Throws STORE_FAILED while another live process has it. */
export function lockDirectory(directory: string): () => void {
  const path = join(directory, 'lock')
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}`
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, mine, { flag: 'wx' })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 3)
        throw new AsktellError('STORE_FAILED', `the lock ${path} cannot be taken: ${(error as Error).message}`)
      const [pid, start] = owner(path)
      if (isAlive(pid, start))
        throw new AsktellError(
          'STORE_FAILED',
          `${directory} is in use by process ${pid}: stop it first, or choose another data directory`,
        )
      release(path)
    }
  }
  return () => {
    if (owner(path).join(' ') === mine) release(path)
  }
}

function owner(path: string): [pid: number, start: string] {
  try {
    const [pid, start = ''] = readFileSync(path, 'utf8').split(' ')
    return [Number(pid), start]
  } catch {
    return [0, '']
  }
}

function release(path: string) {
  try {
    unlinkSync(path)
  } catch {
    // Somebody else was faster.
  }
}

/** The start time tells a process from a later one that got the same id. */
function isAlive(pid: number, start: string): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return start === '' || startOf(pid) === undefined || startOf(pid) === start
}

/** When a process started, in clock ticks since boot; undefined where /proc is missing. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name, in parentheses, may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
