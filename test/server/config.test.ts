import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configPrint, loadConfig } from '../../src/server/config.js'

const folder = mkdtempSync(join(tmpdir(), 'asktell-config-'))
const file = (name: string, text: string) => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const issues = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    return (error as { issues: { path: string; message: string }[] }).issues
  }
  throw new Error('expected a refusal')
}

describe('configuration', () => {
  it('prefers flag, environment, file, default, in this order', () => {
    const config = file('a.yaml', 'grpcPort: 1\nhttpPort: 2\ndrainSeconds: 3\nstore: memory\n')
    const env = { ASKTELL_GRPC_PORT: '11', ASKTELL_HTTP_PORT: '12', PORT: '99' }
    const loaded = loadConfig({ config, grpcPort: 21, dataDir: undefined }, env)
    expect(loaded.config).toMatchObject({
      grpcPort: 21,
      httpPort: 12,
      drainSeconds: 3,
      store: 'memory',
      host: '127.0.0.1',
    })
    expect(loaded.origins).toMatchObject({
      grpcPort: 'flag',
      httpPort: 'environment',
      drainSeconds: 'file',
      host: 'default',
      dataDir: 'default',
    })
  })
  it('reads the customary variables', () => {
    const env = { PORT: '8080', LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
    expect(loadConfig({}, env).config).toMatchObject({
      httpPort: 8080,
      logLevel: 'debug',
      otlpEndpoint: 'http://127.0.0.1:4318',
    })
  })
  it('reads lists and text of the environment as YAML', () => {
    const env = {
      ASKTELL_ALLOWED_HOSTS: '[a.example, b.example]',
      ASKTELL_DATA_DIR: '123',
      ASKTELL_ALLOW_INSECURE: 'true',
    }
    expect(loadConfig({}, env).config).toMatchObject({
      allowedHosts: ['a.example', 'b.example'],
      dataDir: '123',
      allowInsecure: true,
    })
  })
  it('leaves the variables of clients alone', () => {
    const env = { ASKTELL_TARGET: '127.0.0.1:7337', ASKTELL_API_KEY: 'a key' }
    expect(loadConfig({}, env).config).toEqual(loadConfig({}, {}).config)
  })
  it.each([
    ['a flag', () => loadConfig({ colour: 'red' }, {}), 'colour'],
    ['a variable', () => loadConfig({}, { ASKTELL_COLOUR: 'red' }), 'ASKTELL_COLOUR'],
    ['a line of the file', () => loadConfig({ config: file('b.yaml', 'colour: red\n') }, {}), 'colour'],
    ['an item', () => loadConfig({ apiKeys: [{ name: 'a', sha256: '0'.repeat(64), x: 1 }] }, {}), 'apiKeys[0].x'],
    ['a nested line', () => loadConfig({ config: file('c.yaml', 'tls: {cert: a, key: b, ca: c}\n') }, {}), 'tls.ca'],
  ])('refuses %s that it does not know', (_what, run, path) => {
    expect(issues(run)[0].path).toBe(path)
  })
  it('lists all that is wrong, and where it is from', () => {
    const found = issues(() => loadConfig({ grpcPort: 99999 }, { ASKTELL_STORE: 'tape' }))
    expect(found.map(({ path }) => path)).toEqual(['grpcPort', 'store'])
    expect(found[0].message).toContain('from flag')
    expect(found[1].message).toContain('from environment')
  })
  it('listens beyond loopback only with keys and TLS, or when told to', () => {
    expect(issues(() => loadConfig({ host: '0.0.0.0' }, {}))[0].message).toContain('--allow-insecure')
    const apiKeys = [{ name: 'a', sha256: 'a'.repeat(64) }]
    expect(issues(() => loadConfig({ host: '0.0.0.0', apiKeys }, {}))[0].message).toContain('tls')
    expect(loadConfig({ host: '0.0.0.0', apiKeys, tls: { cert: 'c', key: 'k' } }, {}).config.host).toBe('0.0.0.0')
    expect(loadConfig({ host: '0.0.0.0', allowInsecure: true }, {}).config.host).toBe('0.0.0.0')
    expect(loadConfig({ host: '::1' }, {}).config.host).toBe('::1')
  })
  it('reads secrets from files and never prints them', () => {
    const keys = file('keys', JSON.stringify([{ name: 'a', sha256: 'b'.repeat(64) }]))
    const secret = file('secret', 'sk-secret\n')
    const config = file(
      'd.yaml',
      `llmEndpoints: {local: {baseUrl: "http://127.0.0.1:1/v1", apiKeyFile: "${secret}"}}\n`,
    )
    const loaded = loadConfig({ config }, { ASKTELL_API_KEYS_FILE: keys })
    expect(loaded.config.apiKeys[0].sha256).toBe('b'.repeat(64))
    expect(loaded.config.llmEndpoints.local.apiKey).toBe('sk-secret')
    const printed = JSON.stringify(configPrint(loaded))
    expect(printed).not.toContain('sk-secret')
    expect(printed).not.toContain('b'.repeat(64))
    expect(configPrint(loaded).find(({ key }) => key === 'apiKeys')?.origin).toBe('environment')
  })
})
