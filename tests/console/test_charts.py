"""Charts as plain geometry: what is drawn stands where its figure says."""

from license_api.console import charts


def test_a_strip_shows_what_is_known_and_what_is_missing_of_a_thousand_parts() -> None:
    drawn = charts.strip(100, 200, [(120, 130), (190, 200)])
    assert drawn.known == [(0.0, 200.0), (300.0, 600.0)]
    assert drawn.missing == [(200.0, 100.0), (900.0, 100.0)]


def test_a_gap_of_a_minute_in_a_month_is_still_to_be_seen() -> None:
    drawn = charts.strip(0, 31 * 86400, [(60, 120)])
    assert drawn.missing[0][1] == 2


def test_columns_stand_one_on_the_other_and_a_day_of_which_nothing_is_known_is_marked() -> None:
    drawn = charts.columns([1, 2, 3], [[2, None, 0], [2, None, 4]])
    first, second, third = drawn.bars
    assert (first.series, second.series, third.series) == (0, 1, 1)
    assert second.y + second.height == first.y
    assert third.height == first.height + second.height
    [unknown] = drawn.unknown
    assert unknown.x < drawn.days[1].at < unknown.x + unknown.width


def test_steps_break_where_nothing_is_known_and_the_peak_s_day_is_marked() -> None:
    drawn = charts.steps([1, 2, 3, 4], [3, None, 5, 5], 2)
    assert drawn.path.count("M") == 2
    assert drawn.peak is not None
    assert (drawn.peak[1], [row.value for row in drawn.rows]) == (10.0, [0, 2, 4])


def test_a_scale_has_few_lines_that_people_count_by() -> None:
    for top, lines in ((1, [0, 1]), (9, [0, 5]), (22, [0, 10, 20]), (1232, [0, 500, 1000])):
        assert [row.value for row in charts.steps([1], [top]).rows] == lines
    assert charts.width_of(5, 0) == 0
