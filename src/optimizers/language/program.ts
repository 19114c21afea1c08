/** A rule as its author writes it, and the checked program that engines compile. */

/**
 * A slot is state of the rule. `tensor`: shaped like each parameter; `scalar`: one number per tensor; `global`: one
 * number for all tensors; `row` and `column`: means over the last and the one before last axis (tensors of rank >= 2).
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

/** Parsed, checked, ready to lower. Owned by the language; engines read it. */
export type Program = {
  readonly source: RuleSource
  readonly statements: readonly Statement[]
  /** LaTeX of each line, for `describe`. */
  readonly latex: readonly string[]
  /** SHA-256 of the normalized source: the key of compiled-kernel caches. */
  readonly hash: string
}
/** Replaced by the language's own IR; see check.ts. */
export type Statement = { target: string; value: unknown }
