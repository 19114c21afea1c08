import { expect, test } from 'vitest'
import { method as rule } from '../../../src/optimizers/presets/rule.js'
import { method as sania } from '../../../src/optimizers/presets/sania.js'
import { of, Session, vectors } from '../session.js'

const near = (found: ArrayLike<number>, expected: readonly number[], tolerance: number) => {
  for (const [i, e] of expected.entries()) expect(Math.abs(found[i] - e)).toBeLessThan(tolerance)
}
const value = () => 100
const newton = (start: readonly number[], driver: object = {}) =>
  new Session(sania, vectors(start), { config: { variant: 'newton', driver: { id: 'newton', ...driver } }, value })

test('conjugate gradients solve for the Newton direction, a gradient per product, all on one sample', () => {
  const h = [1, 2, 5, 9]
  const session = newton([1, 1, 1, 1])
  const keys = new Set<string | undefined>()
  const purposes: string[] = []
  session.steps(1, ({ x }, query) => {
    keys.add(query.sampleKey)
    purposes.push(query.purpose!)
    return { x: h.map((hi, i) => hi * (x[i] - i)) }
  })
  near(session.state.driver.points.direction.x, [1, 0, -1, -2], 1e-8)
  expect(keys.size).toBe(1)
  // Four distinct eigenvalues, of which one has no part in the gradient.
  expect(purposes).toEqual(['step', 'curvature', 'curvature', 'curvature'])
  expect(session.metrics.gradients).toBe(4)
})

test('negative curvature: the gradient where it comes first, else what was found before', () => {
  const saddle = (h: readonly number[]) => of((x) => h.map((hi, i) => hi * x[i]))
  const first = newton([1, 0]).steps(1, saddle([-3, 1]))
  near(first.state.driver.points.direction.x, [-3, 0], 1e-9)
  const second = newton([1, 0.1]).steps(1, saddle([4, -1]))
  const [a, b] = second.state.driver.points.direction.x
  expect(4 * a - 0.1 * b).toBeGreaterThan(0)
  expect(Number.isFinite(a) && Number.isFinite(b)).toBe(true)
})

test('a limit on products; no products where the gradient is zero', () => {
  const h = [1, 2, 5, 9]
  const session = newton([1, 1, 1, 1], { iterations: 2 }).steps(
    1,
    of((x) => h.map((hi, i) => hi * x[i])),
  )
  expect(session.metrics.gradients).toBe(3)
  expect(newton([0]).tell([0]).metrics.gradients).toBe(1)
})

test('hutchinson gives any rule a probe of signs and the Hessian along it', () => {
  const text = 'D = D + probe*along\nx = x - lr*g'
  const config = { text, slots: 'inferred', inputs: ['probe', 'along'], learningRate: 0.01 }
  const session = new Session(rule, vectors([1, 1]), { config: { ...config, driver: { id: 'hutchinson' } } })
  const H = [
    [2, 1],
    [1, 3],
  ]
  const probes: number[][] = []
  for (let k = 0; k < 40; k++) {
    session.steps(
      1,
      of((x) => H.map((row) => row[0] * x[0] + row[1] * x[1])),
    )
    const { probe, along } = session.state.driver.points
    probes.push(Array.from(probe.x))
    near(
      along.x,
      H.map((row) => row[0] * probe.x[0] + row[1] * probe.x[1]),
      1e-9,
    )
  }
  expect(new Set(probes.map(String))).toEqual(new Set(['1,1', '1,-1', '-1,1', '-1,-1']))
  // The diagonal, and the rest by the product of the signs, whose mean vanishes.
  const cross = probes.reduce((sum, [a, b]) => sum + a * b, 0)
  near(session.state.slots.D.x, [80 + cross, 120 + cross], 1e-6)
  expect(() => new Session(rule, vectors([1]), { config })).toThrow('config.driver')
})

test('products that are asked of the client make the same steps as differences, with the value told at the iterate', () => {
  const H = [
    [2, 1],
    [1, 3],
  ]
  const times = (v: ArrayLike<number>) => H.map((row) => row[0] * v[0] + row[1] * v[1])
  for (const id of ['hutchinson', 'newton'] as const) {
    const start = (more: object) =>
      new Session(sania, vectors([1, -2]), {
        config: { variant: id, driver: { id, ...more } },
        value: ({ x }) => (x[0] * times(x)[0] + x[1] * times(x)[1]) / 2,
        product: (_, { x: v }) => ({ x: times(v) }),
      })
    const asked = start({ products: 'gauss-newton' })
    expect(asked.query.wants).toEqual([{ kind: 'gradient' }, { kind: 'value' }])
    asked.reply(of(times))
    expect(asked.query).toMatchObject({
      sampleKey: 's1',
      wants: [{ kind: 'hvp', curvature: 'gauss-newton' }],
      points: [
        { kind: 'view', name: 'x' },
        { kind: 'view', name: id === 'newton' ? 'search' : 'probe' },
      ],
    })
    asked.restart()
    asked.steps(3, of(times))
    const made = start({}).steps(3, of(times))
    near(asked.x, Array.from(made.x), 1e-2)
    expect(asked.view('along').x).toHaveLength(2)
    expect(asked.state.driver.points.ahead).toBeUndefined()
    // A gradient per step and no other.
    expect(asked.metrics.gradients).toBe(3)
    if (id === 'newton') near(asked.x, [0, 0], 1e-6)
  }
})

test('curvature of a maximized objective is turned around with it; that of Fisher is not', () => {
  const product = (curvature: string) =>
    new Session(rule, vectors([1]), {
      config: {
        text: 'D = D + probe*along\nx = x - lr*g',
        slots: 'inferred',
        inputs: ['probe', 'along'],
        learningRate: 0,
        driver: { id: 'hutchinson', products: curvature },
      },
      direction: 'maximize',
      product: (_, { x: v }) => ({ x: [5 * v[0]] }),
    }).steps(
      1,
      of(() => [1]),
    ).state.slots.D.x
  expect(Array.from(product('hessian') as Float64Array)).toEqual([-5])
  expect(Array.from(product('fisher') as Float64Array)).toEqual([5])
})
