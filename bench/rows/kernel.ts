/** Adam in f32, the arithmetic alone: parameters per second of the wasm engine, native C and torch on the CPU. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Rng, rngStream } from '../../src/core/rng.js'
import { interleave } from '../lib/measure.js'
import { built, Child, compileC, python, source } from '../lib/process.js'
import { compare, type Line } from '../lib/report.js'
import type { Options, Row } from '../lib/row.js'
import { device } from './device.js'

const SIZES = [
  { elements: 10_000, name: '10 k', steps: 2000 },
  { elements: 1_000_000, name: '1 M', steps: 30 },
  { elements: 10_000_000, name: '10 M', steps: 3 },
  { elements: 100_000_000, name: '100 M', steps: 1 },
]
const CHECKED = { elements: 10_000, steps: 20 }
/** Of an element after 20 steps of 1e-3; the last bits differ, for each sums and divides in its own order. */
const TOLERANCE = 2e-6

/** `alone`: on one thread. */
type Peer = { name: string; child: Child; packed?: true; alone?: boolean }
/** What the lines say of our own kernels. */
const OURS: { readonly [name: string]: string } = {
  asktell: '',
  'asktell alone': ', 1 thread',
  'asktell with norm': ', 1 thread, norm reported',
  'asktell bf16': ', 1 thread, moments in bf16',
  'asktell int8': ', 1 thread, moments in int8',
}

export const kernel: Row = {
  name: 'kernel',
  title: 'Adam step in memory, f32',
  async run(options) {
    if (options.engine === 'webgpu') return device(options)
    const peers = await start(options)
    try {
      // Moments in fewer bytes are rounded: their tests bound what comes of it.
      await check(peers.filter(({ packed }) => !packed))
      const lines: Line[] = []
      for (const size of options.quick ? SIZES.slice(0, 2) : SIZES) lines.push(...(await measure(size, peers, options)))
      return lines
    } finally {
      for (const { child } of peers) await child.close()
    }
  },
}

async function start({ version }: Options): Promise<Peer[]> {
  const [torch, native] = [await python(), await compileC('peers/adam.c')]
  const most = availableParallelism()
  const node = (...args: string[]) => new Child(process.execPath, [built('workers/kernel.js'), ...args])
  const torched = async (mode: string, threads: number) => {
    const child = new Child(torch, [source('peers/adam_torch.py'), mode, String(threads)])
    version('torch', (await child.read<{ torch: string }>()).torch)
    return { name: `torch ${mode}, ${threads} thread${threads > 1 ? 's' : ''}`, child, alone: threads === 1 }
  }
  return [
    { name: 'asktell', child: node('', String(most)) },
    { name: 'asktell alone', child: node('', '1') },
    { name: 'asktell with norm', child: node('norm', '1') },
    { name: 'asktell bf16', child: node('bf16'), packed: true },
    { name: 'asktell int8', child: node('int8'), packed: true },
    { name: 'C -O3', child: new Child(native, []), alone: true },
    await torched('fused', 1),
    ...(most > 1 ? [await torched('fused', most)] : []),
    await torched('foreach', most),
  ]
}

/** Twenty steps with random gradients: all must agree with torch, or nothing is measured. */
async function check(peers: readonly Peer[]): Promise<void> {
  const { elements, steps } = CHECKED
  const folder = mkdtempSync(join(tmpdir(), 'asktell-bench-'))
  try {
    const rng = new Rng(rngStream(1, 'kernel'))
    const input = join(folder, 'input')
    writeFileSync(
      input,
      Float32Array.from({ length: elements * (steps + 1) }, () => rng.normal()),
    )
    const results = new Map<string, Float32Array>()
    for (const { name, child } of peers) {
      const output = join(folder, 'output')
      await child.ask('check', input, output, elements, steps)
      results.set(name, new Float32Array(new Uint8Array(readFileSync(output)).buffer))
    }
    const right = results.get('torch fused, 1 thread')!
    for (const [name, x] of results) {
      const worst = x.reduce((most, value, i) => Math.max(most, Math.abs(value - right[i])), 0)
      if (!(x.length === elements && worst <= TOLERANCE))
        throw new Error(`${name} differs from torch by ${worst}: a wrong kernel is not measured`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function measure(
  { elements, name, steps }: (typeof SIZES)[number],
  peers: readonly Peer[],
  { effort, say }: Options,
): Promise<Line[]> {
  say(`kernel: ${name} parameters`)
  for (const { child } of peers) await child.ask('alloc', elements)
  const subject = (name: string, child: Child, command: string) => ({
    name,
    run: async () => (await child.ask(command, steps)) / steps,
  })
  const native = peers.find((peer) => peer.name === 'C -O3')!.child
  const subjects = peers.map((peer) => subject(peer.name, peer.child, 'run'))
  const samples = await interleave([...subjects, subject('limit', native, 'limit')], effort)
  const line = (theirs: string, extra: Partial<Line> = {}, ours = 'asktell') =>
    compare({
      row: 'kernel',
      what: `Adam ${name}${OURS[ours]}`,
      unit: 'G/s',
      figure: (seconds) => elements / seconds / 1e9,
      against: theirs,
      samples,
      ours,
      theirs,
      ...extra,
    } as Parameters<typeof compare>[0])
  const theirs = peers.filter((peer) => !(peer.name in OURS))
  return [
    ...theirs.map(({ name, alone }) => line(name, {}, alone ? 'asktell alone' : 'asktell')),
    line('asktell alone', { against: 'one thread' }),
    line('C -O3', {}, 'asktell with norm'),
    ...['bf16', 'int8'].map((dtype) => line('torch fused, 1 thread', {}, `asktell ${dtype}`)),
    line('limit', { limit: true, against: 'same bytes, no arithmetic (C)' }, 'asktell alone'),
  ]
}
