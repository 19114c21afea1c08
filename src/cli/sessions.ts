/** The commands that talk to a server. */

import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { MethodSchema } from '../../clients/typescript/src/gen/asktell/v1/method_pb.js'
import { SessionSchema, SessionState } from '../../clients/typescript/src/gen/asktell/v1/session_pb.js'
import {
  ANALYSIS_KINDS,
  type AnalyzeOptions,
  Client,
  IMPORTANCE_METHODS,
  type ImportanceMethod,
  type Params,
  type Query,
  type StepResult,
} from '../../clients/typescript/src/index.js'
import { FIGURES } from '../optimizers/step-diagnostics.js'
import { printAnalysis } from './analysis.js'
import {
  readData,
  readInteger,
  readNumber,
  readNumbers,
  readObject,
  readObservations,
  readRanking,
  readSpace,
} from './input.js'
import { messageJson, print, printJson, printTable, short } from './output.js'

type Options = { server: string; apiKey?: string; tls?: boolean; ca?: string; json?: boolean; [name: string]: unknown }

const connect = ({ server, apiKey, tls, ca }: Options) =>
  new Client(server, { apiKey, tls: ca ? { ca: readFileSync(ca) } : tls })
const STATUSES = ['ok', 'failed', 'infeasible', 'pruned', 'cancelled'] as const

function printQuery({ id, trial, points, wants, purpose, leaseUntil }: Query) {
  const asks = wants.map((want) => want.kind).join(', ')
  print(`query ${id}${trial === undefined ? '' : `  trial ${trial}`}  wants ${asks}${purpose ? `  (${purpose})` : ''}`)
  for (const { params, text, item, tensors } of points) {
    if (tensors) for (const [name, values] of Object.entries(tensors)) print(`  ${name}: ${preview(values)}`)
    else print(`  ${JSON.stringify(params ?? text ?? item)}`)
  }
  if (leaseUntil) print(`  yours until ${leaseUntil.toISOString()}`)
}

const preview = (values: ArrayLike<number>): string => {
  const head = Array.from({ length: Math.min(6, values.length) }, (_, i) => short(values[i])).join(', ')
  return values.length > 6 ? `[${head}, … ${values.length} in all]` : `[${head}]`
}

function printStep(result: StepResult, json?: boolean) {
  if (json) return printJson(result)
  for (const query of result.queries) printQuery(query)
  if (result.short) print(`fewer queries than wanted: ${result.short}`)
  print(`revision ${result.revision}, ${result.state}${result.statusMessage ? `: ${result.statusMessage}` : ''}`)
}

