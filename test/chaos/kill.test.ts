/**
 * kill -9 of the server at random instants, under load: no acknowledged tell is lost, none is applied twice, and every
 * session goes on bit for bit as one that was never disturbed. CHAOS_KILLS sets how many kills.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AsktellError, isRetryable, toError } from '../../clients/typescript/src/errors.js'
import type { StepResult } from '../../clients/typescript/src/query.js'
import { Transport } from '../../clients/typescript/src/transport.js'
import { draws, freePort, ServerProcess, sleep, startProcess, temporaryDirectory } from '../server-process.js'
import { allMethods, Player, plans, type Send, written } from './player.js'

const KILLS = Number(process.env.CHAOS_KILLS ?? 300)
const FLAGS = ['--snapshot-records', '10']
/** Sessions at the same time; each is followed by one of the next plan. */
const WORKERS = 32
/** Milliseconds between two calls of a worker. */
const PAUSE = 30
/** Tells that are acknowledged in a life, on average: a slow machine gets as far as a fast one. */
const LIFE = 12
/** Tells that every session takes after the last kill. */
const AFTER = 6

const directory = temporaryDirectory()
afterAll(() => directory.remove())

type Life = { transport: Transport; over: Promise<unknown> }

/** All that are played or were. */
const players: Player[] = []
/** Requests that were sent again after a kill and answered from the store. */
let resent = 0
/** Calls that a kill interrupted, by what the client saw. */
const interrupted = new Map<string, number>()
let kills = 0
let early = 0

describe(`${KILLS} kills`, { timeout: 30 * 60_000 }, () => {
  beforeAll(async () => {
    await disturb()
  }, 30 * 60_000)

  it('came at every stage of a life, on every method', () => {
    expect(kills).toBeGreaterThanOrEqual(KILLS)
    expect(players.map(({ plan }) => plan.method.id)).toEqual(expect.arrayContaining(allMethods.map(({ id }) => id)))
    if (KILLS >= 300) expect(spared()).toEqual([])
    console.log(
      `${kills} kills, ${early} of them before the server was ready; ${players.length} sessions, ` +
        `${players.reduce((sum, { told }) => sum + told, 0)} acknowledged tells, ${resent} requests sent again; interrupted calls:`,
      Object.fromEntries(interrupted),
    )
  })

  it('every session went on bit for bit as an undisturbed one, with each tell applied once', async () => {
    const kept = await startProcess(FLAGS, directory.path)
    const fresh = await startProcess()
    const [disturbed, calm] = [new Transport(kept.target), new Transport(fresh.target)]
    const played = [...players]
    const compare = async () => {
      for (let player = played.pop(); player; player = played.pop()) {
        const before = await player.session(disturbed).get()
        expect(Number(before.counts?.told), player.id).toBe(player.told)
        expect(Number(before.revision), player.id).toBe(player.revision)

        const twin = new Player(player.plan, player.seed)
        while (twin.trace.length < player.trace.length) await twin.play((call) => call(calm))
        const differs = player.trace.findIndex((answer, i) => answer !== twin.trace[i])
        expect(player.trace.length, player.id).toBe(twin.trace.length)
        expect(player.trace[differs], `${player.id}, answer ${differs}`).toBe(twin.trace[differs])
        expect(before.stateHash, player.id).toBe((await twin.session(calm).get()).stateHash)

        for (const at of [0, player.answered.length >> 1, player.answered.length - 1]) {
          const { again, answer } = player.answered[at]
          const repeat = await again(disturbed)
          expect(repeat, player.id).toMatchObject({ repeated: true, revision: answer.revision, state: answer.state })
          // A view of a state that is gone is left out, and said so; all else is what it was then.
          const shown = new Set(repeat.queries.map(({ id }) => id))
          const asked = ({ queries }: StepResult) =>
            queries.filter(({ id }) => shown.has(id)).map(({ id, points }) => ({ id, points }))
          expect(asked(repeat), player.id).toEqual(asked(answer))
          if (shown.size < answer.queries.length) expect(repeat.short, player.id).toContain('answered since')
        }
        const after = await player.session(disturbed).get()
        expect([after.stateHash, after.revision]).toEqual([before.stateHash, before.revision])
      }
    }
    try {
      await Promise.all(Array.from({ length: 8 }, compare))
    } finally {
      disturbed.close()
      calm.close()
      await kept.stop()
      await fresh.stop()
    }
  })
})

/** Methods of which no session has met a kill. */
function spared(): string[] {
  const hit = new Set(players.filter(({ kills }) => kills > 0).map(({ plan }) => plan.method.id))
  return allMethods.map(({ id }) => id).filter((id) => !hit.has(id))
}

