/** Pascanu, Mikolov, Bengio, "On the difficulty of training recurrent neural networks", ICML 2013, algorithm 1. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { TensorSpec } from '../../core/tensor.js'
import type { Piece } from '../compose.js'
import { type PartConfig, real } from '../parts.js'
import { defineTransform } from './transform.js'

const fields = {
  threshold: field(
    z.union([z.literal('auto'), z.number().positive()]).default('auto'),
    'Largest norm; "auto": `factor` times the running mean of the norm over the steps before.',
    { source: 'section 3.2' },
  ),
  factor: real('Multiple of the running mean, for "auto".', { default: 5, above: 0, source: 'section 3.2: 5 to 10' }),
  decay: real('Weight of the past in the running mean, for "auto".', {
    default: 0.99,
    min: 0,
    below: 1,
    source: 'ours',
  }),
  groups: field(
    z.union([z.enum(['all', 'group', 'tensor']), z.array(z.array(z.string()).min(1)).min(1)]).default('all'),
    'What shares a norm: all tensors, each group of the space, each tensor, or each of these lists of tensor names ' +
      '(tensors in no list are left alone).',
    { source: 'ours' },
  ),
}
type Config = PartConfig<typeof fields>

/** Tensor names of each group, or undefined where a reduction of the language says it: all tensors, or each. */
function members({ groups }: Config, tensors: readonly TensorSpec[]): readonly (readonly string[])[] | undefined {
  if (groups === 'all' || groups === 'tensor') return undefined
  if (groups !== 'group') return groups
  const lists = new Map<string, string[]>()
  for (const { name, group = '' } of tensors) lists.set(group, [...(lists.get(group) ?? []), name])
  return [...lists.values()]
}

/** Lines that clip a norm `n`, for the elements of a group where there is a mask; the suffix tells groups apart. */
function clip({ threshold }: Config, suffix = '', mask?: string): string[] {
  const [n, limit, average] = [`n${suffix}`, `limit${suffix}`, `average${suffix}`]
  const lines: string[] = []
  if (threshold === 'auto')
    lines.push(
      `${limit} = select(t > 1, factor*${average}/(1 - decay^(t - 1)), ${n})`,
      `${average} = decay*${average} + (1 - decay)*${n}`,
    )
  else lines.push(`${limit} = threshold`)
  const scale = `select(${n} > ${limit}, ${limit}/${n}, 1)`
  lines.push(`g = g*${mask ? `select(${mask} > 0, ${scale}, 1)` : scale}`)
  return lines
}

function piece(config: Config, tensors: readonly TensorSpec[]): Piece {
  const { threshold, factor, decay } = config
  const auto = threshold === 'auto'
  const scalars = (): Record<string, number> => (auto ? { factor, decay } : { threshold })
  const groups = members(config, tensors)
  if (!groups) {
    const all = config.groups === 'all'
    const lines = [all ? 'n = norm(g, all)' : 'n = norm(g)', ...clip(config)]
    const clipped = all ? 'select(n > limit, 1, 0)' : 'sum(select(n > limit, 1, 0), all)'
    return {
      text: [...lines, `report clipped = ${clipped}`].join('\n'),
      slots: auto ? { average: { kind: all ? 'global' : 'scalar' } } : {},
      scalars,
    }
  }
  // A group is a mask: a constant per tensor, 1 in the group and 0 outside. All norms come first, for one pass.
  const norms = groups.map((_, k) => `n${k} = norm(in${k}*g, all)`)
  const lines = [...norms, ...groups.flatMap((_, k) => clip(config, `${k}`, `in${k}`))]
  const clipped = groups.map((_, k) => `select(n${k} > limit${k}, 1, 0)`).join(' + ')
  return {
    text: [...lines, `report clipped = ${clipped}`].join('\n'),
    slots: Object.fromEntries(
      groups.flatMap((_, k) => [
        [`in${k}`, { kind: 'scalar' as const }],
        ...(auto ? [[`average${k}`, { kind: 'global' as const }] as const] : []),
      ]),
    ),
    fill: Object.fromEntries(groups.map((names, k) => [`in${k}`, ({ name }) => Number(names.includes(name))])),
    scalars,
  }
}

export const clipNorm = defineTransform({
  id: 'clip-norm',
  summary:
    'Scales the gradient down to a norm of `threshold` where its norm is larger. Reports how many groups it clipped.',
  fields,
  piece,
  check(config, tensors) {
    const { groups } = config
    if (typeof groups === 'string') return []
    const known = new Set(tensors.map(({ name }) => name))
    const seen = new Set<string>()
    return groups.flatMap((names, k) =>
      names.flatMap((name, i) => {
        const at = { field: `groups[${k}][${i}]` }
        if (!known.has(name)) return [{ ...at, message: `the space has no tensor "${name}"` }]
        if (seen.has(name)) return [{ ...at, message: `"${name}" is in two groups` }]
        seen.add(name)
        return []
      }),
    )
  },
})
