/** How the answers of several clients become the one that a step takes. The mechanics are in gathered.ts. */
import { z } from 'zod'
import { field } from '../core/schema.js'
import { family, type Part } from './parts.js'

const workers = field(
  z.int().min(1).max(1024),
  'Clients that are asked at the same time, each for a sample of its own.',
)

export const gatherings = family<Part>([
  { id: 'none', summary: 'One client, or several that take turns.', fields: {} },
  {
    id: 'barrier',
    summary:
      'A step takes the answers of all clients, or of a quorum, all at the same point: Chen et al., "Revisiting ' +
      'Distributed Synchronous SGD", 2016.',
    fields: {
      workers,
      quorum: field(
        z.int().min(1).optional(),
        'Answers that are enough for a step, at once or after the deadline; all when absent. Those that come later are refused.',
        { source: 'Chen et al. 2016, section 3.2 (backup workers)' },
      ),
      deadline: field(
        z.number().positive().optional(),
        'Seconds from the first answer in which the others may still come, where a quorum is enough.',
      ),
      reduction: field(z.enum(['mean', 'sum']).default('mean'), 'What the rule gets of the gradients.'),
    },
  },
  {
    id: 'asynchronous',
    summary:
      'A step takes each answer as it comes, taken where the parameters were when it was asked, unless that is too long ' +
      'ago: Ho et al., "More Effective Distributed ML via a Stale Synchronous Parallel Parameter Server", 2013.',
    fields: {
      workers,
      staleness: field(
        z.int().min(0).optional(),
        'Steps that may have been made since a gradient was asked; an older one is left out. Without end when absent.',
        { source: 'Ho et al. 2013' },
      ),
    },
  },
])

export type Gathering =
  | { id: 'none' }
  | { id: 'barrier'; workers: number; quorum?: number; deadline?: number; reduction: 'mean' | 'sum' }
  | { id: 'asynchronous'; workers: number; staleness?: number }
