/**
 * Maximal update parametrization of second-order methods: Ishikawa, Karakida, "On the Parameterization of Second-Order
 * Optimization Effective Towards the Infinite Width", ICLR 2024, table 1. Layers are matrices of fan_out rows and fan_in
 * columns; their roles and the width of the network give start values and learning rates under which features change as
 * much in wide networks as in narrow ones, so that hyperparameters found on a narrow one are good for a wide one.
 */
import { z } from 'zod'
import type { Issue } from '../core/errors.js'
import type { Rng } from '../core/rng.js'
import { field } from '../core/schema.js'
import type { TensorSpec } from '../core/tensor.js'

const ROLES = ['input', 'hidden', 'output'] as const
export type Role = (typeof ROLES)[number]

export const mupReference = {
  authors: 'S. Ishikawa, R. Karakida',
  title: 'On the Parameterization of Second-Order Optimization Effective Towards the Infinite Width',
  year: 2024,
  url: 'https://arxiv.org/abs/2312.12226',
}

export const mupFields = {
  parameterization: field(
    z.enum(['standard', 'mup']).default('standard'),
    'mup: start values, learning rates and damping that keep the change of features independent of the width.',
    { source: 'Ishikawa, Karakida 2024' },
  ),
  roles: field(
    z.record(z.string(), z.enum(ROLES)).default({}),
    'Layers by the names of their tensors. Start values that the space does not give are drawn for them: normal, with the ' +
      'standard deviation 1/sqrt(fan_in), in mup 1/fan_in for the output.',
    { source: 'Ishikawa, Karakida 2024, table 1' },
  ),
  baseWidth: field(z.int().min(1).optional(), 'mup: the width at which the hyperparameters were tuned.', {
    source: 'Ishikawa, Karakida 2024, section 5',
  }),
  zeroOutput: field(z.boolean().default(false), 'mup: the output layer starts at zero.', {
    source: 'Ishikawa, Karakida 2024, section 4',
  }),
}
export type MupConfig = z.output<z.ZodObject<typeof mupFields>>

/** The width of the network that a layer is of. */
const widthOf = (role: Role, [fanOut, fanIn]: readonly number[]): number => (role === 'input' ? fanOut : fanIn)

/** Standard deviation of the start values of a layer. */
export function initialScale(
  { parameterization, zeroOutput }: MupConfig,
  role: Role,
  shape: readonly number[],
): number {
  const [, fanIn] = shape
  if (parameterization === 'standard' || role !== 'output') return 1 / Math.sqrt(fanIn)
  return zeroOutput ? 0 : 1 / fanIn
}

/** Draws a start value of a tensor; undefined for tensors without a role. */
export function initialDraw(config: MupConfig, { name, shape }: TensorSpec): ((rng: Rng) => number) | undefined {
  const role = config.roles[name]
  if (!role) return undefined
  const scale = initialScale(config, role, shape)
  return (rng) => scale * rng.normal()
}

/** Power of width/baseWidth in the learning rate of Shampoo by role; that of K-FAC does not depend on the width. */
const SHAMPOO_RATE: Record<Role, number> = { input: 1 / 2, hidden: 0, output: -1 / 2 }

/** Factor on the learning rate of Shampoo for a tensor. */
export function shampooRate({ parameterization, roles, baseWidth }: MupConfig, { name, shape }: TensorSpec): number {
  const role = roles[name]
  if (parameterization === 'standard' || !role) return 1
  const width = widthOf(role, shape)
  return (width / (baseWidth ?? width)) ** SHAMPOO_RATE[role]
}

export function checkRoles({ parameterization, roles }: MupConfig, tensors: readonly TensorSpec[]): Issue[] {
  const issues: Issue[] = Object.keys(roles).flatMap((name) => {
    const tensor = tensors.find((spec) => spec.name === name)
    if (tensor?.shape.length === 2) return []
    const message = tensor ? 'expected a matrix, fan_out x fan_in' : `the space has no tensor "${name}"`
    return [{ path: `config.roles.${name}`, message }]
  })
  if (parameterization === 'mup' && Object.keys(roles).length === 0)
    issues.push({ path: 'config.roles', message: 'mup needs to know the roles of the layers' })
  return issues
}
