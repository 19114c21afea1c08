/**
 * Charts of an analysis as Vega-Lite specifications with their data: A. Satyanarayan, D. Moritz, K. Wongsuphasawat, J. Heer,
 * "Vega-Lite: A Grammar of Interactive Graphics", IEEE TVCG 23, 2017. Plain JSON: notebooks, browsers and the command line
 * draw them.
 */
import type { Objective, Parameter, ParamValue, SearchSpace } from '../../core/space.js'
import type { Analysis } from './analysis.js'
import type { Contour } from './contour.js'
import type { CrossValidation } from './cross-validation.js'
import type { Edf } from './edf.js'
import type { HistoryStep } from './history.js'
import type { Importances } from './importances.js'
import type { Moments } from './model.js'
import type { ParallelCoordinates } from './parallel.js'
import type { Pareto } from './pareto.js'
import type { AnalysisKind } from './request.js'
import type { Slice } from './slices.js'
import type { TimelineEntry } from './timeline.js'

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }
export type Spec = { readonly [key: string]: Json | undefined }
export type Chart = { kind: AnalysisKind; title: string; spec: Spec }

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v5.json'
const SIZE = { width: 420, height: 260 }
const SMALL = { width: 220, height: 180 }
/** Points of a chart; of more, evenly spaced ones. */
const MOST_POINTS = 1000
/** Lines of parallel coordinates: more hide each other. */
const MOST_LINES = 500

const quantitative = (field: string, title: string, more: Spec = {}): Spec => ({
  field,
  type: 'quantitative',
  title,
  scale: { zero: false },
  ...more,
})
/** The scale of a parameter on an axis. */
const parameterAxis = (field: string, p: Parameter): Spec =>
  'choices' in p || p.type === 'permutation'
    ? { field, type: 'nominal', title: p.name, ...('choices' in p && { sort: p.choices.map(label) }) }
    : quantitative(field, p.name, { scale: p.log ? { type: 'log' } : { zero: false } })
const label = (value: ParamValue): string => (typeof value === 'object' ? value.join(' ') : `${value}`)
/** A value as data of an axis: numbers of numeric parameters, text of others. */
const datum = (p: Parameter, value: ParamValue): Json => ('low' in p ? (value as number) : label(value))

/** At most MOST_POINTS of a list, its ends among them. */
const thinned = <T>(list: readonly T[]): readonly T[] =>
  list.length <= MOST_POINTS
    ? list
    : Array.from({ length: MOST_POINTS }, (_, i) => list[Math.round((i * (list.length - 1)) / (MOST_POINTS - 1))])

/** One chart for each kind that was computed, in their order. */
export function charts(analysis: Analysis, { parameters }: SearchSpace, objectives: readonly Objective[]): Chart[] {
  const named = (name: string) => parameters.find((p) => p.name === name)!
  const name = analysis.objective
  const { importances: weights, crossValidation: validation } = analysis
  const found: [AnalysisKind, string, Spec | undefined][] = [
    ['history', 'Best so far', analysis.history && historyChart(analysis.history, name)],
    ['importances', `Importances (${weights?.method})`, weights && importanceChart(weights)],
    ['slices', 'Slices', analysis.slices && sliceChart(analysis.slices, named, name)],
    ['contour', 'Contour', analysis.contour && contourChart(analysis.contour, named, name)],
    [
      'parallel-coordinates',
      'Parallel coordinates',
      analysis.parallelCoordinates && parallelChart(analysis.parallelCoordinates, objectives, name),
    ],
    ['edf', 'Empirical distribution', analysis.edf && edfChart(analysis.edf, name)],
    ['pareto', 'Pareto front', analysis.pareto && paretoChart(analysis.pareto, objectives)],
    ['timeline', 'Timeline', analysis.timeline && timelineChart(analysis.timeline)],
    ['cross-validation', 'Cross-validation', validation && validationChart(validation, name)],
    ['prediction', 'Predictions', analysis.predictions && predictionChart(analysis.predictions, name)],
  ]
  return found.flatMap(([kind, title, spec]) =>
    spec ? [{ kind, title, spec: { $schema: SCHEMA, title, ...spec } }] : [],
  )
}

const historyChart = (steps: readonly HistoryStep[], name: string): Spec => ({
  ...SIZE,
  data: { values: thinned(steps.map(({ trial, value, best = null }, i) => ({ order: i + 1, trial, value, best }))) },
  encoding: { x: quantitative('order', 'trials told') },
  layer: [
    {
      mark: { type: 'point', filled: true, opacity: 0.5, tooltip: true },
      encoding: { y: quantitative('value', name) },
    },
    {
      mark: { type: 'line', interpolate: 'step-after', color: 'firebrick' },
      encoding: { y: { field: 'best', type: 'quantitative' } },
    },
  ],
})

