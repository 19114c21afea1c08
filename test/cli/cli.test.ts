/** The `asktell` command as a person runs it: processes, exit codes and what they print. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StartedProcess, startProcess } from '../server-process.js'

const MAIN = 'dist/bin/asktell.js'
const folder = mkdtempSync(join(tmpdir(), 'asktell-cli-'))
const MEMORY = ['--store', 'memory']
let server: StartedProcess
type Output = { code: number; stdout: string; stderr: string }
const asktell = (...args: string[]): Promise<Output> =>
  new Promise((resolve) => {
    const env = { ...process.env, ASKTELL_TARGET: server.target }
    execFile(process.execPath, [MAIN, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })
const json = async (...args: string[]) => JSON.parse((await asktell(...args, '--json')).stdout)

beforeAll(async () => {
  server = await startProcess(MEMORY)
})
afterAll(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const SPACE = '{x: {type: float, low: 0, high: 1}, kind: {type: categorical, choices: [a, b]}}'

describe('asktell', () => {
  it('creates, asks, tells, estimates, lists', async () => {
    const created = await asktell('create', '-m', 'tpe', '--space', SPACE, '--seed', '1', '--id', 'first')
    expect(created.stdout).toBe('sessions/first\n')
    const asked = await json('ask', 'first', '-n', '2')
    expect(asked.queries).toHaveLength(2)
    const [one, two] = asked.queries
    expect((await asktell('tell', 'first', one.id, '--value', '0.5')).stdout).toContain('running')
    const observation = JSON.stringify([{ queryId: two.id, values: [0.25] }])
    expect((await json('tell', 'first', '--observations', observation)).revision).toBe(4)
    expect((await asktell('estimate', 'first')).stdout).toContain('0.25')
    const trials = await asktell('trials', 'first')
    expect(trials.stdout.split('\n')[0]).toMatch(/^TRIAL +STATE +VALUE +PARAMS$/)
    expect((await json('sessions', '--filter', 'method = "tpe"'))[0].name).toBe('sessions/first')
    const more = ['-m', 'gp', '--space', SPACE, '--warm-start-from', 'first', '--id', 'next']
    expect((await json('create', ...more)).warmStartFrom).toEqual(['sessions/first'])
    const { params } = (await json('estimate', 'first')).points[0].point
    expect((await json('ask', 'next')).queries[0].points[0].params).toEqual(params)
  })

  it('analyzes a session and draws it', async () => {
    await asktell('create', '-m', 'random', '--space', SPACE, '--seed', '1', '--id', 'analyzed')
    const { queries } = await json('ask', 'analyzed', '-n', '12')
    const observations = queries.map((q: { id: string; points: { params: { x: number } }[] }) => ({
      queryId: q.id,
      values: [(q.points[0].params.x - 0.5) ** 2],
    }))
    await asktell('tell', 'analyzed', '--observations', JSON.stringify(observations))
    const [page, image] = ['a.html', 'a.svg'].map((name) => join(folder, name))
    const drawn = await asktell('analyze', 'analyzed', '--points', '{x: 0.5, kind: a}', '--plot', page)
    expect(drawn.stdout).toMatch(/objective of 12 trials[\s\S]*importances[\s\S]*cross-validation[\s\S]*predictions/)
    expect(readFileSync(page, 'utf8').match(/<figure><svg/g)).toHaveLength(9)
    const { edf, charts } = await json('analyze', 'analyzed', '-k', 'edf', '--plot', image)
    expect([edf.fractions.at(-1), charts]).toEqual([1, undefined])
    expect(readFileSync(image, 'utf8')).toMatch(/^<svg [\s\S]*Empirical distribution[\s\S]*<\/svg>\n$/)
    const refused = await asktell('analyze', 'analyzed', '--parameters', 'zz')
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('"zz" is not a parameter of the space')])
  })

  it('reads a space as the protocol has it, from a file', async () => {
    const file = join(folder, 'space.json')
    const parameter = { name: 'n', int: { low: '1', high: '4' } }
    writeFileSync(file, JSON.stringify({ search: { parameters: [parameter] } }))
    const { stdout } = await asktell('create', '-m', 'random', '--space', file, '--max-evaluations', '1')
    const { queries } = await json('ask', stdout.trim())
    expect([1, 2, 3, 4]).toContain(queries[0].points[0].params.n)
    await asktell('tell', stdout.trim(), queries[0].id, '--value', '1')
    expect((await asktell('watch', stdout.trim(), '--after', '0')).stdout).toMatch(
      /created[\s\S]*asked[\s\S]*told[\s\S]*done/,
    )
  })

  it('exports, imports, forks, deletes', async () => {
    const file = join(folder, 'first.asktell')
    expect((await asktell('export', 'first', file)).code).toBe(0)
    expect((await asktell('import', file, '--id', 'second')).stdout).toBe('sessions/second\n')
    expect((await asktell('fork', 'first', '--revision', '3', '--id', 'third')).stdout).toBe('sessions/third\n')
    expect((await json('trials', 'third')).map(({ state }: { state: string }) => state)).toEqual([
      'completed',
      'running',
    ])
    expect((await asktell('delete', 'second')).code).toBe(0)
    expect((await asktell('estimate', 'second')).stderr).toContain('SESSION_NOT_FOUND')
  })

  it('describes methods with their equations and settings', async () => {
    expect((await asktell('methods')).stdout).toMatch(/^adam +gradient +gradient +Adam$/m)
    const { stdout } = await asktell('methods', 'adam')
    expect(stdout).toContain('\\beta_{1}')
    expect(stdout).toMatch(/^learningRate +0.001 +Step size.$/m)
  })

  it('tells the values of one point, negative ones too, one for each objective', async () => {
    await asktell('create', '-m', 'random', '--space', SPACE, '--id', 'values')
    await asktell('ask', 'values')
    const { stderr } = await asktell('tell', 'values', 'q0', '--value', '1', '2')
    expect(stderr).toMatch(/observations\[0\]\.values\[0\]: expected 1 .*got 2/)
    expect(await asktell('tell', 'values', 'q0', '--value', '-1e3')).toMatchObject({ code: 0, stderr: '' })
    expect((await json('trials', 'values'))[0].values).toEqual([-1000])
  })

  it.each([
    ['--value', ['tell', 'first', 'q0', '--value', 'abc'], 'Expected a number'],
    ['--value', ['tell', 'first', 'q0', '--value', '1', ''], 'Expected a number'],
    ['--status', ['tell', 'first', 'q0', '--status', 'bogus'], 'ok, failed, infeasible, pruned, cancelled'],
    ['--ranking', ['tell', 'first', 'q0', '--ranking', '0,x'], 'Expected a number'],
    ['--count', ['ask', 'first', '--count', 'x'], 'Expected a number'],
    ['--count', ['ask', 'first', '--count', '1.5'], 'Expected an integer >= 1'],
    ['--wait', ['ask', 'first', '--wait', 'long'], 'Expected a number'],
    ['--max-evaluations', ['create', '-m', 'tpe', '--space', SPACE, '--max-evaluations', 'abc'], 'Expected a number'],
    ['--direction', ['create', '-m', 'tpe', '--space', SPACE, '--direction', 'up'], 'minimize, maximize'],
    ['step', ['report', 'first', 'q0', 'one', '0.5'], 'Expected a number'],
  ])('refuses a wrong %s: %j', async (flag, args, expected) => {
    const { code, stderr } = await asktell(...args)
    expect(code).toBe(1)
    const [line] = stderr.split('\n')
    expect(line).toContain(flag)
    expect(line).toContain(expected)
  })

  it('ends quietly when its reader does', async () => {
    const child = spawn(process.execPath, [MAIN, 'methods', 'tpe'], {
      env: { ...process.env, ASKTELL_TARGET: server.target },
    })
    child.stdout.destroy()
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
    expect([code, stderr]).toEqual([0, ''])
  })

  it('says what is wrong and where, and exits with 2', async () => {
    const refused = await asktell('create', '-m', 'tpe', '--space', '{x: {type: float, low: 2, high: 1}}')
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('session.space.search.parameters[0].float.low')
    expect((await asktell('tell', 'first', 'q99', '--value', '1')).stderr).toContain('QUERY_NOT_FOUND')
    expect((await asktell('serve', '--grpc-port', 'none')).stderr).toContain('grpcPort')
    expect((await asktell('nonsense')).code).toBe(1)
  })

  it('prints the configuration with its origins', async () => {
    const settings = await json('config', '--grpc-port', '9')
    expect(settings.find(({ key }: { key: string }) => key === 'grpcPort')).toMatchObject({ value: 9, origin: 'flag' })
  })

  it('speaks TLS to a server that does', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject],
      { stdio: 'pipe' },
    )
    const secure = await startProcess([...MEMORY, '--tls', JSON.stringify({ cert, key })])
    expect((await asktell('methods', 'sgd', '-s', secure.target, '--ca', cert)).code).toBe(0)
    expect((await asktell('methods', 'sgd', '-s', secure.target, '--tls')).stderr).toContain('UNAVAILABLE')
    await secure.stop()
  })
})
