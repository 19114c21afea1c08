#!/usr/bin/env node
// Every check of the project, with all the set-up a fresh machine needs. Prints `N passed, N failed` on its last line.
//   npm run check                  everything
//   npm run check -- --only NAME   one of: static, unit, python
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined
const wanted = (name) => only === undefined || only === name
const results = join('dist', 'check')
let passed = 0
let failed = 0

const run = (command, args, options = {}) => {
  console.log(`\n> ${command} ${args.join(' ')}`)
  return spawnSync(command, args, { stdio: 'inherit', ...options }).status ?? 1
}
const check = (name, command, args, options) => {
  if (run(command, args, options) === 0) passed++
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
function preparePython() {
  const python = join('.venv', 'bin', 'python')
  if (!existsSync(python)) {
    if (!has('python3') || spawnSync('python3', ['-c', 'import ensurepip']).status !== 0) {
      run('apt-get', ['update', '-qq'])
      run('apt-get', ['install', '-y', '-qq', 'python3', 'python3-venv'])
    }
    if (run('python3', ['-m', 'venv', '.venv']) !== 0) return undefined
  }
  const client = 'clients/python[test,torch]'
  return run(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-e', client]) === 0
    ? python
    : undefined
}

/** A renderer in software, for tests of the webgpu engine on machines without a GPU. */
function prepareVulkan() {
  const found = spawnSync('node', ['dist/src/optimizers/engines/webgpu/trial.js']).status === 0
  if (found || existsSync('/usr/lib/chromium/vk_swiftshader_icd.json') || !has('apt-get')) return
  run('apt-get', ['update', '-qq'])
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium', 'libvulkan1'])
}

mkdirSync(results, { recursive: true })

// Tests of the sessions and clients run real server processes from the build.
if (run('npm', ['run', '--silent', 'build']) !== 0) {
  console.error('FAILED: build')
  console.log('0 passed, 1 failed')
  process.exit(1)
}

// Before the unit tests: the examples of the documentation are among them, and some are Python.
const python = wanted('unit') || wanted('python') ? preparePython() : undefined

if (wanted('unit')) prepareVulkan()

if (wanted('static')) {
  check('lint and format', 'npx', ['biome', 'ci', '.'])
  check('proto lint', 'npx', ['buf', 'lint'])
  if (existsSync('proto/baseline.binpb'))
    check('proto compatibility', 'npx', ['buf', 'breaking', '--against', 'proto/baseline.binpb'])
  check('generated code is fresh', 'node', ['scripts/fresh.mjs'])
}

if (wanted('unit')) {
  const file = join(results, 'vitest.json')
  rmSync(file, { force: true })
  const status = run('npx', ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`])
  if (existsSync(file)) {
    const report = JSON.parse(readFileSync(file, 'utf8'))
    // A file that cannot be loaded has no tests to count, and fails all the same.
    const broken = report.testResults.filter((t) => t.status === 'failed' && t.assertionResults.length === 0).length
    count(report.numPassedTests, report.numFailedTests + broken)
    if (status !== 0 && report.numFailedTests + broken === 0) count(0, 1)
  } else count(0, 1)
}

if (wanted('python')) {
  if (!python) count(0, 1)
  else {
    const file = join(process.cwd(), results, 'pytest.xml')
    rmSync(file, { force: true })
    const status = run(join('..', '..', python), ['-m', 'pytest', '-q', `--junitxml=${file}`], {
      cwd: 'clients/python',
    })
    const suite = existsSync(file) ? /<testsuite [^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] : undefined
    const number = (name) => Number(new RegExp(`${name}="(\\d+)"`).exec(suite ?? '')?.[1] ?? 0)
    const bad = number('failures') + number('errors')
    count(number('tests') - bad - number('skipped'), bad)
    if (status !== 0 && bad === 0) count(0, 1)
  }
}

console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
