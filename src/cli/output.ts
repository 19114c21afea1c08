/** What the commands print: aligned text for people, JSON with --json. */
import { type DescMessage, type MessageShape, toJson } from '@bufbuild/protobuf'

export type Format = { json?: boolean }

export const print = (line = ''): void => {
  process.stdout.write(`${line}\n`)
}

export const printJson = (value: unknown): void =>
  print(JSON.stringify(value, (_, v) => (ArrayBuffer.isView(v) ? Array.from(v as Float64Array) : v), 2))

export const messageJson = <D extends DescMessage>(schema: D, message: MessageShape<D>): unknown =>
  toJson(schema, message)

/** Columns as wide as their widest cell. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  for (const row of [header, ...rows])
    print(
      row
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    )
}

/** A number short enough to read. */
export const short = (value: number | undefined): string =>
  value === undefined ? '-' : Number.isInteger(value) ? String(value) : value.toPrecision(6)
