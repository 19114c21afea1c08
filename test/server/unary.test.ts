import { describe, expect, it } from 'vitest'
import { harness, json, SEARCH, searchSession, tensorSession } from './clients.js'

const h = harness()

describe('calls over gRPC', () => {
  it('creates, asks, tells, steps, reports, lists, deletes', async () => {
    const { grpc } = h
    const session = await grpc.unary('createSession', { session: searchSession, sessionId: 'a' })
    expect(session.name).toBe('sessions/a')
    const asked = await grpc.unary('ask', { name: 'sessions/a', count: 2 })
    expect(asked.queries.map((q) => q.points[0].kind)).toEqual([
      { case: 'params', value: { x: 1 } },
      { case: 'params', value: { x: 1 } },
    ])
    const told = await grpc.unary('tell', {
      name: 'sessions/a',
      observations: [{ queryId: asked.queries[0].id, values: [{ values: [0.5] }] }],
    })
    expect(told.queries).toEqual([])
    const stepped = await grpc.unary('step', {
      name: 'sessions/a',
      observations: [{ queryId: asked.queries[1].id, values: [{ values: [0.25] }] }],
      requestId: 'r1',
    })
    expect(stepped.queries).toHaveLength(1)
    expect(stepped.metrics.told).toBe(2)
    expect((await grpc.unary('step', { name: 'sessions/a', requestId: 'r1' })).repeatedRequest).toBe(true)
    const verdict = await grpc.unary('report', { name: 'sessions/a', queryId: 'q2', step: 1n, value: 11 })
    expect(verdict.shouldPrune).toBe(true)
    expect((await grpc.unary('getEstimate', { name: 'sessions/a' })).step).toBe(2n)
    expect((await grpc.unary('listTrials', { parent: 'sessions/a' })).trials).toHaveLength(3)
    expect((await grpc.unary('listSessions', {})).sessions).toHaveLength(1)
    const patched = await grpc.unary('updateSession', { session: { name: 'sessions/a', displayName: 'named' } })
    expect(patched.displayName).toBe('named')
    expect((await grpc.unary('forkSession', { name: 'sessions/a', sessionId: 'b' })).forkedFrom).toMatch(
      /^sessions\/a@/,
    )
    await grpc.unary('deleteSession', { name: 'sessions/b' })
    await grpc.unary('deleteSession', { name: 'sessions/a' })
    expect((await grpc.unary('listSessions', {})).sessions).toEqual([])
  })

  it('moves tensors as packed bytes, at any alignment', async () => {
    const { grpc } = h
    await grpc.unary('createSession', { session: tensorSession([3]), sessionId: 't' })
    const asked = await grpc.unary('ask', { name: 'sessions/t' })
    const gradient = new Uint8Array(Float32Array.of(1, -2, 4).buffer)
    const stepped = await grpc.unary('step', {
      name: 'sessions/t',
      observations: [{ queryId: asked.queries[0].id, gradients: [{ tensors: [{ name: 'w', data: gradient }] }] }],
    })
    const { kind } = stepped.queries[0].points[0]
    if (kind.case !== 'tensors') throw new Error(`expected tensors, got ${kind.case}`)
    const [{ data, name }] = kind.value.tensors
    expect(name).toBe('w')
    expect([...new Float32Array(new Uint8Array(data).buffer)]).toEqual([...Float32Array.of(-0.1, 0.2, -0.4)])
    await grpc.unary('deleteSession', { name: 'sessions/t' })
  })
})

describe('the same calls over HTTP', () => {
  it('creates, asks, tells, steps and deletes', async () => {
    const created = await json(`${h.url}/v1/sessions`, 'POST', { session: SEARCH, sessionId: 'h' })
    expect(created.status).toBe(200)
    expect(await created.json()).toMatchObject({ name: 'sessions/h', state: 'SESSION_STATE_RUNNING' })
    const asked = await (await json(`${h.url}/v1/sessions/h:ask`, 'POST', {})).json()
    expect(asked.queries[0].points[0]).toEqual({ params: { x: 1 } })
    const told = await json(`${h.url}/v1/sessions/h:tell`, 'POST', {
      observations: [{ queryId: asked.queries[0].id, values: [{ values: [1] }] }],
    })
    expect(await told.json()).toMatchObject({ revision: '3' })
    const listed = await (await fetch(`${h.url}/v1/sessions?page_size=5`)).json()
    expect(listed.sessions).toHaveLength(1)
    const patched = await json(`${h.url}/v1/sessions/h`, 'PATCH', {
      session: { displayName: 'n' },
      updateMask: 'displayName',
    })
    expect(await patched.json()).toMatchObject({ displayName: 'n' })
    expect((await fetch(`${h.url}/v1/sessions/h`, { method: 'DELETE' })).status).toBe(200)
    expect((await fetch(`${h.url}/v1/sessions/h`)).status).toBe(404)
  })
})
