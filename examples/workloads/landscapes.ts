/** The two landscapes that overviews of gradient descent compare rules on: Ruder 2016, sections 4 and 6. */

/** A ravine, x^2/2 + 50*y^2, customarily from (10, 1). */
export const ravine = {
  value: (x: ArrayLike<number>) => 0.5 * (x[0] ** 2 + 100 * x[1] ** 2),
  gradient: (x: ArrayLike<number>) => [x[0], 100 * x[1]],
}

/** A saddle, x^2 - y^2, customarily from a point close to its ridge. */
export const saddle = {
  value: (x: ArrayLike<number>) => x[0] ** 2 - x[1] ** 2,
  gradient: (x: ArrayLike<number>) => [2 * x[0], -2 * x[1]],
}
