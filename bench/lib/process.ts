/** Child processes that are measured, and the tools that they are built from. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The repository, also when this file runs from dist. */
export const ROOT = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../' : '../../', import.meta.url))
export const source = (path: string): string => join(ROOT, 'bench', path)
export const built = (path: string): string => join(ROOT, 'dist', 'bench', path)

/** What cannot be measured here, and why: the row says so. */
export class Unavailable extends Error {}

const alive = new Set<ChildProcess>()
/** Children and what they wrote do not outlive the run, however it ends. */
export const atEnd: (() => void)[] = [() => alive.forEach((child) => void child.kill('SIGKILL'))]
process.once('exit', () => atEnd.forEach((clean) => void clean()))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** Answers each line with a line of JSON. */
export class Child {
  private readonly process
  private readonly lines: AsyncIterator<string>
  private errors = ''
  readonly exited: Promise<void>

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.process = spawn(command, args, { env, stdio: 'pipe' })
    alive.add(this.process)
    this.process.stderr.on('data', (text) => {
      this.errors = (this.errors + text).slice(-4000)
    })
    this.process.stdin.on('error', () => {})
    this.exited = new Promise((resolve) => {
      this.process.once('close', () => {
        alive.delete(this.process)
        resolve()
      })
      this.process.once('error', (error) => {
        this.errors += error.message
        resolve()
      })
    })
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  get pid(): number {
    return this.process.pid as number
  }

  /** The next line. */
  async read<T = number>(): Promise<T> {
    for (;;) {
      const { value, done } = await this.lines.next()
      if (done) throw new Error(`a child process ended early: ${this.errors.trim() || 'it said nothing'}`)
      try {
        return JSON.parse(value) as T
      } catch {
        // Libraries that greet on stdout.
      }
    }
  }

  ask<T = number>(...words: (string | number)[]): Promise<T> {
    this.process.stdin.write(`${words.join(' ')}\n`)
    return this.read<T>()
  }

  async close(): Promise<void> {
    this.process.stdin.end()
    const late = setTimeout(() => this.process.kill('SIGKILL'), 5000)
    await this.exited
    clearTimeout(late)
  }

  async terminate(): Promise<void> {
    this.process.kill('SIGTERM')
    await this.close()
  }
}

/** Runs a program to its end and reads the JSON that it prints. */
export async function runJson<T>(command: string, args: readonly (string | number)[]): Promise<T> {
  const { stdout } = await execute(command, args.map(String))
  return JSON.parse(stdout) as T
}

export const output = async (command: string, args: readonly string[]): Promise<string> =>
  (await execute(command, args)).stdout.trim()

const compiled = new Map<string, Promise<string>>()

/** Compiles one C file and returns the program. */
export function compileC(path: string): Promise<string> {
  let program = compiled.get(path)
  if (!program) compiled.set(path, (program = compile(path)))
  return program
}

async function compile(path: string): Promise<string> {
  const folder = join(ROOT, 'dist', 'bench', 'native')
  mkdirSync(folder, { recursive: true })
  const program = join(folder, path.replace(/.*\/|\.c$/g, ''))
  const flags = ['-O3', '-march=native', '-fno-math-errno']
  await execute('gcc', [...flags, '-o', program, source(path), '-lm', '-lpthread']).catch((error) => {
    throw new Unavailable(`${path} could not be compiled with gcc: ${error.message}`)
  })
  return program
}

const environments = new Map<string, Promise<string>>()

/** A Python with the peers of a requirements file, made on first use; `variable` names one that is there already. */
export function python(requirements = 'peers/requirements.txt', variable = 'ASKTELL_BENCH_PYTHON'): Promise<string> {
  let environment = environments.get(requirements)
  if (!environment) environments.set(requirements, (environment = makeEnvironment(requirements, variable)))
  return environment
}
export const vizierPython = () => python('peers/requirements-vizier.txt', 'ASKTELL_BENCH_VIZIER_PYTHON')

async function makeEnvironment(requirements: string, variable: string): Promise<string> {
  const given = process.env[variable]
  if (given) return given
  const folder = join(ROOT, '.venv-bench', requirements.replace(/.*\/|\.txt$/g, ''))
  const interpreter = join(folder, 'bin', 'python')
  try {
    const [done, wanted] = [join(folder, 'installed.txt'), readFileSync(source(requirements), 'utf8')]
    if (!existsSync(done) || readFileSync(done, 'utf8') !== wanted) {
      process.stderr.write(`installing ${requirements} (once)\n`)
      await execute('python3', ['-m', 'venv', folder])
      await execute(interpreter, ['-m', 'pip', 'install', '--quiet', '-r', source(requirements)], {
        maxBuffer: 1 << 26,
      })
      writeFileSync(done, wanted)
    }
    return interpreter
  } catch (error) {
    throw new Unavailable(`${requirements} could not be installed: ${(error as Error).message.split('\n')[0]}`)
  }
}
