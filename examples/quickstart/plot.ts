/** A curve drawn with characters, for terminals. */
import type { Curve } from './part.js'

const WIDTH = 64
const HEIGHT = 10

export function plot({ name, x, y }: Curve): string {
  if (x.length < 2) return ''
  const [left, right] = [x[0], x[x.length - 1]]
  const [low, high] = [Math.min(...y), Math.max(...y)]
  const grid = Array.from({ length: HEIGHT }, () => Array<string>(WIDTH).fill(' '))
  for (let column = 0; column < WIDTH; column++) {
    const at = left + ((right - left) * column) / (WIDTH - 1)
    const next = x.findIndex((value) => value >= at)
    const value = y[next < 0 ? y.length - 1 : next]
    const row = high === low ? 0 : Math.round(((value - low) / (high - low)) * (HEIGHT - 1))
    grid[HEIGHT - 1 - row][column] = '•'
  }
  const label = (row: number) => (row === 0 ? high : row === HEIGHT - 1 ? low : undefined)?.toPrecision(3) ?? ''
  const lines = grid.map((line, row) => `${label(row).padStart(9)} │${line.join('').trimEnd()}`)
  return [
    name,
    ...lines,
    `${' '.repeat(10)}└${'─'.repeat(WIDTH)}`,
    `${' '.repeat(11)}${left}${String(right).padStart(WIDTH - String(left).length)}`,
  ].join('\n')
}