export function addSessionCommands(program: Command): void {
  const command = (usage: string, description: string) =>
    program
      .command(usage)
      .description(description)
      .option('-s, --server <host:port>', 'gRPC address', process.env.ASKTELL_TARGET ?? '127.0.0.1:7337')
      .option('--api-key <key>', 'API key', process.env.ASKTELL_API_KEY)
      .option('--tls', 'the server speaks TLS')
      .option('--ca <file>', 'PEM file of the authorities to trust, with TLS')
      .option('--json', 'print JSON')

  command('create', 'create a session')
    .requiredOption('-m, --method <id>', 'what runs in it; see `asktell methods`')
    .requiredOption('--space <data>', 'JSON or YAML: inline, a file, or - for standard input')
    .option('--config <data>', "the method's configuration")
    .addOption(
      new Option('--direction <direction>', 'of the objective').choices(['minimize', 'maximize']).default('minimize'),
    )
    .option('--pruner <id>', 'id of a pruner, such as median or asha')
    .option('--pruner-config <data>')
    .option('--max-evaluations <n>', 'end after so many observations', readInteger(1))
    .option('--seed <n>', 'same seed, same session', readInteger(0))
    .option('--prefetch <n>', 'suggestions made ahead, while workers evaluate', readInteger(0))
    .option('--warm-start-from <sessions...>', 'earlier sessions, from whose trials the method begins')
    .option('--id <id>', 'id of the session')
    .option('--display-name <name>')
    .option('--task <data>', '{"description": …, "examples": [{"input": …, "expected": …}]} for text sessions')
    .option('--resolver <endpoint>', "the operator's model endpoint that answers completion queries")
    .action(async (options: Options) => {
      const session = await connect(options).createSession({
        method: options.method as string,
        space: readSpace(options.space as string),
        config: readObject(options.config as string),
        direction: options.direction as 'minimize' | 'maximize',
        pruner: options.pruner
          ? { method: options.pruner as string, config: readObject(options.prunerConfig as string) }
          : undefined,
        budget: options.maxEvaluations ? { maxEvaluations: options.maxEvaluations as number } : undefined,
        seed: options.seed as number | undefined,
        prefetch: options.prefetch as number | undefined,
        warmStartFrom: options.warmStartFrom as string[] | undefined,
        id: options.id as string | undefined,
        displayName: options.displayName as string | undefined,
        task: readObject(options.task as string) as { description: string } | undefined,
        resolver: options.resolver ? { endpoint: options.resolver as string } : undefined,
      })
      if (options.json && session.info) printJson(messageJson(SessionSchema, session.info))
      else print(session.name)
    })

  command('ask <session>', 'queries to answer')
    .option('-n, --count <n>', 'how many', readInteger(1), 1)
    .option('--wait <seconds>', 'wait for one', readNumber, 0)
    .option('--worker <name>')
    .action(async (name: string, options: Options) => {
      const { count, wait, worker } = options as { count?: number; wait?: number; worker?: string }
      printStep(await connect(options).session(name).ask(count, { wait, worker }), options.json)
    })

  command('tell <session> [query]', 'observations')
    .option('--value <numbers...>', 'one per objective', readNumbers)
    .addOption(new Option('--status <status>', 'how it went').choices(STATUSES).default('ok'))
    .option('--ranking <order>', 'point indices, best first: 2,0,1', readRanking)
    .option('--observations <data>', 'one or several observations as JSON or YAML')
    .option('--request-id <id>', 'tell again under the same id and it is applied once')
    .action(async (name: string, queryId: string | undefined, options: Options) => {
      const { value, status, ranking, observations, requestId } = options as unknown as {
        value?: number[]
        status: (typeof STATUSES)[number]
        ranking?: number[]
        observations?: string
        requestId?: string
      }
      if (!observations && !queryId) throw new Error('expected the id of a query, or --observations')
      const told = observations
        ? readObservations(observations)
        : [{ queryId, status, values: value && [value], ranking }]
      printStep(await connect(options).session(name).tell(told, { requestId }), options.json)
    })

  command('report <session> <query>', 'an intermediate value; says whether to go on')
    .argument('<step>', 'how far the evaluation is', readInteger(0))
    .argument('<value>', 'its value there', readNumber)
    .action(async (name: string, queryId: string, step: number, value: number, options: Options) => {
      const { shouldPrune, reason } = await connect(options).session(name).report(queryId, step, value)
      if (options.json) printJson({ shouldPrune, reason })
      else print(`${shouldPrune ? 'stop' : 'go on'}: ${reason}`)
    })

  command('estimate <session>', 'the present answer').action(async (name: string, options: Options) => {
    const estimate = await connect(options).session(name).estimate()
    if (options.json) return printJson(estimate)
    print(`${estimate.kind} after ${estimate.step} steps`)
    for (const { point, values } of estimate.points) {
      const { params, text, item, tensors } = point
      print(`  ${values.map(short).join(', ')}  ${JSON.stringify(params ?? text ?? item ?? '')}`)
      for (const [tensor, numbers] of Object.entries(tensors ?? {})) print(`  ${tensor}: ${preview(numbers)}`)
    }
    for (const [metric, number] of Object.entries(estimate.metrics)) print(`  ${metric}: ${short(number)}`)
  })

  command('trials <session>', 'the trials of a session over a search space')
    .option('--filter <terms>', 'such as: state = COMPLETED', '')
    .action(async (name: string, options: Options) => {
      const trials = []
      for await (const trial of connect(options)
        .session(name)
        .trials(options.filter as string))
        trials.push(trial)
      if (options.json) return printJson(trials)
      printTable(
        ['TRIAL', 'STATE', 'VALUE', 'PARAMS'],
        trials.map((t) => [String(t.number), t.state, t.values.map(short).join(', ') || '-', JSON.stringify(t.params)]),
      )
    })

  command('analyze <session>', 'what the trials of a session over a search space say')
    .addOption(new Option('-k, --kind <kinds...>', 'what; all that there is when absent').choices(ANALYSIS_KINDS))
    .option('--objective <name>', 'the first when absent')
    .option('--parameters <names...>', 'of slices and parallel coordinates; the two of a contour')
    .addOption(
      new Option('--importance-method <method>').choices(IMPORTANCE_METHODS).default('ped-anova' as ImportanceMethod),
    )
    .option('--quantile <share>', 'of the trials that PED-ANOVA counts as the best', readNumber)
    .option('--resolution <n>', 'points along each axis of slices and contours', readInteger(2))
    .option('--points <data>', 'where to predict: a point as JSON or YAML, or a list of them')
    .option('--reference <numbers...>', 'the corner of hypervolumes, one per objective', readNumbers)
    .option('--plot <file>', 'draws it: .html or .svg')
    .action(async (name: string, options: Options) => {
      const file = options.plot as string | undefined
      if (file && !/\.(html|svg)$/.test(file))
        throw new Error(`expected a file that ends in .html or .svg, got ${file}`)
      const points = options.points ? readData(options.points as string) : []
      const analysis = await connect(options)
        .session(name)
        .analyze({
          ...(options as AnalyzeOptions),
          kinds: options.kind as AnalyzeOptions['kinds'],
          points: (Array.isArray(points) ? points : [points]) as unknown as Params[],
          charts: file !== undefined,
        })
      if (file) await (await import('./plot.js')).plot(analysis.charts, file)
      if (options.json) {
        const { charts: _, ...data } = analysis
        printJson(data)
      } else printAnalysis(analysis)
      if (file) process.stderr.write(`${analysis.charts.length} charts are in ${file}\n`)
    })

  command('enqueue <session>', 'points to ask first')
    .requiredOption('--params <data>', 'a point as JSON or YAML, or a list of them')
    .action(async (name: string, options: Options) => {
      const data = readData(options.params as string)
      const points = (Array.isArray(data) ? data : [data]).map((params) => ({ params: params as unknown as Params }))
      printStep(
        await connect(options)
          .session(name)
          .enqueue(...points),
        options.json,
      )
    })

  command('edit-space <session>', 'another search space; the method starts anew from the trials')
    .requiredOption('--space <data>', 'the whole new space, as for create')
    .option('--defaults <data>', 'what trials so far had of parameters that were not there before')
    .option('--drop-invalid', 'delete trials that are no points of the new space')
    .option('--reason <text>', 'for the audit trail')
    .action(async (name: string, options: Options) => {
      const info = await connect(options)
        .session(name)
        .editSpace(readSpace(options.space as string), {
          defaults: readObject(options.defaults as string) as Params | undefined,
          dropInvalid: options.dropInvalid as boolean | undefined,
          reason: options.reason as string | undefined,
        })
      if (options.json) printJson(messageJson(SessionSchema, info))
      else print(`${info.name} is at revision ${info.revision}`)
    })

  command('correct <session>', 'replace what was told of a trial')
    .argument('<trial>', 'its number', readInteger(0))
    .option('--value <numbers...>', 'one per objective', readNumbers)
    .addOption(new Option('--status <status>', 'how it went').choices(STATUSES).default('ok'))
    .option('--reason <text>', 'for the audit trail')
    .action(async (name: string, trial: number, options: Options) => {
      const { value, status, reason } = options as unknown as {
        value?: number[]
        status: (typeof STATUSES)[number]
        reason?: string
      }
      const observation = { status, values: value && [value] }
      const corrected = await connect(options).session(name).correctTrial(trial, observation, { reason })
      if (options.json) printJson(corrected)
      else print(`trial ${trial} is ${corrected.state}: ${corrected.values.map(short).join(', ') || '-'}`)
    })

  command('delete-trial <session>', 'end a trial, or make the method forget it')
    .argument('<trial>', 'its number', readInteger(0))
    .option('--reason <text>', 'for the audit trail')
    .action(async (name: string, trial: number, options: Options) => {
      const reason = options.reason as string | undefined
      const deleted = await connect(options).session(name).deleteTrial(trial, { reason })
      if (options.json) printJson(deleted)
      else print(`trial ${trial} is ${deleted.state}`)
    })

  command('audit <session>', 'who changed what by hand').action(async (name: string, options: Options) => {
    const entries = []
    for await (const entry of connect(options).session(name).audit()) entries.push(entry)
    if (options.json) return printJson(entries)
    printTable(
      ['REVISION', 'TIME', 'WHO', 'WHAT', 'TRIAL', 'REASON', 'BEFORE', 'AFTER'],
      entries.map((e) => [
        String(e.revision),
        e.time?.toISOString() ?? '',
        e.principal,
        e.action,
        e.trial === undefined ? '' : String(e.trial),
        e.reason,
        e.before ? JSON.stringify(e.before) : '',
        e.after ? JSON.stringify(e.after) : '',
      ]),
    )
  })

  command('watch <session>', 'events as they happen')
    .option('--after <revision>', 'from this revision on; 0 for all', readInteger(-1), -1)
    .action(async (name: string, options: Options) => {
      for await (const event of connect(options)
        .session(name)
        .watch(options.after as number)) {
        if (options.json) print(JSON.stringify(event))
        else {
          const trial = event.trial === undefined ? '' : ` trial ${event.trial}`
          const best = event.best === undefined ? '' : `  best ${short(event.best)}`
          const figures = FIGURES.filter((name) => event.metrics[name] !== undefined)
            .map((name) => `  ${name} ${short(event.metrics[name])}`)
            .join('')
          print(
            `${event.revision}  ${event.type}${trial}  ${event.values.map(short).join(', ')}${best}${figures}  ${event.message}`.trimEnd(),
          )
        }
        if (event.type === 'done') return
      }
    })

  command('sessions', 'the sessions of the server')
    .option('--filter <terms>', 'such as: method = "tpe" AND state = RUNNING', '')
    .action(async (options: Options) => {
      const sessions = []
      for await (const session of connect(options).listSessions(options.filter as string)) sessions.push(session)
      if (options.json) return printJson(sessions.map((session) => messageJson(SessionSchema, session)))
      printTable(
        ['SESSION', 'METHOD', 'STATE', 'REVISION', 'TOLD', 'NAME'],
        sessions.map((s) => [
          s.name.replace('sessions/', ''),
          s.method,
          SessionState[s.state].toLowerCase(),
          String(s.revision),
          String(s.counts?.told ?? 0),
          s.displayName,
        ]),
      )
    })

  command('methods [id]', 'what can run in a session; with an id, all about one')
    .option('--filter <terms>', 'such as: family = "bayes"', '')
    .action(async (id: string | undefined, options: Options) => {
      const client = connect(options)
      if (id) {
        const method = await client.describe(id)
        if (options.json) return printJson(messageJson(MethodSchema, method))
        print(`${method.id}: ${method.title}\n${method.summary}\n`)
        print(`asks for ${method.needs.join(', ')}; works on ${method.facts?.spaces.join(', ')}`)
        for (const { authors, title, year } of method.references) print(`${authors}: ${title} (${year})`)
        if (method.equations.length) print(`\n${method.equations.map((equation) => `  ${equation}`).join('\n')}`)
        const properties = (method.configSchema?.properties ?? {}) as Record<string, Record<string, unknown>>
        print()
        printTable(
          ['FIELD', 'DEFAULT', 'MEANING'],
          Object.entries(properties).map(([field, p]) => [
            field,
            p.default === undefined ? '' : JSON.stringify(p.default),
            String(p.description ?? ''),
          ]),
        )
        return
      }
      const methods = []
      for await (const method of client.methods(options.filter as string)) methods.push(method)
      if (options.json) return printJson(methods.map((method) => messageJson(MethodSchema, method)))
      printTable(
        ['METHOD', 'FAMILY', 'ASKS', 'TITLE'],
        methods.map((m) => [m.id, m.kind === 'pruner' ? 'pruner' : m.family, m.needs.join(', '), m.title]),
      )
    })

  command('fork <session>', 'a new session that begins as this one is, or was')
    .option('--revision <n>', 'as it was at this revision', readInteger(0))
    .option('--id <id>')
    .action(async (name: string, options: Options) => {
      const { revision, id } = options as { revision?: number; id?: string }
      print((await connect(options).session(name).fork({ revision, id })).name)
    })

  command('export <session> <file>', 'the session as one file').action(
    async (name: string, file: string, options: Options) => {
      await connect(options).session(name).export(file)
      print(`${name} is in ${file}`)
    },
  )

  command('import <file>', 'a session from a file')
    .option('--id <id>')
    .action(async (file: string, options: Options) => {
      print((await connect(options).importSession(file, options.id as string | undefined)).name)
    })

  command('delete <session>', 'delete a session and its history').action(async (name: string, options: Options) => {
    await connect(options).session(name).delete()
    print(`${name} is deleted`)
  })
}