const importanceChart = ({ parameters }: Importances): Spec => ({
  width: SIZE.width,
  data: { values: parameters.map(({ parameter, importance }) => ({ parameter, importance })) },
  mark: { type: 'bar', tooltip: true },
  encoding: {
    y: { field: 'parameter', type: 'nominal', sort: null, title: null },
    x: { field: 'importance', type: 'quantitative', scale: { domain: [0, 1] } },
  },
})

const sliceChart = (slices: readonly Slice[], named: (name: string) => Parameter, name: string): Spec => ({
  columns: 3,
  concat: slices.map(({ parameter, trials, surrogate }) => {
    const p = named(parameter)
    const x = parameterAxis('x', p)
    const band = surrogate.map(({ parameterValue, mean, deviation }) => ({
      x: datum(p, parameterValue),
      mean,
      low: mean - 2 * deviation,
      high: mean + 2 * deviation,
    }))
    const numeric = 'low' in p
    return {
      ...SMALL,
      layer: [
        {
          data: { values: band },
          mark: numeric ? { type: 'area', opacity: 0.2 } : { type: 'rule', opacity: 0.4, size: 3 },
          encoding: { x, y: quantitative('low', name), y2: { field: 'high' } },
        },
        {
          data: { values: band },
          mark: numeric ? { type: 'line' } : { type: 'tick' },
          encoding: { x, y: quantitative('mean', name) },
        },
        {
          data: {
            values: trials.map(({ trial, parameterValue, value }) => ({ trial, x: datum(p, parameterValue), value })),
          },
          mark: { type: 'point', filled: true, size: 15, opacity: 0.6, tooltip: true },
          encoding: { x, y: quantitative('value', name) },
        },
      ],
    }
  }),
})

/** Where each cell of a grid ends: halfway to its neighbours, on a log scale by factors. */
function cells(values: readonly number[], log: boolean | undefined): [number, number][] {
  const place = values.map((v) => (log ? Math.log(v) : v))
  const back = (v: number) => (log ? Math.exp(v) : v)
  const edge = (i: number) => (i === 0 ? place[0] : i === place.length ? place[i - 1] : (place[i - 1] + place[i]) / 2)
  return values.map((_, i) => [back(edge(i)), back(edge(i + 1))])
}

function contourChart(
  { x, y, xValues, yValues, means, trials }: Contour,
  named: (name: string) => Parameter,
  name: string,
): Spec {
  const [px, py] = [named(x), named(y)]
  const edges = (p: Parameter, values: readonly ParamValue[]): (readonly [Json, Json])[] =>
    'low' in p ? cells(values as number[], p.log) : values.map((v) => [label(v), label(v)])
  const [ex, ey] = [edges(px, xValues), edges(py, yValues)]
  const values = ey.flatMap(([y, y2], j) => ex.map(([x, x2], i) => ({ x, x2, y, y2, mean: means[j * ex.length + i] })))
  const told = trials.map(({ trial, xValue, yValue, value }) => ({
    trial,
    x: datum(px, xValue),
    y: datum(py, yValue),
    value,
  }))
  const [ax, ay] = [parameterAxis('x', px), parameterAxis('y', py)]
  const ends = { ...('low' in px && { x2: { field: 'x2' } }), ...('low' in py && { y2: { field: 'y2' } }) }
  const color = { type: 'quantitative', title: name, scale: { scheme: 'viridis' } }
  return {
    ...SIZE,
    layer: [
      {
        data: { values },
        mark: { type: 'rect', tooltip: true },
        encoding: { x: ax, y: ay, ...ends, color: { field: 'mean', ...color } },
      },
      {
        data: { values: told },
        mark: { type: 'point', filled: true, stroke: 'white', strokeWidth: 1, size: 40, opacity: 1, tooltip: true },
        encoding: { x: ax, y: ay, color: { field: 'value', ...color } },
      },
    ],
  }
}

