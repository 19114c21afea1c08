/**
 * The documents do what they say: their examples run, in their order, against a server process. Blocks of `bash`,
 * `python` and `ts` run; `sh` shows what a person types; `yaml` is configuration and `rule` a rule, both checked.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { FUNCTIONS } from '../../src/optimizers/language/functions.js'
import { method as rule } from '../../src/optimizers/presets/rule.js'
import { configSchema } from '../../src/server/config.js'

const DOCUMENTS = ['README.md', 'docs/guide.md']
const read = (path: string) => readFileSync(path, 'utf8')
const blocks = (path: string, language: string): string[] =>
  [...read(path).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code)

const folder = mkdtempSync(join(tmpdir(), 'asktell-docs-'))
const processes: ChildProcess[] = []

/** Starts a process whose first line is JSON. */
async function start(script: string, args: string[]): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  processes.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume()
    return JSON.parse(line)
  }
  throw new Error(`${script} ended before it was ready: is dist/ built?`)
}

let ports: { [named: string]: string }
let env: NodeJS.ProcessEnv
/** A block with the addresses of this run, and the command from this build. */
const here = (code: string) =>
  code
    .replaceAll('npx asktell', `node ${resolve('dist/bin/asktell.js')}`)
    .replace(/\b127\.0\.0\.1:(7337|8337|8000)\b/g, (_, named) => `127.0.0.1:${ports[named]}`)
const run = (command: string, args: string[], input: string) =>
  execFileSync(command, args, {
    cwd: folder,
    env,
    input: here(input),
    encoding: 'utf8',
    stdio: 'pipe',
    timeout: 60_000,
  })

beforeAll(async () => {
  const endpoint = await start('dist/examples/local-endpoint/main.js', ['--json'])
  const [settings] = blocks('docs/guide.md', 'yaml')
  const { local } = parse(settings).llmEndpoints
  const llmEndpoints = JSON.stringify({ local: { ...local, baseUrl: endpoint.baseUrl } })
  const flags = ['--json', '--grpc-port', '0', '--http-port', '0', '--log-level', 'warn']
  const server = await start('dist/bin/asktell.js', [
    'serve',
    ...flags,
    '--data-dir',
    join(folder, 'data'),
    '--llm-endpoints',
    llmEndpoints,
  ])
  ports = {
    7337: String(server.grpcPort),
    8337: String(server.httpPort),
    8000: new URL(String(endpoint.baseUrl)).port,
  }
  env = { ...process.env, ASKTELL_TARGET: `127.0.0.1:${ports[7337]}` }
})
afterAll(async () => {
  for (const child of processes.reverse())
    await new Promise((exited) => {
      child.once('exit', exited)
      child.kill('SIGTERM')
    })
  rmSync(folder, { recursive: true })
})

/** A Python that has the client, and whether it has torch too. */
function findPython(): { command: string; torch: boolean } | undefined {
  for (const command of [resolve('.venv/bin/python'), 'python3'])
    try {
      const script = 'import asktell, importlib.util as u; print(u.find_spec("torch") is not None)'
      const torch = execFileSync(command, ['-c', script], { encoding: 'utf8', stdio: 'pipe' }).trim() === 'True'
      return { command, torch }
    } catch {}
  return undefined
}
const python = findPython()
if (!python) console.log('examples in Python are skipped: neither .venv/bin/python nor python3 can import asktell')

describe.each(DOCUMENTS)('%s', (path) => {
  it('runs from curl', () => {
    const code = blocks(path, 'bash')
    expect(code.length).toBeGreaterThan(0)
    run('bash', ['-euo', 'pipefail'], code.join('\n'))
  })

  it.skipIf(!python)('runs from Python', () => {
    const code = blocks(path, 'python')
    expect(code.length).toBeGreaterThan(3)
    const kept = code.filter((block) => python?.torch || !block.startsWith('# needs: torch'))
    if (kept.length < code.length)
      console.log(`${path}: ${code.length - kept.length} blocks need torch and are skipped`)
    run(python?.command ?? '', ['-W', 'error::DeprecationWarning', '-'], kept.join('\n'))
  })

  it('links to what exists', () => {
    const anchors = (file: string) =>
      [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      )
    for (const [, link] of read(path).matchAll(/\]\(([^)]*)\)/g)) {
      if (/^https?:/.test(link)) continue
      const [file, anchor] = link.split('#')
      const target = file ? join(dirname(path), file) : path
      expect(existsSync(target), link).toBe(true)
      if (anchor) expect(anchors(target), link).toContain(anchor)
    }
  })

  it('shows configuration that is valid', () => {
    for (const code of blocks(path, 'yaml')) {
      const { success, error } = configSchema.safeParse(parse(code))
      expect(success, `${code}${error}`).toBe(true)
    }
  })
})

it('the TypeScript of the guide is test/docs/guide.ts, and runs', () => {
  const [code, ...more] = blocks('docs/guide.md', 'ts')
  expect(more).toEqual([])
  const file = read('test/docs/guide.ts').replace('../../clients/typescript/src/index.js', 'asktell-client')
  expect(file.slice(file.indexOf('import'))).toBe(code)
  expect(run(process.execPath, [resolve('dist/test/docs/guide.js')], '')).toContain('w')
})

describe('docs/rules.md', () => {
  it('names every function of the language', () => {
    for (const name of FUNCTIONS.keys()) expect(read('docs/rules.md'), name).toMatch(new RegExp(`\`${name}[\`(]`))
  })

  it('shows rules that are rules', () => {
    const rules = blocks('docs/rules.md', 'rule')
    expect(rules).toHaveLength(3)
    const hyperparameters = { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    for (const text of rules) {
      const config = rule.config.parse({ text, slots: 'inferred', hyperparameters })
      const space = { kind: 'tensors' as const, tensors: [{ name: 'w', shape: [2, 3], dtype: 'f32' as const }] }
      expect(rule.check?.(config, { space, objectives: [{ name: 'loss', direction: 'minimize' }] })).toEqual([])
    }
  })
})
