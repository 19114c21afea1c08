/**
 * A trained map between a rule and latents: Liu, Mao, Tendulkar, Wang, Vondrick, "Landscape Learning for Neural Network
 * Inversion", ICCV 2023. The method `landscape-map` trains it; its estimate is what this one takes as start values.
 */
import { elements, type TensorSpec } from '../../core/tensor.js'
import { checkMapped, latentFields } from '../inversion/fields.js'
import { byRow, mapOf, startOr } from '../inversion/maps.js'
import type { PartConfig } from '../parts.js'
import { arrayOf, defineParametrization, type Place } from './parametrization.js'

type Config = PartConfig<typeof latentFields>

const named = (tensors: readonly TensorSpec[], name: string): TensorSpec => tensors.find((spec) => spec.name === name)!
const width = ({ latents }: Config, { space }: Place): number => named(space.tensors, latents).shape.at(-1) ?? 1
const mapIn = (config: Config, place: Place) =>
  mapOf(config.map, place.kept.map[config.parameters], width(config, place))

export const landscapeMap = defineParametrization({
  id: 'landscape-map',
  summary:
    'The rule moves latents u, of which the client sees z = M(u), by a map that stays as it is. Start values of the latents ' +
    'are those of u.',
  fields: latentFields,
  mapping: {
    tensors: ({ parameters }, { tensors }) => tensors.filter(({ name }) => name !== parameters),
    begin(config, { tensors, initial = {} }, rng) {
      const spec = named(tensors, config.parameters)
      const d = named(tensors, config.latents).shape.at(-1) ?? 1
      const given = Float64Array.from(initial[config.parameters] ?? new Float64Array(elements(spec.shape)))
      const { [config.parameters]: _, ...start } = initial
      return {
        initial: { ...start },
        kept: { map: { [config.parameters]: arrayOf(spec, startOr(given, config.map, d, rng)) } },
      }
    },
    outward(config, place, x) {
      const map = mapIn(config, place)
      const z = byRow(x[config.latents], width(config, place), (u) => map.forward(u))
      return { ...x, ...place.kept.map, [config.latents]: arrayOf(named(place.space.tensors, config.latents), z) }
    },
    inward(config, place, x, gradient) {
      const map = mapIn(config, place)
      const d = width(config, place)
      const g = gradient[config.latents]
      const pulled = byRow(x[config.latents], d, (u, at) => map.pull(u, g.subarray(at, at + d)))
      const { [config.parameters]: _, ...others } = gradient
      return { ...others, [config.latents]: arrayOf(named(place.space.tensors, config.latents), pulled) }
    },
    equations: ({ map }) =>
      map === 'mlp'
        ? [String.raw`z = u + W_2 \tanh(W_1 u + b_1) + b_2`]
        : [map === 'affine' ? 'z = M u + b' : 'z = M u'],
    check: checkMapped,
  },
})