function parallelChart(
  { parameters, lines }: ParallelCoordinates,
  objectives: readonly Objective[],
  name: string,
): Spec {
  const down = objectives.find((objective) => objective.name === name)?.direction === 'maximize' ? -1 : 1
  const shown = [...lines].sort((a, b) => down * (a.value - b.value)).slice(0, MOST_LINES)
  const values = shown.flatMap(({ trial, params, coordinates, value }) =>
    coordinates.flatMap((place, k) =>
      Number.isNaN(place) ? [] : [{ trial, value, place, parameter: parameters[k], at: label(params[parameters[k]]) }],
    ),
  )
  return {
    ...SIZE,
    data: { values },
    mark: { type: 'line', opacity: 0.4, tooltip: true },
    encoding: {
      x: { field: 'parameter', type: 'nominal', sort: [...parameters], title: null, axis: { grid: true } },
      y: { field: 'place', type: 'quantitative', title: 'place in range', scale: { domain: [0, 1] } },
      detail: { field: 'trial' },
      color: { field: 'value', type: 'quantitative', title: name, scale: { scheme: 'viridis' } },
      tooltip: ['trial', 'parameter', 'at', 'value'].map((field) => ({ field })),
    },
  }
}

const edfChart = ({ values, fractions }: Edf, name: string): Spec => ({
  ...SIZE,
  data: { values: thinned(values.map((value, i) => ({ value, fraction: fractions[i] }))) },
  mark: { type: 'line', interpolate: 'step-after', tooltip: true },
  encoding: {
    x: quantitative('value', name),
    y: { field: 'fraction', type: 'quantitative', title: 'share of trials', scale: { domain: [0, 1] } },
  },
})

const paretoChart = ({ front, hypervolumes }: Pareto, [a, b]: readonly Objective[]): Spec => ({
  hconcat: [
    {
      ...SMALL,
      data: { values: front.map(({ trial, values }) => ({ trial, a: values[0], b: values[1] })) },
      mark: { type: 'point', filled: true, tooltip: true },
      encoding: { x: quantitative('a', a.name), y: quantitative('b', b.name) },
    },
    {
      ...SMALL,
      data: { values: hypervolumes.map(({ hypervolume }, i) => ({ step: i + 1, hypervolume })) },
      mark: { type: 'line', interpolate: 'step-after' },
      encoding: { x: quantitative('step', 'step'), y: quantitative('hypervolume', 'hypervolume') },
    },
  ],
})

function timelineChart(entries: readonly TimelineEntry[]): Spec {
  // What still runs is drawn up to the last thing that happened.
  const now = entries.reduce((last, { createTime, endTime = 0 }) => Math.max(last, createTime, endTime), 0)
  return {
    ...SIZE,
    data: {
      values: thinned(entries).map(({ trial, state, createTime, endTime }) => ({
        trial,
        state,
        begin: createTime,
        end: endTime ?? now,
      })),
    },
    mark: { type: 'rule', size: 2, tooltip: true },
    encoding: {
      x: { field: 'begin', type: 'temporal', title: 'time' },
      x2: { field: 'end' },
      y: quantitative('trial', 'trial'),
      color: { field: 'state', type: 'nominal' },
    },
  }
}

function validationChart({ folds }: CrossValidation, name: string): Spec {
  const values = folds.map(({ trial, value, mean, deviation }) => ({
    trial,
    value,
    mean,
    low: mean - 2 * deviation,
    high: mean + 2 * deviation,
  }))
  const ends = [Math.min(...folds.map(({ value }) => value)), Math.max(...folds.map(({ value }) => value))]
  const x = quantitative('value', `told ${name}`)
  return {
    ...SIZE,
    layer: [
      {
        data: { values: ends.map((value) => ({ value })) },
        mark: { type: 'line', strokeDash: [4, 4], color: 'gray' },
        encoding: { x, y: quantitative('value', 'predicted') },
      },
      {
        data: { values },
        mark: { type: 'rule', opacity: 0.3 },
        encoding: { x, y: quantitative('low', 'predicted'), y2: { field: 'high' } },
      },
      {
        data: { values },
        mark: { type: 'point', filled: true, tooltip: true },
        encoding: { x, y: quantitative('mean', 'predicted') },
      },
    ],
  }
}

const predictionChart = (moments: readonly Moments[], name: string): Spec => ({
  width: SIZE.width,
  data: {
    values: moments.map(({ mean, deviation }, i) => ({
      point: i,
      mean,
      low: mean - 2 * deviation,
      high: mean + 2 * deviation,
    })),
  },
  encoding: { y: { field: 'point', type: 'ordinal', title: 'point' } },
  layer: [
    { mark: 'rule', encoding: { x: quantitative('low', name), x2: { field: 'high' } } },
    { mark: { type: 'point', filled: true, tooltip: true }, encoding: { x: quantitative('mean', name) } },
  ],
})
