/** What a session with a map of latents is told of its space. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import type { TensorsSpace } from '../../core/space.js'
import { elements } from '../../core/tensor.js'
import { expected, MAPS, type MapKind } from './maps.js'

export const latentFields = {
  map: field(
    z.enum(MAPS).default('linear'),
    'The change of coordinates: a matrix, a matrix and an offset, or a residual network of one hidden layer.',
    { source: 'ours' },
  ),
  latents: field(z.string().default('z'), 'Name of the tensor of latents: each row along its last axis is a point z.', {
    source: 'ours',
  }),
  parameters: field(
    z.string().default('map'),
    'Name of the tensor of the parameters of the map; where its start values are zero, the map is the identity.',
    { source: 'ours' },
  ),
}

type Named = { map: MapKind; latents: string; parameters: string }

/** What is wrong with the names and sizes: a field and a message. */
export function checkMapped({ map, latents, parameters }: Named, { tensors }: TensorsSpace) {
  const [z, phi] = [latents, parameters].map((name) => tensors.find((spec) => spec.name === name))
  const issues: { field: string; message: string }[] = []
  if (!z) issues.push({ field: 'latents', message: `"${latents}" is not a tensor of the space` })
  if (!phi || phi === z) issues.push({ field: 'parameters', message: `"${parameters}" is not a tensor of its own` })
  if (!z || !phi || phi === z) return issues
  const wrong = expected(map, elements(phi.shape), z.shape.at(-1) ?? 1)
  if (wrong) issues.push({ field: 'parameters', message: `"${parameters}" needs ${wrong}, got ${elements(phi.shape)}` })
  return issues
}
