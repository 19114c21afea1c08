/** Real server processes that tests may kill, and what is needed to reach them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Rng, rngStream } from '../src/core/rng.js'

const CLI = fileURLToPath(new URL('../dist/bin/asktell.js', import.meta.url))

export type ServerOptions = {
  dataDir: string
  grpcPort: number
  httpPort: number
  /** Further flags of `asktell serve`. */
  flags?: readonly string[]
}

export class ServerProcess {
  readonly pid: number
  /** Resolves when it takes calls; rejects when it ends before. */
  readonly ready: Promise<void>
  /** Resolves with what it ended by. */
  readonly exited: Promise<number | NodeJS.Signals>
  /** Standard error so far. */
  log = ''
  ended = false
  private readonly child: ChildProcess

  constructor({ dataDir, grpcPort, httpPort, flags = [] }: ServerOptions) {
    if (!existsSync(CLI)) throw new Error(`these tests run ${CLI}, which is missing: run "npm run build"`)
    const ports = ['--grpc-port', String(grpcPort), '--http-port', String(httpPort)]
    const serve = [CLI, 'serve', '--json', '--data-dir', dataDir, ...ports, '--log-level', 'warn', ...flags]
    const child = spawn(process.execPath, serve, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child = child
    this.pid = child.pid!
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    this.exited = new Promise((resolve) =>
      child.once('close', (code, signal) => {
        this.ended = true
        resolve(signal ?? code!)
      }),
    )
    this.ready = new Promise((resolve, reject) => {
      child.stdout!.once('data', () => resolve())
      void this.exited.then((how) => reject(new Error(`the server ended by ${how} before it was ready\n${this.log}`)))
    })
    this.ready.catch(() => {})
  }

  /** Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | NodeJS.Signals> {
    this.child.kill(signal)
    return this.exited
  }
}

/** A free port below the range that outgoing connections are given, so that it is still free after a restart. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer()
        .once('error', () => resolve(false))
        .listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
}

export function temporaryDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'asktell-chaos-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) }
}

/** A server process on fresh ports and, unless given, fresh data. Ready when it is returned. */
export async function startProcess(flags: readonly string[] = [], dataDir?: string) {
  const directory = dataDir === undefined ? temporaryDirectory() : { path: dataDir, remove() {} }
  const options = { dataDir: directory.path, grpcPort: await freePort(), httpPort: await freePort(), flags }
  let server = new ServerProcess(options)
  await server.ready
  return {
    ...options,
    target: `127.0.0.1:${options.grpcPort}`,
    url: `http://127.0.0.1:${options.httpPort}`,
    get process() {
      return server
    },
    /** Ends the process by a signal and starts another one on the same data and ports. */
    async restart(signal: NodeJS.Signals = 'SIGKILL') {
      await server.kill(signal)
      server = new ServerProcess(options)
      await server.ready
    },
    async stop() {
      await server.kill()
      directory.remove()
    },
  }
}
export type StartedProcess = Awaited<ReturnType<typeof startProcess>>

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Draws that are the same in every run. */
export function draws(seed: number) {
  const rng = new Rng(rngStream(seed, 'chaos'))
  return {
    uniform: (low: number, high: number) => low + rng.uniform() * (high - low),
    exponential: (mean: number) => -mean * Math.log(1 - rng.uniform()),
    integer: (below: number) => Math.floor(rng.uniform() * below),
    pick<T>(list: readonly T[]): T {
      return list[Math.floor(rng.uniform() * list.length)]
    },
  }
}
