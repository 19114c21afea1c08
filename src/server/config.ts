/** One schema for the server's configuration. Flags win over the environment, that over the file, that over defaults. */
import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { AsktellError, type Issue } from '../core/errors.js'
import { ENGINES } from '../core/method.js'
import { field, fieldPath } from '../core/schema.js'

const port = z.int().min(0).max(65535)
const positive = z.int().min(1)

const endpoint = z.strictObject({
  baseUrl: field(z.url(), 'Base URL of an OpenAI-compatible API, such as http://127.0.0.1:8000/v1.'),
  apiKey: field(z.string(), 'Key for it. Better: apiKeyFile.').optional(),
  apiKeyFile: field(z.string(), 'File that holds the key.').optional(),
  model: field(z.string(), 'Model used when a session names none.').optional(),
  timeoutSeconds: field(z.number().positive().default(60), 'Longest wait for one reply.'),
  maxConcurrent: field(positive.default(8), 'Calls at the same time.'),
  promptTokenPrice: field(z.number().min(0).default(0), 'Money per prompt token, in the unit of budgets.'),
  completionTokenPrice: field(z.number().min(0).default(0), 'Money per completion token.'),
})

const apiKey = z.strictObject({
  name: field(z.string().min(1), 'Shown in logs in place of the key.'),
  sha256: field(z.string().regex(/^[0-9a-f]{64}$/), 'SHA-256 of the key, as hex.'),
  access: field(z.enum(['read', 'write']).default('write'), 'What the key may do.'),
})

export const configSchema = z.strictObject({
  host: field(
    z.string().min(1).default('127.0.0.1'),
    'Address to listen on. Others than loopback need keys and TLS, or allowInsecure.',
  ),
  grpcPort: field(port.default(7337), 'Port of gRPC; 0 picks a free one.'),
  httpPort: field(port.default(8337), 'Port of HTTP; 0 picks a free one. PORT sets it too.'),
  allowedHosts: field(
    z.array(z.string()).default([]),
    'Host headers taken over HTTP beside those of the address listened on.',
  ),
  allowInsecure: field(z.boolean().default(false), 'Listen beyond loopback without keys or TLS.'),
  tls: field(
    z.strictObject({ cert: z.string(), key: z.string() }).optional(),
    'PEM files of the certificate chain and its key, for both ports.',
  ),
  apiKeys: field(z.array(apiKey).default([]), 'Keys that may call. Without any, everybody may.'),
  dataDir: field(z.string().min(1).default('./asktell-data'), 'Where sessions are stored.'),
  store: field(z.enum(['lmdb', 'memory']).default('lmdb'), 'Store of sessions; memory forgets them at the end.'),
  snapshotRecords: field(
    positive.default(2000),
    'Changes of a session after which its state is written anew, so that less is replayed after a crash.',
  ),
  engine: field(
    z.enum(['auto', ...ENGINES]).default('wasm'),
    'Engine of the rules of new sessions; auto takes the best that runs here.',
  ),
  wasmThreads: field(
    z.int().min(1).max(256).optional(),
    'Threads of the wasm engine for a step of 1,048,576 parameters or more; 1 leaves it to the thread that serves calls. As many as there are cores, at most 16, when absent, and 1 while they are taken.',
  ),
  maxMessageBytes: field(positive.default(64 << 20), 'Largest message or body taken.'),
  maxGradientBytes: field(
    positive.default(2 ** 31),
    'Most bytes of gradients, decoded, that a stream may send ahead of its step or that a step may hold.',
  ),
  sharedDirectory: field(
    z.string().min(1).optional(),
    'Directory for files through which clients on this host pass tensors, such as /dev/shm. None when absent.',
  ),
  sharedBytes: field(positive.default(2 ** 31), 'Most bytes of all files in sharedDirectory.'),
  maxConcurrentStreams: field(positive.default(1024), 'Calls at the same time on one gRPC connection.'),
  drainSeconds: field(z.number().min(0).default(10), 'Time for calls in flight after SIGTERM.'),
  llmEndpoints: field(
    z.record(z.string(), endpoint).default({}),
    'Language models that sessions may name as resolver.',
  ),
  logLevel: field(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    'Least level that is logged. LOG_LEVEL sets it too.',
  ),
  otlpEndpoint: field(z.url().optional(), 'OTLP/HTTP collector for traces. OTEL_EXPORTER_OTLP_ENDPOINT sets it too.'),
})
export type Config = z.infer<typeof configSchema>
export type LlmEndpoint = z.infer<typeof endpoint>

type Key = keyof Config
export type Origin = 'flag' | 'environment' | 'file' | 'default'
export type LoadedConfig = { config: Config; origins: { readonly [K in Key]: Origin } }

