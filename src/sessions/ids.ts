/**
 * A set of ids that grows with the life of a session. Ids that end in a number ("q17") are kept as ranges by prefix, so
 * that ids numbered in order take constant memory.
 */
export class IdSet {
  private readonly ranges = new Map<string, number[]>()
  private readonly others = new Set<string>()

  add(id: string): void {
    const parts = split(id)
    if (!parts) {
      this.others.add(id)
      return
    }
    const [prefix, n] = parts
    let ends = this.ranges.get(prefix)
    if (!ends) this.ranges.set(prefix, (ends = []))
    insert(ends, n)
  }
  has(id: string): boolean {
    const parts = split(id)
    if (!parts) return this.others.has(id)
    const ends = this.ranges.get(parts[0])
    // `ends` holds starts (inclusive) and ends (exclusive) in turn: inside a range an odd number of them is passed.
    return ends !== undefined && passed(ends, parts[1]) % 2 === 1
  }
  toTree() {
    return { ranges: Object.fromEntries(this.ranges), others: [...this.others] }
  }
  static fromTree(tree: { ranges: { [prefix: string]: number[] }; others: string[] }): IdSet {
    const set = new IdSet()
    for (const [prefix, ends] of Object.entries(tree.ranges)) set.ranges.set(prefix, [...ends])
    for (const id of tree.others) set.others.add(id)
    return set
  }
}

function split(id: string): [string, number] | undefined {
  const match = /^(.*?)(0|[1-9]\d{0,14})$/s.exec(id)
  return match ? [match[1], Number(match[2])] : undefined
}

/** How many boundaries are at or below n. */
function passed(ends: readonly number[], n: number): number {
  let low = 0
  let high = ends.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle] <= n) low = middle + 1
    else high = middle
  }
  return low
}

function insert(ends: number[], n: number): void {
  const at = passed(ends, n)
  if (at % 2 === 1) return
  const joinsBefore = at > 0 && ends[at - 1] === n
  const joinsAfter = at < ends.length && ends[at] === n + 1
  if (joinsBefore && joinsAfter) ends.splice(at - 1, 2)
  else if (joinsBefore) ends[at - 1] = n + 1
  else if (joinsAfter) ends[at] = n
  else ends.splice(at, 0, n, n + 1)
}
