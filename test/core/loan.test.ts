import { expect, it } from 'vitest'
import { Loans } from '../../src/core/loan.js'

const read = (loan: { read(into: Uint8Array): number }, size: number) => {
  const into = new Uint8Array(size)
  return [...into.subarray(0, loan.read(into))]
}

it('reads an array as it was lent, also when it changes in the middle', () => {
  const loans = new Loans()
  const array = Uint8Array.of(1, 2, 3, 4, 5)
  const loan = loans.lend(array)
  expect(read(loan, 2)).toEqual([1, 2])
  loans.settle()
  array.fill(9)
  expect(read(loan, 2)).toEqual([3, 4])
  loans.settle()
  expect(read(loan, 2)).toEqual([5])
  expect(read(loan, 2)).toEqual([])
})

it('copies nothing while nothing changes, nor what was read to its end', () => {
  const loans = new Loans()
  const array = Uint8Array.of(1, 2)
  const [late, done] = [loans.lend(array), loans.lend(array)]
  expect(read(done, 2)).toEqual([1, 2])
  // Lent arrays are read in place: without `settle` a change is seen.
  array.fill(7)
  loans.settle()
  array.fill(8)
  expect(read(late, 2)).toEqual([7, 7])
})
