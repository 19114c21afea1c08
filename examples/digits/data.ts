/** The 10,000 digits of the `mnist` package, split without chance: every fifth of each class is held out. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export const PIXELS = 28 * 28
export const CLASSES = 10

/** `count` digits: pixels in [0, 1], `count` x 784, and their labels. */
export type Digits = { count: number; pixels: Float32Array; labels: Uint8Array }

export function loadDigits(): { train: Digits; test: Digits } {
  const folder = dirname(createRequire(import.meta.url).resolve('mnist/package.json'))
  const classes = Array.from({ length: CLASSES }, (_, label) => {
    const { data } = JSON.parse(readFileSync(join(folder, 'src', 'digits', `${label}.json`), 'utf8')) as {
      data: number[]
    }
    return Float32Array.from(data)
  })
  const take = (held: boolean): Digits => {
    const lists = classes.map((pixels) => {
      const n = Math.floor(pixels.length / PIXELS)
      return Array.from({ length: n }, (_, i) => i).filter((i) => (i % 5 === 4) === held)
    })
    const count = lists.reduce((n, list) => n + list.length, 0)
    const digits: Digits = { count, pixels: new Float32Array(count * PIXELS), labels: new Uint8Array(count) }
    // Round robin over the classes, so that any run of digits is nearly balanced.
    let at = 0
    for (let round = 0; at < count; round++)
      lists.forEach((list, label) => {
        if (round >= list.length) return
        const from = list[round] * PIXELS
        digits.pixels.set(classes[label].subarray(from, from + PIXELS), at * PIXELS)
        digits.labels[at++] = label
      })
    return digits
  }
  return { train: take(false), test: take(true) }
}
