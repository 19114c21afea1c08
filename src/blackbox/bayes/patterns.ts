/**
 * Low-dimensional patterns in an image: products of functions of the row and of the column, for each channel.
 * `cosine` and `fourier` are orthonormal functions of lowest frequency; `nearest` repeats each number over a patch.
 */
export const BASES = ['cosine', 'fourier', 'nearest'] as const
export type Basis = (typeof BASES)[number]

/** Where the pixels of a tensor lie: element of (channel, row, column). */
export type Layout = { channels: number; rows: number; columns: number; at(c: number, i: number, j: number): number }

/** The layout of a shape of one to three lengths; a third is that of the channels, first or last. */
export function layoutOf(shape: readonly number[], channelsLast: boolean): Layout {
  const [channels, rows, columns] =
    shape.length < 3
      ? [1, shape.length === 2 ? shape[0] : 1, shape[shape.length - 1] ?? 1]
      : channelsLast
        ? [shape[2], shape[0], shape[1]]
        : [shape[0], shape[1], shape[2]]
  const at = channelsLast
    ? (c: number, i: number, j: number) => (i * columns + j) * channels + c
    : (c: number, i: number, j: number) => (c * rows + i) * columns + j
  return { channels, rows, columns, at }
}

/** Function number p of `count` at place i of n. */
export function functionAt(basis: Basis, p: number, count: number, i: number, n: number): number {
  if (basis === 'nearest') return Math.floor((i * count) / n) === p ? 1 : 0
  if (p === 0) return Math.sqrt(1 / n)
  if (basis === 'cosine') return Math.sqrt(2 / n) * Math.cos((Math.PI * (2 * i + 1) * p) / (2 * n))
  const angle = (2 * Math.PI * Math.ceil(p / 2) * i) / n
  // The highest frequency of an even n has a cosine of twice the square norm, and no sine.
  if (p === n - 1 && n % 2 === 0) return Math.sqrt(1 / n) * Math.cos(angle)
  return Math.sqrt(2 / n) * (p % 2 ? Math.cos(angle) : Math.sin(angle))
}

/** The pattern of latent numbers (channel, row function, column function), as the elements of the tensor. */
export function patternOf(
  basis: Basis,
  { channels, rows, columns, at }: Layout,
  [high, wide]: readonly [number, number],
  z: ArrayLike<number>,
): Float64Array {
  const pattern = new Float64Array(channels * rows * columns)
  const table = (count: number, n: number) =>
    Array.from({ length: count }, (_, p) =>
      Float64Array.from({ length: n }, (_, i) => functionAt(basis, p, count, i, n)),
    )
  const [vertical, horizontal] = [table(high, rows), table(wide, columns)]
  for (let c = 0; c < channels; c++)
    for (let p = 0; p < high; p++)
      for (let q = 0; q < wide; q++) {
        const weight = z[(c * high + p) * wide + q]
        if (weight === 0) continue
        for (let i = 0; i < rows; i++)
          for (let j = 0; j < columns; j++) pattern[at(c, i, j)] += weight * vertical[p][i] * horizontal[q][j]
      }
  return pattern
}
