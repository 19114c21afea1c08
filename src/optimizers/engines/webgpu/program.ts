/** A program as shaders, whatever the manifest. */
import type { Program } from '../../language/program.js'
import { buildGraph } from '../graph.js'
import { isFactor, nodeLocation, type Plan, planGraph } from '../plan.js'
import { Regions } from './layout.js'
import { NumberTable } from './number-table.js'
import { factorShader, fieldShader, moveShader, type Shader, tensorShaders } from './shader.js'

export type Compiled = {
  plan: Plan
  regions: Regions
  numbers: NumberTable
  shaders: readonly Shader[]
  /** Places among the shaders of those that run in each stage, in order. */
  stages: readonly (readonly number[])[]
}

export function compile(program: Program): Compiled {
  const plan = planGraph(buildGraph(program))
  const context = { regions: new Regions(plan, program), numbers: new NumberTable(plan.graph), summing: 0 }
  const shaders = plan.graph.fields.map((field) => fieldShader(context, field))
  const stages = plan.stages.map((stage, index) => {
    // Fields are drawn ahead of everything else.
    const first = index === 0 ? 0 : shaders.length
    for (const pass of [stage.rows, stage.columns]) if (pass) shaders.push(factorShader(context, pass))
    for (const [variant, pass] of stage.tensors) shaders.push(...tensorShaders(context, pass, variant))
    return range(first, shaders.length)
  })
  // Nothing reads the old values any more.
  const moves = [...plan.commits].flatMap(([slot, node]) =>
    isFactor(node.domain) ? [moveShader(context, nodeLocation(node), slot, node.domain)] : [],
  )
  const last = Math.max(
    0,
    stages.findLastIndex(({ length }) => length > 0),
  )
  stages[last].push(...range(shaders.length, shaders.length + moves.length))
  shaders.push(...moves)
  return { ...context, plan, shaders, stages: stages.slice(0, last + 1) }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)
