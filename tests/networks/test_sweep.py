"""Sweeps are recorded run by run, go on where they were, and survive workers that are killed."""

import json
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import pytest
import sweep_cases
from sweep_cases import adds, bad_result, dies_for, dies_once, fails_for_odd, square

from modeq.errors import InvalidCheckpoint, InvalidValue
from modeq.networks import load_sweep, sweep


def settings(count, **more):
    return [{"x": x, **more} for x in range(count)]


class Here(Executor):
    """An executor that runs at once, in this process, with the protocol and nothing else."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *args, **kwargs):
        self.count += 1
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def attempts(folder, x):
    return (folder / f"attempts-{x}").read_text()


def test_results_come_in_the_order_of_the_settings_and_are_recorded(tmp_path):
    runs = sweep(square, settings(4), tmp_path, executor=Here())
    assert [run.result["square"] for run in runs] == [0, 1, 4, 9]
    assert all(run.done and run.attempts == 1 and run.seconds >= 0 for run in runs)
    assert load_sweep(tmp_path) == runs
    assert len(list(tmp_path.iterdir())) == 4


def test_a_sweep_goes_on_where_it_was(tmp_path):
    first, second = Here(), Here()
    sweep(square, settings(3), tmp_path, executor=first)
    runs = sweep(square, settings(5), tmp_path, executor=second)
    assert (first.count, second.count) == (3, 2)
    assert [run.result["square"] for run in runs] == [0, 1, 4, 9, 16]


def test_a_sweep_that_is_interrupted_keeps_what_is_recorded(tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(square, settings(5), tmp_path, executor=Here(), in_flight=1, progress=interrupt)
    assert len(load_sweep(tmp_path)) == 2
    rest = Here()
    assert all(run.done for run in sweep(square, settings(5), tmp_path, executor=rest))
    assert rest.count == 3


def test_a_function_that_raises_is_recorded_as_failed_once(tmp_path):
    executor = Here()
    runs = sweep(fails_for_odd, settings(4), tmp_path, executor=executor)
    assert [run.status for run in runs] == ["done", "failed", "done", "failed"]
    assert "ValueError: 3 is odd (sweep_cases.py, line" in runs[3].error
    assert [run.attempts for run in runs] == [1, 1, 1, 1]
    assert executor.count == 4
    sweep(fails_for_odd, settings(4), tmp_path, executor=executor)
    assert executor.count == 4
    sweep(fails_for_odd, settings(4), tmp_path, executor=executor, again=True)
    assert executor.count == 6


def test_a_worker_that_is_killed_is_tried_once_more_and_nothing_else_is_lost(tmp_path):
    given = settings(4, bad=[2], folder=str(tmp_path))
    runs = sweep(dies_for, given, tmp_path / "records")
    assert [run.status for run in runs] == ["done", "done", "failed", "done"]
    assert [run.result for run in runs] == [0, 1, None, 9]
    assert runs[2].attempts == 2
    assert attempts(tmp_path, 2) == ".."
    assert "worker died 2 times: BrokenProcessPool" in runs[2].error
    assert max(run.attempts for run in runs) == 2
    assert load_sweep(tmp_path / "records")[2] == runs[2]


def test_a_worker_that_is_killed_once_has_its_result_and_the_pool_is_made_again(tmp_path):
    pool = ProcessPoolExecutor(1, get_context("spawn"))
    runs = sweep(dies_once, settings(3, folder=str(tmp_path)), tmp_path / "r", executor=pool)
    assert [run.result for run in runs] == [100, 101, 102]
    assert [run.attempts for run in runs] == [1, 2, 1]
    pool.shutdown()


class Broken(Here):
    """An executor that nobody can make again."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        future.set_exception(BrokenProcessPool("gone"))
        return future


def test_an_executor_that_broke_and_cannot_be_made_again_says_so(tmp_path):
    with pytest.raises(InvalidValue, match="give a function that makes one"):
        sweep(square, settings(2), tmp_path, executor=Broken())


class BrokenFromTheStart(Here):
    def submit(self, function, /, *args, **kwargs):
        raise BrokenProcessPool("gone")


def test_an_executor_that_takes_no_run_at_all_says_so(tmp_path):
    with pytest.raises(InvalidValue, match="broke before its first run: gone"):
        sweep(square, settings(2), tmp_path, executor=BrokenFromTheStart)


def test_an_executor_made_by_a_function_may_break_each_time(tmp_path):
    runs = sweep(square, settings(2), tmp_path, executor=Broken)
    assert [(run.status, run.attempts) for run in runs] == [("failed", 2)] * 2