/** Plays all plans while the server is killed again and again, then lets every session go on for a while. */
async function disturb() {
  const options = {
    dataDir: directory.path,
    grpcPort: await freePort(),
    httpPort: await freePort(),
    flags: FLAGS,
  }
  const target = `127.0.0.1:${options.grpcPort}`
  const { uniform, exponential } = draws(Number(process.env.CHAOS_SEED ?? 1))
  /** For half of the workers: one connection that outlives every kill, with the retries of the client itself. */
  const patient = new Transport(target, { retries: 10_000 })
  let life: Life | undefined
  let begin = (_: Life) => {}
  let next = new Promise<Life>((resolve) => {
    begin = resolve
  })
  let failure: unknown
  let ending = false

  /** For the other half: connections of their own to each life of the server, and the same request until it is answered. */
  const insist: Send = async (call) => {
    for (;;) {
      const { transport, over } = life ?? (await next)
      try {
        return await call(transport)
      } catch (thrown) {
        const error = toError(thrown)
        if (!isRetryable(error)) throw error
        const { reason, message } = error as AsktellError
        const what = `${reason}: ${message.replace(/\d+/g, '#').slice(0, 80)}`
        interrupted.set(what, (interrupted.get(what) ?? 0) + 1)
        await Promise.race([over, sleep(20)])
      }
    }
  }

  const work = async (index: number) => {
    const send: Send = index % 2 === 0 ? (call) => call(patient) : insist
    const { uniform: pause, integer } = draws(1000 + index)
    while (!ending || players.length < plans.length) {
      const player = new Player(plans[players.length % plans.length], 1 + Math.floor(players.length / plans.length))
      players.push(player)
      let goal = Infinity
      while (!player.done && player.told < goal) {
        await player.play(send)
        if (ending) goal = Math.min(goal, player.told + AFTER)
        // The next request would have to wait for this check in any case: a session has one worker here.
        if (player.answered.length > 0 && integer(40) === 0) await repeat(player, integer(player.answered.length), send)
        await sleep(pause(0, ending ? 1 : 2 * PAUSE))
      }
    }
  }
  const workers = Array.from({ length: WORKERS }, (_, index) =>
    work(index).catch((error) => {
      failure ??= error
    }),
  )

  /** When so many more tells are acknowledged, or after four seconds. */
  const acknowledged = async (tells: number) => {
    const all = () => players.reduce((sum, { told }) => sum + told, 0)
    const goal = all() + tells
    for (const end = performance.now() + 4000; all() < goal && performance.now() < end && failure === undefined; )
      await sleep(5)
  }

  let startup = 1000
  let server: ServerProcess | undefined
  try {
    while (failure === undefined) {
      const started = performance.now()
      const promised = players.map((player) => ({ player, told: player.told }))
      server = new ServerProcess(options)
      // Until every method has met one, but at most twice as many.
      const last = kills >= (KILLS >= 300 && spared().length > 0 ? 2 * KILLS : KILLS)
      // Three in ten while it starts and recovers, the others at any time after.
      const inStart = !last && uniform(0, 1) < 0.3
      const dies = inStart ? sleep(uniform(0, 1.3 * startup)).then(() => 'dies') : new Promise<never>(() => {})
      const ready = server.ready.then(() => 'ready')
      if ((await Promise.race([ready, dies])) === 'ready') {
        startup = 0.9 * startup + 0.1 * (performance.now() - started)
        // grpc-js shares connections by the text of the target, also those that wait before they are tried again.
        const transport = new Transport(`dns://127.1.${kills >> 8}.${kills & 255}/${target}`, { retries: 0 })
        life = { transport, over: server.exited }
        begin(life)
        const lived = (inStart ? dies : acknowledged(exponential(LIFE))).catch(() => {})
        await keptPromises(patient, promised).catch((error) => {
          failure ??= error
        })
        if (last) {
          ending = true
          await Promise.all(workers)
        } else await lived
        next = new Promise((resolve) => {
          begin = resolve
        })
        life = undefined
        if (server.ended) failure ??= new Error('the server ended by itself')
        await server.kill()
        transport.close()
      } else {
        early++
        await server.kill()
      }
      if (last) break
      kills++
      for (const player of players) if (!player.done) player.kills++
    }
  } finally {
    await server?.kill()
    patient.close()
  }
  if (failure !== undefined)
    throw new Error(`after ${kills} kills, ${early} early: ${failure}\n${server?.log}`, { cause: failure })
}

/** After a restart: what was acknowledged before the kill is there, and nothing that was not sent. */
async function keptPromises(transport: Transport, promised: readonly { player: Player; told: number }[]) {
  const request = { pageSize: 1000, pageToken: '' }
  const told = new Map<string, number>()
  do {
    const page = await transport.unary(transport.methods.listSessions, request)
    for (const { name, counts } of page.sessions) told.set(name.slice('sessions/'.length), Number(counts?.told))
    request.pageToken = page.nextPageToken
  } while (request.pageToken)
  for (const { player, told: least } of promised) {
    const found = told.get(player.id) ?? 0
    if (found < least || found > player.sent)
      throw new Error(
        `${player.id}: ${least} tells were acknowledged, ${player.sent} sent, and the server has ${found}`,
      )
  }
}

/** Sends an old request again: the stored answer comes back, and nothing changes. */
async function repeat(player: Player, at: number, send: Send) {
  const hash = async () => {
    const { stateHash, revision } = await send((transport) => player.session(transport).get())
    return { stateHash, revision }
  }
  const before = await hash()
  const { again, answer } = player.answered[at]
  const result = await send(again)
  if (!result.repeated) throw new Error(`${player.id}: request ${at} was applied again`)
  // Of older answers the points that were views of the state are gone.
  if (at === player.answered.length - 1 && written(result) !== written(answer))
    throw new Error(`${player.id}: request ${at} got another answer:\n${written(result)}\n${written(answer)}`)
  if (JSON.stringify(await hash(), show) !== JSON.stringify(before, show))
    throw new Error(`${player.id}: request ${at}, sent again, changed the state`)
  resent++
}
const show = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
