/**
 * Wilson, Zanasi, "Reverse Derivative Ascent: A Categorical Approach to Learning Boolean Circuits", ACT 2020, section 4.
 * examples/workloads/boolean-circuits.ts has circuits and their reverse derivatives.
 */
import { z } from 'zod'
import type { Issue } from '../../core/errors.js'
import { field } from '../../core/schema.js'
import type { Problem, TensorsSpace } from '../../core/space.js'
import { gradientMethod, type PresetConfig } from '../gradient.js'

const fields = {
  learningRate: field(z.literal(1).default(1), 'There is no step size: a bit flips or stays.', { source: 'section 4' }),
}

function check({ transforms, averaging, ball }: PresetConfig<typeof fields>, { space }: Problem): Issue[] {
  const { initial = {}, low, high } = space as TensorsSpace
  const issues: Issue[] = []
  for (const [name, values] of Object.entries(initial))
    if (values.some((value) => value !== 0 && value !== 1))
      issues.push({ path: `space.initial.${name}`, message: 'expected bits, 0 or 1' })
  if ((low ?? 0) > 0 || (high ?? 1) < 1) issues.push({ path: 'space.low', message: 'bits need the range from 0 to 1' })
  if (transforms.length > 0) issues.push({ path: 'config.transforms', message: 'bits take no transforms' })
  if (averaging.id !== 'none') issues.push({ path: 'config.averaging', message: 'bits have no average' })
  if (ball !== undefined) issues.push({ path: 'config.ball', message: 'bits take no ball' })
  return issues
}

export const method = gradientMethod<typeof fields>({
  id: 'rda',
  title: 'Reverse derivative ascent',
  summary:
    'Learns the bits (0 or 1) of Boolean circuits: the gradient told is the reverse derivative, over the integers mod 2, ' +
    'of the error bits of an example; it is added, mod 2, to the parameters.',
  references: [
    {
      authors: 'P. Wilson, F. Zanasi',
      title: 'Reverse Derivative Ascent: A Categorical Approach to Learning Boolean Circuits',
      year: 2021,
      url: 'https://arxiv.org/abs/2101.10488',
    },
  ],
  fields,
  rule: () => ({ text: 's = x + g\nx = s - 2*floor(s/2)\nreport flipped = sum(abs(g), all)' }),
  check,
  recipes: [{ problem: 'truth-table', maxEvaluations: 64, target: 0 }],
})
