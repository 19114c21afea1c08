/** What may be chosen of `gp`. */
import { z } from 'zod'
import { field } from '../../core/schema.js'
import { LENGTH_PRIORS } from './lengths.js'
import { OUTCOME_TRANSFORMS } from './outcome.js'

export const config = z.strictObject({
  acquisition: field(
    z.enum(['ei', 'mes']).default('ei'),
    'What the next point is to maximize. ei: the logarithm of expected improvement. mes: max-value entropy search, what a value is expected to tell of the least one.',
    { source: 'Ament et al. 2023; Wang and Jegelka 2017 for mes' },
  ),
  nInitial: field(
    z.int().min(1).optional(),
    "Scrambled Sobol' points before the model takes over; 2 (parameters + 1), 10 at most, when absent.",
    { source: 'Frazier 2018; Optuna GPSampler for the most' },
  ),
  nCandidates: field(z.int().min(16).max(65536).default(2048), 'Points of the acquisition screening.', {
    source: 'Optuna GPSampler',
    advanced: true,
  }),
  nStarts: field(z.int().min(1).max(128).default(10), 'Local searches of the acquisition function.', {
    source: 'Optuna GPSampler',
    advanced: true,
  }),
  refitGrowth: field(
    z.number().min(1).max(2).default(1.05),
    'Hyperparameters are fitted again when the trials have grown by this factor.',
    { source: 'ours', advanced: true },
  ),
  outcomeTransform: field(
    z.enum(OUTCOME_TRANSFORMS).default('standardize'),
    'What becomes of values before the model sees them, standardized in the end. winsorize: huge ones are cut at the upper fence of a box plot. power: that of Yeo and Johnson, by maximum likelihood, for long tails. copula: normal quantiles of the ranks, for any distribution.',
    { source: 'ours; Cowen-Rivers et al. 2022 for power, Salinas et al. 2020 for copula' },
  ),
  warp: field(
    z.boolean().default(false),
    'Whether each float is warped by a distribution function of Kumaraswamy, fitted with the other hyperparameters: for functions that change much faster at one end of a range than at the other.',
    { source: 'Snoek et al. 2014' },
  ),
  lengthPrior: field(
    z.enum(LENGTH_PRIORS).default('optuna'),
    'Prior of the length scales, which are fitted by maximum a posteriori. optuna: none is very long. log-normal: longer in more dimensions. saas: most parameters have no effect, for many of them; its posterior density is maximized and not sampled by NUTS as in its paper.',
    { source: 'Optuna GPSampler; Hvarfner et al. 2024 for log-normal; Eriksson and Jankowiak 2021 for saas' },
  ),
  maxRows: field(z.int().min(100).max(6000).default(3000), 'Trials in the model; of more, a part is kept.', {
    source: 'ours',
    advanced: true,
  }),
})
export type Config = z.infer<typeof config>