const KEYS = Object.keys(configSchema.shape) as Key[]
/** Names that other tools have made customary. ASKTELL_ names win over them. */
const CUSTOMARY: { readonly [name: string]: Key } = {
  PORT: 'httpPort',
  LOG_LEVEL: 'logLevel',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'otlpEndpoint',
}
/** Names that the clients and the command line read, on a machine where a server may run too. */
const CLIENT_NAMES = new Set(['ASKTELL_CONFIG', 'ASKTELL_TARGET', 'ASKTELL_API_KEY'])
const SECRETS = /key$|^sha256$/i

const envName = (key: string): string => `ASKTELL_${key.replace(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`
const ENV_KEYS = new Map(KEYS.map((key) => [envName(key), key]))

const invalid = (issues: Issue[]): never => {
  const [first] = issues
  throw new AsktellError('CONFIG_INVALID', `${first.path}: ${first.message}`, { issues })
}

/** A value of the environment as YAML, so that numbers, booleans and lists need no rules of their own. */
function fromText(key: Key, text: string, name: string): unknown {
  if (configSchema.shape[key].safeParse(text).success) return text
  try {
    return parseYaml(text)
  } catch (error) {
    return invalid([{ path: name, message: (error as Error).message }])
  }
}

const readSecret = (path: string, name: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    return invalid([{ path: name, message: `cannot be read: ${(error as Error).message}` }])
  }
}

function fromEnvironment(env: NodeJS.ProcessEnv): Partial<Record<Key, unknown>> {
  const values: Partial<Record<Key, unknown>> = {}
  for (const [name, key] of Object.entries(CUSTOMARY)) if (env[name]) values[key] = fromText(key, env[name], name)
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('ASKTELL_') || text === undefined || CLIENT_NAMES.has(name)) continue
    const [key, value] = name.endsWith('_FILE')
      ? [ENV_KEYS.get(name.slice(0, -'_FILE'.length)), readSecret(text, name)]
      : [ENV_KEYS.get(name), text]
    if (!key)
      return invalid([{ path: name, message: `no setting has this name; known: ${[...ENV_KEYS.keys()].join(', ')}` }])
    values[key] = fromText(key, value, name)
  }
  return values
}

function fromFile(path: string): Record<string, unknown> {
  let content: unknown
  try {
    content = parseYaml(readFileSync(path, 'utf8')) ?? {}
  } catch (error) {
    return invalid([{ path, message: (error as Error).message }])
  }
  if (typeof content !== 'object' || Array.isArray(content))
    return invalid([{ path, message: 'expected a mapping of settings' }])
  return content as Record<string, unknown>
}

/**
 * The configuration, each value checked, or CONFIG_INVALID that lists all that is wrong, located by flag, variable or
 * file. `flags` hold what was given on the command line by the schema's names; `config` among them, or ASKTELL_CONFIG,
 * names the file.
 */
export function loadConfig(flags: Record<string, unknown> = {}, env: NodeJS.ProcessEnv = process.env): LoadedConfig {
  const { config: path = env.ASKTELL_CONFIG, ...given } = flags
  const layers: [Origin, Record<string, unknown>][] = [
    ['flag', Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))],
    ['environment', fromEnvironment(env)],
    ['file', typeof path === 'string' && path ? fromFile(path) : {}],
  ]
  const merged: Record<string, unknown> = {}
  const origins = Object.fromEntries(KEYS.map((key) => [key, 'default'])) as Record<string, Origin>
  for (const [origin, values] of layers.reverse())
    for (const [key, value] of Object.entries(values)) {
      merged[key] = value
      origins[key] = origin
    }
  const parsed = configSchema.safeParse(merged)
  if (!parsed.success)
    return invalid(
      parsed.error.issues.map((issue) => {
        const where = [...issue.path, ...(issue.code === 'unrecognized_keys' ? issue.keys : [])]
        const origin = origins[String(where[0])]
        return { path: fieldPath(where), message: issue.message + (origin ? ` (from ${origin})` : '') }
      }),
    )
  const config = parsed.data
  for (const [name, llm] of Object.entries(config.llmEndpoints))
    if (llm.apiKeyFile) llm.apiKey = readSecret(llm.apiKeyFile, `llmEndpoints.${name}.apiKeyFile`)
  checkExposure(config)
  return { config, origins: origins as LoadedConfig['origins'] }
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

function checkExposure(config: Config): void {
  if (isLoopback(config.host) || config.allowInsecure) return
  const missing = [...(config.apiKeys.length === 0 ? ['apiKeys'] : []), ...(config.tls ? [] : ['tls'])]
  if (missing.length > 0)
    invalid([
      {
        path: 'host',
        message: `${config.host} is not loopback: set ${missing.join(' and ')}, or pass --allow-insecure`,
      },
    ])
}

/** Every setting with its value and where it came from; secrets are hidden. */
export function configPrint({ config, origins }: LoadedConfig): { key: string; value: unknown; origin: Origin }[] {
  const redact = (name: string, value: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => redact('', item))
    if (value !== null && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redact(key, inner)]))
    return SECRETS.test(name) && typeof value === 'string' ? '[redacted]' : value
  }
  return KEYS.map((key) => ({ key, value: redact('', config[key]), origin: origins[key] }))
}
