/**
 * The conformance suite: every method of the catalogues, driven by nothing but its declared facts and recipes.
 * What cannot be tried on a method is skipped with the reason in the title.
 */
import { describe, expect, it } from 'vitest'
import { methods as blackbox } from '../../src/blackbox/catalogue.gen.js'
import { type AnyMethod, checkSuitable, type Recipe } from '../../src/core/method.js'
import { Rng, rngStream } from '../../src/core/rng.js'
import { jsonSchema, mutableFields, parseConfig } from '../../src/core/schema.js'
import { encodeTree } from '../../src/core/tree.js'
import { methods as optimizers } from '../../src/optimizers/catalogue.gen.js'
import { loadEngines } from '../../src/optimizers/engines/index.js'
import { type ProblemOptions, problem, problemNames } from '../problems/index.js'
import { type Options, type Play, play, samplePoint } from './harness.js'

const methods = [...optimizers, ...blackbox]

// Ahead of the tests: what can be tried on a method is decided by states of it.
await loadEngines()

/** Answers in the runs that compare trajectories; heavy methods get fewer. */
const span = (method: AnyMethod) => (method.facts.heavy ? 20 : 60)
/** What a fifth of bad answers may cost: so many times the budget of the recipe. */
const SLACK = 4
/** Bytes that a state may grow by per answer. */
const GROWTH = 8192

const onRecipe = (method: AnyMethod, recipe: Recipe<unknown>, options: Partial<Options>, world: ProblemOptions = {}) =>
  play(method, recipe.config, problem(recipe.problem, world), { maxEvaluations: span(method), ...options })

const expectSameTrace = (a: Play, b: Play) => {
  const length = Math.min(a.trace.length, b.trace.length)
  const parts = Array.from({ length }, (_, i) => i).find((i) => a.trace[i] !== b.trace[i])
  expect(parts, 'first step that differs').toBeUndefined()
  expect(a.trace.length).toBe(b.trace.length)
}

