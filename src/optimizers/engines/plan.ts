/**
 * Fusion: which values each pass over memory computes, loads and stores. A pass does all that one stage allows, so a
 * rule takes one pass plus one for each reduction that a later value waits for.
 */
import type { Domain } from '../language/program.js'
import type { Call, Graph, Node, Reduce } from './graph.js'
import { rankCondition } from './shapes.js'

/** Rules that look at the rank have a version for matrices and one for tensors of lower rank. */
export type Variant = 'any' | 'matrix' | 'vector'

/** One loop over the elements of a domain. */
export type Pass = {
  domain: Domain
  /** Values that earlier passes left in memory, by location. */
  sources: ReadonlyMap<Node, string>
  /** What to store: the new value of each location. */
  stores: ReadonlyMap<string, Node>
  reductions: readonly Reduce[]
  /** Whether it needs numbers per tensor, and rows or columns: it then runs tensor by tensor, and row by row. */
  perTensor: boolean
  perRow: boolean
}

export type Stage = {
  /** Numbers for all tensors and per tensor, computed before the passes. */
  numbers: readonly Call[]
  /** Reductions that end before this stage. */
  ended: readonly Reduce[]
  rows?: Pass
  columns?: Pass
  tensors: ReadonlyMap<Variant, Pass>
}

export type Plan = {
  graph: Graph
  variants: readonly Variant[]
  stages: readonly Stage[]
  /** Locations beside x, slots, inputs and fields, by domain. */
  scratch: ReadonlyMap<string, Domain>
  /** Slots outside of tensors, whose new values are moved in at the end. */
  commits: ReadonlyMap<string, Node>
  /** Passes over the elements of all tensors. */
  passes: number
}

/** Where a row or column value is kept between passes. */
export const nodeLocation = (node: Node): string => (node.kind === 'load' ? node.location : `node ${node.id}`)

export const isFactor = (domain: Domain): domain is 'row' | 'column' => domain === 'row' || domain === 'column'
const isLeaf = (node: Node) => node.kind !== 'call' && node.kind !== 'reduce'

/** What a node reads in a variant: of a choice by rank, only the chosen side. */
export function operands(node: Node, variant: Variant): readonly Node[] {
  if (node.kind !== 'call' || node.fn !== 'select' || variant === 'any') return node.args
  const condition = rankCondition(node.args[0], variant === 'matrix')
  return condition === undefined ? node.args : [node.args[condition ? 1 : 2]]
}

/**
 * `packed`: slots that are packed again when they are stored. So that a step computes with what a rule says, they are stored
 * once nothing reads them, and what they depend on is computed again in each pass: kept, it would take the memory that
 * they save.
 */
export function planGraph(graph: Graph, packed: ReadonlySet<string> = new Set()): Plan {
  const { nodes, results } = graph
  const byRank = nodes.some((node) => isFactor(node.domain) || (node.kind === 'shape' && node.property === 'matrix'))
  const variants: Variant[] = byRank ? ['matrix', 'vector'] : ['any']
  const scratch = new Map<string, Domain>()
  const kept = keptFactors(graph)
  for (const node of kept) scratch.set(nodeLocation(node), node.domain)

  const tensorResults = new Map([...results].filter(([, node]) => node.domain === 'tensor'))
  const tensorPasses = new Map(
    variants.map((variant) => [variant, planTensors(graph, tensorResults, variant, scratch, packed)]),
  )
  const count = 1 + Math.max(0, ...nodes.map(({ stage }) => stage))
  const stages = Array.from({ length: count }, (_, stage): Stage => {
    return {
      numbers: nodes.filter(
        (node): node is Call =>
          node.kind === 'call' && node.stage === stage && (node.domain === 'global' || node.domain === 'scalar'),
      ),
      ended: nodes.filter((node): node is Reduce => node.kind === 'reduce' && node.stage === stage),
      rows: planFactor(graph, 'row', stage, kept),
      columns: planFactor(graph, 'column', stage, kept),
      tensors: new Map(
        variants.flatMap((variant) => {
          const pass = tensorPasses.get(variant)?.[stage]
          return pass ? [[variant, pass] as const] : []
        }),
      ),
    }
  })
  return {
    graph,
    variants,
    stages,
    scratch,
    commits: new Map([...results].filter(([, node]) => node.domain !== 'tensor')),
    passes: stages.filter(({ tensors }) => tensors.size > 0).length,
  }
}

/** Reductions over a domain that run in a stage. */
const reductionsOver = (graph: Graph, domain: Domain, stage: number): Reduce[] =>
  graph.nodes.filter(
    (node): node is Reduce => node.kind === 'reduce' && node.over === domain && node.stage === stage + 1,
  )

/** Row and column values that outlive their own pass: results, reductions, and what tensors or later stages read. */
function keptFactors({ nodes, results }: Graph): Set<Node> {
  const kept = new Set<Node>()
  for (const node of nodes) {
    if (node.kind === 'reduce' && isFactor(node.domain)) kept.add(node)
    const when = node.kind === 'reduce' ? node.stage - 1 : node.stage
    const where = node.kind === 'reduce' ? node.over : node.domain
    for (const arg of node.args)
      if (isFactor(arg.domain) && arg.kind === 'call' && (where !== arg.domain || when > arg.stage)) kept.add(arg)
  }
  for (const node of results.values()) if (isFactor(node.domain)) kept.add(node)
  return kept
}

