/** What a session may spend. */
import { type Issue, refuse } from '../core/errors.js'
import type { Usage } from '../core/query.js'
import type { Budget } from './api.js'

/** Limits of 0 are no limits and dropped. Throws INVALID_ARGUMENT. */
export function checkBudget(budget: Budget): Budget {
  const issues: Issue[] = []
  const clean: Budget = {}
  for (const field of ['maxEvaluations', 'maxCalls', 'maxTokens', 'maxMoney'] as const) {
    const limit = budget[field]
    if (!limit) continue
    if (!(Number.isFinite(limit) && limit > 0))
      issues.push({ path: `budget.${field}`, message: `expected a number of 0 or more, got ${limit}` })
    clean[field] = limit
  }
  refuse('INVALID_ARGUMENT', issues)
  return clean
}

/** Which budget is used up, in words; undefined where none is. */
export function exhausted(budget: Budget, evaluations: number, usage: Required<Usage>): string | undefined {
  const { maxEvaluations, maxCalls, maxTokens, maxMoney } = budget
  const tokens = usage.promptTokens + usage.completionTokens
  if (maxEvaluations && evaluations >= maxEvaluations) return `the budget of ${maxEvaluations} evaluations is used up`
  if (maxCalls && usage.calls >= maxCalls) return `the budget of ${maxCalls} model calls is used up`
  if (maxTokens && tokens >= maxTokens) return `the budget of ${maxTokens} tokens is used up`
  if (maxMoney && usage.money >= maxMoney) return `the budget of ${maxMoney} (money) is used up`
  return undefined
}
