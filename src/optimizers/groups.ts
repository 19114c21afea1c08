/** Hyperparameters that differ between the groups of a space, for every rule whose text uses them. */
import type { z } from 'zod'
import type { Issue } from '../core/errors.js'
import type { TensorSpec } from '../core/tensor.js'
import type { At, Piece } from './compose.js'
import { FIRST } from './compose.js'
import type { Common, RuleOf } from './step-program.js'

type Values = { [field: string]: number }

/** The config of each group: first that of tensors in none of those named. */
const variants = <C extends Common>(config: C): C[] => [
  config,
  ...Object.values(config.groups).map((values) => ({ ...config, ...values })),
]

/** The config with a number that is not 0 in each field that has one in some group: rules leave out what is times 0. */
function fullest<C extends Common>(config: C): C {
  const full: Values = {}
  for (const values of Object.values(config.groups))
    for (const [field, value] of Object.entries(values)) {
      const own = (config as unknown as Values)[field]
      full[field] ||= own || value
    }
  return { ...config, ...full }
}

/** What the rule is given in a step of a group: rates are in proportion to its learning rate. */
function within<C extends Common>(at: At, config: C, variant: C): At {
  const share = config.learningRate > 0 ? variant.learningRate / config.learningRate : 1
  return { ...at, uniform: at.uniform, learningRate: at.learningRate * share, rateSum: at.rateSum * share }
}
const scalarsOf = ({ scalars }: Piece, at: At): Values => ({ lr: at.learningRate, ...scalars?.(at) })

/** Two steps by which scalars are told apart that differ between groups. */
const PROBES: readonly At[] = [FIRST, { ...FIRST, t: 7, learningRate: 0.7, rateSum: 4.9, uniform: 0.3 }]

/** The same rule, with every number that differs between groups chosen by the group of a tensor. */
export function grouped<C extends Common>(rule: RuleOf<C>): RuleOf<C> {
  return (config, tensors, project) => {
    const names = Object.keys(config.groups)
    if (names.length === 0) return rule(config, tensors, project)
    const written = rule(fullest(config), tensors, project)
    const configs = variants(config)
    const pieces = configs.map((variant) => rule(variant, tensors, project))
    const valuesAt = (at: At) => pieces.map((piece, k) => scalarsOf(piece, within(at, config, configs[k])))
    const probes = PROBES.map(valuesAt)
    const differing = Object.keys(scalarsOf(written, FIRST)).filter((name) =>
      probes.some(([first, ...others]) => others.some((values) => (values[name] ?? 0) !== (first[name] ?? 0))),
    )
    const choice = (name: string) =>
      names.reduce((rest, _, k) => `select(in${k + 1} > 0, ${name}_in${k + 1}, ${rest})`, `${name}_in0`)
    // The rate of a group is a name of its own: `lr` is that of all pieces.
    const local = (name: string) => (name === 'lr' ? 'groupRate' : name)
    return {
      ...written,
      text: [
        ...differing.map((name) => `${local(name)} = ${choice(name)}`),
        differing.includes('lr') ? written.text.replace(/\blr\b/g, 'groupRate') : written.text,
      ].join('\n'),
      slots: {
        ...written.slots,
        ...Object.fromEntries(names.map((_, k) => [`in${k + 1}`, { kind: 'scalar' as const }])),
      },
      fill: {
        ...written.fill,
        ...Object.fromEntries(
          names.map((name, k) => [`in${k + 1}`, ({ group }: TensorSpec) => Number(group === name)]),
        ),
      },
      scalars(at) {
        const values = valuesAt(at)
        const own = differing.flatMap((name) => values.map((of, k) => [`${name}_in${k}`, of[name] ?? 0]))
        const common = Object.entries(written.scalars?.(at) ?? {}).filter(([name]) => !differing.includes(name))
        return Object.fromEntries([...common, ...own])
      },
    }
  }
}

/** What is wrong with the groups of a config, for a rule with these fields. */
export function checkGroups<C extends Common>(
  rule: RuleOf<C>,
  fields: z.ZodRawShape,
  config: C,
  tensors: readonly TensorSpec[],
): Issue[] {
  const known = new Set(tensors.map(({ group }) => group))
  const text = (of: C) => rule(of, tensors, () => []).text
  const full = fullest(config)
  return Object.entries(config.groups).flatMap(([name, values]): Issue[] => {
    const at = `config.groups.${name}`
    if (!known.has(name)) return [{ path: at, message: 'the space has no tensor of this group' }]
    return Object.entries(values).flatMap(([field, value]): Issue[] => {
      const path = `${at}.${field}`
      const schema = fields[field] as z.ZodType | undefined
      if (!schema || typeof (config as unknown as Values)[field] !== 'number')
        return [{ path, message: 'the rule has no such number' }]
      const parsed = schema.safeParse(value)
      if (!parsed.success) return [{ path, message: parsed.error.issues[0].message }]
      const changed = { ...full, [field]: value || (full as unknown as Values)[field] }
      const scalars = (of: C) =>
        JSON.stringify(PROBES.map((probe) => rule(of, tensors, () => []).scalars?.(probe) ?? {}))
      const used = field === 'learningRate' || scalars({ ...full, [field]: value }) !== scalars(full)
      const same = value === (full as unknown as Values)[field]
      if (text(changed) !== text(full) || !(used || same))
        return [{ path, message: 'cannot differ between groups in this rule' }]
      return []
    })
  })
}
