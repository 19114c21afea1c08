#!/usr/bin/env node
// Copies the encodings and the random directions into the TypeScript client, which is a package of its own. `--check` writes
// nothing and fails when a copy differs.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const client = 'clients/typescript/src'
const copies = [
  ...readdirSync('src/core/encodings').map((name) => ['src/core/encodings', name, 'encodings']),
  ...['rng.ts', 'directions.ts'].map((name) => ['src/core', name, 'random']),
]
const check = process.argv.includes('--check')

for (const [from, name, to] of copies) {
  const copy = `// Copied from ${from} by scripts/generate-client.mjs.\n${readFileSync(join(from, name), 'utf8')}`
  const path = join(client, to, name)
  if (existsSync(path) && readFileSync(path, 'utf8') === copy) continue
  if (check) {
    console.error(`${path} differs from ${join(from, name)}: run node scripts/generate-client.mjs`)
    process.exitCode = 1
  } else {
    mkdirSync(join(client, to), { recursive: true })
    writeFileSync(path, copy)
  }
}
