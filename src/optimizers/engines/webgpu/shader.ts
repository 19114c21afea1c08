/** WGSL of one pass of a plan: how workgroups go over its elements, and how their sums are joined. */
import type { Node, Reduce } from '../graph.js'
import { isNumber } from '../numbers.js'
import { nodeLocation, type Pass, type Variant } from '../plan.js'
import { Body, type Names } from './body.js'
import { fieldFunctions, fieldStore } from './fields.js'
import { COLUMNS, type RecordField, ROWS, type Table } from './layout.js'
import { ALIASES, FUNCTIONS, type Width } from './math.js'
import { JOIN, JOIN_FUNCTIONS, type Part, partsOf } from './sums.js'

/** Threads of a workgroup. */
const THREADS = 256

/** A compute shader, the workgroups that it takes, and the reductions whose partial sums each of them leaves. */
export type Shader = { code: string; table: Table; sums: readonly Reduce[] }

/** `summing` counts the shaders before that leave partial sums. */
type Context = Names & { summing: number }

/** The shaders of a pass over tensors: sums over rows and over columns, each in their own order, then everything else. */
export function tensorShaders(context: Context, pass: Pass, variant: Variant): Shader[] {
  const into = (domain: Node['domain']) => pass.reductions.filter((reduce) => reduce.domain === domain)
  const shaders: Shader[] = []
  for (const axis of ['row', 'column'] as const)
    if (into(axis).length > 0) shaders.push(alongAxis(context, pass, variant, axis, into(axis)))
  const sums = pass.reductions.filter(isNumber)
  if (sums.length > 0 || pass.stores.size > 0) {
    const table = { any: pass.perTensor ? 'tensors' : 'whole', matrix: 'matrices', vector: 'vectors' } as const
    shaders.push(elements(context, pass, variant, table[variant], sums))
  }
  return shaders
}

export const factorShader = (context: Context, pass: Pass): Shader =>
  elements(context, pass, 'matrix', pass.domain === 'row' ? 'rows' : 'columns', pass.reductions)

/** Fills a random field. */
export const fieldShader = ({ regions }: Context, { distribution, location, site }: Field): Shader => ({
  table: 'whole',
  sums: [],
  code: shader(
    'four',
    [`let place = ${regions.fact(location)} / 4;`, over('four', fieldStore(distribution, site, 'place'))],
    { functions: fieldFunctions },
  ),
})
type Field = { location: string; distribution: Parameters<typeof fieldStore>[0]; site: number }

/** Copies what was computed for a slot to its place. */
export const moveShader = ({ regions }: Context, from: string, to: string, domain: 'row' | 'column'): Shader => ({
  table: domain === 'row' ? 'rows' : 'columns',
  sums: [],
  code: shader('one', [
    `let source = ${regions.fact(from)};\nlet target_ = ${regions.fact(to)};`,
    over('one', 'memory[target_ + i] = memory[source + i];'),
  ]),
})

/** Element by element, each block by one workgroup. */
function elements(context: Context, pass: Pass, variant: Variant, table: Table, sums: readonly Reduce[]): Shader {
  const width = table === 'whole' ? 'four' : 'one'
  const body = new Body(context, pass, variant, width)
  const inside = width === 'four' ? '(i * 4 + vec4<u32>(0u, 1u, 2u, 3u)) < vec4<u32>(block.z)' : undefined
  for (const reduce of sums) body.accumulate(reduce, inside)
  body.store()
  const place = context.regions.partialsFact(context.summing)
  if (sums.length > 0) context.summing++
  const parts = partsOf(sums)
  const totals = join(
    parts,
    width,
    1,
    'lane',
    (p, total) => `partials[${place} + group * ${parts.length}u + ${p}u] = ${total};`,
  )
  const lines = [...body.before, ...indices(context, pass), over(width, body.text()), ...totals]
  return { code: shader(width, lines, { shared: parts.length }), table, sums }
}

/**
 * How a workgroup shares out a strip of rows or columns between its threads, so that neighbours read neighbours: which of
 * the strip a thread works on, where it begins and how far it goes on at a time, and where it leaves its sum.
 */
const STRIPS = {
  row: {
    table: 'row sums',
    width: ROWS,
    own: `lane / ${THREADS / ROWS}u`,
    begin: `lane % ${THREADS / ROWS}u`,
    length: 'columns',
    element: 'block.y + own * columns + along',
    slot: `lane % ${THREADS / ROWS}u * ${ROWS}u + lane / ${THREADS / ROWS}u`,
  },
  column: {
    table: 'column sums',
    width: COLUMNS,
    own: `lane % ${COLUMNS}u`,
    begin: `lane / ${COLUMNS}u`,
    length: 'rows',
    element: 'block.y + own + along * columns',
    slot: 'lane',
  },
} as const

