/** The thread that generates modules. Its generator is large: it takes most of a second to load, and a hundred megabytes. */
import binaryen from 'binaryen'
import { answerCalls } from '../../../core/sync-thread.js'
import { compileRule } from '../../language/check.js'
import type { RuleSource } from '../../language/program.js'
import { buildGraph } from '../graph.js'
import { planGraph } from '../plan.js'
import { type Form, generate } from './generate.js'
import { TableLayout } from './tables.js'

export type Request = { source: RuleSource; form: Form }
export type Reply = { bytes: Uint8Array } | { failure: string }

answerCalls(async ({ source, form }: Request): Promise<{ reply: Reply }> => {
  try {
    const program = compileRule(source)
    const plan = planGraph(buildGraph(program), new Set(form.packed))
    return { reply: { bytes: generate(binaryen, plan, new TableLayout(plan, program), form) } }
  } catch (error) {
    return { reply: { failure: (error as Error).message } }
  }
})
