/** Checks what clients tell against what was asked. Pure: a refusal has changed nothing. */
import type { Issue } from '../core/errors.js'
import { allFinite } from '../core/finite.js'
import {
  type Observation,
  type Point,
  type Quantity,
  type Query,
  type Score,
  STATUSES,
  type Terms,
  type Usage,
} from '../core/query.js'
import { checkParams, type Problem } from '../core/space.js'
import { elements, type FloatArray, type Tensors } from '../core/tensor.js'

type Bad = (path: string, message: string) => void

/**
 * The observation as the method will see it, with only the fields of the contract; everything wrong goes to `issues`,
 * located below `at`. A function value, score or constraint that is not finite makes the status `failed`; a gradient that
 * is not finite is refused.
 */
export function checkObservation(
  query: Query,
  told: Observation,
  problem: Problem,
  at: string,
  issues: Issue[],
): Observation {
  const bad: Bad = (path, message) => issues.push({ path: `${at}.${path}`, message })
  const status = told.status ?? 'ok'
  if (!STATUSES.includes(status)) bad('status', `expected one of ${STATUSES.join(', ')}, got ${status}`)
  const wanted = new Map(query.wants.map((want) => [want.kind, want]))
  const points = query.points.length
  const clean: { -readonly [K in keyof Observation]: Observation[K] } = { queryId: query.id, status }
  if (told.message !== undefined) clean.message = String(told.message)
  if (told.usage) clean.usage = checkUsage(told.usage, bad)

  const need = (kind: string, field: keyof Observation): boolean => {
    const given = told[field] !== undefined && (told[field] as readonly unknown[]).length !== 0
    if (given && !wanted.has(kind as never) && field !== 'values') bad(field, `the query does not ask for a ${kind}`)
    if (!given && wanted.has(kind as never) && status === 'ok') bad(field, `is missing: the query asks for a ${kind}`)
    return given
  }

  let broken: string | undefined
  const matrix = (field: 'values' | 'noise' | 'constraints', width: number, of: string) => {
    const rows = told[field] as readonly (readonly number[])[]
    if (rows.length !== points) return bad(field, `expected ${points} lists, one per point, got ${rows.length}`)
    rows.forEach((row, i) => {
      if (row.length !== width) bad(`${field}[${i}]`, `expected ${width} numbers, one per ${of}, got ${row.length}`)
      row.forEach((x, j) => {
        if (typeof x !== 'number') bad(`${field}[${i}][${j}]`, `expected a number, got ${typeof x}`)
        else if (!Number.isFinite(x)) broken ??= `${field}[${i}][${j}] is ${x}`
      })
    })
    clean[field] = rows.map((row) => [...row])
  }

  if (need('value', 'values')) {
    matrix('values', problem.objectives.length, 'objective')
    if (!wanted.has('value') && broken) {
      delete clean.values
      broken = undefined
    }
  }
  if (told.noise?.length) {
    if (told.noise.some((row) => row.some((x) => !(x >= 0)))) bad('noise', 'expected standard deviations of 0 or more')
    matrix('noise', problem.objectives.length, 'objective')
  }
  const constraints = problem.constraints?.length ?? 0
  if (told.constraints?.length) matrix('constraints', constraints, 'constraint')
  else if (constraints > 0 && wanted.has('value') && status === 'ok')
    bad('constraints', `is missing: the session has ${constraints} constraints`)

  if (need('gradient', 'gradients')) {
    const gradients = told.gradients as readonly Tensors[]
    if (gradients.length !== points)
      bad('gradients', `expected ${points} sets of tensors, one per point, got ${gradients.length}`)
    else
      clean.gradients = gradients.map((tensors, i) =>
        checkTensors(tensors, sizes(query.points[i], problem), `gradients[${i}]`, bad),
      )
  }
  if (need('ranking', 'ranking')) {
    const want = wanted.get('ranking')
    clean.ranking = checkRanking(told.ranking!, points, want?.kind === 'ranking' ? want.top : points, bad)
  }
  if (need('completion', 'completions')) {
    const want = wanted.get('completion')
    const most = want?.kind === 'completion' ? want.count : 1
    const completions = told.completions!
    if (completions.length > most) bad('completions', `expected 1 to ${most}, got ${completions.length}`)
    completions.forEach((text, i) => {
      if (typeof text !== 'string') bad(`completions[${i}]`, `expected text, got ${typeof text}`)
    })
    clean.completions = [...completions]
  }
  if (need('score', 'scores')) {
    const want = wanted.get('score')
    const examples =
      want?.kind === 'score' && want.examples?.length ? want.examples.length : problem.task?.examples?.length
    const scores = told.scores!
    if (scores.length !== points) bad('scores', `expected ${points}, one per point, got ${scores.length}`)
    clean.scores = scores.map((score, i) => {
      if (![score.score, ...(score.examples ?? [])].every(Number.isFinite)) broken ??= `scores[${i}] is not finite`
      return checkScore(score, examples, `scores[${i}]`, bad)
    })
  }

  if (need('directional', 'derivatives')) {
    const derivatives = told.derivatives!
    if (derivatives.length !== points - 1)
      bad('derivatives', `expected ${points - 1}, one per direction, got ${derivatives.length}`)
    derivatives.forEach((x, i) => {
      if (typeof x !== 'number') bad(`derivatives[${i}]`, `expected a number, got ${typeof x}`)
      else if (!Number.isFinite(x)) broken ??= `derivatives[${i}] is ${x}`
    })
    clean.derivatives = [...derivatives]
  }
  if (need('terms', 'terms')) {
    const terms = told.terms!
    if (terms.length !== points) bad('terms', `expected ${points}, one per point, got ${terms.length}`)
    const groups = groupsOf(problem)
    clean.terms = terms.map((at, i) => {
      if (at.losses.some((x) => !Number.isFinite(x))) broken ??= `terms[${i}] has a loss that is not finite`
      return checkTerms(at, terms[0].losses.length, groups, `terms[${i}]`, bad)
    })
  }

  if (need('hvp', 'products')) {
    const products = told.products!
    const at = sizes(query.points[0], problem)
    if (products.length !== points - 1)
      bad('products', `expected ${points - 1} sets of tensors, one per direction, got ${products.length}`)
    clean.products = products.map((tensors, i) => checkTensors(tensors, at, `products[${i}]`, bad))
  }
  if (need('quantities', 'quantities')) {
    const want = wanted.get('quantities')
    const quantities = want?.kind === 'quantities' ? want.quantities : []
    const records = told.quantities!
    const places = query.points.filter(({ kind }) => kind !== 'text' || problem.space.kind === 'text').length
    if (records.length !== places)
      bad('quantities', `expected ${places} sets of arrays, one per point, got ${records.length}`)
    clean.quantities = records.map((record, i) => checkQuantities(record, quantities, `quantities[${i}]`, bad))
  }

  // A value that is no number is an evaluation that failed.
  if (broken && status === 'ok') {
    clean.status = 'failed'
    clean.message = [clean.message, broken].filter(Boolean).join('; ')
  }
  if (broken || clean.status === 'failed' || clean.status === 'cancelled')
    for (const field of [
      'values',
      'noise',
      'constraints',
      'gradients',
      'ranking',
      'completions',
      'scores',
      'derivatives',
      'terms',
      'products',
      'quantities',
    ] as const)
      delete clean[field]
  return clean
}

