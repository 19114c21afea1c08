#!/usr/bin/env node
// Copies the encodings into the TypeScript client, which is a package of its own. `--check` writes nothing and fails when a
// copy differs.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [from, to] = ['src/core/encodings', 'clients/typescript/src/encodings']
const check = process.argv.includes('--check')
const head = `// Copied from ${from} by scripts/generate-client.mjs.\n`

mkdirSync(to, { recursive: true })
for (const name of readdirSync(from)) {
  const copy = head + readFileSync(join(from, name), 'utf8')
  const path = join(to, name)
  if (existsSync(path) && readFileSync(path, 'utf8') === copy) continue
  if (check) {
    console.error(`${path} differs from ${join(from, name)}: run node scripts/generate-client.mjs`)
    process.exitCode = 1
  } else writeFileSync(path, copy)
}
