/**
 * Texts to syntax trees, by the parser of mathjs; nothing in a text is ever run. It is loaded with the first text: from its
 * many files that takes as long as the rest of a server together (scripts/bundle.mjs puts the parser alone in the bundle).
 */
import { createRequire } from 'node:module'
import type { MathNode } from 'mathjs/number'

const require = createRequire(import.meta.url)
let mathjs: typeof import('mathjs/number') | undefined

/** @throws SyntaxError of mathjs, with the place where it stopped as `char`. */
export function parseExpression(text: string): MathNode {
  mathjs ??= require('mathjs/number') as typeof import('mathjs/number')
  return mathjs.parse(text)
}
