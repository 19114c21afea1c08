"""Studies that begin, or are found."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..client import Client, Session
from ..errors import AlreadyExists, NotFound
from ..spaces import Parameter
from .study import Study


def create_study(
    *,
    study_name: str | None = None,
    direction: str | None = None,
    directions: Sequence[str] | None = None,
    sampler: str = "tpe",
    config: Mapping[str, Any] | None = None,
    pruner: str | tuple[str, Mapping[str, Any]] | None = None,
    load_if_exists: bool = False,
    space: Mapping[str, Parameter] | None = None,
    seed: int | None = None,
    lease: float | None = None,
    warm_start_from: Sequence[str | Session] = (),
    client: Client | None = None,
    target: str | None = None,
) -> Study:
    """A new study.

    Args:
        study_name: letters, digits, "-" and "_", at most 64; also the id of the session. Made up when None.
        direction: "minimize" (the default) or "maximize"; or `directions` for several objectives.
        sampler: id of the method, such as "tpe", "gp", "random".
        config: of the method.
        pruner: id of a pruner: "median", "percentile", "threshold", "asha", "successive-halving", "hyperband", "wilcoxon",
            "patient". Or an id with its config, such as ``("patient", {"wrapped": {"method": "median"}})``.
        load_if_exists: return the study of this name where there is one.
        space: declares the parameters, with conditions. See the head of this module for what happens without.
        seed: of the session and of the values drawn on the client.
        lease: seconds until the point of a trial that has not reported is asked again, 600 when None.
        warm_start_from: sessions of earlier studies, or their names (`study.session`), from whose trials the sampler begins;
            see `Client.create_session`. They must be there until this study has its space.
        client, target: which server; see Client.

    Raises:
        AlreadyExists: there is a study of this name.
    """
    if direction is not None and directions is not None:
        raise ValueError("expected direction or directions, got both")
    client = client or Client(target)
    toward = list(directions or [direction or "minimize"])
    objectives = {"value" if len(toward) == 1 else f"value{i}": d for i, d in enumerate(toward)}
    options = dict(
        method=sampler,
        config=config,
        pruner=pruner,
        seed=seed,
        lease=lease,
        warm_start_from=warm_start_from,
        objectives=objectives,
        offers=("value",),
    )
    if study_name is not None:
        try:
            study = load_study(study_name=study_name, client=client)
        except KeyError:
            pass
        else:
            if load_if_exists:
                return study
            raise AlreadyExists(
                "SESSION_EXISTS", f"there is a study {study_name!r}: load_study, or load_if_exists=True"
            )
    study = Study(client, study_name or f"study-{uuid.uuid4().hex[:12]}", None, options)
    if space is not None:
        study._create(dict(space))
    return study


def load_study(*, study_name: str, client: Client | None = None, target: str | None = None) -> Study:
    """The study of this name, which has a session already.

    Raises:
        KeyError: there is none.
    """
    client = client or Client(target)
    try:
        session = client.session(study_name)
    except NotFound:
        raise KeyError(f"there is no study {study_name!r}") from None
    info = session.info
    options = dict(
        method=info.method,
        config=info.config,
        pruner=info.pruner,
        seed=info.seed,
        lease=info.lease,
        objectives={o.name: o.direction for o in info.objectives},
        offers=("value",),
    )
    study = Study(client, study_name, session, options)
    # The trials of another process are to be drawn otherwise.
    study._rng = np.random.default_rng()
    study._follow(session)
    return study
