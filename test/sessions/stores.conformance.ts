/** What every store must do. A new store joins with one call of `storeConformance`. */
import { afterEach, describe, expect, it } from 'vitest'
import { LEDGER, type Store } from '../../src/sessions/stores/store.js'

const bytes = (...values: number[]) => Uint8Array.from(values)
const plain = (value: Uint8Array | undefined) => value && [...value]

/** `reopen` closes a store and opens it again on the same data; absent for stores that forget. */
export function storeConformance(
  name: string,
  create: () => Promise<Store>,
  reopen?: (store: Store) => Promise<Store>,
) {
  describe(`store: ${name}`, () => {
    let store: Store
    const fresh = async () => (store = await create())
    afterEach(() => store.close())

    const records = async (session: string, after = 0, limit = 100) =>
      (await store.records(session, after, limit)).map(({ revision, bytes }) => [revision, ...bytes])

    it('finds nothing where nothing was written', async () => {
      await fresh()
      expect(await store.spec('a')).toBeUndefined()
      expect(await store.head('a')).toBeUndefined()
      expect(await store.heads('', 10)).toEqual([])
      expect(await records('a')).toEqual([])
      expect(await store.snapshots('a')).toEqual([])
      expect(await store.snapshot('a', 1)).toBeUndefined()
      expect(await store.request('a', 'r')).toBeUndefined()
    })

    it('keeps what a batch put, each kind and session apart', async () => {
      await fresh()
      await store.write([
        {
          session: 'a',
          spec: bytes(1),
          head: bytes(2),
          records: [1, 2, 300].map((revision) => ({ revision, bytes: bytes(revision % 256) })),
          snapshot: { revision: 2, bytes: bytes(4) },
          requests: [{ id: 'r', bytes: bytes(5) }],
        },
        { session: 'ab', head: bytes(6), records: [{ revision: 1, bytes: bytes(7) }] },
        { session: LEDGER, requests: [{ id: 'r', bytes: bytes(8) }] },
      ])
      const check = async () => {
        expect(plain(await store.spec('a'))).toEqual([1])
        expect(plain(await store.head('a'))).toEqual([2])
        expect(await records('a')).toEqual([
          [1, 1],
          [2, 2],
          [300, 44],
        ])
        expect(await records('a', 1, 1)).toEqual([[2, 2]])
        expect(await records('ab')).toEqual([[1, 7]])
        expect(await store.snapshots('a')).toEqual([2])
        expect(plain(await store.snapshot('a', 2))).toEqual([4])
        expect(plain(await store.request('a', 'r'))).toEqual([5])
        expect(plain(await store.request(LEDGER, 'r'))).toEqual([8])
        expect(await store.request('ab', 'r')).toBeUndefined()
        expect((await store.heads('', 10)).map(({ session }) => session)).toEqual(['a', 'ab'])
      }
      await check()
      if (reopen) {
        store = await reopen(store)
        await check()
      }
    })

    it('lists heads in order, page by page', async () => {
      await fresh()
      for (const session of ['c', 'a', 'e', 'b', 'd', 'a-1', 'a.1']) await store.write([{ session, head: bytes(1) }])
      const all: string[] = []
      for (let after = ''; ; ) {
        const page = await store.heads(after, 2)
        all.push(...page.map(({ session }) => session))
        if (page.length < 2) break
        after = all[all.length - 1]
      }
      expect(all).toEqual(['a', 'a-1', 'a.1', 'b', 'c', 'd', 'e'])
    })

    it('overwrites, truncates, drops and removes', async () => {
      await fresh()
      const at = (revision: number) => ({ revision, bytes: bytes(revision) })
      await store.write([
        { session: 'a', spec: bytes(1), head: bytes(1), records: [1, 2, 3, 4].map(at), snapshot: at(1) },
      ])
      await store.write([{ session: 'a', truncate: 2, records: [{ revision: 3, bytes: bytes(9) }], snapshot: at(3) }])
      expect(await records('a')).toEqual([
        [1, 1],
        [2, 2],
        [3, 9],
      ])
      await store.write([
        { session: 'a', head: bytes(2), dropSnapshots: [1], requests: [{ id: 'r', bytes: bytes(1) }] },
      ])
      await store.write([{ session: 'a', forget: 1 }])
      expect(await records('a')).toEqual([
        [2, 2],
        [3, 9],
      ])
      expect(await store.snapshots('a')).toEqual([3])
      expect(plain(await store.head('a'))).toEqual([2])
      await store.write([{ session: 'a', requests: [{ id: 's', bytes: bytes(2) }], dropRequests: ['r'] }])
      const ids: string[] = []
      for await (const { id } of store.requests('a')) ids.push(id)
      expect(ids).toEqual(['s'])
      await store.write([
        { session: 'a', remove: true },
        { session: LEDGER, requests: [{ id: 'gone', bytes: bytes(1) }] },
      ])
      expect(await store.spec('a')).toBeUndefined()
      expect(await records('a')).toEqual([])
      expect(await store.snapshots('a')).toEqual([])
      expect(await store.request('a', 's')).toBeUndefined()
      expect(await store.heads('', 10)).toEqual([])
      expect(plain(await store.request(LEDGER, 'gone'))).toEqual([1])
    })

    it('gives back large values bit for bit', async () => {
      await fresh()
      const large = new Uint8Array(20_000_000).map((_, i) => (i * 2654435761) >>> 24)
      await store.write([{ session: 'a', snapshot: { revision: 1, bytes: large } }])
      const found = await store.snapshot('a', 1)
      expect(found && Buffer.compare(found, large)).toBe(0)
    })

    it('takes many writes at once, in order', async () => {
      await fresh()
      await Promise.all(
        Array.from({ length: 500 }, (_, i) =>
          store.write([
            { session: `s${i % 7}`, head: bytes(i % 256), records: [{ revision: i + 1, bytes: bytes(i % 256) }] },
          ]),
        ),
      )
      expect(await records('s3', 0, 1000)).toHaveLength(71)
      expect(plain(await store.head('s3'))).toEqual([(3 + 70 * 7) % 256])
    })

    it('values that were read do not change under later writes', async () => {
      await fresh()
      await store.write([{ session: 'a', head: bytes(1, 2, 3) }])
      const before = await store.head('a')
      await store.write([{ session: 'a', head: bytes(4, 5, 6) }])
      expect(plain(before)).toEqual([1, 2, 3])
    })

    it('says that it takes writes', async () => {
      await fresh()
      await store.probe()
      expect(await store.heads('', 10)).toEqual([])
    })
  })
}
