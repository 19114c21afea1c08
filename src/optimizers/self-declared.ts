/** Rules whose text says all: what is state follows from the order of the assignments. */
import { RESERVED } from './language/functions.js'
import type { RuleSource } from './language/program.js'

/**
 * The source of a rule given by its text alone: a name that is read before it is assigned is a slot, which holds a tensor
 * and starts at zero. `lr` is a hyperparameter, beside those named.
 */
export function selfDeclared(text: string, named: readonly string[] = []): RuleSource {
  const hyperparameters = ['lr', ...named]
  const slots = new Set<string>()
  const assigned = new Set<string>()
  for (const line of text.split('\n')) {
    const [, target, value] = /^\s*(?:report\s+)?([A-Za-z]\w*)\s*=(?!=)([^#]*)/.exec(line) ?? []
    if (!target) continue
    for (const [name] of value.matchAll(/(?<![\w.])[A-Za-z]\w*/g))
      if (!hyperparameters.includes(name) && !RESERVED.has(name) && !assigned.has(name)) slots.add(name)
    assigned.add(target)
  }
  const declared = [...slots].map((name) => [name, { kind: 'tensor' as const }])
  return { text, slots: Object.fromEntries(declared), hyperparameters }
}