/** Strings in plain data that are half a surrogate pair somewhere: no encoding can carry them. */
export function illFormed(value: unknown, at: string, issues: Issue[]): Issue[] {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) issues.push({ path: at, message: 'expected well-formed Unicode text' })
  } else if (Array.isArray(value)) for (let i = 0; i < value.length; i++) illFormed(value[i], `${at}[${i}]`, issues)
  else if (value !== null && typeof value === 'object' && !ArrayBuffer.isView(value))
    for (const key of Object.keys(value)) {
      illFormed(key, at, issues)
      const field = (value as Record<string, unknown>)[key]
      if (typeof field === 'string' || typeof field === 'object') illFormed(field, at ? `${at}.${key}` : key, issues)
    }
  return issues
}

/** Element counts by name of the tensors at a point. */
function sizes(point: Point, problem: Problem): Map<string, number> {
  if (point.kind === 'tensors') return new Map(Object.entries(point.tensors).map(([name, t]) => [name, t.length]))
  if (problem.space.kind === 'tensors') return new Map(problem.space.tensors.map((t) => [t.name, elements(t.shape)]))
  return new Map()
}

function checkTensors(tensors: Tensors, expected: ReadonlyMap<string, number>, at: string, bad: Bad): Tensors {
  for (const name of Object.keys(tensors))
    if (!expected.has(name)) bad(`${at}.${name}`, `is not a tensor of the session; it has ${preview(expected.keys())}`)
  const wrong = (length: number, { length: got }: FloatArray) =>
    got === length ? undefined : `expected ${length} elements, got ${got}`
  return checkArrays(tensors, expected, wrong, at, bad)
}