def test_threads_of_the_caller_are_not_shut_down(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        sweep(square, settings(3), tmp_path, executor=pool)
        assert pool.submit(adds, 1, 2).result() == 3


def test_progress_is_told(tmp_path):
    seen = []
    sweep(square, settings(2), tmp_path, executor=Here())
    sweep(square, settings(4), tmp_path, executor=Here(), progress=lambda *a: seen.append(a))
    assert seen == [(3, 4), (4, 4)]


def test_dask_runs_a_sweep(tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask is optional: pip install dask")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        runs = sweep(square, settings(4), tmp_path, executor=executor)
    assert [run.result["square"] for run in runs] == [0, 1, 4, 9]


def test_a_client_of_dask_is_an_executor(tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask is optional: pip install dask")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        runs = sweep(square, settings(2), tmp_path, executor=client)
    assert [run.result["square"] for run in runs] == [0, 1]


class SubmitOnly:
    """What has a submit and nothing else."""

    submit = Here.submit
    count = 0


class OldShutdown(SubmitOnly):
    """The executors of loky have a shutdown that knows no cancel_futures."""

    def shutdown(self, wait=True, kill_workers=False):
        assert wait


@pytest.mark.parametrize("executor", [SubmitOnly(), SubmitOnly, OldShutdown, lambda: Here()])
def test_whatever_gives_futures_is_an_executor(tmp_path, executor):
    runs = sweep(square, settings(3), tmp_path, executor=executor)
    assert [run.result["square"] for run in runs] == [0, 1, 4]


class OtherFutures:
    def __init__(self):
        self.calls = []

    def submit(self, function, /, *args):
        self.calls.append(function)
        return "a promise"


@pytest.mark.parametrize("executor", [OtherFutures(), OtherFutures, 3, lambda: 3, [Here()]])
def test_what_gives_no_futures_is_refused_before_any_work(tmp_path, executor):
    with pytest.raises(InvalidValue, match="executor"):
        sweep(square, settings(2), tmp_path, executor=executor)
    assert not list(tmp_path.iterdir())
    assert square not in getattr(executor, "calls", [])


def test_functions_that_processes_cannot_find_are_refused_for_given_pools_as_well(tmp_path):
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
        pytest.raises(InvalidValue, match="cannot be sent to processes"),
    ):
        sweep(lambda x: x, settings(1), tmp_path, executor=pool)


def test_two_sweeps_in_one_folder_run_everything_once(tmp_path):
    given = settings(4, bad=[], folder=str(tmp_path))
    with ThreadPoolExecutor(2) as both:
        sweeps = [
            both.submit(sweep, dies_for, given, tmp_path / "r", executor=Here) for _ in range(2)
        ]
        first, second = (each.result(timeout=60) for each in sweeps)
    assert first == second
    assert [attempts(tmp_path, x) for x in range(4)] == ["."] * 4
    assert len(list((tmp_path / "r").iterdir())) == 4


def test_a_lock_whose_owner_was_killed_is_free(tmp_path):
    (tmp_path / ".lock").touch()
    assert sweep(square, settings(1), tmp_path, executor=Here())[0].done


def test_a_damaged_record_is_refused_and_kept(tmp_path):
    sweep(square, settings(1), tmp_path, executor=Here())
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-9])
    damaged = path.read_bytes()
    with pytest.raises(InvalidCheckpoint, match="is damaged"):
        sweep(square, settings(1), tmp_path, executor=Here())
    assert path.read_bytes() == damaged


def test_records_of_another_function_are_refused(tmp_path):
    sweep(square, settings(1), tmp_path, executor=Here())
    with pytest.raises(InvalidCheckpoint, match=r"record of sweep_cases\.square, not of"):
        sweep(adds, settings(1), tmp_path, executor=Here())


def test_a_result_that_json_cannot_hold_is_a_failure(tmp_path):
    (run,) = sweep(bad_result, settings(1), tmp_path, executor=Here())
    assert "returned a object" in run.error


def test_numbers_that_json_has_not_are_kept_as_texts(tmp_path):
    (run,) = sweep(adds, [{"x": 1e308, "y": 1e308}], tmp_path, executor=Here())
    assert float(run.result) == float("inf")
    (path,) = tmp_path.iterdir()
    json.loads(path.read_text(), parse_constant=pytest.fail)


def test_bad_sweeps_are_refused(tmp_path):
    for wrong in ([{"x": 1}, {"x": 1}], [{"x": object()}], [{"x": float("nan")}]):
        with pytest.raises(InvalidValue):
            sweep(square, wrong, tmp_path, executor=Here())
    with pytest.raises(InvalidValue, match="cannot be sent to processes"):
        sweep(lambda x: x, settings(1), tmp_path)
    with pytest.raises(InvalidValue, match="in_flight is 0"):
        sweep(square, settings(1), tmp_path, in_flight=0)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValue, match="cannot be made"):
        sweep(square, settings(1), tmp_path / "file" / "folder")
    assert sweep(square, [], tmp_path / "new") == []
    assert sweep_cases.square(3) == {"square": 9}


@pytest.mark.parametrize(
    ("function", "given", "options"),
    [
        (3, [{"x": 1}], {}),
        (square, [[1]], {}),
        (square, [{1: 2}], {}),
        (square, [{"x": 1}], {"in_flight": True}),
        (square, [{"x": 1}], {"in_flight": 0}),
    ],
)
def test_functions_settings_and_counts_that_cannot_be_right_are_refused(
    tmp_path, function, given, options
):
    with pytest.raises(InvalidValue):
        sweep(function, given, tmp_path, executor=Here(), **options)


def test_a_folder_that_is_not_there_has_no_records(tmp_path):
    with pytest.raises(InvalidValue, match="there is no folder"):
        load_sweep(tmp_path / "nowhere")
