from backendctl.loadtest.measurement import Outcome, Recorder, StageMeasurement
from backendctl.loadtest.warmth import is_stable


def stage_of(medians: list[float]) -> StageMeasurement:
    recorder = Recorder()
    for second, median in enumerate(medians):
        for _ in range(20):
            recorder.started(0, 0.0)
            recorder.ended(0, second, "GET /", Outcome.OK, 200, median, median)
    return StageMeasurement.from_data(recorder.take()["0"])


def test_falling_response_times_are_not_yet_stable() -> None:
    falling = stage_of([0.5, 0.4, 0.2, 0.1, 0.05, 0.04])
    assert not is_stable(falling, 5)


def test_even_response_times_are_stable_once_two_windows_have_passed() -> None:
    even = stage_of([0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert not is_stable(even, 4)
    assert is_stable(even, 6)


def test_differences_of_less_than_two_milliseconds_do_not_matter() -> None:
    assert is_stable(stage_of([0.002, 0.002, 0.001, 0.001, 0.001]), 5)


def test_seconds_without_answers_are_not_stable() -> None:
    assert not is_stable(StageMeasurement(), 10)