function checkQuantities(record: Tensors, quantities: readonly Quantity[], at: string, bad: Bad): Tensors {
  const shapes = new Map(quantities.map(({ name, shape }) => [name, shape]))
  for (const name of Object.keys(record))
    if (!shapes.has(name)) bad(`${at}.${name}`, `is not asked for; the query asks for ${preview(shapes.keys())}`)
  const wrong = (shape: readonly number[], { length }: FloatArray) => {
    // The free length may be anything, so that what is told must be a multiple of the others.
    const unit = elements(shape.filter((n) => n !== -1))
    if (!shape.includes(-1)) return length === unit ? undefined : `expected ${unit} elements, got ${length}`
    if (length > 0 && length % unit === 0) return undefined
    return `expected a multiple of ${unit} elements for the shape [${shape.join(', ')}], got ${length}`
  }
  return checkArrays(record, shapes, wrong, at, bad)
}

/** The expected arrays, each there, of the right length and finite. `wrong` says what is wrong with a length. */
function checkArrays<T>(
  arrays: Tensors,
  expected: ReadonlyMap<string, T>,
  wrong: (size: T, array: FloatArray) => string | undefined,
  at: string,
  bad: Bad,
): Tensors {
  const clean: { [name: string]: FloatArray } = {}
  for (const [name, size] of expected) {
    const array = Object.hasOwn(arrays, name) ? arrays[name] : undefined
    if (!array) bad(`${at}.${name}`, 'is missing')
    else if (!(array instanceof Float32Array || array instanceof Float64Array))
      bad(`${at}.${name}`, 'expected an array of floats')
    else {
      const length = wrong(size, array)
      if (length) bad(`${at}.${name}`, length)
      else if (!allFinite(array)) {
        const index = array.findIndex((x) => !Number.isFinite(x))
        bad(`${at}.${name}[${index}]`, `expected a finite number, got ${array[index]}`)
      }
    }
    if (array) clean[name] = array
  }
  return clean
}

/**
 * At least `top` points must be in the groups, or all but one: the one left out is then last.
 */
function checkRanking(ranking: readonly (readonly number[])[], points: number, top: number, bad: Bad) {
  const seen = new Set<number>()
  ranking.forEach((group, i) => {
    if (group.length === 0) bad(`ranking[${i}]`, 'expected at least one point')
    group.forEach((point, j) => {
      const path = `ranking[${i}][${j}]`
      if (!Number.isInteger(point) || point < 0 || point >= points)
        bad(path, `expected the index of a point, 0 to ${points - 1}, got ${point}`)
      else if (seen.has(point)) bad(path, `point ${point} is ranked twice`)
      seen.add(point)
    })
  })
  const least = Math.min(top, points - 1)
  if (seen.size < least) bad('ranking', `expected the best ${least} of ${points} points, got ${seen.size}`)
  return ranking.map((group) => [...group])
}

