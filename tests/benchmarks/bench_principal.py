"""The principal flow: how often one correction is better, and what a field evaluation costs."""

import itertools
from collections.abc import Iterator

import numpy as np
from measure import Row, best

from modeq import principal_flow, principal_value, problems, top_eigenpairs
from modeq.errors import ModeqError
from modeq.flows.forms import DerivativeTensors
from modeq.principal.resummed import resummed_field

STARTS, TRIALS = 40, 400
"""Starts for each problem, and how many are tried: some have no positive curvature."""

SPREAD = 0.5

ROUNDING = 1e-12
"""Where both errors are below this, as on quadratics, neither flow is better."""

DIMENSION, LARGE = 100, 10_000


def one_step_errors(loss, random) -> Iterator[tuple[float, float]]:
    """Yield the errors of one step without and with a correction, at hλ in 0.2 to 0.9; inf where a
    flow cannot be followed.
    """
    derivatives = DerivativeTensors(loss, 1)
    flows = [principal_flow(loss, k) for k in (0, 1)]
    for _ in range(TRIALS):
        start = np.array(loss.start) + SPREAD * random.normal(size=loss.dimension)
        f, jacobian = derivatives(start)
        largest = np.linalg.eigvalsh(-jacobian)[-1]
        if largest <= 0:
            continue
        h = random.uniform(0.2, 0.9) / largest
        yield tuple(distance(flow, start, start + h * f, h) for flow in flows)


def distance(flow, start, end, h) -> float:
    try:
        return float(np.linalg.norm(flow.solve(start, h=h, steps=1).theta[-1] - end))
    except ModeqError:
        return np.inf


def rows() -> Iterator[Row]:
    random = np.random.default_rng(0)
    compared = better = 0
    for make in problems.ALL.values():
        loss = make()
        errors = np.array(list(itertools.islice(one_step_errors(loss, random), STARTS)))
        if not len(errors):
            yield Row(f"{loss.name}: no start with positive curvature", 0, unit="starts")
            continue
        plain, corrected = np.median(errors, axis=0)
        yield Row(f"{loss.name}: median error of a step, k = 0", plain, unit="")
        yield Row(f"{loss.name}: median error of a step, k = 1", corrected, unit="")
        apart = errors[(errors.max(axis=1) > ROUNDING) & np.isfinite(errors.min(axis=1))]
        wins, lost = (int(np.sum(a < b)) for a, b in (apart.T[::-1], apart.T))
        none = int(np.sum(np.isinf(errors.min(axis=1))))
        name = f"{loss.name}: starts where k = 1 is better"
        yield Row(name, wins, unit=f"of {len(errors)}, worse in {lost}, no flow in {none}")
        compared, better = compared + len(apart), better + wins
    yield Row(f"k = 1 better in all {compared}", better / compared, 0.8, unit="", at_least=True)
    yield from costs(random)
    yield from large_costs(random)


def costs(random) -> Iterator[Row]:
    """Yield the cost of a field evaluation in 100 dimensions over those of its parts."""
    matrix = random.normal(size=(DIMENSION, DIMENSION))
    hessian, gradient = matrix @ matrix.T / DIMENSION, random.normal(size=DIMENSION)
    third = random.normal(size=(DIMENSION,) * 3)
    third = sum(third.transpose(axes) for axes in itertools.permutations(range(3)))
    tensors, h = [-gradient, -hessian, -third], 0.9 / np.linalg.eigvalsh(hessian)[-1]
    vectors = np.linalg.eigh(hessian)[1]
    eigh = best(lambda: np.linalg.eigh(hessian), 15)
    plain = best(lambda: resummed_field(tensors, h, symmetric=True), 15)
    corrected = best(lambda: resummed_field(tensors, h, 1, symmetric=True), 15)
    pulled = best(lambda: np.einsum("ijk,j,k->i", third, gradient, gradient), 15)
    rotated = best(lambda: np.tensordot(third, vectors, axes=(2, 0)), 15)
    yield Row("field, d = 100, k = 0, over eigh", plain / eigh, 3, unit="times")
    extra = corrected - plain
    yield Row("k = 1 adds, over einsum of T[g, g]", extra / pulled, 1, unit="times")
    yield Row("k = 1 adds, over T with one index in eigenvectors", extra / rotated, unit="times")
    h = 1.05 / np.linalg.eigvalsh(hessian)[-1]
    plain = best(lambda: resummed_field(tensors, h, symmetric=True), 15)
    corrected = best(lambda: resummed_field(tensors, h, 1, symmetric=True), 15)
    name = "k = 1 adds past h lambda = 1, over T with one index in eigenvectors"
    yield Row(name, (corrected - plain) / rotated, unit="times")


def large_costs(random) -> Iterator[Row]:
    """Yield the cost in 10,000 dimensions, of a sparse Hessian with large outer eigenvalues."""
    import scipy.sparse

    factor = scipy.sparse.random(LARGE, LARGE, 1e-3, format="csr", random_state=0)
    factor.data -= 0.5
    outer = np.linalg.qr(random.normal(size=(LARGE, 12)))[0]
    sizes, bulk = np.linspace(6.0, 14.0, 12), 1 / 2

    def product(v):
        return bulk * (factor @ v + factor.T @ v) + outer @ (sizes * (outer.T @ v))

    gradient, h = random.normal(size=LARGE), 0.15
    lanczos = best(lambda: top_eigenpairs(product, LARGE, 12), 3)
    whole = best(lambda: principal_value(gradient, product, h=h, count=12), 3)
    value = principal_value(gradient, product, h=h, count=12)
    yield Row("field, d = 10,000, over a Lanczos run of 12", whole / lanczos, 5, unit="times")
    yield Row("products for it", value.products, unit="")
    yield Row("bound of what its series leaves out, over |g|", value.rest / LARGE**0.5, unit="")
