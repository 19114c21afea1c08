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

/** The spelling of a name, which no other name of its text has. */
export type Spell = (name: string) => string

/** Spells the names of a text: `lr` is \eta unless the text has an `eta` too. */
export function speller(names: Iterable<string>): Spell {
  const own = new Set([...names].map(texName))
  return (name) => {
    const spelled = SPELLED.get(name)
    return spelled && !own.has(spelled) ? spelled : texName(name)
  }
}

/** `beta1` as \beta_{1}, `v` as v, `rbar` as \bar{r}, `momentum` as \mathrm{momentum}. */
function texName(name: string): string {
  const [, letter, accent] = /^([A-Za-z])(bar|hat|tilde)$/.exec(name) ?? []
  if (accent) return `\\${accent}{${letter}}`
  const [, stem, digits] = /^(.*?)_?(\d*)$/.exec(name) as RegExpExecArray
  const escaped = stem.replaceAll('_', '\\_')
  const base = GREEK.has(stem) ? `\\${stem}` : stem.length === 1 ? stem : `\\mathrm{${escaped}}`
  return digits ? `${base}_{${digits}}` : base
}

type TexOptions = {
  handler: (node: MathNode, options: TexOptions) => string | undefined
  parenthesis: string
  spell: Spell
}

function handler(node: MathNode, options: TexOptions): string | undefined {
  const any = node as unknown as { type: string; name: string; fn: { name: string }; args: MathNode[] }
  // The space keeps a name apart from a command before it, as in \cdot m.
  if (any.type === 'SymbolNode') return ` ${options.spell(any.name)}`
  if (any.type !== 'FunctionNode') return undefined
  const args = any.args.map((arg) => arg.toTex(options))
  const { name } = any.fn
  if (name === 'norm') return `\\left\\lVert ${args[0]}\\right\\rVert${args.length > 1 ? '_{\\mathrm{all}}' : ''}`
  if (name === 'sqrt') return `\\sqrt{${args.join(', ')}}`
  if (name === 'abs') return `\\left|${args.join(', ')}\\right|`
  return `\\operatorname{${name.replaceAll('_', '\\_')}}\\left(${args.join(', ')}\\right)`
}

/** An expression's LaTeX. */
export const toLatex = (node: MathNode, spell: Spell): string =>
  node
    .toTex({ handler, parenthesis: 'keep', spell } as TexOptions)
    .replaceAll(/ +/g, ' ')
    .trim()
