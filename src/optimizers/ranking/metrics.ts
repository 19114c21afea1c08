/**
 * Quality of an order of documents by their labels, grades from 0. Positions count from 0. A document is relevant from grade
 * 1; for err a reader is content with it with probability (2^l - 1)/2^(largest grade of the query).
 */
export const METRICS = ['dcg', 'ndcg', 'mrr', 'err', 'map'] as const
export type Metric = (typeof METRICS)[number]

export const gain = (label: number): number => 2 ** label - 1
export const discount = (position: number): number => 1 / Math.log2(position + 2)

/** Goes down an order, document by document. */
export type Walk = {
  /** What the metric gains when the next two documents are a, then b, and not b, then a. */
  swap(a: number, b: number): number
  /** The next document has this label. Returns what it adds to the metric. */
  pass(label: number): number
}

/** The DCG of the best order of labels, of its first positions. */
export const idealDcg = (labels: ArrayLike<number>, top = Infinity): number =>
  Array.from(labels)
    .sort((a, b) => b - a)
    .slice(0, top)
    .reduce((sum, label, k) => sum + gain(label) * discount(k), 0)

/** Walks over orders of documents of these labels. Where none is relevant, all is 0. */
export function walks(metric: Metric, labels: ArrayLike<number>, top = Infinity): () => Walk {
  const all = Array.from(labels)
  if (metric === 'dcg' || metric === 'ndcg') {
    const scale = metric === 'dcg' ? 1 : 1 / (idealDcg(all, top) || Infinity)
    return () => additive((k) => scale * discount(k), gain)
  }
  const relevant = (label: number) => Number(label >= 1)
  if (metric === 'map') {
    const most = Math.min(all.filter(relevant).length, top) || Infinity
    return () => additive((k, seen) => (seen + 1) / ((k + 1) * most), relevant)
  }
  const content = all.reduce((most, label) => Math.max(most, 2 ** label), 1)
  const worth = metric === 'mrr' ? relevant : (label: number) => gain(label) / content
  return () => additive((k, _, left) => left / (k + 1), worth)
}

/**
 * A document adds its worth times the rate of its position. Rates may depend on `seen`, the sum of the worths above, and on
 * `left`, the product of their complements: of two neighbours both orders then give the same to all below.
 */
function additive(rate: (k: number, seen: number, left: number) => number, worth: (label: number) => number): Walk {
  let [k, seen, left] = [0, 0, 1]
  return {
    swap: (a, b) => (worth(a) - worth(b)) * (rate(k, seen, left) - rate(k + 1, seen, left)),
    pass(label) {
      const w = worth(label)
      const added = w * rate(k, seen, left)
      k++
      seen += w
      left *= 1 - w
      return added
    },
  }
}

/** The metric of an order, of its first positions: `ordered` are the labels from the top. */
export function metricOf(metric: Metric, ordered: readonly number[], top = Infinity): number {
  const walk = walks(metric, ordered, top)()
  return ordered.slice(0, top).reduce((sum, label) => sum + walk.pass(label), 0)
}
