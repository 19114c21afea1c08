/**
 * The least number of misses with which a cache of size k serves the requests so far, kept up to date request by request:
 * E. Koutsoupias, C. Papadimitriou, "Beyond Competitive Analysis", SIAM Journal on Computing 30, 2000 (work functions).
 *
 * The contents that an optimal cache may have now are the sets of k pages that have at least j pages of the first j layers,
 * for every j, and none from outside of the k layers.
 */
export type Optimum = { layers: number[][]; misses: number }

/** An optimum that begins with this cache of at most k pages. */
export const startOptimum = (cache: readonly number[], k: number): Optimum => ({
  // Pages that are never requested stand for the free places.
  layers: Array.from({ length: k }, (_, i) => [cache[i] ?? -1 - i]),
  misses: 0,
})

/** The optimum after one more request. */
export function serve({ layers, misses }: Optimum, page: number): Optimum {
  const at = layers.findIndex((layer) => layer.includes(page))
  if (at < 0) {
    // Any page of any optimal cache may make room: each prefix of layers may now lack one.
    const [first, second = [], ...others] = layers
    const merged = layers.length === 1 ? [] : [[...first, ...second], ...others]
    return { layers: [[page], ...merged], misses: misses + 1 }
  }
  // Only caches that hold the page stay optimal: it takes a place, so that one less is left to its layer and those behind.
  const rest = layers[at].filter((other) => other !== page)
  const behind = at + 1 < layers.length ? [[...rest, ...layers[at + 1]], ...layers.slice(at + 2)] : []
  return { layers: [[page], ...layers.slice(0, at), ...behind], misses }
}
