/** A rule as pure dataflow: old values in, new values out, equal expressions shared. What compiling engines start from. */
import { join } from '../language/functions.js'
import type { Distribution, Domain, ElementFunction, Expression, Program, Reduction } from '../language/program.js'

/**
 * One value. `stage` counts the reductions before it: all values of stage s are known before any reduction of stage
 * s + 1 ends. `broadcast` widens its argument to the node's domain.
 */
export type Node = { id: number; domain: Domain; stage: number; args: readonly Node[] } & (
  | { kind: 'number'; value: number }
  /** A hyperparameter or `t`. */
  | { kind: 'scalar'; name: string }
  | { kind: 'shape'; property: 'matrix' | 'size' | 'sizeAll' }
  /** The old value of x or of a slot, an input, or a random field. */
  | { kind: 'load'; location: string }
  | { kind: 'call'; fn: ElementFunction | 'broadcast' }
  /** A reduction of values of the domain `over`. */
  | { kind: 'reduce'; fn: Reduction; over: Domain }
)
export type Reduce = Node & { kind: 'reduce' }
export type Call = Node & { kind: 'call' }

export type RandomField = { location: string; distribution: Distribution; site: number }

export type Graph = {
  /** All values that something needs, arguments first. */
  nodes: readonly Node[]
  /** New values of x and of the assigned slots. Never a bare `load` unless of domain tensor. */
  results: ReadonlyMap<string, Node>
  reports: ReadonlyMap<string, Node>
  fields: readonly RandomField[]
}

type Body = { [K in Node['kind']]: Omit<Node & { kind: K }, 'id' | 'stage'> }[Node['kind']]

export function buildGraph(program: Program): Graph {
  const nodes: Node[] = []
  const known = new Map<string, Node>()
  const fields: RandomField[] = []
  const intern = (body: Body): Node => {
    const key = JSON.stringify({
      ...body,
      args: body.args.map(({ id }) => id),
      value: 'value' in body ? String(body.value) : 0,
    })
    const found = known.get(key)
    if (found) return found
    const stage = Math.max(0, ...body.args.map((arg) => arg.stage)) + (body.kind === 'reduce' ? 1 : 0)
    const node = { ...body, id: nodes.length, stage } as Node
    nodes.push(node)
    known.set(key, node)
    return node
  }

  const names = new Map<string, Node>()
  const load = (location: string, domain: Domain) => intern({ kind: 'load', location, domain, args: [] })
  for (const name of ['x', 'g', ...(program.source.inputs ?? [])]) names.set(name, load(name, 'tensor'))
  for (const [name, { kind }] of Object.entries(program.source.slots)) names.set(name, load(name, kind))
  for (const name of ['t', ...program.source.hyperparameters])
    names.set(name, intern({ kind: 'scalar', name, domain: 'global', args: [] }))

  const number = (n: number) => intern({ kind: 'number', value: n, domain: 'global', args: [] })
  const binary = (fn: '*' | '/', a: Node, b: Node): Node =>
    intern({ kind: 'call', fn, domain: join(a.domain, b.domain), args: [a, b] })
  /** An integer power by repeated squaring. */
  const power = (base: Node, n: number): Node => {
    if (n < 0) return binary('/', number(1), power(base, -n))
    if (n === 0) return number(1)
    if (n === 1) return base
    const half = power(base, Math.floor(n / 2))
    const square = binary('*', half, half)
    return n % 2 === 0 ? square : binary('*', square, base)
  }
  const value = (e: Expression): Node => {
    switch (e.kind) {
      case 'number':
        return number(e.value)
      case 'name':
        return names.get(e.name) as Node
      case 'shape':
        return intern({ kind: 'shape', property: e.property, domain: e.domain, args: [] })
      case 'random': {
        const location = `random ${e.site}`
        fields.push({ location, distribution: e.distribution, site: e.site })
        return load(location, 'tensor')
      }
      case 'call': {
        const args = e.args.map(value)
        const [base, exponent] = args
        if (e.fn === '^' && exponent.kind === 'number' && isSmallInteger(exponent.value))
          return power(base, exponent.value)
        return intern({ kind: 'call', fn: e.fn, domain: e.domain, args })
      }
      case 'reduce': {
        const over = e.args.map((arg) => arg.domain).reduce(join)
        return intern({ kind: 'reduce', fn: e.fn, over, domain: e.domain, args: e.args.map(value) })
      }
    }
  }

  const results = new Map<string, Node>()
  const reports = new Map<string, Node>()
  for (const { target, value: expression } of program.statements) {
    const { role, name, domain } = target
    const node = value(expression)
    // Values outside the passes over tensors live in tables: what is kept needs a place of its own there.
    const placed = node.domain === domain && (domain === 'tensor' || node.kind === 'call' || node.kind === 'reduce')
    const result = role === 'local' || placed ? node : intern({ kind: 'call', fn: 'broadcast', domain, args: [node] })
    if (role === 'report') reports.set(name, result)
    else names.set(name, result)
    if (role === 'x' || role === 'slot') results.set(name, result)
  }
  const needed = new Set<Node>()
  const need = (node: Node) => {
    if (needed.has(node)) return
    node.args.forEach(need)
    needed.add(node)
  }
  for (const node of [...results.values(), ...reports.values()]) need(node)
  const live = fields.filter(({ location }) => needed.has(load(location, 'tensor')))
  return { nodes: nodes.filter((node) => needed.has(node)), results, reports, fields: live }
}

const isSmallInteger = (n: number) => Number.isInteger(n) && Math.abs(n) <= 32
