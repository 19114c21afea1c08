/** Lossy forms of a vector that cost fewer bits to send. */
import { z } from 'zod'
import type { Rng } from '../../core/rng.js'
import { field } from '../../core/schema.js'

export const compressorFields = {
  compressor: field(
    z.enum(['identity', 'topk', 'qsgd']).default('topk'),
    'identity sends vectors as they are; topk the largest elements; qsgd rounds each at random to a level, unbiased.',
    { source: 'Alistarh et al. 2017; Stich et al. 2018' },
  ),
  share: field(z.number().gt(0).max(1).default(0.3), 'topk: the share of elements that is sent, rounded up.', {
    source: 'ours',
  }),
  levels: field(z.int().min(1).max(65_535).default(15), 'qsgd: levels from 0 to the largest element, s.', {
    source: 'ours',
  }),
}
export type Compression = z.output<z.ZodObject<typeof compressorFields>>

const NUMBER = 64
const bitsFor = (values: number) => Math.ceil(Math.log2(Math.max(values, 2)))

/** Bits of a message that holds a compressed vector of this length. */
export function messageBits({ compressor, share, levels }: Compression, length: number): number {
  switch (compressor) {
    case 'identity':
      return NUMBER * length
    case 'topk':
      return Math.ceil(share * length) * (NUMBER + bitsFor(length))
    case 'qsgd':
      return NUMBER + length * (1 + bitsFor(levels + 1))
  }
}

/** Q(v), a fresh vector. */
export function compress({ compressor, share, levels }: Compression, v: Float64Array, rng: Rng): Float64Array {
  switch (compressor) {
    case 'identity':
      return v.slice()
    case 'topk': {
      const order = Array.from(v, (_, i) => i).sort((a, b) => Math.abs(v[b]) - Math.abs(v[a]) || a - b)
      const kept = new Float64Array(v.length)
      for (const i of order.slice(0, Math.ceil(share * v.length))) kept[i] = v[i]
      return kept
    }
    case 'qsgd': {
      const unit = v.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / levels
      return unit > 0
        ? v.map((value) => Math.sign(value) * Math.floor(Math.abs(value) / unit + rng.uniform()) * unit)
        : v.slice()
    }
  }
}
