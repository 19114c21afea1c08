/** Tables of numbered rows in flat arrays. */

/** The array with room for `length` elements, zeros beyond the old ones. */
export function grown<T extends Float64Array | Int32Array | Uint8Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (n: number) => T)(length)
  larger.set(array)
  return larger
}

/** Rows in rising order of their position, held in a flat array. */
export class Sorted {
  rows = new Int32Array(64)
  count = 0

  constructor(private readonly less: (a: number, b: number) => boolean) {}

  /** Where the row is, or belongs. */
  place(row: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.less(this.rows[middle], row)) low = middle + 1
      else high = middle
    }
    return low
  }
  insert(row: number): number {
    if (this.count === this.rows.length) this.rows = grown(this.rows, 2 * this.count)
    const at = this.place(row)
    this.rows.copyWithin(at + 1, at, this.count++)
    this.rows[at] = row
    return at
  }
  remove(row: number): number {
    const at = this.place(row)
    this.rows.copyWithin(at, at + 1, this.count--)
    return at
  }
}
