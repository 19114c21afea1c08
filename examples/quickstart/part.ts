/** What each part of the quickstart sends to the process that draws it. */
export type Progress = { done: number; total: number; note: string }
export type Curve = { name: string; x: number[]; y: number[] }
export type PartResult = { rows: [what: string, figure: string][]; curve?: Curve; picture?: string; session: string }
export type PartMessage = { type: 'progress'; progress: Progress } | { type: 'result'; result: PartResult }
export type Report = (progress: Progress) => void
