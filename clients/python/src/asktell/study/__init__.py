"""Studies, under the names that users of Optuna know.

    study = asktell.study.create_study(direction="minimize")
    study.optimize(objective, n_trials=100)

The server optimizes over a space that is declared when a session is created, while an objective here defines its space
as it runs. The two meet like this:

- The first trial draws its values at random on the client and shows what the objective suggests. When it has finished,
  the session is created with that space, and is told the trial. (Trials that run at the same time, before there is a
  session, are drawn at random too.)
- A trial that suggests a parameter which the space has not, or a wider range, draws that value at random. When it has
  finished, the study moves to a new session with the larger space, which is told all trials so far. The old one ends,
  and names the new one in its label ``next``; other processes of the study follow.
- A trial that left a parameter of the space unused is told with a random value of it, which is true: the objective does
  not depend on that parameter there. `Trial.params` and `Study.trials` show only what this process saw suggested.

Limits: a parameter keeps its type, scale, step and choices. The intermediate values of a trial reach the pruner only
once there is a session, and do not move with the study. A trial under way during a move counts as a new trial then.
Methods that take no observations of points which they did not ask for (`describe(id).facts.unsolicited`) do not learn
from the first trial, and cannot move.

``create_study(space=...)`` declares the space instead, conditions included: then none of this applies.
"""

from __future__ import annotations

from ..errors import TrialPruned
from ..spaces import Categorical as CategoricalDistribution
from ..spaces import Float as FloatDistribution
from ..spaces import Int as IntDistribution
from .create import create_study, load_study
from .study import Study
from .trial import FrozenTrial, Trial, TrialState

__all__ = [
    "CategoricalDistribution",
    "FloatDistribution",
    "FrozenTrial",
    "IntDistribution",
    "Study",
    "Trial",
    "TrialPruned",
    "TrialState",
    "create_study",
    "load_study",
]
