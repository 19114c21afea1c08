/**
 * Modules by what they are generated from: in memory for the life of the process, and in files where a folder is given, so
 * that a server that starts again has them without the generator.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SyncThread } from '../../../core/sync-thread.js'
import { BUILD } from './build.js'
import type { Reply, Request } from './generator.js'

/** Users' rules come and go: the oldest files are dropped beyond this many when a server starts. */
const KEPT_FILES = 4096
/** Milliseconds. A generator that nobody needs gives its memory back. */
const IDLE = 15_000
const LONGEST_WAIT = 120_000
const DIGEST_BYTES = 32

let folder: string | undefined

/** Keeps modules in files from now on. What another build of asktell left there is removed. */
export function keepModules(path: string): void {
  folder = undefined
  if (!BUILD) return
  try {
    mkdirSync(join(path, BUILD), { recursive: true })
    for (const other of readdirSync(path)) if (other !== BUILD) rmSync(join(path, other), { recursive: true })
    folder = join(path, BUILD)
    prune(folder)
  } catch {
    // A cache that can't be written spares nothing, and costs nothing.
  }
}

function prune(path: string): void {
  const files = readdirSync(path).map((name) => join(path, name))
  if (files.length <= KEPT_FILES) return
  const age = new Map(files.map((file) => [file, statSync(file).mtimeMs]))
  files.sort((a, b) => (age.get(b) as number) - (age.get(a) as number))
  for (const file of files.slice(KEPT_FILES)) rmSync(file)
}

let generator: SyncThread<Request, Reply> | undefined
let idle: NodeJS.Timeout | undefined

/** The module of a rule. `key`: what tells it from all others. */
export function moduleOf(key: string, request: Request): WebAssembly.Module {
  const file = folder && join(folder, createHash('sha256').update(key).digest('hex'))
  const kept = file && read(file)
  if (kept) return new WebAssembly.Module(kept as BufferSource)
  const bytes = generate(request)
  if (file) write(file, bytes)
  return new WebAssembly.Module(bytes as BufferSource)
}

function generate(request: Request): Uint8Array {
  generator ??= new SyncThread(new URL('./generator.js', import.meta.url), LONGEST_WAIT)
  const reply = generator.call(request)
  if (!reply) {
    void generator.worker.terminate()
    generator = undefined
  }
  if (!reply || 'failure' in reply)
    throw new Error(`the module of a rule could not be generated: ${reply?.failure ?? 'no answer'}`)
  clearTimeout(idle)
  idle = setTimeout(() => {
    void generator?.worker.terminate()
    generator = undefined
  }, IDLE).unref()
  return reply.bytes
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** What a file holds, unless a crash or a full disk left it in pieces. */
function read(file: string): Uint8Array | undefined {
  try {
    const all = readFileSync(file)
    const bytes = all.subarray(DIGEST_BYTES)
    return digest(bytes).equals(all.subarray(0, DIGEST_BYTES)) ? bytes : undefined
  } catch {
    return undefined
  }
}

function write(file: string, bytes: Uint8Array): void {
  try {
    const partial = `${file}.${process.pid}`
    writeFileSync(partial, Buffer.concat([digest(bytes), bytes]))
    renameSync(partial, file)
  } catch {
    // As above.
  }
}
