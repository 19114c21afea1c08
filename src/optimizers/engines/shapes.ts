/** What a manifest means to a rule: sizes, matrix factors, and whether the rule suits its tensors. */
import { AsktellError } from '../../core/errors.js'
import { elements, type TensorSpec } from '../../core/tensor.js'
import { join } from '../language/functions.js'
import type { Domain, Expression, Program } from '../language/program.js'

/** One tensor as `batch` matrices of `rows` x `columns`; tensors of rank < 2 have none. */
export type TensorShape = {
  name: string
  size: number
  matrix: boolean
  batch: number
  rows: number
  columns: number
}

export function tensorShape({ name, shape }: TensorSpec): TensorShape {
  const size = elements(shape)
  const [rows, columns] = shape.length < 2 ? [0, 0] : shape.slice(-2)
  return { name, size, matrix: shape.length >= 2, batch: elements(shape.slice(0, -2)), rows, columns }
}

/** Elements that one tensor's value has in a domain. */
export function domainSize(domain: Domain, shape: TensorShape): number {
  if (domain === 'tensor') return shape.size
  if (domain === 'row') return shape.matrix ? shape.batch * shape.rows : 0
  if (domain === 'column') return shape.matrix ? shape.batch * shape.columns : 0
  return 1
}

/** What a condition looks like, as an expression or as a node of a graph. */
type Condition = { kind: string; property?: string; fn?: string; args?: readonly Condition[] }

/** The value of a condition that the rank alone decides, else undefined. */
export function rankCondition({ kind, property, fn, args = [] }: Condition, matrix: boolean): boolean | undefined {
  if (kind === 'shape' && property === 'matrix') return matrix
  if (kind !== 'call' || fn !== 'not') return undefined
  const value = rankCondition(args[0], matrix)
  return value === undefined ? undefined : !value
}

/**
 * Refuses a rule that uses rows or columns of tensors that have none. Rows and columns may appear anywhere under
 * `matrix ? ... : ...`; what is computed from them elsewhere has no value for tensors of rank < 2.
 */
export function checkManifest(program: Program, manifest: readonly TensorSpec[]): void {
  const vector = manifest.find(({ shape }) => shape.length < 2)
  if (!vector) return
  const lacking = new Set<string>()
  const lacks = (e: Expression): boolean => {
    if (e.kind === 'name') return lacking.has(e.name)
    if (e.kind !== 'call' && e.kind !== 'reduce') return false
    if (e.kind === 'call' && e.fn === 'select') {
      const condition = rankCondition(e.args[0], false)
      if (condition !== undefined) return lacks(e.args[condition ? 1 : 2]) || narrows(e, e.args[condition ? 1 : 2])
    }
    return e.args.some((arg) => lacks(arg) || narrows(e, arg))
  }
  // A number for all tensors is made from all of them, whichever branch it stands in.
  const lacksForAll = (e: Expression): boolean =>
    (e.kind === 'call' || e.kind === 'reduce') &&
    ((e.kind === 'reduce' && e.domain === 'global' && lacks(e)) || e.args.some(lacksForAll))
  for (const { target, value, line, column } of program.statements) {
    // Rows and columns of a vector are empty: nothing is computed, whatever the expression.
    const empty = target.domain === 'row' || target.domain === 'column'
    const lack = !empty && (lacks(value) || isFactor(value.domain))
    if (lacksForAll(value) || (lack && target.role !== 'local')) {
      const message = `expected a value for tensor "${vector.name}" of rank ${vector.shape.length} too, found rows or columns, which only matrices have; choose another for it, as in matrix ? ... : ...`
      throw new AsktellError('METHOD_UNSUITABLE', `rule.text:${line}:${column}: ${message}`, {
        issues: [{ path: `rule.text:${line}:${column}`, message }],
      })
    }
    if (lack) lacking.add(target.name)
    else lacking.delete(target.name)
  }
}

const isFactor = (domain: Domain) => domain === 'row' || domain === 'column'

/**
 * Whether an argument's rows or columns are broadcast or reduced to something that every tensor must have. A reduction of
 * rows or columns alone over all tensors leaves out those that have none.
 */
const narrows = (e: Expression, arg: Expression) =>
  isFactor(arg.domain) &&
  !isFactor(e.domain) &&
  !(e.kind === 'reduce' && e.domain === 'global' && isFactor(e.args.map(({ domain }) => domain).reduce(join)))
