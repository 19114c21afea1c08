/** Methods and pruners as the API describes them: schema, equations, citations, facts. */
import { createHash } from 'node:crypto'
import { create, type JsonObject } from '@bufbuild/protobuf'
import { methods as blackbox, pruners as blackboxPruners } from '../blackbox/catalogue.gen.js'
import { MethodSchema, type Method as ProtoMethod } from '../core/gen/asktell/v1/method_pb.js'
import type { AnyMethod } from '../core/method.js'
import type { AnyPruner } from '../core/pruner.js'
import { jsonSchema } from '../core/schema.js'
import type { Problem, Space } from '../core/space.js'
import { pruners as optimizerPruners, methods as optimizers } from '../optimizers/catalogue.gen.js'

/** The smallest space of each kind: `needs` may look at the problem, but a default must not depend on it. */
const SPACES: { readonly [K in Space['kind']]: Space } = {
  tensors: { kind: 'tensors', tensors: [{ name: 'x', shape: [1], dtype: 'f32' }] },
  search: { kind: 'search', parameters: [{ name: 'x', type: 'float', low: 0, high: 1 }] },
  text: { kind: 'text', components: [{ name: 'prompt', initial: '' }] },
  items: { kind: 'items', items: [{ id: 'a' }, { id: 'b' }] },
}

export const configHash = (schema: Record<string, unknown>): string =>
  createHash('sha256').update(JSON.stringify(schema)).digest('hex')

/** What lists show: all but the schema, its hash and the equations, which are long and take their time. */
function summarizeMethod(method: AnyMethod): ProtoMethod {
  const { facts } = method
  // A method whose config has required fields has no default to describe.
  const config = method.config.safeParse({})
  const problem: Problem = {
    space: SPACES[facts.spaces[0]],
    objectives: [{ name: 'objective', direction: 'minimize' }],
    task: { description: '' },
  }
  return create(MethodSchema, {
    name: `methods/${method.id}`,
    id: method.id,
    kind: 'optimizer',
    version: method.version,
    family: method.family,
    title: method.title,
    summary: method.summary,
    references: method.references.map((reference) => ({ ...reference })),
    needs: config.success ? [...method.needs(config.data, problem)] : [],
    facts: {
      spaces: [...facts.spaces],
      parameters: [...(facts.parameters ?? [])],
      manyObjectives: facts.objectives === 'many',
      constraints: facts.constraints,
      parallel: facts.parallel,
      invariances: [...facts.invariances],
      unsolicited: facts.unsolicited === 'accept',
      warmStart: facts.warmStart ?? false,
    },
  })
}

const summarizePruner = (pruner: AnyPruner): ProtoMethod =>
  create(MethodSchema, {
    name: `methods/${pruner.id}`,
    id: pruner.id,
    kind: 'pruner',
    version: pruner.version,
    family: 'pruning',
    title: pruner.title,
    summary: pruner.summary,
    references: pruner.references.map((reference) => ({ ...reference })),
  })

function schemaOf({ config }: AnyMethod | AnyPruner) {
  const schema = jsonSchema(config)
  return { configSchema: schema as JsonObject, configHash: configHash(schema) }
}

/** Every method and pruner of the program. What is described once is kept. */
export class Catalogue {
  private readonly methods: ReadonlyMap<string, AnyMethod> = new Map([...optimizers, ...blackbox].map((m) => [m.id, m]))
  private readonly pruners: ReadonlyMap<string, AnyPruner> = new Map(
    [...optimizerPruners, ...blackboxPruners].map((p) => [p.id, p]),
  )
  private summaries?: readonly ProtoMethod[]
  private readonly described = new Map<string, ProtoMethod>()

  /** In the order of their ids. */
  list(): readonly ProtoMethod[] {
    this.summaries ??= [
      ...[...this.methods.values()].map(summarizeMethod),
      ...[...this.pruners.values()].map(summarizePruner),
    ].sort((a, b) => (a.id < b.id ? -1 : 1))
    return this.summaries
  }

  describe(id: string): ProtoMethod | undefined {
    let found = this.described.get(id)
    if (found) return found
    const [method, pruner] = [this.methods.get(id), this.pruners.get(id)]
    if (method) {
      const config = method.config.safeParse({})
      const equations = config.success ? [...(method.equations?.(config.data) ?? [])] : []
      found = { ...summarizeMethod(method), ...schemaOf(method), equations }
    } else if (pruner) found = { ...summarizePruner(pruner), ...schemaOf(pruner) }
    if (found) this.described.set(id, found)
    return found
  }
}
