#!/usr/bin/env node
// Fails when committed generated code differs from what its generator writes now.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

const walk = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? walk(join(folder, e.name)) : [join(folder, e.name)],
  )

const stale = []
const attempt = (name, f) => {
  try {
    f()
  } catch (error) {
    stale.push(name)
    console.error(error.stdout?.toString() ?? '', error.stderr?.toString() ?? error.message)
  }
}

// Protobuf code: generated aside and compared.
const aside = mkdtempSync(join(tmpdir(), 'asktell-fresh-'))
attempt('protobuf', () => {
  execFileSync('npx', ['buf', 'generate', '-o', aside], { stdio: 'pipe' })
  for (const folder of ['src/core/gen', 'clients/typescript/src/gen'])
    for (const file of walk(join(aside, folder))) {
      const committed = join(folder, relative(join(aside, folder), file))
      if (!existsSync(committed) || readFileSync(committed, 'utf8') !== readFileSync(file, 'utf8'))
        stale.push(committed)
    }
})
rmSync(aside, { recursive: true, force: true })

for (const script of readdirSync('scripts').filter((f) => /^(generate|build)-?.*\.mjs$/.test(f)))
  attempt(script, () => execFileSync('node', [join('scripts', script), '--check'], { stdio: 'pipe' }))

if (stale.length) {
  console.error(`stale: ${stale.join(', ')}\nrun npm run generate`)
  process.exit(1)
}
console.log('generated code is fresh')
