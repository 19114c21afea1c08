#!/usr/bin/env node
// Every check of the project, with all the set-up a fresh machine needs. Prints `N passed, N failed` on its last line.
//   npm run check                  everything
//   npm run check -- --only NAME   one of: static, unit, python
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined
const wanted = (name) => only === undefined || only === name
const results = join('dist', 'check')
let passed = 0
let failed = 0

/** Runs a command and gives its exit status. Aside, its output comes in one piece when it has ended. */
function run(command, args, { aside = false, ...options } = {}) {
  const title = `\n> ${command} ${args.join(' ')}\n`
  if (!aside) process.stdout.write(title)
  const child = spawn(command, args, { stdio: aside ? ['ignore', 'pipe', 'pipe'] : 'inherit', ...options })
  const output = [title]
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => output.push(data))
  return new Promise((resolve) => {
    const end = (status) => {
      if (aside) for (const part of output) process.stdout.write(part)
      resolve(status)
    }
    child.once('error', () => end(1))
    child.once('close', (status) => end(status ?? 1))
  })
}
async function check(name, command, args) {
  if ((await run(command, args)) === 0) passed++
  else {
    failed++
    console.error(`FAILED: ${name}`)
  }
}
const count = (good, bad) => {
  passed += good
  failed += bad
}
const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0

/** The project's virtual environment with the Python client and what its tests need; undefined when it can't be had. */
async function preparePython() {
  const python = join('.venv', 'bin', 'python')
  if (!existsSync(python)) {
    if (!has('python3') || spawnSync('python3', ['-c', 'import ensurepip']).status !== 0) {
      await run('apt-get', ['update', '-qq'], { aside: true })
      await run('apt-get', ['install', '-y', '-qq', 'python3', 'python3-venv'], { aside: true })
    }
    if ((await run('python3', ['-m', 'venv', '.venv'], { aside: true })) !== 0) return undefined
  }
  const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-e', 'clients/python[test,torch]']
  return (await run(python, install, { aside: true })) === 0 ? python : undefined
}

/** A renderer in software, for tests of the webgpu engine on machines without a GPU. */
async function prepareVulkan() {
  const found = (await run('node', ['dist/src/optimizers/engines/webgpu/trial.js'], { aside: true })) === 0
  if (found || existsSync('/usr/lib/chromium/vk_swiftshader_icd.json') || !has('apt-get')) return
  await run('apt-get', ['update', '-qq'], { aside: true })
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'libvulkan1'], { aside: true })
}

async function unit() {
  const file = join(results, 'vitest.json')
  rmSync(file, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const status = await run('npx', ['vitest', 'run', ...reporters])
  if (!existsSync(file)) return count(0, 1)
  const report = JSON.parse(readFileSync(file, 'utf8'))
  // A file that cannot be loaded has no tests to count, and fails all the same.
  const broken = report.testResults.filter((t) => t.status === 'failed' && t.assertionResults.length === 0).length
  count(report.numPassedTests, report.numFailedTests + broken)
  if (status !== 0 && report.numFailedTests + broken === 0) count(0, 1)
}

async function pytest(python) {
  if (!python) return count(0, 1)
  const file = join(process.cwd(), results, 'pytest.xml')
  rmSync(file, { force: true })
  const args = ['-m', 'pytest', '-q', `--junitxml=${file}`]
  const status = await run(join('..', '..', python), args, { cwd: 'clients/python', aside: wanted('unit') })
  const suite = existsSync(file) ? /<testsuite [^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] : undefined
  const number = (name) => Number(new RegExp(`${name}="(\\d+)"`).exec(suite ?? '')?.[1] ?? 0)
  const bad = number('failures') + number('errors')
  count(number('tests') - bad - number('skipped'), bad)
  if (status !== 0 && bad === 0) count(0, 1)
}

mkdirSync(results, { recursive: true })

// Before the unit tests: the examples of the documentation are among them, and some are Python.
const pythonReady = wanted('unit') || wanted('python') ? preparePython() : undefined

// Tests of the sessions and clients run real server processes from the build.
if ((await run('npm', ['run', '--silent', 'build'])) !== 0) {
  console.error('FAILED: build')
  console.log('0 passed, 1 failed')
  process.exit(1)
}

// After Python: both may need apt, which has one user at a time.
const vulkanReady = wanted('unit') ? Promise.resolve(pythonReady).then(prepareVulkan) : undefined

if (wanted('static')) {
  await check('lint and format', 'npx', ['biome', 'ci', '.'])
  await check('proto lint', 'npx', ['buf', 'lint'])
  if (existsSync('proto/baseline.binpb'))
    await check('proto compatibility', 'npx', ['buf', 'breaking', '--against', 'proto/baseline.binpb'])
  await check('generated code is fresh', 'node', ['scripts/fresh.mjs'])
}

const python = await pythonReady
await vulkanReady

await Promise.all([wanted('unit') && unit(), wanted('python') && pytest(python)])

console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
