/**
 * 1,797 handwritten digits of 8x8 pixels: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
 * Repository, 1998 (CC BY 4.0), its test set in the order of scikit-learn. A line is a label and 64 pixels, 0 to 16 in base 17.
 */
import { readFileSync } from 'node:fs'

export const PIXELS = 64
export const CLASSES = 10

/** `pixels` in [0, 1], 64 for each label, row by row. */
export type Digits = { pixels: Float64Array; labels: Uint8Array }

export function loadDigits(): Digits {
  const lines = readFileSync(new URL('digits-8x8.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  return {
    pixels: Float64Array.from(lines.flatMap((line) => Array.from(line.slice(2), (c) => Number.parseInt(c, 17) / 16))),
    labels: Uint8Array.from(lines, (line) => Number(line[0])),
  }
}

/** The digits of these numbers, in their order. */
export function take({ pixels, labels }: Digits, numbers: readonly number[]): Digits {
  const taken = new Float64Array(numbers.length * PIXELS)
  for (const [k, i] of numbers.entries()) taken.set(pixels.subarray(i * PIXELS, (i + 1) * PIXELS), k * PIXELS)
  return { pixels: taken, labels: Uint8Array.from(numbers, (i) => labels[i]) }
}

/** From one number up to another. */
export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, k) => from + k)
