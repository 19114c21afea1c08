/** `asktell serve`: every field of the server's configuration schema is a flag. */
import { setFlagsFromString } from 'node:v8'
import type { Command } from 'commander'
import { parse } from 'yaml'
import { closeOnSignals, configPrint, configSchema, loadConfig, startServer } from '../server/index.js'
import { print, printJson, printTable } from './output.js'

const kebab = (key: string) => key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)
const isBoolean = (key: string) => configSchema.shape[key as keyof typeof configSchema.shape].safeParse(true).success

function withConfigFlags(command: Command): Command {
  command.option('--config <file>', 'YAML file with any of these settings')
  for (const [key, schema] of Object.entries(configSchema.shape)) {
    const description = schema.description ?? ''
    if (isBoolean(key)) command.option(`--${kebab(key)}`, description)
    // Numbers, lists and maps are given as YAML; what is no valid YAML stays text.
    else command.option(`--${kebab(key)} <value>`, description, (text: string) => readFlag(key, text))
  }
  return command
}

function readFlag(key: string, text: string): unknown {
  const schema = configSchema.shape[key as keyof typeof configSchema.shape]
  return schema.safeParse(text).success ? text : parse(text)
}

export function addServeCommands(program: Command): void {
  withConfigFlags(program.command('serve').description('start a server'))
    .option('--json', 'print the ready line as JSON')
    .action(async ({ json, ...flags }: Record<string, unknown>) => {
      // Messages of megabytes count as growth of the heap: with V8's own limit it is marked anew every few of them.
      setFlagsFromString('--heap-growing-percent=200')
      const { config } = loadConfig(flags)
      const where = config.store === 'memory' ? 'in memory: gone when the server stops' : config.dataDir
      const onReady = (line: string) => {
        if (json) return print(line)
        const { host, grpcPort, httpPort, version, engine } = JSON.parse(line)
        const scheme = config.tls ? 'https' : 'http'
        print(`asktell ${version}`)
        print(`  gRPC  ${host}:${grpcPort}`)
        print(`  HTTP  ${scheme}://${host}:${httpPort}  (docs at /docs)`)
        print(`  data  ${where}`)
        print(`  rules on ${engine}`)
      }
      closeOnSignals(await startServer(config, { onReady }))
    })

  withConfigFlags(
    program.command('config').description("print the server's effective configuration and where it is from"),
  )
    .option('--json', 'print JSON')
    .action(({ json, ...flags }: Record<string, unknown>) => {
      const settings = configPrint(loadConfig(flags))
      if (json) printJson(settings)
      else
        printTable(
          ['SETTING', 'VALUE', 'FROM'],
          settings.map(({ key, value, origin }) => [key, value === undefined ? '' : JSON.stringify(value), origin]),
        )
    })
}
