/** The thread that generates modules. Its generator is large: it takes most of a second to load, and a hundred megabytes. */
import binaryen from 'binaryen'
import { answerCalls } from '../../../core/sync-thread.js'
import { compileRule } from '../../language/check.js'
import type { RuleSource } from '../../language/program.js'
import { buildGraph } from '../graph.js'
import { planGraph } from '../plan.js'
import { generate } from './generate.js'
import type { Precision } from './lanes.js'
import { TableLayout } from './tables.js'

/** `packed`: the slots that are packed between steps. */
export type Request = { source: RuleSource; precision: Precision; packed: readonly string[] }
export type Reply = { bytes: Uint8Array } | { failure: string }

answerCalls(async ({ source, precision, packed }: Request): Promise<{ reply: Reply }> => {
  try {
    const program = compileRule(source)
    const plan = planGraph(buildGraph(program), new Set(packed))
    return { reply: { bytes: generate(binaryen, plan, new TableLayout(plan, program), precision, packed) } }
  } catch (error) {
    return { reply: { failure: (error as Error).message } }
  }
})