it('ids are unique across the catalogues', () => {
  const ids = methods.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

describe.each(methods.map((method) => [method.id, method] as const))('%s', (_, method) => {
  const { facts, recipes } = method
  const known = recipes.filter((recipe) => problemNames.includes(recipe.problem))
  const engines: readonly NonNullable<Options['engine']>[] =
    method.family === 'gradient' ? ['wasm', 'interpreter'] : ['wasm']

  it('is described: title, summary, a recipe, and a schema with words for every field', () => {
    expect(method.id).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
    expect(method.title).not.toBe('')
    expect(method.summary).not.toBe('')
    expect(recipes.length).toBeGreaterThan(0)
    for (const recipe of recipes) expect(problemNames).toContain(recipe.problem)
    const schema = jsonSchema(method.config) as { properties?: Record<string, { description?: string }> }
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      expect(property.description, `description of ${name}`).toBeTruthy()
  })

  it('the defaults validate, and survive JSON', () => {
    for (const { config } of recipes) {
      const filled = parseConfig(method.config, config)
      expect(parseConfig(method.config, JSON.parse(JSON.stringify(filled)))).toEqual(filled)
    }
  })

  it('refuses an unknown field', () => {
    expect(() => parseConfig(method.config, { ...recipes[0].config, noSuchField: 1 })).toThrow('noSuchField')
  })

  if (recipes[0] && method.equations)
    it('has equations as LaTeX', () => {
      const lines = method.equations!(parseConfig(method.config, recipes[0].config))
      expect(lines.length).toBeGreaterThan(0)
      for (const line of lines) expect(line).not.toBe('')
    })

  describe.each(known.map((recipe, i) => [`recipe ${i}, ${recipe.problem}`, recipe as Recipe<unknown>] as const))(
    '%s',
    (_, recipe) => {
      const world = problem(recipe.problem)
      const config = parseConfig(method.config, recipe.config)

      it('suits its own problem', () => {
        expect(checkSuitable(method, world.problem)).toEqual([])
        expect(method.check?.(config, world.problem) ?? []).toEqual([])
        expect(world.offers).toEqual(expect.arrayContaining([...method.needs(config, world.problem)]))
      })

      it.each(engines)('reaches its target within its budget and asks for exactly what it needs (%s)', (engine) => {
        const result = onRecipe(method, recipe, {
          engine,
          maxEvaluations: recipe.maxEvaluations,
          target: recipe.target,
        })
        expect(result.reached, `value ${result.value} after ${result.evaluations}, target ${recipe.target}`).toBe(true)
        expect([...result.wants].sort()).toEqual([...method.needs(config, world.problem)].sort())
      })

      it.each(engines)(
        'restarts after every step and goes on bit-identically; the same seed gives the same run (%s)',
        (engine) => {
          const width = 4
          const undisturbed = onRecipe(method, recipe, { engine, width })
          expectSameTrace(onRecipe(method, recipe, { engine, width }), undisturbed)
          expectSameTrace(onRecipe(method, recipe, { engine, width, restart: true }), undisturbed)
        },
      )

      const start = (seed: number) =>
        encodeTree(method.init({ config, problem: world.problem, engine: 'wasm', memo: new Map() }, seed))
      const drawsByDesign = method.family !== 'gradient' && Buffer.compare(start(1), start(2)) !== 0
      if (drawsByDesign)
        it('another seed gives another run', () => {
          expect(onRecipe(method, recipe, { seed: 2 }).asked).not.toBe(onRecipe(method, recipe, { seed: 1 }).asked)
        })
      else it.skip('another seed gives another run (a gradient method, or its state holds no seed)', () => {})

      it('goes on after failures, cancellations and answers out of order, and still gets there', () => {
        const result = onRecipe(method, recipe, {
          width: 4,
          faults: ['failed', 'cancelled'],
          maxEvaluations: SLACK * recipe.maxEvaluations,
          target: recipe.target,
        })
        expect(result.reached, `value ${result.value} after ${result.evaluations}, target ${recipe.target}`).toBe(true)
      })

      it('takes every status, restarts in between, and stays encodable', () => {
        const disturbed = () =>
          onRecipe(method, recipe, { width: 4, faults: ['failed', 'infeasible', 'pruned', 'cancelled'], restart: true })
        expectSameTrace(disturbed(), disturbed())
      })

      if (world.problem.space.kind === 'tensors')
        it.each(['f32', 'f64', 'bf16', 'f16'] as const)(
          'keeps tensors of dtype %s in their type and shape',
          (dtype) => {
            // The harness checks the arrays of every query and estimate.
            const few = { maxEvaluations: 10 }
            const { trace } = onRecipe(method, recipe, { ...few, restart: true }, { dtype })
            expect(trace).toEqual(onRecipe(method, recipe, few, { dtype }).trace)
          },
        )

      it('its state grows by a bounded number of bytes per answer', () => {
        const { bytes, evaluations } = onRecipe(method, recipe, { width: 4 })
        expect(bytes.last).toBeLessThanOrEqual(bytes.first + GROWTH * (evaluations + 1))
      })

      const { space } = world.problem
      const pointwise = (space.kind === 'search' || space.kind === 'tensors') && world.offers.includes('value')
      if (facts.unsolicited === 'accept' && pointwise)
        it('takes values of points that it never asked for', () => {
          const rng = new Rng(rngStream(3, 'unsolicited'))
          const unsolicited = Array.from({ length: 5 }, () => samplePoint(space, rng))
          const result = onRecipe(method, recipe, { width: 4, unsolicited, restart: true })
          expectSameTrace(result, onRecipe(method, recipe, { width: 4, unsolicited }))
        })
      else it.skip('values of points that it never asked for (it rejects them, or the problem has no values)', () => {})

      const changes = mutableFields(method.config).flatMap((name) => {
        const value = (config as Record<string, unknown>)[name]
        if (typeof value !== 'number') return []
        return [value / 2, value + 1, value - 1, value * 2]
          .map((next) => ({ ...(config as object), [name]: next }))
          .filter((next) => method.config.safeParse(next).success)
          .slice(0, 1)
          .map((next) => ({ name, next }))
      })
      if (changes.length > 0)
        it.each(changes)('$name changes on the way, the same with and without a restart', ({ name, next }) => {
          const reconfigure = { after: 5, config: next, changed: [name] }
          const changed = onRecipe(method, recipe, { reconfigure, maxEvaluations: 15 })
          expectSameTrace(onRecipe(method, recipe, { reconfigure, maxEvaluations: 15, restart: true }), changed)
        })
      else it.skip('fields change on the way (no number among its fields is mutable)', () => {})

      if (facts.invariances.includes('monotone-values'))
        it('the same run when told values go through an increasing function', () => {
          // sinh keeps tiny differences apart; the division keeps the largest values finite.
          const bent = onRecipe(method, recipe, { width: 4 }, { transform: (value) => Math.sinh(value / 4) })
          expect(bent.asked).toBe(onRecipe(method, recipe, { width: 4 }).asked)
        })
      if (facts.invariances.includes('gradient-scale'))
        it('the same run when told gradients are multiplied by 1024', () => {
          const scaled = onRecipe(method, recipe, {}, { gradientScale: 1024 })
          expect(scaled.value).toBe(onRecipe(method, recipe, {}).value)
        })
      if (facts.invariances.includes('translation') && recipe.problem !== 'mixed')
        it('the same run, shifted, when the problem is shifted', () => {
          // Rounding differs between the two, and a run may amplify it: few answers, compared with a tolerance.
          const few = { maxEvaluations: Math.min(20, span(method)) }
          const here = onRecipe(method, recipe, few).value
          const there = onRecipe(method, recipe, few, { shift: 1 }).value
          expect(Math.abs(there - here)).toBeLessThanOrEqual(1e-4 * Math.max(1, Math.abs(here)))
        })
    },
  )
})
