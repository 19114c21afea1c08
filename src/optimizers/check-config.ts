/** What a config asks of its clients, and whether its parts go together. */
import type { z } from 'zod'
import { AsktellError, type Issue } from '../core/errors.js'
import type { WantKind } from '../core/query.js'
import type { Problem } from '../core/space.js'
import { drivers } from './drivers/index.js'
import type { Preset, PresetConfig } from './gradient.js'
import { checkGroups, grouped } from './groups.js'
import { spaceOf } from './machine.js'
import { schedules } from './schedules/index.js'
import { type Common, kernelOf, program } from './step-program.js'
import { transforms } from './transforms/index.js'
import type { Asked } from './transforms/transform.js'

/** The kinds of want of the driver of a config. */
export const kindsOf = ({ driver }: Common): readonly WantKind[] => drivers.of(driver).wants?.(driver) ?? ['gradient']

/** What is asked with every gradient, for the rule and for its transforms. */
export const besideOf = <F extends z.ZodRawShape>(preset: Preset<F>, config: PresetConfig<F>): Asked[] => [
  ...new Set([
    ...(preset.beside?.(config) ?? []),
    ...config.transforms.flatMap((part) => transforms.of(part).beside ?? []),
  ]),
]

/** What is wrong with a config for a problem over tensors, located in the request. */
export function checkConfig<F extends z.ZodRawShape>(
  preset: Preset<F>,
  config: PresetConfig<F>,
  problem: Problem,
): Issue[] {
  const space = spaceOf(problem)
  const issues: Issue[] = [
    ...(preset.check?.(config, problem) ?? []),
    ...checkGroups(preset.rule, preset.fields, config, space.tensors),
  ]
  config.transforms.forEach((part, i) => {
    for (const { field: name, message } of transforms.of(part).check?.(part, space.tensors) ?? [])
      issues.push({ path: `config.transforms[${i}].${name}`, message })
  })
  for (const { field: name, message } of schedules.of(config.schedule).check?.(config.schedule) ?? [])
    issues.push({ path: `config.schedule.${name}`, message })
  for (const { field: name, message } of drivers.of(config.driver).check?.(config.driver, problem) ?? [])
    issues.push({ path: `config.driver.${name}`, message })
  const kinds = kindsOf(config)
  if (!kinds.includes('gradient') && ((preset.host && !preset.host.inside) || besideOf(preset, config).length > 0)) {
    const message = `${preset.id} needs a driver that asks gradients`
    issues.push({ path: 'config.driver', message })
  }
  const { low = Number.NEGATIVE_INFINITY, high = Number.POSITIVE_INFINITY } = space
  if (config.ball !== undefined && (space.low !== undefined || space.high !== undefined))
    issues.push({ path: 'config.ball', message: 'a space with low or high keeps x in a box; it takes no ball' })
  for (const [name, values] of Object.entries(space.initial ?? {}))
    if (values.some((value) => value < low || value > high))
      issues.push({ path: `space.initial.${name}`, message: `expected values from ${low} to ${high}` })
  if (issues.length > 0) return issues
  try {
    const composition = program(grouped(preset.rule), config, space)
    const made = preset.host?.provides(config) ?? []
    const given = ['z', ...drivers.of(config.driver).points(config.driver), ...made]
    for (const input of composition.source.inputs ?? [])
      if (!given.includes(input))
        issues.push({ path: 'config.driver', message: `${preset.id} needs a driver that keeps "${input}"` })
    kernelOf(composition, space.tensors, 'interpreter', 'f64')
  } catch (error) {
    if (!(error instanceof AsktellError)) throw error
    // What is wrong with the text of a rule, by itself, was told before.
    for (const { message } of error.issues.length > 0 ? error.issues : [error]) issues.push({ path: 'config', message })
  }
  return issues
}