/** Sums into rows or columns, strip by strip. */
function alongAxis(
  context: Context,
  pass: Pass,
  variant: Variant,
  axis: 'row' | 'column',
  sums: readonly Reduce[],
): Shader {
  const { table, width, own, begin, length, element, slot } = STRIPS[axis]
  const body = new Body(context, pass, variant, 'one')
  for (const reduce of sums) body.accumulate(reduce)
  const loop = `let own = ${own};
if (own < block.z) {
for (var along = ${begin}; along < ${length}; along += ${THREADS / width}u) {
let i = ${element};
${body.text()}
}
}`
  const totals = join(partsOf(sums), 'one', width, slot, (p, total) => {
    const { fn } = sums[p]
    const place = `${context.regions.fact(nodeLocation(sums[p]))} + block.w + lane`
    const value = fn === 'mean' ? `${total} / f32(${length})` : total
    return `if (lane < block.z) { memory[${place}] = ${value}; }`
  })
  const lines = [...body.before, ...indices(context, pass), loop, ...totals]
  return { code: shader('one', lines, { shared: sums.length }), table, sums: [] }
}

/** Sums that are joined at once: as many as the memory of a workgroup holds everywhere. */
const AT_ONCE = 12

/** Joins the sums in slots that are `apart` from each other, in a fixed order, and stores the totals. */
function join(
  parts: readonly Part[],
  width: Width,
  apart: number,
  slot: string,
  store: (p: number, total: string) => string,
): string[] {
  return Array.from({ length: Math.ceil(parts.length / AT_ONCE) }, (_, chunk) => {
    const some = parts.slice(chunk * AT_ONCE, (chunk + 1) * AT_ONCE)
    const own = some.map(({ fn, name }, p) => {
      const joined = (a: string, b: string) => JOIN[fn](`${name}.${a}`, `${name}.${b}`)
      return `shared_[${p}][${slot}] = ${width === 'one' ? name : JOIN[fn](joined('x', 'y'), joined('z', 'w'))};`
    })
    const pairs = some.map(({ fn }, p) => {
      const at = (lane: string) => `shared_[${p}][${lane}]`
      return `${at('lane')} = ${JOIN[fn](at('lane'), at('lane + apart'))};`
    })
    const stores = some.map((_, p) => store(chunk * AT_ONCE + p, `shared_[${p}][lane]`))
    return `${own.join('\n')}
workgroupBarrier();
for (var apart = ${THREADS / 2}u; apart >= ${apart}u; apart >>= 1u) {
if (lane < apart) {
${pairs.join('\n')}
}
workgroupBarrier();
}
if (lane < ${apart}u) {
${stores.join('\n')}
}
workgroupBarrier();`
  })
}

/** What tells an element's row and column. */
function indices({ regions }: Context, pass: Pass): string[] {
  if (!pass.perRow) return []
  const field = (name: RecordField) => `let ${name} = ${regions.recordFact(name)};`
  return [field('first'), field('rows'), field('columns'), field('rowFirst'), field('columnFirst')]
}

/** The loop of a thread over its share of a block. */
const over = (width: Width, body: string): string =>
  width === 'one'
    ? `for (var i = block.y + lane; i < block.z; i += ${THREADS}u) {\n${body}\n}`
    : `for (var i = block.y / 4 + lane; i < (block.z + 3) / 4; i += ${THREADS}u) {\n${body}\n}`

const shader = (
  width: Width,
  lines: readonly string[],
  { functions = '', shared = 0 } = {},
): string => `${ALIASES[width]}
@group(0) @binding(0) var<storage, read_write> memory: array<V>;
@group(0) @binding(1) var<storage, read> numbers: array<f32>;
@group(0) @binding(2) var<storage, read> facts: array<u32>;
@group(0) @binding(3) var<storage, read> blocks: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;
var<workgroup> shared_: array<array<f32, ${THREADS}>, ${Math.min(AT_ONCE, Math.max(1, shared))}>;
${FUNCTIONS}
${JOIN_FUNCTIONS}
${functions}
@compute @workgroup_size(${THREADS})
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
let group = id.x + id.y * groups.x;
if (group >= arrayLength(&blocks)) { return; }
let block = blocks[group];
let tensor = block.x;
${lines.join('\n')}
}
`
