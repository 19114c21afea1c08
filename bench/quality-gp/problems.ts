/** Standard test functions in their usual boxes, to be minimized. */
export type Bench = {
  name: string
  bounds: readonly (readonly [number, number])[]
  optimum: number
  f: (x: number[]) => number
}

const box = (d: number, low: number, high: number) => Array.from({ length: d }, () => [low, high] as const)
const sum = (n: number, f: (i: number) => number) =>
  Array.from({ length: n }, (_, i) => f(i)).reduce((a, b) => a + b, 0)

const A6 = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
]
const P6 = [
  [1312, 1696, 5569, 124, 8283, 5886],
  [2329, 4135, 8307, 3736, 1004, 9991],
  [2348, 1451, 3522, 2883, 3047, 6650],
  [4047, 8828, 8732, 5743, 1091, 381],
]
const ALPHA = [1, 1.2, 3, 3.2]

export const BENCHES: readonly Bench[] = [
  {
    name: 'branin',
    bounds: [
      [-5, 10],
      [0, 15],
    ],
    optimum: 0.39788735772973816,
    f: ([a, b]) =>
      (b - (5.1 / (4 * Math.PI ** 2)) * a ** 2 + (5 / Math.PI) * a - 6) ** 2 +
      10 * (1 - 1 / (8 * Math.PI)) * Math.cos(a) +
      10,
  },
  {
    name: 'hartmann6',
    bounds: box(6, 0, 1),
    optimum: -3.322368011391339,
    f: (x) => -sum(4, (i) => ALPHA[i] * Math.exp(-sum(6, (j) => A6[i][j] * (x[j] - P6[i][j] * 1e-4) ** 2))),
  },
  {
    name: 'rosenbrock4',
    bounds: box(4, -5, 10),
    optimum: 0,
    f: (x) => sum(3, (i) => 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2),
  },
  {
    name: 'ackley5',
    bounds: box(5, -15, 30),
    optimum: 0,
    f: (x) =>
      -20 * Math.exp(-0.2 * Math.sqrt(sum(5, (i) => x[i] ** 2) / 5)) -
      Math.exp(sum(5, (i) => Math.cos(2 * Math.PI * x[i])) / 5) +
      20 +
      Math.E,
  },
  {
    name: 'ellipsoid5',
    bounds: box(5, -5, 5),
    optimum: 0,
    f: (x) => sum(5, (i) => 10 ** i * (x[i] - 0.7 * Math.cos(i + 1)) ** 2),
  },
]
