/** Names and expressions of a rule in LaTeX, for the method reference and `describe`. */
import type { MathNode } from 'mathjs/number'

const GREEK = new Set(
  'alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega'.split(' '),
)
const SPELLED: ReadonlyMap<string, string> = new Map([
  ['eps', '\\varepsilon'],
  ['lr', '\\eta'],
  ['learningRate', '\\eta'],
  ['weightDecay', '\\lambda'],
  ['pi', '\\pi'],
])

/** `beta1` as \beta_{1}, `v` as v, `momentum` as \mathrm{momentum}. */
export function texName(name: string): string {
  const spelled = SPELLED.get(name)
  if (spelled) return spelled
  const [, stem, digits] = /^(.*?)_?(\d*)$/.exec(name) as RegExpExecArray
  const escaped = stem.replaceAll('_', '\\_')
  const base = GREEK.has(stem) ? `\\${stem}` : stem.length === 1 ? stem : `\\mathrm{${escaped}}`
  return digits ? `${base}_{${digits}}` : base
}

type TexOptions = { handler: (node: MathNode, options: TexOptions) => string | undefined; parenthesis: string }

function handler(node: MathNode, options: TexOptions): string | undefined {
  const any = node as unknown as { type: string; name: string; fn: { name: string }; args: MathNode[] }
  // The space keeps a name apart from a command before it, as in \cdot m.
  if (any.type === 'SymbolNode') return ` ${texName(any.name)}`
  if (any.type !== 'FunctionNode') return undefined
  const args = any.args.map((arg) => arg.toTex(options))
  const { name } = any.fn
  if (name === 'norm') return `\\left\\lVert ${args[0]}\\right\\rVert${args.length > 1 ? '_{\\mathrm{all}}' : ''}`
  if (name === 'sqrt') return `\\sqrt{${args.join(', ')}}`
  if (name === 'abs') return `\\left|${args.join(', ')}\\right|`
  return `\\operatorname{${name.replaceAll('_', '\\_')}}\\left(${args.join(', ')}\\right)`
}

/** An expression's LaTeX. */
export const toLatex = (node: MathNode): string =>
  node
    .toTex({ handler, parenthesis: 'keep' } as TexOptions)
    .replaceAll(/ +/g, ' ')
    .trim()