function planFactor(graph: Graph, domain: 'row' | 'column', stage: number, kept: ReadonlySet<Node>): Pass | undefined {
  const stores = new Map(
    [...kept]
      .filter((node) => node.domain === domain && node.stage === stage && node.kind === 'call')
      .map((node) => [nodeLocation(node), node] as const),
  )
  const reductions = reductionsOver(graph, domain, stage)
  if (stores.size === 0 && reductions.length === 0) return undefined
  const sources = new Map([...kept].filter((node) => !stores.has(nodeLocation(node))).map((n) => [n, nodeLocation(n)]))
  return { domain, sources, stores, reductions, perTensor: true, perRow: false }
}

/** Operations that are cheaper to do again than to store and load their value. */
const CHEAP: ReadonlySet<string> = new Set(['+', '-', '*', 'negate', 'abs', 'min', 'max', 'broadcast'])
const CHEAP_OPERATIONS = 3

function isCheap(node: Node): boolean {
  const work = new Set<Node>()
  const collect = (n: Node): boolean => {
    if (n.domain !== 'tensor' || isLeaf(n) || work.has(n)) return true
    work.add(n)
    return n.kind === 'call' && CHEAP.has(n.fn) && work.size <= CHEAP_OPERATIONS && n.args.every(collect)
  }
  return collect(node)
}

/**
 * The passes over tensors of one variant, by stage. Reductions are done as early as they can be, everything else as
 * late as possible, so that nothing is loaded before it is needed. A value needed again in a later pass is reloaded
 * from its slot, computed again where that is cheap, or kept in a scratch location.
 */
function planTensors(
  graph: Graph,
  results: ReadonlyMap<string, Node>,
  variant: Variant,
  scratch: Map<string, Domain>,
  packed: ReadonlySet<string>,
): (Pass | undefined)[] {
  const reductions = (stage: number) =>
    reductionsOver(graph, 'tensor', stage).filter(({ domain }) => variant !== 'vector' || !isFactor(domain))
  const last = Math.max(...graph.nodes.map(({ stage }) => stage))

  const earliest = new Map<Node, number>()
  for (let stage = 0; stage <= last; stage++) {
    const visit = (node: Node) => {
      if (node.domain !== 'tensor' || earliest.has(node)) return
      earliest.set(node, stage)
      operands(node, variant).forEach(visit)
    }
    for (const { args } of reductions(stage)) args.forEach(visit)
  }
  const storeStage = Math.max(...[...results.values()].map(({ stage }) => stage))

  // Locations whose old value is read after the stage that could overwrite it: their stores wait until then.
  const deferred = new Map<string, number>()
  for (;;) {
    const { storedAt, lastRead, spills, passes } = schedule()
    const late = [...lastRead].filter(([location, stage]) => stage > (storedAt.get(location) ?? stage))
    if (late.length === 0) {
      for (const location of spills.keys()) scratch.set(location, 'tensor')
      return passes
    }
    for (const [location, stage] of late) deferred.set(location, stage)
  }

  function schedule() {
    const storedAt = new Map<string, number>()
    const locations = new Map<Node, string>()
    for (const [location, node] of results) {
      const early = isLeaf(node) || packed.has(location) ? undefined : earliest.get(node)
      storedAt.set(location, deferred.get(location) ?? early ?? storeStage)
      if (early !== undefined) locations.set(node, location)
    }
    const lastRead = new Map<string, number>()
    const spills = new Map<string, Node>()
    const sources: Map<Node, string>[] = []
    const seen: Set<Node>[] = []
    const visit = (node: Node, stage: number) => {
      if (seen[stage].has(node)) return
      seen[stage].add(node)
      if (node.domain !== 'tensor') return
      if (node.kind === 'load') lastRead.set(node.location, Math.max(stage, lastRead.get(node.location) ?? 0))
      const computed = earliest.get(node)
      if (!isLeaf(node) && computed !== undefined && computed < stage) {
        const location = locations.get(node)
        if (location !== undefined && (storedAt.get(location) as number) < stage)
          return void sources[stage].set(node, location)
        if (packed.size === 0 && !isCheap(node)) {
          const spill = `spill ${node.id}`
          spills.set(spill, node)
          return void sources[stage].set(node, spill)
        }
      }
      for (const operand of operands(node, variant)) visit(operand, stage)
    }
    const storesAt: Map<string, Node>[] = []
    for (let stage = 0; stage <= last; stage++) {
      sources[stage] = new Map()
      seen[stage] = new Set()
      storesAt[stage] = new Map([...results].filter(([location]) => storedAt.get(location) === stage))
      for (const { args } of reductions(stage)) for (const arg of args) visit(arg, stage)
      for (const node of storesAt[stage].values()) visit(node, stage)
    }
    for (const [location, node] of spills) storesAt[earliest.get(node) as number].set(location, node)
    const passes = storesAt.map((stores, stage): Pass | undefined => {
      const ending = reductions(stage)
      if (stores.size === 0 && ending.length === 0) return undefined
      const touched = [...seen[stage], ...ending]
      return {
        domain: 'tensor',
        sources: sources[stage],
        stores,
        reductions: ending,
        perTensor: touched.some(({ domain }) => domain === 'scalar' || isFactor(domain)),
        perRow: touched.some(({ domain }) => isFactor(domain)),
      }
    })
    return { storedAt, lastRead, spills, passes }
  }
}