function checkScore(score: Score, examples: number | undefined, at: string, bad: Bad): Score {
  if (typeof score.score !== 'number') bad(`${at}.score`, `expected a number, got ${typeof score.score}`)
  const clean: { -readonly [K in keyof Score]: Score[K] } = { score: score.score }
  for (const field of ['examples', 'outputs'] as const) {
    const list = score[field]
    if (!list?.length) continue
    if (examples !== undefined && list.length !== examples)
      bad(`${at}.${field}`, `expected ${examples}, one per example asked, got ${list.length}`)
    if (field === 'examples') clean.examples = [...(list as readonly number[])]
    else clean.outputs = [...(list as readonly string[])]
  }
  return clean
}

/** Slices along the first axis that all tensors have. */
function groupsOf({ space }: Problem): number {
  return space.kind === 'tensors' ? Math.min(...space.tensors.map(({ shape }) => shape[0] ?? 1)) : 0
}

function checkTerms({ losses, contributors }: Terms, count: number, groups: number, at: string, bad: Bad): Terms {
  if (losses.length === 0) bad(`${at}.losses`, 'expected at least one term')
  if (losses.length !== count)
    bad(`${at}.losses`, `expected ${count} terms as at the first point, got ${losses.length}`)
  if (contributors.length !== losses.length)
    bad(`${at}.contributors`, `expected ${losses.length} lists, one per term, got ${contributors.length}`)
  contributors.forEach((ids, term) => {
    ids.forEach((id, j) => {
      if (!Number.isInteger(id) || id < 0 || id >= groups)
        bad(`${at}.contributors[${term}][${j}]`, `expected the number of a group, 0 to ${groups - 1}, got ${id}`)
    })
  })
  return { losses: [...losses], contributors: contributors.map((ids) => [...ids]) }
}

function checkUsage(usage: Usage, bad: Bad): Usage {
  const clean: Usage = {}
  for (const field of ['calls', 'promptTokens', 'completionTokens', 'money'] as const) {
    const amount = usage[field]
    if (amount === undefined) continue
    if (!(Number.isFinite(amount) && amount >= 0))
      bad(`usage.${field}`, `expected a number of 0 or more, got ${amount}`)
    clean[field] = amount
  }
  return clean
}

/** What is wrong with a point that a client brings. */
export function checkPoint(point: Point, problem: Problem, at: string, issues: Issue[]): void {
  const { space } = problem
  const bad: Bad = (path, message) => issues.push({ path: `${at}${path}`, message })
  if (point.kind === 'params' && space.kind === 'search') issues.push(...checkParams(space, point.params, at))
  else if (point.kind === 'item' && space.kind === 'items') {
    if (!space.items.some(({ id }) => id === point.item)) bad('', `"${point.item}" is not an item of the space`)
  } else if (point.kind === 'text' && space.kind === 'text') {
    const names = new Set(space.components.map(({ name }) => name))
    for (const [name, text] of Object.entries(point.text)) {
      if (!names.delete(name)) bad(`.${name}`, 'is not a component of the space')
      if (typeof text !== 'string') bad(`.${name}`, `expected text, got ${typeof text}`)
    }
    for (const name of names) bad(`.${name}`, 'is missing')
  } else if (point.kind === 'tensors' && space.kind === 'tensors') {
    checkTensors(point.tensors, sizes({ kind: 'view', name: '' }, problem), '', (path, message) => bad(path, message))
  } else bad('', `expected a point of a ${space.kind} space, got ${point.kind}`)
}

const preview = (names: Iterable<string>): string => {
  const list = [...names]
  return list.slice(0, 5).join(', ') + (list.length > 5 ? ` and ${list.length - 5} more` : '')
}
