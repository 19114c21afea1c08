/** A rule as its author writes it, and the checked program that engines compile. */

/**
 * A slot is state of the rule. `tensor`: shaped like each parameter; `scalar`: one number per tensor; `global`: one
 * number for all tensors; `row` and `column`: shaped like the means over the last axis and over the axis before last
 * (tensors of rank >= 2; empty for others).
 */
export type SlotKind = 'tensor' | 'scalar' | 'global' | 'row' | 'column'

export type RuleSource = {
  /** Assignments, one per line, in order, as in the paper. `x` is the parameter, `g` its gradient, `t` the step from 1. */
  text: string
  slots: { readonly [name: string]: { kind: SlotKind; initial?: number } }
  /** Names of scalar hyperparameters that the text uses. */
  hyperparameters: readonly string[]
  /** Tensor inputs beside `g`, each supplied by the driver. */
  inputs?: readonly string[]
}

/**
 * Where a value lives. A value broadcasts to any domain that contains its own: global in scalar, scalar in row and
 * column, those two in tensor.
 */
export type Domain = SlotKind

/** Elementwise functions after desugaring. Comparisons and logic give 1 or 0; whatever is not 0 is true. */
export type ElementFunction =
  | '+'
  | '-'
  | '*'
  | '/'
  | '^'
  | 'negate'
  | '<'
  | '<='
  | '>'
  | '>='
  | '=='
  | '!='
  | 'and'
  | 'or'
  | 'not'
  | 'select'
  | 'abs'
  | 'sign'
  | 'sqrt'
  | 'exp'
  | 'log'
  | 'tanh'
  | 'sin'
  | 'cos'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'isfinite'
  | 'min'
  | 'max'

export type Reduction = 'sum' | 'mean' | 'norm' | 'dot' | 'max' | 'min'
export type Distribution = 'normal' | 'rademacher' | 'uniform' | 'exponential'

/**
 * A checked expression. Reductions go over one tensor (to scalar), over all tensors (to global), over the last axis
 * (to row) or over the axis before last (to column). `dot` has two arguments, the others one. The random call sites of
 * a rule are numbered, so that each draws its own field.
 */
export type Expression =
  | { kind: 'number'; domain: 'global'; value: number }
  | { kind: 'name'; domain: Domain; name: string; role: 'x' | 'slot' | 'input' | 'local' | 'scalar' }
  | { kind: 'shape'; domain: 'scalar' | 'global'; property: 'matrix' | 'size' | 'sizeAll' }
  | { kind: 'random'; domain: 'tensor'; distribution: Distribution; site: number }
  | { kind: 'call'; domain: Domain; fn: ElementFunction; args: readonly Expression[] }
  | { kind: 'reduce'; domain: Domain; fn: Reduction; args: readonly Expression[] }

/** One assignment. A tensor target takes a value of any domain that broadcasts to it. */
export type Statement = {
  target: { role: 'x' | 'slot' | 'local' | 'report'; name: string; domain: Domain }
  value: Expression
  /** Where its value starts in the text, from 1. */
  line: number
  column: number
}

/** Parsed, checked, ready to lower. Owned by the language; engines read it. */
export type Program = {
  readonly source: RuleSource
  readonly statements: readonly Statement[]
  /** LaTeX of each assignment, reports left out, for `describe`. Made on demand: it takes longer than the check. */
  readonly latex: readonly string[]
  /** SHA-256 of the checked program: the key of compiled-kernel caches. */
  readonly hash: string
}
