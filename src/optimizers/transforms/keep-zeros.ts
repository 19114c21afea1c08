/** Trains a sparse ticket: J. Frankle, M. Carbin, "The Lottery Ticket Hypothesis", ICLR 2019. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { defineTransform } from './transform.js'

export const keepZeros = defineTransform({
  id: 'keep-zeros',
  summary: 'Elements that start at exactly zero stay there: the start is a sparse ticket, whose mask is its zeros.',
  fields: {
    dense: field(
      z.array(z.string()).optional(),
      'Tensors that are not masked; those whose name ends in "bias" when absent.',
      { source: 'arXiv:2306.00045' },
    ),
  },
  piece: ({ dense }) => ({
    text: ['kept = select(t == 1, select(x == 0, whole, 1), kept)', 'g = g*kept'].join('\n'),
    slots: { kept: { kind: 'tensor' }, whole: { kind: 'scalar' } },
    fill: { whole: ({ name }) => Number(dense ? dense.includes(name) : /bias$/i.test(name)) },
  }),
  after: () => ({ text: 'x = x*kept' }),
  check({ dense = [] }, tensors) {
    const known = new Set(tensors.map(({ name }) => name))
    return dense.flatMap((name, i) =>
      known.has(name) ? [] : [{ field: `dense[${i}]`, message: `the space has no tensor "${name}"` }],
    )
  },
})
