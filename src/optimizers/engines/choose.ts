/** Which engine a server computes with. */
import type { EngineId } from '../../core/method.js'
import { probeEngine } from './index.js'

export type Choice = { id: EngineId; why: string }

/**
 * Best first. Rules are bound by memory, and gradients arrive in the host's: the wasm engine computes where they are, in
 * the fewest passes, where the tensorflow engine copies the state out and back at every step.
 */
const PREFERENCE: readonly EngineId[] = ['wasm', 'tensorflow', 'interpreter']

/**
 * The engine asked for, or for `auto` the best that runs here, and why it was taken.
 *
 * @throws AsktellError UNSUPPORTED when the engine asked for cannot run here, with what to install.
 */
export async function chooseEngine(asked: EngineId | 'auto', probe = probeEngine): Promise<Choice> {
  if (asked !== 'auto') return { id: asked, why: `asked for: ${await probe(asked)}` }
  const passed: string[] = []
  for (const id of PREFERENCE) {
    try {
      return { id, why: [`the best that runs here: ${await probe(id)}`, ...passed].join('; ') }
    } catch (error) {
      passed.push(`not ${id}: ${(error as Error).message}`)
    }
  }
  throw new Error('the interpreter runs everywhere')
}
