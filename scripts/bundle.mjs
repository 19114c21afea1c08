#!/usr/bin/env node
// Puts what is built into few files, dist/bin: the command with the server, and the code of its threads. Loading some
// eight hundred modules one by one takes most of a start. Packages with binaries or files of their own stay packages.
import { createHash } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, sep } from 'node:path'
import { rolldown } from 'rolldown'

const folder = join('dist', 'bin')
const PACKAGES = [/^node:/, /^@grpc\//, /^@opentelemetry\/(?!api)/, /^@tensorflow\//, /^swagger-ui-dist/]
const NAMED = ['@node-rs/crc32', 'binaryen', 'grpc-health-check', 'lmdb', 'pino', 'vega', 'vega-lite', 'webgpu']

/** The parser of mathjs alone, where the module loads all of it. */
const parser = {
  name: 'parser',
  load: (id) =>
    id.endsWith(join(sep, 'src', 'core', 'expressions.js'))
      ? `import { create, parseDependencies } from 'mathjs/number'
let mathjs
export const parseExpression = (text) => (mathjs ??= create({ parseDependencies })).parse(text)
`
      : undefined,
}

/** A digest of the code that rules are compiled with, by which compiled rules are kept. */
function build() {
  const hash = createHash('sha256').update(readFileSync(join('node_modules', 'binaryen', 'package.json')))
  for (const folder of ['language', 'engines', join('engines', 'wasm')].map((name) =>
    join('dist', 'src', 'optimizers', name),
  ))
    for (const file of readdirSync(folder).sort())
      if (file.endsWith('.js')) hash.update(readFileSync(join(folder, file)))
  return hash.digest('hex').slice(0, 16)
}
const digest = {
  name: 'digest',
  load: (id) =>
    id.endsWith(join(sep, 'engines', 'wasm', 'build.js')) ? `export const BUILD = '${build()}'` : undefined,
}

const bundle = await rolldown({
  input: {
    asktell: 'dist/src/cli/main.js',
    worker: 'dist/src/sessions/host/worker.js',
    generator: 'dist/src/optimizers/engines/wasm/generator.js',
    'crew-thread': 'dist/src/optimizers/engines/wasm/crew-thread.js',
    thread: 'dist/src/optimizers/engines/webgpu/thread.js',
    trial: 'dist/src/optimizers/engines/webgpu/trial.js',
  },
  platform: 'node',
  external: [...PACKAGES, ...NAMED],
  plugins: [parser, digest],
})
const { output } = await bundle.write({
  dir: folder,
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: '[name]-[hash].js',
})
// Last, so that a server can be started at any time.
const written = new Set(output.map(({ fileName }) => fileName))
for (const file of readdirSync(folder)) if (!written.has(file)) rmSync(join(folder, file))
chmodSync(join(folder, 'asktell.js'), 0o755)
